//! Smoothed instant selectors: values on the line between the samples around each step.

use model::{Labels, TimeRange};

use super::column::Column;
use super::grid::Grid;
use super::select::Selected;
use super::source::Source;
use super::work::Work;
use crate::engine::EngineError;
use crate::functions::extended::interpolate;
use crate::plan::{Place, Select};

/// `selector smoothed`.
pub(crate) struct Smoothed<'p> {
    pub selected: &'p Selected,
    pub select: &'p Select,
    pub grid: Grid,
    pub lookback_ms: i64,
    pub place: Place,
}

impl Smoothed<'_> {
    fn reference(&self, step: usize) -> i64 {
        let t = self.select.at.unwrap_or_else(|| self.grid.time(step));
        t.saturating_sub(self.select.offset_ms)
    }
}

impl Source for Smoothed<'_> {
    fn len(&self) -> usize {
        self.selected.series.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.selected.series.labels(i)
    }

    fn label_value(&self, i: usize, name: &str, with: &mut dyn FnMut(&str)) {
        self.selected.series.label_value(i, name, with);
    }

    fn distinct_unnamed(&self) -> bool {
        self.selected.distinct_unnamed()
    }

    fn column(&self, i: usize, work: &mut Work<'_>, out: &mut Column) -> Result<(), EngineError> {
        out.reset(self.grid.steps);
        let lookback = self.lookback_ms;
        let range = TimeRange {
            min: self.reference(0).saturating_sub(lookback).saturating_add(1),
            max: self.reference(self.grid.steps - 1).saturating_add(lookback),
        };
        let (mut read, mut samples) = (work.take_read(), work.take_samples());
        let result = self.selected.series.read(i, range, &mut read);
        result.map_err(|e| work.shared.reading(e))?;
        samples.take(&mut read, false);
        work.shared.budget.pass(samples.weight())?;
        let (ts, vs) = (&samples.timestamps, &samples.floats);
        for step in 0..self.grid.steps {
            let t = self.reference(step);
            let (from, to) = (t.saturating_sub(lookback), t.saturating_add(lookback));
            let histograms = samples.histograms.iter().any(|h| from < h.t && h.t <= to);
            let next = ts.partition_point(|s| *s < t);
            let before = next.checked_sub(1).filter(|i| ts[*i] > from);
            let after = Some(next).filter(|i| *i < ts.len() && ts[*i] <= to);
            if histograms {
                if before.is_some() || after.is_some() {
                    let name = self.selected.metric_name(i);
                    work.notes.mixed_floats_histograms(&name, self.place);
                }
                continue;
            }
            match (before, after) {
                (_, Some(j)) if ts[j] == t => out.floats[step] = vs[j],
                (Some(i), Some(j)) => {
                    out.floats[step] = interpolate(ts[i], vs[i], ts[j], vs[j], t, false);
                }
                (Some(i), None) => out.floats[step] = vs[i],
                (None, _) => {}
            }
        }
        work.give_read(read);
        work.give_samples(samples);
        Ok(())
    }
}
