//! Samples: what a range vector is made of, as it was read or computed for one series.

use model::value::{STALE_NAN_BITS, is_stale_nan};
use model::{Columns, Regular};
use std::sync::Arc;

use super::column::{Column, SharedHistogram, histogram_weight, is_absent, sanitize};
use super::grid::Grid;
use super::lanes::rises;

/// Samples of one series, floats and histograms apart, each ascending in time; no markers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    pub timestamps: Vec<i64>,
    pub floats: Vec<f64>,
    /// Start times of the floats; empty when unknown or not wanted.
    pub starts: Vec<i64>,
    pub histograms: Vec<HistogramSample>,
    /// Set where whoever read the floats knows that they lie equally far apart.
    pub regular: Option<Regular>,
    /// Set where no float is known to be below the one before it, and all are numbers.
    pub rising: bool,
}

/// One histogram sample.
#[derive(Clone, Debug)]
pub(crate) struct HistogramSample {
    pub t: i64,
    /// Start time; 0 when unknown or not wanted.
    pub start: i64,
    pub h: SharedHistogram,
}

impl Samples {
    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.timestamps.clear();
        self.floats.clear();
        self.starts.clear();
        self.histograms.clear();
        self.regular = None;
        self.rising = false;
    }

    /// Takes over what was read. Start times are kept only if `starts`.
    pub(crate) fn take(&mut self, read: &mut Columns, starts: bool) {
        self.clear();
        // Without early exit, and of numbers: a loop several times as fast as one for the marker.
        let any_nan = || read.floats.iter().fold(false, |any, v| any | v.is_nan());
        let is_marker = |v: &f64| v.to_bits() & !(1 << 63) == STALE_NAN_BITS;
        let rising = read.histograms.is_empty() && rises(&read.floats);
        let plain = rising
            || read.histograms.is_empty() && (!any_nan() || !read.floats.iter().any(is_marker));
        if plain {
            self.rising = rising;
            self.regular = read.regular();
            std::mem::swap(&mut self.timestamps, &mut read.timestamps);
            std::mem::swap(&mut self.floats, &mut read.floats);
            if starts {
                std::mem::swap(&mut self.starts, &mut read.start_timestamps);
                self.starts.resize(self.timestamps.len(), 0);
            }
            return;
        }
        for (i, t) in read.timestamps.iter().enumerate() {
            let start = if starts { read.start_timestamps.get(i).copied().unwrap_or(0) } else { 0 };
            if let Some(h) = read.histogram(i) {
                let h = Arc::new(h.to_float());
                if !is_stale_nan(h.sum) {
                    self.histograms.push(HistogramSample { t: *t, start, h });
                }
            } else if !is_stale_nan(read.floats[i]) {
                self.timestamps.push(*t);
                self.floats.push(sanitize(read.floats[i]));
                if starts {
                    self.starts.push(start);
                }
            }
        }
    }

    /// Takes the values a subquery computed. What is known about counter resets is forgotten: the
    /// samples in between are not there.
    pub(crate) fn take_column(&mut self, column: &Column, grid: Grid) {
        self.clear();
        for (step, v) in column.floats.iter().enumerate() {
            if !is_absent(*v) {
                self.timestamps.push(grid.time(step));
                self.floats.push(*v);
            }
        }
        for (step, h) in &column.histograms {
            let h = forget_hint(h);
            self.histograms.push(HistogramSample { t: grid.time(*step as usize), start: 0, h });
        }
    }

    /// Number of samples, a histogram counting by its size.
    pub(crate) fn weight(&self) -> u64 {
        let histograms: u64 = self.histograms.iter().map(|s| histogram_weight(&s.h)).sum();
        self.floats.len() as u64 + histograms
    }
}

fn forget_hint(h: &SharedHistogram) -> SharedHistogram {
    use model::CounterResetHint::{NotReset, Reset, Unknown};
    if !matches!(h.counter_reset_hint, NotReset | Reset) {
        return h.clone();
    }
    let mut copy = (**h).clone();
    copy.counter_reset_hint = Unknown;
    Arc::new(copy)
}
