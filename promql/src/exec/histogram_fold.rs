//! Sums and means of native histograms over the series of a group.

use super::column::{Column, SharedHistogram};
use super::work::Work;
use crate::plan::Place;

/// The histogram side of sum and avg.
#[derive(Debug, Default)]
pub(crate) struct HistogramFold {
    seen: Vec<usize>,
}

impl HistogramFold {
    pub(crate) fn sum() -> HistogramFold {
        HistogramFold::default()
    }
    pub(crate) fn mean() -> HistogramFold {
        HistogramFold::default()
    }
    pub(crate) fn add(
        &mut self,
        step: usize,
        _h: &SharedHistogram,
        _name: &dyn Fn() -> String,
        _place: Place,
        _work: &mut Work<'_>,
    ) {
        self.seen.push(step);
    }
    pub(crate) fn finish(self, out: &mut Column, place: Place, work: &mut Work<'_>) {
        for step in self.seen {
            if !super::column::is_absent(out.floats[step]) {
                out.floats[step] = super::column::ABSENT;
                work.notes.mixed_floats_histograms_aggregation(place);
            }
        }
    }
}
