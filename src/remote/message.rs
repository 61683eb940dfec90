//! Messages of remote write 1.0 (`prometheus.WriteRequest`), read in place.
//!
//! A time series is taken apart into the bytes of its labels — which name the series to the cache
//! without being parsed — and what follows them. Field numbers are those of `prompb/types.proto`.

use std::borrow::Cow;

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::{CounterResetHint, FloatHistogram, Histogram, Labels, Span};

use super::proto::{ProtoError, Reader, push_doubles, push_zigzags};

/// One time series of a request.
#[derive(Debug)]
pub struct TimeSeries<'a> {
    /// The label fields, one after the other, tags included.
    pub labels: Cow<'a, [u8]>,
    /// All other fields.
    pub rest: Cow<'a, [u8]>,
}

/// A float sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    pub value: f64,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
}

/// A histogram sample.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyHistogram {
    Integer(Histogram),
    Float(FloatHistogram),
}

/// The tag byte of a series' label: field 1, length delimited.
const LABEL_TAG: u8 = 0x0a;

/// Calls `with` for every time series of a request.
pub fn each_series<'a, E: From<ProtoError>>(
    body: &'a [u8],
    mut with: impl FnMut(TimeSeries<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let mut request = Reader::new(body);
    while let Some((number, value)) = request.field()? {
        match number {
            1 => with(TimeSeries::new(value.bytes("Timeseries")?)?)?,
            // Metadata of families: Prometheus does not keep it either.
            3 => drop(value.bytes("Metadata")?),
            _ => {}
        }
    }
    Ok(())
}

impl<'a> TimeSeries<'a> {
    fn new(message: &'a [u8]) -> Result<TimeSeries<'a>, ProtoError> {
        let mut reader = Reader::new(message);
        while reader.rest().first() == Some(&LABEL_TAG) {
            reader.field()?;
        }
        let rest = reader.rest();
        let labels = &message[..message.len() - rest.len()];
        // Every sender writes labels first; one that does not is put in order.
        let mut check = reader;
        while let Some((number, _)) = check.field()? {
            if number == 1 {
                return TimeSeries::reordered(message);
            }
        }
        Ok(TimeSeries { labels: Cow::Borrowed(labels), rest: Cow::Borrowed(rest) })
    }

    fn reordered(message: &[u8]) -> Result<TimeSeries<'a>, ProtoError> {
        let (mut labels, mut other) = (Vec::new(), Vec::new());
        let mut reader = Reader::new(message);
        loop {
            let before = reader.rest();
            let Some((number, _)) = reader.field()? else { break };
            let field = &before[..before.len() - reader.rest().len()];
            if number == 1 {
                labels.extend_from_slice(field)
            } else {
                other.extend_from_slice(field)
            }
        }
        Ok(TimeSeries { labels: Cow::Owned(labels), rest: Cow::Owned(other) })
    }
}

/// What is wrong with the labels of a series; such a series is skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadLabels {
    /// No or an invalid metric name, an empty label name.
    Invalid,
    /// A name that stands twice.
    Duplicate(String),
}

/// Parses label fields, sorted or not; labels with an empty value count as absent.
pub fn parse_labels(fields: &[u8]) -> Result<Result<Labels, BadLabels>, ProtoError> {
    let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(16);
    let mut reader = Reader::new(fields);
    while let Some((_, value)) = reader.field()? {
        let mut label = Reader::new(value.bytes("Labels")?);
        let (mut name, mut text) = ("", "");
        while let Some((number, value)) = label.field()? {
            match number {
                1 => name = value.text("Name")?,
                2 => text = value.text("Value")?,
                _ => {}
            }
        }
        pairs.push((name, text));
    }
    pairs.sort_unstable();
    Ok(check_labels(&pairs))
}

fn check_labels(pairs: &[(&str, &str)]) -> Result<Labels, BadLabels> {
    let named = pairs.iter().any(|(n, v)| *n == model::labels::METRIC_NAME && !v.is_empty());
    // Longer texts do not fit a label set.
    let fits = |text: &str| text.len() < 1 << 24;
    if !named || pairs.iter().any(|(n, v)| n.is_empty() || !fits(n) || !fits(v)) {
        return Err(BadLabels::Invalid);
    }
    if let Some(twice) = pairs.windows(2).find(|w| w[0].0 == w[1].0) {
        return Err(BadLabels::Duplicate(twice[0].0.to_owned()));
    }
    Ok(Labels::from_sorted(pairs.iter().filter(|(_, v)| !v.is_empty()).copied()))
}

/// Parses a sample.
#[inline]
pub fn parse_sample(message: &[u8]) -> Result<Sample, ProtoError> {
    let mut sample = Sample::default();
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => sample.value = value.double("Value")?,
            2 => sample.timestamp = value.varint("Timestamp")? as i64,
            _ => {}
        }
    }
    Ok(sample)
}

/// Parses an exemplar.
pub fn parse_exemplar(message: &[u8]) -> Result<model::Exemplar, ProtoError> {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    let mut sample = Sample::default();
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => {
                let mut label = Reader::new(value.bytes("Labels")?);
                let (mut name, mut text) = ("", "");
                while let Some((number, value)) = label.field()? {
                    match number {
                        1 => name = value.text("Name")?,
                        2 => text = value.text("Value")?,
                        _ => {}
                    }
                }
                pairs.push((name, text));
            }
            2 => sample.value = value.double("Value")?,
            3 => sample.timestamp = value.varint("Timestamp")? as i64,
            _ => {}
        }
    }
    Ok(model::Exemplar {
        labels: Labels::from_pairs(pairs),
        value: sample.value,
        timestamp_ms: sample.timestamp,
        has_timestamp: sample.timestamp != 0,
    })
}

/// Parses a histogram sample: timestamp and histogram.
pub fn parse_histogram(message: &[u8]) -> Result<(i64, AnyHistogram), ProtoError> {
    let mut int = Histogram::default();
    let mut float = FloatHistogram::default();
    let mut is_float = false;
    let mut timestamp = 0;
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => {
                int.count = value.varint("CountInt")?;
                is_float = false;
            }
            2 => {
                float.count = value.double("CountFloat")?;
                is_float = true;
            }
            3 => int.sum = value.double("Sum")?,
            // Schemas are small; one that is not is refused by validation as any other.
            4 => {
                int.schema = value.zigzag("Schema")?.clamp(i32::MIN.into(), i32::MAX.into()) as i32
            }
            5 => int.zero_threshold = value.double("ZeroThreshold")?,
            6 => int.zero_count = value.varint("ZeroCountInt")?,
            7 => float.zero_count = value.double("ZeroCountFloat")?,
            8 => int.negative_spans.push(parse_span(value.bytes("NegativeSpans")?)?),
            9 => push_zigzags(&mut int.negative_buckets, value, "NegativeDeltas")?,
            10 => push_doubles(&mut float.negative_buckets, value, "NegativeCounts")?,
            11 => int.positive_spans.push(parse_span(value.bytes("PositiveSpans")?)?),
            12 => push_zigzags(&mut int.positive_buckets, value, "PositiveDeltas")?,
            13 => push_doubles(&mut float.positive_buckets, value, "PositiveCounts")?,
            14 => {
                int.counter_reset_hint = match value.varint("ResetHint")? {
                    1 => CounterResetHint::Reset,
                    2 => CounterResetHint::NotReset,
                    3 => CounterResetHint::Gauge,
                    _ => CounterResetHint::Unknown,
                }
            }
            15 => timestamp = value.varint("Timestamp")? as i64,
            16 => push_doubles(&mut int.custom_values, value, "CustomValues")?,
            _ => {}
        }
    }
    if int.schema != CUSTOM_BUCKETS_SCHEMA {
        int.custom_values.clear();
    }
    if !is_float {
        return Ok((timestamp, AnyHistogram::Integer(int)));
    }
    Ok((
        timestamp,
        AnyHistogram::Float(FloatHistogram {
            counter_reset_hint: int.counter_reset_hint,
            schema: int.schema,
            zero_threshold: int.zero_threshold,
            sum: int.sum,
            positive_spans: int.positive_spans,
            negative_spans: int.negative_spans,
            custom_values: int.custom_values,
            ..float
        }),
    ))
}

fn parse_span(message: &[u8]) -> Result<Span, ProtoError> {
    let mut span = Span::default();
    let mut reader = Reader::new(message);
    while let Some((number, value)) = reader.field()? {
        match number {
            1 => {
                span.offset =
                    i32::try_from(value.zigzag("Offset")?).map_err(|_| ProtoError::Overflow)?
            }
            2 => {
                span.length =
                    u32::try_from(value.varint("Length")?).map_err(|_| ProtoError::Overflow)?
            }
            _ => {}
        }
    }
    Ok(span)
}
