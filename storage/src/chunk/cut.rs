//! When the open chunk of a series ends: Prometheus's rules as pure functions.
//!
//! A chunk aims at a number of samples (floats) or bytes (histograms). A quarter of the way there
//! its end is predicted so that the chunks of one chunk range come out even; it never crosses the
//! range, and hard limits stop a prediction that went wrong.
//!
//! In one thing float chunks go their own way: Prometheus's are full in all series at the same time,
//! so that the open ones of a head take twice their mean at times and are written in bursts. Here
//! every series ends its chunks at times of its own, and they are shorter; when a block is cut, short
//! ones are joined.

/// Samples a float chunk aims at.
pub const SAMPLES_PER_CHUNK: usize = 120;
/// A float chunk of more bytes than this takes no further sample: 1,024 less the largest sample.
pub const MAX_FLOAT_BYTES_BEFORE_APPEND: usize = 1024 - 19;
/// Bytes a histogram chunk aims at.
pub const HISTOGRAM_TARGET_BYTES: usize = 1024;
/// Samples a histogram chunk holds at least, unless its range ends.
pub const MIN_HISTOGRAM_SAMPLES: usize = 10;

/// The open chunk of a series.
#[derive(Clone, Copy, Debug)]
pub struct OpenChunk {
    /// First sample time.
    pub min_time: i64,
    /// Last sample time.
    pub max_time: i64,
    /// Samples so far.
    pub samples: usize,
    /// Bytes of chunk data so far, header included.
    pub bytes: usize,
}

/// The end of the chunk range (width > 0) that `t` lies in: the latest time a chunk started at `t`
/// must be followed by another.
pub fn range_end(t: i64, width: i64) -> i64 {
    (t / width).wrapping_mul(width).wrapping_add(width)
}

/// The shortest chunk at the begin of a chunk range, as a share of those in the middle. What is
/// shorter is part of the next one.
const SHORTEST_FIRST: f64 = 0.3;
/// The shortest one at its end.
const SHORTEST_LAST: f64 = 0.05;

/// The times at which the float chunks of a series end.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// Width of the chunk range.
    pub width: i64,
    /// Samples a chunk aims at.
    pub samples: usize,
    /// Where among other series this one stands: any number, best counted up.
    pub series: u64,
}

impl Ends {
    /// Where a chunk should end that has taken from `start` to `current` for a quarter of its way;
    /// `max` is the end of its range. A range has half as many more as [`predicted_end`] gives a whole
    /// one, at a distance from its start that tells series apart, the first and the last shorter or
    /// longer for it.
    fn spread(self, start: i64, current: i64, max: i64) -> i64 {
        let aim = current.wrapping_sub(start).wrapping_add(1) as f64 * 4.0;
        let width = self.width as f64;
        let count = (width * 1.5 / aim).round();
        if count < 2.0 {
            return max;
        }
        let length = width / (count - 1.0 + SHORTEST_FIRST + SHORTEST_LAST);
        // Multiples of the golden ratio are spread evenly, however many there are.
        let phase = self.series.wrapping_mul(0x9e37_79b9_7f4a_7c15) as f64 / 2f64.powi(64);
        // In chunks since the start of the range.
        let begun = (width - max.wrapping_sub(start) as f64) / length;
        let end = ((begun + SHORTEST_FIRST - phase).ceil() + phase) * length;
        if end > width - SHORTEST_LAST * length {
            return max;
        }
        max.wrapping_sub(self.width).wrapping_add(end as i64)
    }
}

/// Where a chunk should end that has taken from `start` to `current` for `1 / ratio` of its way, if
/// the chunks up to `max` are to be equally long.
pub fn predicted_end(start: i64, current: i64, max: i64, ratio: f64) -> i64 {
    let left = max.wrapping_sub(start) as f64;
    let n = left / (current.wrapping_sub(start).wrapping_add(1) as f64 * ratio);
    if n <= 1.0 { max } else { (start as f64 + left / n.floor()) as i64 }
}

/// Whether a float sample at `t` must go to a new chunk. `next_at` is the series' planned end,
/// [`range_end`] when a chunk starts; it is refined here. After a cut the caller sets it anew.
#[inline]
pub fn float_cut(next_at: &mut i64, open: OpenChunk, t: i64, ends: Ends) -> bool {
    if open.bytes > MAX_FLOAT_BYTES_BEFORE_APPEND {
        return true;
    }
    if open.samples == ends.samples / 4 {
        *next_at = predicted_float_end(*next_at, open, ends);
    }
    t >= *next_at || open.samples >= ends.samples * 2
}

/// Samples so large that the longest chunks would be cut for their bytes, and be more than they
/// need, make even chunks.
#[cold]
fn predicted_float_end(max: i64, open: OpenChunk, ends: Ends) -> i64 {
    if open.bytes * 6 > MAX_FLOAT_BYTES_BEFORE_APPEND {
        predicted_end(open.min_time, open.max_time, max, 4.0)
    } else {
        ends.spread(open.min_time, open.max_time, max)
    }
}

/// Whether a histogram sample at `t` must go to a new chunk, its layout aside. `predicted` tells
/// whether `next_at` has been refined for this chunk; both start anew after a cut.
pub fn histogram_cut(
    next_at: &mut i64,
    predicted: &mut bool,
    open: OpenChunk,
    t: i64,
    chunk_range: i64,
) -> bool {
    let range_end = if *predicted { range_end(open.min_time, chunk_range) } else { *next_at };
    if !*predicted && open.bytes >= HISTOGRAM_TARGET_BYTES / 4 {
        let ratio = HISTOGRAM_TARGET_BYTES as f64 / open.bytes as f64;
        *next_at = predicted_end(open.min_time, open.max_time, *next_at, ratio);
        *predicted = true;
    }
    let full = t >= *next_at || open.bytes >= HISTOGRAM_TARGET_BYTES * 2;
    full && (open.samples >= MIN_HISTOGRAM_SAMPLES || t >= range_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_ends_are_aligned_as_go_divides() {
        for (t, end) in [(0, 10), (9, 10), (10, 20), (-1, 10), (-10, 0), (-11, 0)] {
            assert_eq!(range_end(t, 10), end, "{t}");
        }
    }

    #[test]
    fn ends_are_predicted_evenly() {
        // 30 samples of 15 s in a two-hour range: 120 of them take half an hour.
        for (start, current, max, ratio, end) in [
            (0, 29 * 15_000, 7_200_000, 4.0, 1_800_000),
            (0, 0, 1000, 4.0, 4),
            (10, 100, 1000, 4.0, 505),
            (0, 250, 1000, 4.0, 1000),
        ] {
            assert_eq!(predicted_end(start, current, max, ratio), end);
        }
    }

    /// The chunks of `series` series over a whole range, by numbers of samples.
    fn chunks_of(series: u64, width: i64, interval: i64, offset: i64) -> Vec<usize> {
        let ends = Ends { width, samples: SAMPLES_PER_CHUNK, series };
        let mut lengths = Vec::new();
        let (mut min_time, mut samples, mut next_at) = (offset, 0, width);
        for t in (offset..width).step_by(interval as usize) {
            let open = OpenChunk { min_time, max_time: t - interval, samples, bytes: samples * 3 };
            if float_cut(&mut next_at, open, t, ends) {
                lengths.push(samples);
                (min_time, samples, next_at) = (t, 0, width);
            }
            samples += 1;
        }
        lengths.push(samples);
        lengths
    }

    #[test]
    fn series_end_their_chunks_at_different_times() {
        for (interval, most) in
            [(60_000, 2), (30_000, 3), (20_000, 5), (15_000, 6), (10_000, 9), (5000, 19)]
        {
            let mut ages = vec![0; (7_200_000 / interval) as usize];
            for series in 0..1000 {
                let lengths = chunks_of(series, 7_200_000, interval, series as i64 % interval);
                assert!(lengths.len() <= most, "{lengths:?} every {interval} ms");
                assert!(lengths.iter().all(|n| (4..=135).contains(n)), "{lengths:?}");
                let all = lengths.iter().flat_map(|n| 1..=*n);
                ages.iter_mut().zip(all).for_each(|(sum, n)| *sum += n);
            }
            // The mean open chunk never holds more samples than that; Prometheus's 120.
            let highest = ages.iter().max().unwrap() / 1000;
            assert!(highest <= 56, "{highest} every {interval} ms");
        }
    }

    #[test]
    fn no_time_is_too_strange_for_an_end() {
        for start in [i64::MIN, -1, 0, i64::MAX] {
            for (width, max) in [(1, i64::MAX), (i64::MAX, i64::MIN), (7_200_000, 0)] {
                let ends = Ends { width, samples: 120, series: u64::MAX };
                let bytes = start as usize & 0xff;
                let open = OpenChunk { min_time: start, max_time: !start, samples: 30, bytes };
                float_cut(&mut max.clone(), open, start, ends);
            }
        }
    }
}
