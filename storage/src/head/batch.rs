//! Batch: what an appender has staged.
//!
//! What must hold: within one batch a series has samples of one type only, floats before
//! histograms; a change of type starts another batch. So the records of a batch, floats first, keep
//! every series' samples in the order in which they were staged.

use std::collections::HashMap;

use model::columns::HistogramValue;
use model::{Exemplar, Metadata};

use super::series::Slot;
use crate::record::RefSample;

/// Slot of a series that this appender is about to create.
pub(crate) const NEW: Slot = Slot::MAX;

/// A staged float.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StagedFloat {
    pub sample: RefSample,
    pub slot: Slot,
}

/// A staged histogram.
#[derive(Clone, Debug)]
pub(crate) struct StagedHistogram {
    pub series_ref: u64,
    pub slot: Slot,
    pub t: i64,
    pub start_t: i64,
    pub value: HistogramValue,
}

/// The kinds of histograms that go to different records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HistogramType {
    Integer,
    IntegerCustom,
    Float,
    FloatCustom,
}

impl HistogramType {
    /// The type of a histogram.
    pub fn of(value: &HistogramValue) -> HistogramType {
        let custom = model::histogram::CUSTOM_BUCKETS_SCHEMA;
        match value {
            HistogramValue::Integer(h) if h.schema == custom => HistogramType::IntegerCustom,
            HistogramValue::Integer(_) => HistogramType::Integer,
            HistogramValue::Float(h) if h.schema == custom => HistogramType::FloatCustom,
            HistogramValue::Float(_) => HistogramType::Float,
        }
    }
}

/// One type-clean batch.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub floats: Vec<StagedFloat>,
    /// Integer and float histograms in order of staging.
    pub histograms: Vec<StagedHistogram>,
}

/// Everything an appender has staged.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    pub batches: Vec<Batch>,
    pub exemplars: Vec<(u64, Exemplar)>,
    pub metadata: Vec<(u64, Metadata)>,
    /// Type of the series that have a histogram in the last batch.
    types: HashMap<u64, HistogramType>,
    /// Floats to make room for in the first batch.
    expected: usize,
}

impl Staged {
    /// Nothing yet; about so many floats are expected.
    pub fn expecting(floats: usize) -> Staged {
        Staged { expected: floats, ..Staged::default() }
    }

    /// Floats staged.
    pub fn floats(&self) -> usize {
        self.batches.iter().map(|b| b.floats.len()).sum()
    }

    fn last(&mut self) -> &mut Batch {
        if self.batches.is_empty() {
            let floats = Vec::with_capacity(self.expected);
            self.batches.push(Batch { floats, histograms: Vec::new() });
        }
        let last = self.batches.len() - 1;
        &mut self.batches[last]
    }

    fn next(&mut self) {
        self.types.clear();
        self.batches.push(Batch::default());
    }

    /// The type of the histograms a series has in the last batch.
    pub fn histogram_type(&self, series_ref: u64) -> Option<HistogramType> {
        if self.types.is_empty() { None } else { self.types.get(&series_ref).copied() }
    }

    /// Stages a float.
    #[inline]
    pub fn push_float(&mut self, float: StagedFloat) {
        if self.histogram_type(float.sample.series.0).is_some() {
            self.next();
        }
        self.last().floats.push(float);
    }

    /// Stages a histogram.
    pub fn push_histogram(&mut self, histogram: StagedHistogram) {
        let kind = HistogramType::of(&histogram.value);
        if self.histogram_type(histogram.series_ref).is_some_and(|t| t != kind) {
            self.next();
        }
        self.types.insert(histogram.series_ref, kind);
        self.last().histograms.push(histogram);
    }

    /// Whether nothing is staged.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.exemplars.is_empty() && self.metadata.is_empty()
    }
}
