//! Ingest: one body into one batch. The hot path of the server: predicted entries cost a compare,
//! a float and an append.

use model::labels::{is_legacy_label_name, is_legacy_metric_name};
use model::value::{NORMAL_NAN, STALE_NAN};
use model::{AppendError, AppendOptions, Appender, Labels, SeriesRef, Value};

use super::cache::{EntryId, Kind, ScrapeCache};
use super::metadata::MetadataStore;
use super::metrics::ScrapeMetrics;
use super::mutate::{LabelLimits, sample_labels};
use super::start_times::Synthesized;
use crate::relabel::RelabelConfig;
use crate::textparse::{Entry, PromParser, Sample, number};

/// How the samples of one target are treated.
#[derive(Clone, Debug)]
pub struct SampleRules {
    /// The target's public labels.
    pub target: Labels,
    pub metric_relabel: Vec<RelabelConfig>,
    pub honor_labels: bool,
    pub honor_timestamps: bool,
    pub track_timestamps_staleness: bool,
    /// Only `[a-zA-Z_][a-zA-Z0-9_]*` names.
    pub legacy_names: bool,
    pub label_limits: LabelLimits,
    /// Most samples after relabelling; 0 = no limit.
    pub sample_limit: usize,
    /// Cumulative series get start times (`start_times`).
    pub synthesize_start_times: bool,
}

/// Counts of one scrape, for the synthetic series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Samples in the body.
    pub scraped: usize,
    /// Samples left after relabelling.
    pub added: usize,
    /// Series this target did not have in its last scrape.
    pub series_added: usize,
}

/// Samples that were refused without failing the scrape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    pub out_of_order: usize,
    pub duplicate: usize,
    pub out_of_bounds: usize,
    /// New series that a limit of the store kept out.
    pub limit: usize,
    /// Which limit.
    pub limit_text: String,
}

/// One body on its way into one batch.
pub struct Ingest<'a> {
    pub rules: &'a SampleRules,
    pub cache: &'a mut ScrapeCache,
    pub metadata: &'a MetadataStore,
    pub metrics: &'a ScrapeMetrics,
    pub app: &'a mut dyn Appender,
    /// Time of the samples without their own, milliseconds.
    pub time_ms: i64,
    /// Samples later than this are out of bounds, milliseconds.
    pub max_time_ms: i64,
}

/// State of one pass over a body.
struct Pass<'i, 'a> {
    ingest: &'i mut Ingest<'a>,
    totals: Totals,
    refused: Refused,
    /// Samples counted against `sample_limit`.
    limited: usize,
    over_limit: bool,
}

impl Ingest<'_> {
    /// Stages every sample of `body` (line break at its end) and the end of what it no longer has.
    /// On an error the caller rolls the batch back and calls [`Ingest::empty`] with a new one.
    pub fn body(&mut self, body: &[u8]) -> (Totals, Refused, Result<(), String>) {
        if self.rules.synthesize_start_times {
            let in_order = AppendOptions { reject_out_of_order: true, ..AppendOptions::default() };
            self.app.set_options(in_order);
        }
        let mut pass = Pass {
            ingest: self,
            totals: Totals::default(),
            refused: Refused::default(),
            limited: 0,
            over_limit: false,
        };
        let mut result = pass.run(body);
        let (totals, refused, over_limit) = (pass.totals, pass.refused, pass.over_limit);
        if over_limit {
            self.metrics.exceeded_sample_limit.inc();
            result = result.and(Err("sample limit exceeded".to_owned()));
        }
        result = result.and_then(|()| self.mark_ended());
        if result.is_ok() {
            if !self.cache.is_exact() || self.metadata.has_gone() {
                self.refresh_metadata();
            }
            self.cache.finish(true);
        }
        (totals, refused, result)
    }

    /// A scrape without a body: marks the end of everything the last one had.
    pub fn empty(&mut self) -> Result<(), String> {
        let result = self.mark_ended();
        self.cache.finish(false);
        result
    }

    fn mark_ended(&mut self) -> Result<(), String> {
        if self.cache.nothing_ended() {
            return Ok(());
        }
        self.app
            .set_options(AppendOptions { reject_out_of_order: true, ..AppendOptions::default() });
        let mut result = Ok(());
        for series in self.cache.ended() {
            match self.app.append(series, self.time_ms, 0, Value::Float(STALE_NAN)) {
                // The target may have come back under another loop, or the head may have dropped
                // the series already.
                Ok(())
                | Err(
                    AppendError::OutOfOrder | AppendError::Duplicate | AppendError::UnknownSeries,
                ) => {}
                Err(e) => {
                    result = Err(e.to_string());
                    break;
                }
            }
        }
        self.app.set_options(AppendOptions::default());
        result
    }

    /// Notes which families this body named; only needed when it was not the one before.
    fn refresh_metadata(&mut self) {
        let iteration = self.cache.iteration();
        for line in self.cache.lines() {
            let mut parser = PromParser::new(line);
            match parser.next() {
                Ok(Some(Entry::Type { family, metric_type })) => {
                    self.metadata.set_type(&family, metric_type, iteration);
                }
                Ok(Some(Entry::Help { family, help })) => {
                    self.metadata.set_help(&family, &help, iteration);
                }
                _ => {}
            }
        }
        self.metadata.expire(iteration);
    }
}

impl Pass<'_, '_> {
    fn run(&mut self, body: &[u8]) -> Result<(), String> {
        let mut parser = PromParser::new(body);
        let mut position = 0;
        while position < body.len() {
            if let Some(next) = self.predicted(body, position, &mut parser)? {
                position = next;
                continue;
            }
            parser.seek(position, parser.metric_type());
            let Some(entry) = parser.next().map_err(|e| e.0)? else { break };
            let next = parser.position();
            match entry {
                Entry::Sample(sample) => self.parsed(sample, &parser)?,
                entry => {
                    self.family(&entry);
                    let text = &body[position..next];
                    match self.ingest.cache.lookup(text) {
                        Some((id, _)) => drop(self.ingest.cache.advance(id)),
                        None => {
                            self.ingest.cache.add(text, Kind::Line(parser.metric_type()));
                        }
                    }
                }
            }
            position = next;
        }
        Ok(())
    }

    /// Takes the entry at `position` if it is the expected one; returns where the next begins.
    #[inline]
    fn predicted(
        &mut self,
        body: &[u8],
        position: usize,
        parser: &mut PromParser<'_>,
    ) -> Result<Option<usize>, String> {
        let rest = &body[position..];
        let Some((id, kind, len)) = self.ingest.cache.predict(rest) else { return Ok(None) };
        let series = match kind {
            Kind::Line(metric_type) => {
                self.ingest.cache.advance(id);
                if self.ingest.rules.synthesize_start_times
                    && let Ok(Some(entry)) = PromParser::new(&rest[..len]).next()
                {
                    self.family(&entry);
                }
                parser.seek(position + len, metric_type);
                return Ok(Some(position + len));
            }
            Kind::Series(series) => Some(series),
            Kind::Dropped => None,
        };
        let Some((value, end)) = value_and_line_end(&rest[len..]) else { return Ok(None) };
        let repeated = self.ingest.cache.advance(id);
        self.totals.scraped += 1;
        if let Some(series) = series {
            let text = &rest[..len];
            let exposed = || reparse(text, parser.metric_type());
            self.cached((id, series, repeated), (text, value, None), &exposed)?;
        }
        Ok(Some(position + len + end))
    }

    /// A sample that had to be parsed.
    fn parsed(&mut self, sample: Sample<'_>, parser: &PromParser<'_>) -> Result<(), String> {
        self.totals.scraped += 1;
        let timestamp = sample.timestamp_ms.filter(|_| self.ingest.rules.honor_timestamps);
        match self.ingest.cache.lookup(sample.prefix) {
            Some((id, Kind::Series(series))) => {
                let repeated = self.ingest.cache.advance(id);
                let labels = || parser.labels().map_err(|e| e.0);
                let sample = (sample.prefix, sample.value, timestamp);
                return self.cached((id, series, repeated), sample, &labels);
            }
            Some((id, _)) => {
                self.ingest.cache.advance(id);
                return Ok(());
            }
            None => {}
        }
        let exposed = parser.labels().map_err(|e| e.0)?;
        let Some(labels) = self.stored_labels(&exposed)? else {
            self.ingest.cache.add(sample.prefix, Kind::Dropped);
            return Ok(());
        };
        let name = || Ok(labels.metric_name().to_owned());
        let becomes = self.synthesized(sample.prefix, sample.value, timestamp, name)?;
        let mut new_series = SeriesRef(0);
        let stored = match becomes {
            Synthesized::First => Ok(()),
            becomes => {
                self.limit().and_then(|()| self.ingest.app.series(&labels)).and_then(|series| {
                    new_series = series;
                    self.append(series, timestamp, sample.value, becomes)
                })
            }
        };
        if self.judge(stored)? {
            let id = self.ingest.cache.add(sample.prefix, Kind::Series(new_series));
            self.track((id, new_series), timestamp, becomes);
            if !self.over_limit {
                self.totals.series_added += 1;
            }
        }
        self.totals.added += 1;
        Ok(())
    }

    /// A sample of a series known from an earlier scrape. `exposed` gives its labels again should
    /// the store have forgotten the reference.
    #[inline]
    fn cached(
        &mut self,
        (id, series, repeated): (EntryId, SeriesRef, bool),
        (text, value, timestamp): (&[u8], f64, Option<i64>),
        exposed: &dyn Fn() -> Result<Labels, String>,
    ) -> Result<(), String> {
        self.totals.added += 1;
        let mut series = series;
        let mut becomes = Synthesized::Plain;
        let mut stored = Err(AppendError::Duplicate);
        if !repeated || timestamp.is_some() {
            let (rules, metrics) = (self.ingest.rules, self.ingest.metrics);
            let name = || {
                let labels = stored_labels(rules, metrics, &exposed()?)?;
                Ok(labels.map(|l| l.metric_name().to_owned()).unwrap_or_default())
            };
            becomes = self.synthesized(text, value, timestamp, name)?;
            stored = match becomes {
                Synthesized::First => Ok(()),
                _ => self.limit().and_then(|()| self.append(series, timestamp, value, becomes)),
            };
        }
        if stored == Err(AppendError::UnknownSeries)
            && let Some(labels) = self.stored_labels(&exposed()?)?
        {
            stored = self.ingest.app.series(&labels).and_then(|new| {
                series = new;
                self.ingest.cache.set_series(id, new);
                self.append(new, timestamp, value, becomes)
            });
        }
        if stored.is_ok() {
            self.track((id, series), timestamp, becomes);
            return Ok(());
        }
        if self.ingest.rules.synthesize_start_times {
            self.ingest.cache.start_times.forget(text);
        }
        self.judge(stored).map(drop)
    }

    /// Notes the series for staleness, unless it has no sample yet or keeps its own times.
    #[inline]
    fn track(
        &mut self,
        (id, series): (EntryId, SeriesRef),
        timestamp: Option<i64>,
        becomes: Synthesized,
    ) {
        let tracks = timestamp.is_none()
            || self.ingest.rules.track_timestamps_staleness
            || becomes != Synthesized::Plain;
        if tracks && series.0 != 0 {
            self.ingest.cache.track(id);
        }
    }

    /// A metadata line, for start times.
    fn family(&mut self, entry: &Entry<'_>) {
        if !self.ingest.rules.synthesize_start_times {
            return;
        }
        let start_times = &mut self.ingest.cache.start_times;
        match entry {
            Entry::Type { family, metric_type } => start_times.family(family, Some(*metric_type)),
            Entry::Help { family, .. } => start_times.family(family, None),
            _ => {}
        }
    }

    /// What becomes of a sample when start times are concluded.
    fn synthesized(
        &mut self,
        text: &[u8],
        value: f64,
        timestamp: Option<i64>,
        name: impl FnOnce() -> Result<String, String>,
    ) -> Result<Synthesized, String> {
        if !self.ingest.rules.synthesize_start_times {
            return Ok(Synthesized::Plain);
        }
        let time_ms = timestamp.unwrap_or(self.ingest.time_ms);
        let cache = &mut *self.ingest.cache;
        let iteration = cache.iteration();
        cache.start_times.sample(text, iteration, (time_ms, value), name)
    }

    #[inline]
    fn append(
        &mut self,
        series: SeriesRef,
        timestamp: Option<i64>,
        value: f64,
        becomes: Synthesized,
    ) -> Result<(), AppendError> {
        let t = timestamp.unwrap_or(self.ingest.time_ms);
        if t > self.ingest.max_time_ms {
            return Err(AppendError::OutOfBounds);
        }
        let (value, start_ms) = match becomes {
            Synthesized::Since { value, start_ms } => (value, start_ms),
            _ => (value, 0),
        };
        self.ingest.app.append(series, t, start_ms, Value::Float(value))
    }

    /// Counts a sample against `sample_limit`.
    #[inline]
    fn limit(&mut self) -> Result<(), AppendError> {
        let limit = self.ingest.rules.sample_limit;
        self.limited += 1;
        if limit > 0 && self.limited > limit {
            self.over_limit = true;
            return Err(AppendError::LimitExceeded(String::new()));
        }
        Ok(())
    }

    /// Sorts the outcome of an append: stored, refused without failing the scrape, or fatal to it.
    fn judge(&mut self, stored: Result<(), AppendError>) -> Result<bool, String> {
        let metrics = self.ingest.metrics;
        match stored {
            Ok(()) => return Ok(true),
            Err(AppendError::OutOfOrder | AppendError::TooOld) => {
                self.refused.out_of_order += 1;
                metrics.sample_out_of_order.inc();
            }
            Err(AppendError::Duplicate) => {
                self.refused.duplicate += 1;
                metrics.sample_duplicate_timestamp.inc();
            }
            Err(AppendError::OutOfBounds) => {
                self.refused.out_of_bounds += 1;
                metrics.sample_out_of_bounds.inc();
            }
            // Above `sample_limit` the whole scrape fails in the end.
            Err(AppendError::LimitExceeded(_)) if self.over_limit => {}
            Err(AppendError::LimitExceeded(limit)) => {
                self.refused.limit += 1;
                self.refused.limit_text = limit;
            }
            Err(e) => return Err(e.to_string()),
        }
        Ok(false)
    }

    fn stored_labels(&self, exposed: &Labels) -> Result<Option<Labels>, String> {
        stored_labels(self.ingest.rules, self.ingest.metrics, exposed)
    }
}

/// Target labels, relabelling, validity and label limits; `None` when the series is dropped.
fn stored_labels(
    rules: &SampleRules,
    metrics: &ScrapeMetrics,
    exposed: &Labels,
) -> Result<Option<Labels>, String> {
    let stored = sample_labels(exposed, &rules.target, rules.honor_labels, &rules.metric_relabel);
    let Some(labels) = stored else { return Ok(None) };
    if labels.metric_name().is_empty() {
        return Err("missing metric name (__name__ label)".to_owned());
    }
    let legacy = |(name, value): (&str, &str)| match name {
        "__name__" => is_legacy_metric_name(value),
        name => is_legacy_label_name(name),
    };
    if rules.legacy_names && !labels.iter().all(legacy) {
        return Err(format!("invalid metric name or label names: {labels}"));
    }
    if let Err(e) = rules.label_limits.check(&labels) {
        metrics.exceeded_label_limits.inc();
        return Err(e);
    }
    Ok(Some(labels))
}

/// The labels of a cached text; needed only when the store forgot its series.
fn reparse(prefix: &[u8], metric_type: model::MetricType) -> Result<Labels, String> {
    let line = [prefix, b"0\n"].concat();
    let mut parser = PromParser::new(&line);
    parser.seek(0, metric_type);
    parser.next().map_err(|e| e.0)?;
    parser.labels().map_err(|e| e.0)
}

/// A plain value that ends its line: the value and the offset behind the line break. Everything
/// else (timestamps, unusual numbers, trailing blanks) is for the parser.
#[inline]
fn value_and_line_end(rest: &[u8]) -> Option<(f64, usize)> {
    let (value, end) = match number::parse_prefix(rest) {
        Some(parsed) => parsed,
        None => {
            let end = memchr::memchr(b'\n', rest)?;
            (number::parse(&rest[..end]).ok()?, end)
        }
    };
    let value = if value.is_nan() { NORMAL_NAN } else { value };
    (rest.get(end) == Some(&b'\n')).then_some((value, end + 1))
}
