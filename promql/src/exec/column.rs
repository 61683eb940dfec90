//! Column: the values of one series over the steps of a grid.
//!
//! A step without a sample holds [`ABSENT`], the bits of the staleness marker. No value can be
//! that: selectors take markers for absence, arithmetic never makes a signalling NaN, and what
//! could turn into the marker by a copy with another sign is made an ordinary NaN when it is read
//! ([`sanitize`]).

use std::sync::Arc;

use model::FloatHistogram;
use model::value::{NORMAL_NAN, STALE_NAN, STALE_NAN_BITS};

/// "No sample at this step".
pub(crate) const ABSENT: f64 = STALE_NAN;

const SIGN: u64 = 1 << 63;

/// Whether `v` stands for no sample.
#[inline(always)]
pub(crate) fn is_absent(v: f64) -> bool {
    v.to_bits() == STALE_NAN_BITS
}

/// A stored value as the engine may hold it.
#[inline(always)]
pub(crate) fn sanitize(v: f64) -> f64 {
    if v.to_bits() == STALE_NAN_BITS | SIGN { NORMAL_NAN } else { v }
}

/// A histogram shared between steps and operators.
pub(crate) type SharedHistogram = Arc<FloatHistogram>;

/// Values of one series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Column {
    /// One value a step; [`ABSENT`] where there is no sample or a histogram.
    pub floats: Vec<f64>,
    /// Histogram samples, ascending by step; most series have none.
    pub histograms: Vec<(u32, SharedHistogram)>,
}

/// One sample of a column.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Point<'a> {
    Float(f64),
    Histogram(&'a SharedHistogram),
}

impl Column {
    /// Makes all of `steps` absent.
    pub(crate) fn reset(&mut self, steps: usize) {
        self.floats.clear();
        self.floats.resize(steps, ABSENT);
        self.histograms.clear();
    }

    /// Whether no step has a sample.
    pub(crate) fn is_empty(&self) -> bool {
        self.histograms.is_empty() && self.floats.iter().all(|v| is_absent(*v))
    }

    /// Number of steps with a sample.
    pub(crate) fn present(&self) -> usize {
        self.floats.iter().filter(|v| !is_absent(**v)).count() + self.histograms.len()
    }

    /// Samples the column counts for: a histogram weighs its size in floats.
    pub(crate) fn weight(&self) -> u64 {
        let floats = self.floats.iter().filter(|v| !is_absent(**v)).count() as u64;
        floats + self.histograms.iter().map(|(_, h)| histogram_weight(h)).sum::<u64>()
    }

    /// Bytes the values take; a histogram that stands at several steps is counted once.
    pub(crate) fn bytes(&self) -> u64 {
        let mut bytes = self.floats.len() as u64 * 8 + self.histograms.len() as u64 * 16;
        let mut last: Option<&SharedHistogram> = None;
        for (_, h) in &self.histograms {
            if !last.is_some_and(|last| Arc::ptr_eq(last, h)) {
                bytes += histogram_bytes(h);
            }
            last = Some(h);
        }
        bytes
    }

    /// The histogram at a step.
    pub(crate) fn histogram(&self, step: usize) -> Option<&SharedHistogram> {
        if self.histograms.is_empty() {
            return None;
        }
        let at = self.histograms.binary_search_by_key(&(step as u32), |h| h.0).ok()?;
        Some(&self.histograms[at].1)
    }

    /// Whether a step has a sample.
    pub(crate) fn is_present(&self, step: usize) -> bool {
        !is_absent(self.floats[step]) || self.histogram(step).is_some()
    }

    /// The sample at a step.
    pub(crate) fn point(&self, step: usize) -> Option<Point<'_>> {
        let v = self.floats[step];
        if !is_absent(v) {
            return Some(Point::Float(v));
        }
        self.histogram(step).map(Point::Histogram)
    }

    /// Appends a histogram; steps must come in ascending order.
    pub(crate) fn push_histogram(&mut self, step: usize, h: SharedHistogram) {
        self.histograms.push((step as u32, h));
    }

    /// Takes the samples of `other`; `false` when a step has a sample in both.
    pub(crate) fn merge(&mut self, other: &Column) -> bool {
        for step in 0..self.floats.len() {
            if other.is_present(step) && self.is_present(step) {
                return false;
            }
            if !is_absent(other.floats[step]) {
                self.floats[step] = other.floats[step];
            }
        }
        if !other.histograms.is_empty() {
            self.histograms.extend_from_slice(&other.histograms);
            self.histograms.sort_by_key(|h| h.0);
        }
        true
    }
}

/// What a histogram sample counts for in samples of 16 bytes, after `HPoint.size`.
pub(crate) fn histogram_weight(h: &FloatHistogram) -> u64 {
    (histogram_bytes(h) + 8) / 16
}

/// The size of a histogram in memory as Prometheus counts it.
pub(crate) fn histogram_bytes(h: &FloatHistogram) -> u64 {
    // Pointer, fixed fields and slice headers of the Go struct; then the slices' elements.
    const HEADER: u64 = 168;
    let spans = (h.positive_spans.len() + h.negative_spans.len()) as u64 * 8;
    let values =
        (h.positive_buckets.len() + h.negative_buckets.len() + h.custom_values.len()) as u64 * 8;
    HEADER + spans + values
}
