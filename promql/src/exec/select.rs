//! Instant vector selectors: the newest sample of each series, not older than the lookback.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use model::labels::METRIC_NAME;
use model::value::is_stale_nan;
use model::{Columns, Labels, MatchOp, Matcher, Newest, QueryError, Selection, TimeRange};

use super::column::{Column, SharedHistogram, histogram_weight, sanitize};
use super::counts;
use super::grid::Grid;
use super::source::{METRIC_TYPE, METRIC_UNIT, Source};
use super::work::{Work, named};
use crate::engine::EngineError;
use crate::plan::Select;

/// Series selected from the store, read on demand.
pub(crate) struct Selected {
    pub series: Arc<dyn Selection>,
    /// The metric name, where the matchers leave only one.
    pub name: Option<String>,
    /// The selector as a query would write it.
    pub text: String,
    distinct_unnamed: OnceLock<bool>,
}

impl Selected {
    /// Wraps what `matchers` selected.
    pub(crate) fn new(series: Arc<dyn Selection>, matchers: &[Matcher]) -> Selected {
        let name = matchers
            .iter()
            .find(|m| m.is_metric_name() && m.op == MatchOp::Equal)
            .map(|m| m.value.clone());
        let text = text_of(matchers);
        Selected { series, name, text, distinct_unnamed: OnceLock::new() }
    }

    /// Whether label sets stay distinct without metadata labels: one metric name, and no series
    /// with a type or unit that could tell two apart.
    pub(crate) fn distinct_unnamed(&self) -> bool {
        *self.distinct_unnamed.get_or_init(|| {
            let n = self.series.len();
            n <= 1 || self.name.is_some() && !(0..n).any(|i| self.has_type_or_unit(i))
        })
    }

    fn has_type_or_unit(&self, i: usize) -> bool {
        let mut found = false;
        self.series.label_value(i, METRIC_TYPE, &mut |v| found |= !v.is_empty());
        self.series.label_value(i, METRIC_UNIT, &mut |v| found |= !v.is_empty());
        found
    }

    /// The metric name of a series.
    pub(crate) fn metric_name(&self, i: usize) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let mut name = String::new();
        self.series.label_value(i, METRIC_NAME, &mut |v| name = v.to_owned());
        name
    }
}

/// What a selector gives at each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Give {
    /// The sample.
    Value,
    /// The sample's time in seconds.
    Timestamp,
    /// The sample's start time in seconds.
    StartTimestamp,
    /// The sample's time in milliseconds, for `info`.
    TimestampMillis,
}

/// An instant vector selector on a grid.
pub(crate) struct InstantSelector<'p> {
    selected: &'p Selected,
    grid: Grid,
    offset_ms: i64,
    at: Option<i64>,
    lookback_ms: i64,
    give: Give,
    counts_only: bool,
    within: TimeRange,
    /// The newest samples, where all steps look at one time and the selection has them at hand.
    newest: &'p [Newest],
}

impl<'p> InstantSelector<'p> {
    /// `select` over `grid`.
    pub(crate) fn new(
        selected: &'p Selected,
        select: &Select,
        grid: Grid,
        lookback_ms: i64,
        give: Give,
    ) -> InstantSelector<'p> {
        let Select { offset_ms, at, counts_only, within, .. } = *select;
        let one_time = grid.steps == 1 || at.is_some();
        let newest = if one_time { selected.series.newest() } else { &[] };
        InstantSelector {
            selected,
            grid,
            offset_ms,
            at,
            lookback_ms,
            give,
            counts_only,
            within,
            newest,
        }
    }

    /// The same without offset where the time is fixed: what `timestamp` looks at in Prometheus,
    /// though the store is asked for the samples of the time with the offset.
    pub(crate) fn ignoring_offset_if_fixed(mut self) -> InstantSelector<'p> {
        if self.at.is_some() {
            self.offset_ms = 0;
        }
        self
    }

    /// The time looked at for a step.
    fn reference(&self, step: usize) -> i64 {
        self.at.unwrap_or_else(|| self.grid.time(step)).saturating_sub(self.offset_ms)
    }

    fn range(&self) -> TimeRange {
        let (first, last) = (self.reference(0), self.reference(self.grid.steps - 1));
        // The sample just outside shows whether there is a counter reset after it.
        let inside = i64::from(!self.counts_only);
        let min = first.saturating_sub(self.lookback_ms).saturating_add(inside);
        TimeRange {
            min: min.max(self.within.min.saturating_sub(1 - inside)),
            max: last.min(self.within.max),
        }
    }

    /// Reads what the steps may look at.
    fn read(&self, i: usize, read: &mut Columns) -> Result<(), QueryError> {
        let (series, range) = (&self.selected.series, self.range());
        let one_time = self.grid.steps == 1 || self.at.is_some();
        if one_time && !self.counts_only {
            series.read_last(i, range, read)?;
            if read.histograms.is_empty() {
                return Ok(());
            }
            // What a histogram says of resets depends on what is before it.
            read.clear();
        }
        series.read(i, range, read)
    }

    /// The newest sample of a series, where it is at hand and no later one can be looked at.
    fn newest(&self, i: usize) -> Option<Newest> {
        let newest = self.newest.get(i)?;
        (newest.is_known() && newest.t <= self.range().max).then_some(*newest)
    }

    /// All steps, which look at one time, show the newest sample if they show any.
    fn show(&self, newest: Newest, work: &mut Work<'_>, out: &mut Column) {
        let oldest = self.reference(0).saturating_sub(self.lookback_ms);
        if newest.t <= oldest || is_stale_nan(newest.v) {
            return;
        }
        out.floats.fill(match self.give {
            Give::Value => sanitize(newest.v),
            Give::Timestamp => newest.t as f64 / 1000.0,
            Give::TimestampMillis => newest.t as f64,
            Give::StartTimestamp => 0.0,
        });
        if work.tally.steps.is_some() {
            (0..self.grid.steps).for_each(|step| work.tally.count(step, 1, 1));
        } else {
            work.tally.total += self.grid.steps as u64;
            work.tally.read += self.grid.steps as u64;
        }
    }

    /// Hands each step's sample, by index, to `visit`.
    fn lookup(&self, timestamps: &[i64], mut visit: impl FnMut(usize, usize)) {
        let mut next = 0;
        for step in 0..self.grid.steps {
            let reference = self.reference(step);
            while next < timestamps.len() && timestamps[next] <= reference {
                next += 1;
            }
            if next > 0 && timestamps[next - 1] > reference.saturating_sub(self.lookback_ms) {
                visit(step, next - 1);
            }
        }
    }

    /// The steps that show a sample of their own each, and the first such sample with the distance
    /// to the next: where samples are regular, the step is a multiple of their distance, and nothing
    /// but values is wanted.
    fn strided(&self, read: &Columns, work: &Work<'_>) -> Option<(Range<usize>, usize, usize)> {
        let regular = read.regular()?;
        let interval = self.grid.interval;
        let plain = self.give == Give::Value && self.at.is_none() && work.tally.steps.is_none();
        if !plain || interval % regular.step != 0 || self.lookback_ms < regular.step {
            return None;
        }
        if read.floats.iter().fold(false, |any, v| any | v.is_nan()) {
            return None;
        }
        let stride = interval / regular.step;
        // Index of the sample that the first step shows, as if samples went on for ever.
        let index = self.reference(0).checked_sub(regular.start)?.div_euclid(regular.step);
        let first = index.checked_neg()?.max(0).checked_add(stride - 1)? / stride;
        let past = (read.len() as i64).checked_sub(index)?.checked_add(stride - 1)?;
        let past = past.div_euclid(stride);
        let steps = usize::try_from(first).ok()?..usize::try_from(past).ok()?;
        let steps = steps.start..steps.end.min(self.grid.steps);
        let at = usize::try_from(index.checked_add(first.checked_mul(stride)?)?).ok()?;
        (!steps.is_empty()).then_some((steps, at, stride as usize))
    }

    fn floats(&self, read: &Columns, work: &mut Work<'_>, out: &mut Column) {
        let mut found = 0;
        if let Some((steps, at, stride)) = self.strided(read, work) {
            let samples = read.floats[at..].chunks(stride);
            let values = out.floats[steps.clone()].iter_mut().zip(samples);
            values.for_each(|(out, samples)| *out = samples[0]);
            // Behind the last sample it is shown as long as the lookback reaches.
            let (last_t, last) = (read.timestamps[read.len() - 1], read.floats[read.len() - 1]);
            let reaches =
                |step: &usize| self.reference(*step).saturating_sub(self.lookback_ms) < last_t;
            let more = (steps.end..self.grid.steps).take_while(reaches).count();
            out.floats[steps.end..steps.end + more].fill(last);
            found = (steps.len() + more) as u64;
            work.tally.total += found;
            work.tally.read += found;
            return;
        }
        self.lookup(&read.timestamps, |step, at| {
            let v = read.floats[at];
            if is_stale_nan(v) {
                return;
            }
            found += 1;
            if work.tally.steps.is_some() {
                work.tally.count(step, 1, 1);
            }
            out.floats[step] = match self.give {
                Give::Value => sanitize(v),
                Give::Timestamp => read.timestamps[at] as f64 / 1000.0,
                Give::TimestampMillis => read.timestamps[at] as f64,
                Give::StartTimestamp => {
                    read.start_timestamps.get(at).copied().unwrap_or(0) as f64 / 1000.0
                }
            };
        });
        if work.tally.steps.is_none() {
            work.tally.total += found;
            work.tally.read += found;
        }
    }

    fn mixed(
        &self,
        i: usize,
        read: &Columns,
        work: &mut Work<'_>,
        out: &mut Column,
    ) -> Result<(), EngineError> {
        let mut bad = false;
        let mut last: Option<(usize, SharedHistogram)> = None;
        self.lookup(&read.timestamps, |step, at| {
            let Some(stored) = read.histogram(at) else {
                if is_stale_nan(read.floats[at]) {
                    return;
                }
                work.tally.count(step, 1, 1);
                out.floats[step] = match self.give {
                    Give::Value => sanitize(read.floats[at]),
                    give => time_of(give, read, at),
                };
                return;
            };
            if let Some((index, h)) = &last
                && *index == at
                && self.give == Give::Value
            {
                let weight = histogram_weight(h);
                work.tally.count(step, weight, weight);
                out.push_histogram(step, h.clone());
                return;
            }
            let h = stored.to_float();
            if is_stale_nan(h.sum) {
                return;
            }
            match self.give {
                Give::Value => {
                    let h = Arc::new(h);
                    let weight = histogram_weight(&h);
                    work.tally.count(step, weight, weight);
                    out.push_histogram(step, h.clone());
                    last = Some((at, h));
                }
                Give::TimestampMillis => bad = true,
                give => {
                    work.tally.count(step, 1, 1);
                    out.floats[step] = time_of(give, read, at);
                }
            }
        });
        if bad {
            let labels = self.selected.series.labels(i);
            return super::work::failed(format!(
                "this should be an info metric, with float samples: {labels}"
            ));
        }
        Ok(())
    }
}

/// A selector as a query would write it.
pub(crate) fn text_of(matchers: &[Matcher]) -> String {
    let is_name = |m: &&Matcher| m.is_metric_name() && m.op == MatchOp::Equal;
    let name = matchers.iter().find(is_name).map_or("", |m| &m.value);
    let others = matchers.iter().filter(|m| !is_name(m)).map(Matcher::to_string);
    let others = others.collect::<Vec<_>>().join(",");
    if others.is_empty() { name.to_owned() } else { format!("{name}{{{others}}}") }
}

/// Bytes of the decoded samples of a series.
pub(crate) fn read_bytes(read: &Columns) -> u64 {
    let words = read.timestamps.len() + read.start_timestamps.len() + read.floats.len();
    words as u64 * 8 + read.histograms.len() as u64 * HISTOGRAM_BYTES
}

/// What a stored histogram takes in memory, for one of usual size.
const HISTOGRAM_BYTES: u64 = 512;

fn time_of(give: Give, read: &Columns, at: usize) -> f64 {
    match give {
        Give::StartTimestamp => read.start_timestamps.get(at).copied().unwrap_or(0) as f64 / 1000.0,
        Give::TimestampMillis => read.timestamps[at] as f64,
        Give::Timestamp | Give::Value => read.timestamps[at] as f64 / 1000.0,
    }
}

impl Source for InstantSelector<'_> {
    fn is_silent(&self) -> bool {
        self.give == Give::Value
    }

    fn in_memory(&self) -> bool {
        !self.newest.is_empty()
    }

    fn len(&self) -> usize {
        self.selected.series.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.selected.series.labels(i)
    }

    fn label_value(&self, i: usize, name: &str, with: &mut dyn FnMut(&str)) {
        self.selected.series.label_value(i, name, with);
    }

    fn label_ids(&self, name: &str, out: &mut Vec<u64>) -> bool {
        self.selected.series.label_ids(name, out)
    }

    fn distinct_unnamed(&self) -> bool {
        self.selected.distinct_unnamed()
    }

    fn column(&self, i: usize, work: &mut Work<'_>, out: &mut Column) -> Result<(), EngineError> {
        out.reset(self.grid.steps);
        if let Some(newest) = self.newest(i) {
            self.show(newest, work, out);
            return Ok(());
        }
        let mut read = work.take_read();
        self.read(i, &mut read).map_err(|e| work.shared.reading(e))?;
        work.hold_decoded(read_bytes(&read))
            .map_err(|e| named(e, || format!("selector {}", self.selected.text)))?;
        if read.histograms.is_empty() {
            self.floats(&read, work, out);
        } else {
            if self.counts_only {
                counts::strip(&mut read);
            }
            self.mixed(i, &read, work, out)?;
        }
        work.give_read(read);
        Ok(())
    }
}
