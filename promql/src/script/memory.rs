//! MemoryStorage: series in memory, for scripts and rule unit tests.
//!
//! Histograms come back with the counter reset hints Prometheus's chunks would give them: gauge
//! stays gauge, a sample that continues the one before it is "not reset", every other one "unknown".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::append::{AppendError, AppendOptions, Appendable, Appender, SeriesRef, Value};
use model::columns::HistogramValue;
use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::value::is_stale_nan;
use model::{
    CancelToken, Columns, CounterResetHint, EncodedChunk, Exemplar, FloatHistogram, Labels,
    Matcher, Metadata, Newest, Querier, QueryError, Queryable, SelectHints, Selection, TimeRange,
};

use super::histogram::{Side, buckets};

/// A storage of samples in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    series: Vec<Arc<MemorySeries>>,
    by_labels: BTreeMap<Labels, usize>,
}

#[derive(Clone, Debug)]
struct MemorySeries {
    labels: Labels,
    columns: Columns,
}

impl MemoryStorage {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding the lock, so what a poisoned one guards is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queryable for MemoryStorage {
    fn querier(&self, range: TimeRange) -> Result<Arc<dyn Querier>, QueryError> {
        Ok(Arc::new(MemoryQuerier { range, series: self.lock().series.clone() }))
    }
}

struct MemoryQuerier {
    range: TimeRange,
    series: Vec<Arc<MemorySeries>>,
}

impl MemoryQuerier {
    fn matching(&self, matchers: &[Matcher]) -> impl Iterator<Item = &Arc<MemorySeries>> {
        self.series.iter().filter(|s| {
            let first = s.columns.timestamps.first();
            let last = s.columns.timestamps.last();
            let overlaps = first
                .zip(last)
                .is_some_and(|(min, max)| self.range.overlaps(TimeRange { min: *min, max: *max }));
            overlaps && matchers.iter().all(|m| m.matches(s.labels.get(&m.name).unwrap_or("")))
        })
    }
}

/// The first `limit` of a sorted set; 0 is all.
fn limited(set: BTreeSet<String>, limit: usize) -> Vec<String> {
    set.into_iter().take(if limit == 0 { usize::MAX } else { limit }).collect()
}

impl Querier for MemoryQuerier {
    fn select(
        &self,
        matchers: &[Matcher],
        hints: &SelectHints,
        _cancel: &CancelToken,
    ) -> Result<Arc<dyn Selection>, QueryError> {
        let series: Vec<_> = self.matching(matchers).cloned().collect();
        let range = self.range;
        let inside = TimeRange { min: range.min.max(hints.start), max: range.max.min(hints.end) };
        let mut newest = Vec::new();
        if hints.newest {
            // Of every other one, so that queries go both ways.
            newest.extend(series.iter().enumerate().map(|(i, s)| match i % 2 {
                0 => s.newest(inside).unwrap_or(Newest::UNKNOWN),
                _ => Newest::UNKNOWN,
            }));
        }
        Ok(Arc::new(MemorySelection { range, series, newest }))
    }

    fn label_names(&self, matchers: &[Matcher], limit: usize) -> Result<Vec<String>, QueryError> {
        let names = self.matching(matchers).flat_map(|s| s.labels.iter());
        Ok(limited(names.map(|(n, _)| n.to_owned()).collect(), limit))
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, QueryError> {
        let values = self.matching(matchers).filter_map(|s| s.labels.get(name));
        Ok(limited(values.map(str::to_owned).collect(), limit))
    }
}

struct MemorySelection {
    range: TimeRange,
    series: Vec<Arc<MemorySeries>>,
    newest: Vec<Newest>,
}

impl MemorySeries {
    /// The newest sample inside `range`, if it is a float without a start timestamp.
    fn newest(&self, range: TimeRange) -> Option<Newest> {
        let columns = &self.columns;
        let at = columns.timestamps.iter().rposition(|t| range.contains(*t))?;
        let started = columns.start_timestamps.get(at).is_some_and(|st| *st != 0);
        let plain = !started && columns.histogram(at).is_none();
        plain.then(|| Newest { t: columns.timestamps[at], v: columns.floats[at] })
    }
}

impl Selection for MemorySelection {
    fn len(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.series.get(i).map(|s| s.labels.clone()).unwrap_or_default()
    }

    fn read(&self, i: usize, range: TimeRange, out: &mut Columns) -> Result<(), QueryError> {
        let Some(series) = self.series.get(i) else { return Ok(()) };
        let columns = &series.columns;
        let (min, max) = (range.min.max(self.range.min), range.max.min(self.range.max));
        for (at, t) in columns.timestamps.iter().enumerate() {
            if *t < min || *t > max {
                continue;
            }
            match columns.histogram(at) {
                Some(h) => out.push_histogram(*t, h.clone()),
                None => out.push_float(*t, columns.floats[at]),
            }
            out.set_last_start(columns.start_timestamps.get(at).copied().unwrap_or(0));
        }
        Ok(())
    }

    fn newest(&self) -> &[Newest] {
        &self.newest
    }

    fn chunks(&self, _i: usize, _range: TimeRange) -> Result<Vec<EncodedChunk>, QueryError> {
        Err(QueryError::Io("samples in memory have no chunks".to_owned()))
    }
}

impl Appendable for MemoryStorage {
    fn appender(&self, _options: AppendOptions) -> Box<dyn Appender> {
        Box::new(MemoryAppender { storage: self.clone(), series: Vec::new(), samples: Vec::new() })
    }
}

enum Staged {
    Float(f64),
    Histogram(Box<FloatHistogram>),
}

struct MemoryAppender {
    storage: MemoryStorage,
    /// Labels by reference of this batch.
    series: Vec<Labels>,
    samples: Vec<(usize, i64, i64, Staged)>,
}

impl MemoryAppender {
    /// The position of the series of a reference.
    fn position(&self, series: SeriesRef) -> Result<usize, AppendError> {
        let at = usize::try_from(series.0).ok().and_then(|n| n.checked_sub(1));
        at.filter(|at| *at < self.series.len()).ok_or(AppendError::UnknownSeries)
    }

    /// Time of the newest sample of a series, staged ones included, and its value if it is a float.
    fn newest(&self, position: usize) -> Option<(i64, Option<f64>)> {
        let staged = self.samples.iter().rev().find(|s| s.0 == position);
        if let Some((_, t, _, value)) = staged {
            return Some((*t, if let Staged::Float(v) = value { Some(*v) } else { None }));
        }
        let state = self.storage.lock();
        let at = state.by_labels.get(&self.series[position])?;
        let columns = &state.series[*at].columns;
        let last = columns.len().checked_sub(1)?;
        let float = columns.histogram(last).is_none().then(|| columns.floats[last]);
        Some((columns.timestamps[last], float))
    }
}

impl Appender for MemoryAppender {
    fn set_options(&mut self, _options: AppendOptions) {}

    fn series(&mut self, labels: &Labels) -> Result<SeriesRef, AppendError> {
        let at = match self.series.iter().position(|l| l == labels) {
            Some(at) => at,
            None => {
                self.series.push(labels.clone());
                self.series.len() - 1
            }
        };
        Ok(SeriesRef(at as u64 + 1))
    }

    fn append(
        &mut self,
        series: SeriesRef,
        t: i64,
        start_t: i64,
        value: Value<'_>,
    ) -> Result<(), AppendError> {
        let position = self.position(series)?;
        let value = match value {
            Value::Float(v) => Staged::Float(v),
            Value::Histogram(h) => Staged::Histogram(Box::new(h.to_float())),
            Value::FloatHistogram(h) => Staged::Histogram(Box::new(h.clone())),
        };
        match (self.newest(position), &value) {
            (Some((newest, _)), _) if newest > t => return Err(AppendError::OutOfOrder),
            (Some((newest, old)), new) if newest == t => {
                let same =
                    matches!((old, new), (Some(a), Staged::Float(b)) if a.to_bits() == b.to_bits());
                return if same { Ok(()) } else { Err(AppendError::Duplicate) };
            }
            _ => {}
        }
        self.samples.push((position, t, start_t, value));
        Ok(())
    }

    fn append_exemplar(
        &mut self,
        series: SeriesRef,
        _exemplar: &Exemplar,
    ) -> Result<(), AppendError> {
        self.position(series).map(|_| ())
    }

    fn update_metadata(
        &mut self,
        series: SeriesRef,
        _metadata: &Metadata,
    ) -> Result<(), AppendError> {
        self.position(series).map(|_| ())
    }

    fn commit(self: Box<Self>) -> Result<(), AppendError> {
        let mut state = self.storage.lock();
        let State { series, by_labels } = &mut *state;
        for (position, t, start_t, value) in self.samples {
            let labels = &self.series[position];
            let at = *by_labels.entry(labels.clone()).or_insert_with(|| {
                let columns = Columns::default();
                series.push(Arc::new(MemorySeries { labels: labels.clone(), columns }));
                series.len() - 1
            });
            let columns = &mut Arc::make_mut(&mut series[at]).columns;
            match value {
                Staged::Float(v) => columns.push_float(t, v),
                Staged::Histogram(mut h) => {
                    h.counter_reset_hint = stored_hint(columns, &h);
                    columns.push_histogram(t, HistogramValue::Float(h));
                }
            }
            columns.set_last_start(start_t);
        }
        Ok(())
    }

    fn rollback(self: Box<Self>) {}
}

/// The hint a chunk gives `h` after the samples before it.
fn stored_hint(before: &Columns, h: &FloatHistogram) -> CounterResetHint {
    if h.counter_reset_hint == CounterResetHint::Gauge {
        return CounterResetHint::Gauge;
    }
    let last = before.len().checked_sub(1).and_then(|at| before.histogram(at));
    match last {
        Some(HistogramValue::Float(last)) if continues(last, h) => CounterResetHint::NotReset,
        _ => CounterResetHint::Unknown,
    }
}

/// Whether `next` could stand in the same chunk as `last`.
fn continues(last: &FloatHistogram, next: &FloatHistogram) -> bool {
    if last.counter_reset_hint == CounterResetHint::Gauge
        || next.counter_reset_hint == CounterResetHint::Reset
    {
        return false;
    }
    if is_stale_nan(next.sum) || is_stale_nan(last.sum) {
        return is_stale_nan(next.sum);
    }
    let custom = next.schema == CUSTOM_BUCKETS_SCHEMA;
    next.count >= last.count
        && next.schema == last.schema
        && next.zero_threshold == last.zero_threshold
        && (!custom || next.custom_values == last.custom_values)
        && next.zero_count >= last.zero_count
        && [Side::Positive, Side::Negative].into_iter().all(|side| {
            let new: BTreeMap<i64, f64> = buckets(next, side).into_iter().collect();
            let mut old = buckets(last, side).into_iter();
            old.all(|(index, v)| new.get(&index).is_some_and(|n| *n >= v))
        })
}
