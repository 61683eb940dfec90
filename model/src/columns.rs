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
///
/// Where all samples lie equally far apart, as scrapes without a miss do, whoever decoded them knows
/// it, and [`regular`](Self::regular) tells: the sample at or before a time is then found by a
/// division instead of a search.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// Milliseconds since the epoch.
    pub timestamps: Vec<i64>,
    /// Start timestamps in milliseconds (0 = unknown); empty when no sample has one, else as long
    /// as `timestamps`.
    pub start_timestamps: Vec<i64>,
    pub floats: Vec<f64>,
    pub histograms: Vec<HistogramAt>,
    /// What was said about the steps between samples; see [`note_step`](Self::note_step).
    steps: Option<Steps>,
}

/// Timestamps in equal steps: sample `i` is at `start + i * step`, none of which overflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Regular {
    /// Time of the first sample, in milliseconds.
    pub start: i64,
    /// Milliseconds between two samples, positive.
    pub step: i64,
}

/// The claim that the first `len` samples lie `step` apart.
#[derive(Clone, Copy, Debug)]
struct Steps {
    len: usize,
    /// Meaningless for a single sample.
    step: i64,
}

/// Equal samples; what is known about their steps does not matter.
impl PartialEq for Columns {
    fn eq(&self, other: &Columns) -> bool {
        self.timestamps == other.timestamps
            && self.start_timestamps == other.start_timestamps
            && self.floats == other.floats
            && self.histograms == other.histograms
    }
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
        self.steps = None;
    }

    /// Start and step of the timestamps when there are two at least, all equally far apart, and
    /// whoever wrote them said so. `None` = look at them. Costs nothing: no timestamp is visited
    /// but the first and the last.
    pub fn regular(&self) -> Option<Regular> {
        let Steps { len, step } = self.steps?;
        if len != self.timestamps.len() || len < 2 || step <= 0 {
            return None;
        }
        let (&start, &last) = (self.timestamps.first()?, self.timestamps.last()?);
        let end = step.checked_mul(i64::try_from(len - 1).ok()?)?.checked_add(start)?;
        (end == last).then_some(Regular { start, step })
    }

    /// To be called by who appended samples at position `from` and behind by other means than the
    /// methods here: they lie `step` apart (any number for one sample, `None` = not known). Appended
    /// to samples of the same step, at that distance, the whole stays regular. Not calling it after
    /// an append is safe, the claim is then dropped; who removes or overwrites samples in the middle
    /// calls it with `None`.
    pub fn note_step(&mut self, from: usize, step: Option<i64>) {
        let len = self.timestamps.len();
        let Some(new) = len.checked_sub(from) else {
            self.steps = None;
            return;
        };
        if new == 0 && step.is_some() {
            return;
        }
        self.steps = match (step, self.steps) {
            (None, _) => None,
            (Some(step), _) if from == 0 => Some(Steps { len, step }),
            (Some(step), Some(old)) if old.len == from => {
                let gap = self.timestamps[from].wrapping_sub(self.timestamps[from - 1]);
                let fits = (old.len == 1 || old.step == gap) && (new == 1 || step == gap);
                fits.then_some(Steps { len, step: gap })
            }
            _ => None,
        };
    }

    /// Appends a float sample without a start time.
    pub fn push_float(&mut self, t: i64, v: f64) {
        self.steps = None;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Appends `times` as a decoder does that knows their step, or does not.
    fn append(columns: &mut Columns, times: &[i64], step: Option<i64>) {
        let from = columns.len();
        columns.timestamps.extend_from_slice(times);
        columns.floats.resize(columns.timestamps.len(), 0.0);
        columns.note_step(from, step);
    }

    #[test]
    fn regular_pieces_make_a_regular_whole() {
        type Piece = (&'static [i64], Option<i64>);
        type Case = (&'static [Piece], Option<(i64, i64)>);
        let cases: [Case; 11] = [
            (&[], None),
            (&[(&[10, 20, 30], Some(10))], Some((10, 10))),
            (&[(&[10, 20], Some(10)), (&[], Some(7)), (&[30, 40], Some(10))], Some((10, 10))),
            (&[(&[10], Some(0)), (&[20], Some(99)), (&[30, 40], Some(10))], Some((10, 10))),
            (&[(&[10], Some(0))], None),
            (&[(&[10, 20], Some(10)), (&[40, 50], Some(10))], None),
            (&[(&[10, 20], Some(10)), (&[30, 45], Some(15))], None),
            (&[(&[10, 20], Some(10)), (&[30, 40], None)], None),
            (&[(&[10, 25], None), (&[40, 55], Some(15))], None),
            (&[(&[5, 5], Some(0))], None),
            (&[(&[i64::MAX, i64::MIN], Some(1))], None),
        ];
        for (pieces, expected) in cases {
            let mut columns = Columns::default();
            pieces.iter().for_each(|(times, step)| append(&mut columns, times, *step));
            let expected = expected.map(|(start, step)| Regular { start, step });
            assert_eq!(columns.regular(), expected, "{pieces:?}");
        }
    }

    #[test]
    fn what_was_changed_is_regular_no_more() {
        let mut columns = Columns::default();
        append(&mut columns, &[10, 20, 30, 40], Some(10));
        let whole = columns.clone();
        columns.timestamps.truncate(3);
        assert_eq!(columns.regular(), None);
        append(&mut columns, &[40], Some(0));
        assert_eq!(columns.regular(), None);
        let mut columns = whole.clone();
        columns.push_float(50, 0.0);
        assert_eq!(columns.regular(), None);
        columns.clear();
        append(&mut columns, &[10, 11], Some(1));
        assert_eq!(columns.regular(), Some(Regular { start: 10, step: 1 }));
        assert_eq!(whole.regular(), Some(Regular { start: 10, step: 10 }));
    }
}
