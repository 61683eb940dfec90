//! Columns: what reading a series gives, arrays instead of an iterator.

use crate::histogram::{FloatHistogram, Histogram};

/// A histogram sample in the form it was stored in.
#[derive(Clone, Debug, PartialEq)]
pub enum HistogramValue {
    Integer(Box<Histogram>),
    Float(Box<FloatHistogram>),
}

impl HistogramValue {
    /// The float form (a copy for integer histograms).
    pub fn to_float(&self) -> FloatHistogram {
        match self {
            HistogramValue::Integer(h) => h.to_float(),
            HistogramValue::Float(h) => (**h).clone(),
        }
    }
}

/// A histogram sample at position `index` of its [`Columns`].
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramAt {
    pub index: u32,
    pub value: HistogramValue,
}

/// Samples of one series in strictly ascending time.
///
/// `timestamps` and `floats` have the same length. Position `i` is a histogram when `histograms`
/// (ascending by index) has an entry for `i`, and `floats[i]` then means nothing; most series have
/// none, so hot paths test `histograms.is_empty()` once. Staleness markers are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns {
    /// Milliseconds since the epoch.
    pub timestamps: Vec<i64>,
    /// Start timestamps in milliseconds (0 = unknown); empty when no sample has one, else as long
    /// as `timestamps`.
    pub start_timestamps: Vec<i64>,
    pub floats: Vec<f64>,
    pub histograms: Vec<HistogramAt>,
}

impl Columns {
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }

    /// Forgets all samples, keeps the memory.
    pub fn clear(&mut self) {
        self.timestamps.clear();
        self.start_timestamps.clear();
        self.floats.clear();
        self.histograms.clear();
    }

    /// Appends a float sample without a start time.
    pub fn push_float(&mut self, t: i64, v: f64) {
        self.timestamps.push(t);
        self.floats.push(v);
        if !self.start_timestamps.is_empty() {
            self.start_timestamps.push(0);
        }
    }

    /// Appends a histogram sample without a start time.
    pub fn push_histogram(&mut self, t: i64, value: HistogramValue) {
        self.histograms.push(HistogramAt { index: self.timestamps.len() as u32, value });
        self.push_float(t, 0.0);
    }

    /// Sets the start time of the last sample.
    pub fn set_last_start(&mut self, start_ms: i64) {
        if start_ms != 0 && self.start_timestamps.is_empty() {
            self.start_timestamps.resize(self.timestamps.len(), 0);
        }
        if let Some(last) = self.start_timestamps.last_mut() {
            *last = start_ms;
        }
    }

    /// The histogram at position `i`, if that sample is one.
    pub fn histogram(&self, i: usize) -> Option<&HistogramValue> {
        if self.histograms.is_empty() {
            return None;
        }
        let at = self.histograms.binary_search_by_key(&(i as u32), |h| h.index).ok()?;
        Some(&self.histograms[at].value)
    }
}
