//! Range functions as an operator: a range vector, series by series, to a column of values.

use model::labels::METRIC_NAME;
use model::{Labels, TimeRange};

use super::column::Column;
use super::counts;
use super::grid::Grid;
use super::samples::Samples;
use super::scalar::Steps;
use super::select::{Selected, read_bytes};
use super::source::{Boxed, METRIC_TYPE, Source};
use super::tally::Tally;
use super::window::Windows;
use super::work::{Work, failed, named};
use crate::engine::EngineError;
use crate::functions::range::{Extent, Found, RangeFunction, Run};
use crate::functions::{mixed, over_time};
use crate::plan::Place;

/// Where the samples of a range vector come from.
pub(crate) enum Input<'p> {
    /// The store, as far as `within`; and whether histograms are needed without buckets only.
    Stored { selected: &'p Selected, within: TimeRange, counts_only: bool },
    /// A subquery, evaluated on a grid of its own; `None` when that has no step.
    Subquery(Boxed<'p>, Option<Grid>),
}

impl Input<'_> {
    fn len(&self) -> usize {
        match self {
            Input::Stored { selected, .. } => selected.series.len(),
            Input::Subquery(inner, Some(_)) => inner.len(),
            Input::Subquery(_, None) => 0,
        }
    }

    fn labels(&self, i: usize) -> Labels {
        match self {
            Input::Stored { selected, .. } => selected.series.labels(i),
            Input::Subquery(inner, _) => inner.labels(i),
        }
    }

    fn label_value(&self, i: usize, name: &str, with: &mut dyn FnMut(&str)) {
        match self {
            Input::Stored { selected, .. } => selected.series.label_value(i, name, with),
            Input::Subquery(inner, _) => inner.label_value(i, name, with),
        }
    }

    fn label(&self, i: usize, name: &str) -> String {
        let mut value = String::new();
        self.label_value(i, name, &mut |v| value = v.to_owned());
        value
    }

    /// Reads every sample any of `windows` looks at.
    pub(crate) fn read(
        &self,
        i: usize,
        windows: &Windows,
        starts: bool,
        work: &mut Work<'_>,
        samples: &mut Samples,
    ) -> Result<(), EngineError> {
        match self {
            Input::Stored { selected, within, counts_only } => {
                let mut read = work.take_read();
                let mut span = windows.span();
                span.min = span.min.max(within.min);
                span.max = span.max.min(within.max);
                if *counts_only {
                    // The sample just outside shows whether there is a counter reset after it.
                    span.min = span.min.saturating_sub(1);
                }
                let result = selected.series.read(i, span, &mut read);
                result.map_err(|e| work.shared.reading(e))?;
                work.hold_decoded(read_bytes(&read))
                    .map_err(|e| named(e, || format!("selector {}", selected.text)))?;
                if *counts_only {
                    counts::strip(&mut read);
                }
                samples.take(&mut read, starts);
                work.give_read(read);
            }
            Input::Subquery(inner, grid) => {
                let Some(grid) = *grid else { return Ok(()) };
                // A value, then a sample and two counts a step.
                work.hold_decoded(grid.steps as u64 * 40)?;
                let mut column = work.take();
                let ((), tally) = work.counting(Tally::per_step(grid.steps), |work| {
                    inner.column(i, work, &mut column)
                })?;
                let Windows { offset_ms, range_ms, .. } = *windows;
                work.tally.count_subquery(&tally, grid, windows.grid, offset_ms, range_ms);
                samples.take_column(&column, grid);
                work.give(column);
                work.shared.budget.pass(samples.weight())?;
            }
        }
        Ok(())
    }
}

/// A function of a range vector.
pub(crate) struct RangeCall<'p> {
    pub function: RangeFunction,
    pub input: Input<'p>,
    pub windows: Windows,
    pub extent: Extent,
    pub params: Vec<Steps>,
    /// Whether start times are read.
    pub starts: bool,
    /// The first argument.
    pub place: Place,
}

impl RangeCall<'_> {
    /// The metric name of a series, for annotations.
    pub(crate) fn metric_name(&self, i: usize) -> String {
        match &self.input {
            Input::Stored { selected, .. } => selected.metric_name(i),
            Input::Subquery(..) => self.input.label(i, METRIC_NAME),
        }
    }

    /// rate and increase speak up about metrics that do not look like counters.
    fn note_non_counter(&self, i: usize, work: &mut Work<'_>) {
        let RangeFunction::Rate(rate) = self.function else { return };
        if !rate.counter {
            return;
        }
        let typed = work.shared.features.type_and_unit_labels;
        if !typed
            && let Input::Stored { selected: Selected { name: Some(name), .. }, .. } = &self.input
        {
            // One name for all series: no need to look at each.
            if !looks_like_counter(name) {
                work.notes.possible_non_counter(name, self.place);
            }
            return;
        }
        let name = self.metric_name(i);
        if name.is_empty() {
            return;
        }
        if typed {
            let kind = self.input.label(i, METRIC_TYPE);
            if kind != "counter" && kind != "histogram" {
                work.notes.possible_non_counter_label(&name, &kind, self.place);
            }
        } else if !looks_like_counter(&name) {
            work.notes.possible_non_counter(&name, self.place);
        }
    }

    fn note(&self, i: usize, found: Found, work: &mut Work<'_>) -> Result<(), EngineError> {
        if let Some((what, v)) = found.bad_factor {
            return failed(over_time::bad_factor(what, v));
        }
        for q in found.bad_quantiles {
            work.notes.invalid_quantile(q, self.place);
        }
        if found.overlaps > 0 {
            work.notes.start_time_overlaps(&self.metric_name(i), found.overlaps, self.place);
        }
        Ok(())
    }
}

fn looks_like_counter(name: &str) -> bool {
    ["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix))
}

impl Source for RangeCall<'_> {
    fn len(&self) -> usize {
        self.input.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.input.labels(i)
    }

    fn label_value(&self, i: usize, name: &str, with: &mut dyn FnMut(&str)) {
        self.input.label_value(i, name, with);
    }

    fn label_ids(&self, name: &str, out: &mut Vec<u64>) -> bool {
        match &self.input {
            Input::Stored { selected, .. } => selected.series.label_ids(name, out),
            Input::Subquery(inner, Some(_)) => inner.label_ids(name, out),
            Input::Subquery(_, None) => false,
        }
    }

    fn drops_name(&self, i: usize) -> bool {
        match &self.input {
            Input::Stored { .. } => false,
            Input::Subquery(inner, _) => inner.drops_name(i),
        }
    }

    fn distinct_unnamed(&self) -> bool {
        match &self.input {
            Input::Stored { selected, .. } => selected.distinct_unnamed(),
            Input::Subquery(inner, _) => inner.distinct_unnamed(),
        }
    }

    fn column(&self, i: usize, work: &mut Work<'_>, out: &mut Column) -> Result<(), EngineError> {
        out.reset(self.windows.grid.steps);
        let mut samples = work.take_samples();
        self.input.read(i, &self.windows, self.starts, work, &mut samples)?;
        if samples.histograms.is_empty() {
            let run = Run {
                windows: &self.windows,
                extent: self.extent,
                params: &self.params,
                samples: &samples,
                cancel: &work.shared.cancel,
                tally: &mut work.tally,
                out,
            };
            let found = self.function.floats(run);
            self.note(i, found, work)?;
        } else {
            mixed::run(self, i, &samples, work, out)?;
        }
        work.shared.check()?;
        work.shared.budget.pass(work.tally.widest)?;
        work.give_samples(samples);
        if out.floats.iter().any(|v| !super::column::is_absent(*v)) {
            self.note_non_counter(i, work);
        }
        Ok(())
    }
}
