//! When the open chunk of a series ends: Prometheus's rules as pure functions.
//!
//! A chunk aims at a number of samples (floats) or bytes (histograms). A quarter of the way there
//! its end is predicted so that the chunks of one chunk range come out even; it never crosses the
//! range, and hard limits stop a prediction that went wrong.

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

/// Where a chunk should end that has taken from `start` to `current` for `1 / ratio` of its way, if
/// the chunks up to `max` are to be equally long.
pub fn predicted_end(start: i64, current: i64, max: i64, ratio: f64) -> i64 {
    let left = max.wrapping_sub(start) as f64;
    let n = left / (current.wrapping_sub(start).wrapping_add(1) as f64 * ratio);
    if n <= 1.0 { max } else { (start as f64 + left / n.floor()) as i64 }
}

/// Whether a float sample at `t` must go to a new chunk. `next_at` is the series' planned end,
/// [`range_end`] when a chunk starts; it is refined here. After a cut the caller sets it anew.
pub fn float_cut(next_at: &mut i64, open: OpenChunk, t: i64, samples_per_chunk: usize) -> bool {
    if open.bytes > MAX_FLOAT_BYTES_BEFORE_APPEND {
        return true;
    }
    if open.samples == samples_per_chunk / 4 {
        *next_at = predicted_end(open.min_time, open.max_time, *next_at, 4.0);
    }
    t >= *next_at || open.samples >= samples_per_chunk * 2
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
}
