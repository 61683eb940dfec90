//! The remote write receiver, version 1.0: a snappy block with a `prometheus.WriteRequest` becomes
//! one batch, all of it or nothing.
//!
//! What must hold: 204 means everything is logged; an out-of-order, too old, duplicate or
//! out-of-bounds sample, or a broken histogram, is 400 with its text and undoes the request, as in
//! Prometheus; anything else that fails is 500, so that the sender tries again. New series above a
//! limit of the head are left out and the rest is stored; the answer is 400 and names limit and
//! series. Series with invalid labels are skipped and counted. Exemplars never fail a request.

use std::sync::Arc;

use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use hyper::{HeaderMap, Response, StatusCode};
use model::{AppendError, AppendOptions, Appendable, Appender, Labels, SeriesRef, Value};

use super::message::{self, AnyHistogram, BadLabels, TimeSeries};
use super::proto::{ProtoError, Reader};
use super::refs::{Generations, Known, LabelKey, RefCache};
use crate::gotime;
use crate::telemetry::metrics::{Counter, Registry};
use crate::web::body::{Body, empty, error};

/// How far ahead of the clock a sample may be, in milliseconds.
const MAX_AHEAD_MS: i64 = 10 * 60 * 1000;
/// Largest decoded body.
const MAX_DECODED: usize = 32 << 20;
/// Most series that an answer names.
const MAX_NAMED: usize = 10;
/// The media type of both versions.
const PROTOBUF: &str = "application/x-protobuf";
const V1: &str = crate::cli::flags::WRITE_MESSAGES[0];
const V2: &str = crate::cli::flags::WRITE_MESSAGES[1];
/// What can be taken: version 2.0 is not built.
const BUILT: [&str; 1] = [V1];

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error("{0}")]
    Proto(#[from] ProtoError),
    #[error("{0}")]
    Append(#[from] AppendError),
    #[error("out of bounds: timestamp is too far in the future")]
    TooFarAhead,
    /// Everything else of the request was stored.
    #[error("{0}")]
    Refused(Refused),
}

impl WriteError {
    fn status(&self) -> StatusCode {
        match self {
            WriteError::Proto(_) | WriteError::TooFarAhead | WriteError::Refused(_) => {
                StatusCode::BAD_REQUEST
            }
            WriteError::Append(
                AppendError::OutOfOrder
                | AppendError::OutOfBounds
                | AppendError::TooOld
                | AppendError::Duplicate
                | AppendError::InvalidHistogram(_),
            ) => StatusCode::BAD_REQUEST,
            WriteError::Append(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// New series that a limit of the head kept out.
#[derive(Debug, Default)]
struct Refused {
    limit: String,
    count: usize,
    /// The first of them.
    named: Vec<Labels>,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} new series refused, the rest was stored: ", self.limit, self.count)?;
        for (i, labels) in self.named.iter().enumerate() {
            write!(f, "{}{labels}", if i > 0 { ", " } else { "" })?;
        }
        match self.count - self.named.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// The receiver.
pub struct WriteHandler {
    accepted: Vec<String>,
    refs: RefCache,
    invalid_labels: Arc<Counter>,
}

impl WriteHandler {
    /// Largest compressed body.
    pub const MAX_COMPRESSED: usize = MAX_DECODED;

    /// A receiver that accepts these messages, as far as they are built.
    pub fn new(accepted: &[String], seed: u64, registry: &Registry) -> WriteHandler {
        WriteHandler {
            accepted: accepted.iter().filter(|m| BUILT.contains(&m.as_str())).cloned().collect(),
            refs: RefCache::new(seed),
            invalid_labels: registry.counter(
                "prometheus_api_remote_write_invalid_labels_samples_total",
                "Received remote write series that were skipped because of invalid labels.",
            ),
        }
    }

    /// Checks how a request says its body is compressed; the error is for a 415.
    pub fn check_encoding(&self, headers: &HeaderMap) -> Result<(), String> {
        match text(headers, CONTENT_ENCODING) {
            "" | "snappy" => Ok(()),
            other => Err(format!(
                "{other} encoding (compression) is not accepted by this server; only snappy is \
                 acceptable"
            )),
        }
    }

    /// Checks which message a request announces; the error is for a 415.
    pub fn check_content_type(&self, headers: &HeaderMap) -> Result<(), String> {
        let message = parse_content_type(text(headers, CONTENT_TYPE))?;
        if self.accepted.iter().any(|m| m == message) {
            return Ok(());
        }
        Err(format!(
            "{message} protobuf message is not accepted by this server; only accepts {}",
            self.accepted.join(", ")
        ))
    }

    /// Takes a compressed body in. Blocks while the batch is logged. A body that does not even
    /// decompress is told so before its `content_type` is, as in Prometheus.
    pub fn store(
        &self,
        store: &dyn Appendable,
        compressed: &[u8],
        content_type: Result<(), String>,
    ) -> Response<Body> {
        let body = match decompress(compressed) {
            Ok(body) => body,
            Err(why) => {
                tracing::error!(component = "web", err = %why, "Error decoding remote write request");
                return error(StatusCode::BAD_REQUEST, &why);
            }
        };
        if let Err(why) = content_type {
            tracing::error!(component = "web", err = %why, "Error decoding remote write request");
            return error(StatusCode::UNSUPPORTED_MEDIA_TYPE, &why);
        }
        match self.write(store, &body) {
            Ok(()) => empty(StatusCode::NO_CONTENT),
            Err(e) => {
                let status = e.status();
                if status.is_server_error() {
                    tracing::error!(component = "web", err = %e, "Error appending remote write");
                }
                error(status, &e.to_string())
            }
        }
    }

    fn write(&self, store: &dyn Appendable, body: &[u8]) -> Result<(), WriteError> {
        let now = gotime::now_ms();
        let known = self.refs.read();
        let mut batch = Batch {
            refs: &self.refs,
            known: &known,
            appender: store.appender(AppendOptions::default()),
            max_time: now + MAX_AHEAD_MS,
            found: Vec::new(),
            refused: Refused::default(),
            invalid: 0,
            dropped_exemplars: 0,
        };
        if let Err(e) = message::each_series(body, |series| batch.series(&series)) {
            batch.appender.rollback();
            return Err(e);
        }
        let Batch { appender, found, refused, invalid, dropped_exemplars, .. } = batch;
        drop(known);
        if dropped_exemplars > 0 {
            tracing::warn!(
                component = "web",
                num_dropped = dropped_exemplars,
                "Error on ingesting out-of-order exemplars"
            );
        }
        if invalid > 0 {
            self.invalid_labels.add(f64::from(invalid));
        }
        appender.commit()?;
        self.refs.learn(&found, now);
        if refused.count > 0 { Err(WriteError::Refused(refused)) } else { Ok(()) }
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

/// Which message a content type announces.
fn parse_content_type(content_type: &str) -> Result<&'static str, String> {
    let content_type = content_type.trim();
    if content_type.is_empty() {
        return Ok(V1);
    }
    let mut parts = content_type.split(';');
    if parts.next() != Some(PROTOBUF) {
        return Err(format!(
            "expected {PROTOBUF} as the first (media) part, got {content_type} content-type"
        ));
    }
    for parameter in parts {
        let mut pair = parameter.split('=');
        let (Some(name), Some(value), None) = (pair.next(), pair.next(), pair.next()) else {
            return Err(format!(
                "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be \
                 key-values, got {parameter} in {content_type} content-type"
            ));
        };
        if name == "proto" {
            return [V1, V2].into_iter().find(|m| *m == value).ok_or_else(|| {
                format!(
                    "got {content_type} content type; unknown type for remote write protobuf \
                     message {value}, supported: {V1}, {V2}"
                )
            });
        }
    }
    Ok(V1)
}

fn decompress(compressed: &[u8]) -> Result<Vec<u8>, String> {
    let corrupt = |_| "s2: corrupt input".to_owned();
    if compressed.is_empty() {
        return Err("s2: corrupt input".to_owned());
    }
    // The declared length is checked before anything of that size is made.
    let length = snap::raw::decompress_len(compressed).map_err(corrupt)?;
    if length > MAX_DECODED {
        return Err(format!("decoded size exceeds the {MAX_DECODED} bytes limit"));
    }
    snap::raw::Decoder::new().decompress_vec(compressed).map_err(corrupt)
}

/// One request being taken in.
struct Batch<'a> {
    refs: &'a RefCache,
    known: &'a Generations,
    appender: Box<dyn Appender>,
    max_time: i64,
    /// For the cache, once committed.
    found: Vec<(LabelKey, SeriesRef)>,
    refused: Refused,
    invalid: u32,
    dropped_exemplars: u32,
}

impl Batch<'_> {
    fn series(&mut self, series: &TimeSeries<'_>) -> Result<(), WriteError> {
        let key = self.refs.key(&series.labels);
        let known = match self.known.get(key) {
            Known::Young(reference) => reference,
            Known::Old(reference) => {
                self.found.push((key, reference));
                reference
            }
            Known::No => match self.resolve(key, &series.labels)? {
                Some(reference) => reference,
                None => return Ok(()),
            },
        };
        match self.append(known, &series.rest) {
            // Gone from the head since it was learned. Nothing of this series was staged: the
            // first entry was refused.
            Err(WriteError::Append(AppendError::UnknownSeries)) => {
                match self.resolve(key, &series.labels)? {
                    Some(reference) => self.append(reference, &series.rest),
                    None => Ok(()),
                }
            }
            done => done,
        }
    }

    /// Finds or makes the series of label bytes; `None` when they are not valid, or new and refused.
    fn resolve(&mut self, key: LabelKey, fields: &[u8]) -> Result<Option<SeriesRef>, WriteError> {
        let labels: Labels = match message::parse_labels(fields)? {
            Ok(labels) => labels,
            Err(bad) => {
                self.invalid += 1;
                match bad {
                    BadLabels::Invalid => {
                        tracing::warn!(component = "web", "Invalid metric names or labels");
                    }
                    BadLabels::Duplicate(name) => tracing::warn!(
                        component = "web",
                        duplicated_label = name,
                        "Invalid labels for series."
                    ),
                }
                return Ok(None);
            }
        };
        let reference = match self.appender.series(&labels) {
            Err(AppendError::LimitExceeded(limit)) => {
                self.refused.limit = limit;
                self.refused.count += 1;
                if self.refused.named.len() < MAX_NAMED {
                    self.refused.named.push(labels);
                }
                return Ok(None);
            }
            found => found?,
        };
        self.found.push((key, reference));
        Ok(Some(reference))
    }

    fn append(&mut self, series: SeriesRef, fields: &[u8]) -> Result<(), WriteError> {
        let mut reader = Reader::new(fields);
        while let Some((number, value)) = reader.field()? {
            match number {
                2 => {
                    let sample = message::parse_sample(value.bytes("Samples")?)?;
                    self.value(series, sample.timestamp, Value::Float(sample.value))?;
                }
                3 => {
                    let exemplar = message::parse_exemplar(value.bytes("Exemplars")?)?;
                    if exemplar.timestamp_ms > self.max_time {
                        continue;
                    }
                    match self.appender.append_exemplar(series, &exemplar) {
                        Err(AppendError::UnknownSeries) => {
                            return Err(AppendError::UnknownSeries.into());
                        }
                        Err(AppendError::OutOfOrderExemplar) => self.dropped_exemplars += 1,
                        // Exemplars are a courtesy: none of them fails a request.
                        Ok(()) | Err(_) => {}
                    }
                }
                4 => match message::parse_histogram(value.bytes("Histograms")?)? {
                    (t, AnyHistogram::Integer(mut h)) => {
                        h.reduce_to_kept_schema();
                        self.value(series, t, Value::Histogram(&h))?;
                    }
                    (t, AnyHistogram::Float(mut h)) => {
                        h.reduce_to_kept_schema();
                        self.value(series, t, Value::FloatHistogram(&h))?;
                    }
                },
                _ => {}
            }
        }
        Ok(())
    }

    #[inline]
    fn value(&mut self, series: SeriesRef, t: i64, value: Value<'_>) -> Result<(), WriteError> {
        if t > self.max_time {
            return Err(WriteError::TooFarAhead);
        }
        Ok(self.appender.append(series, t, 0, value)?)
    }
}
