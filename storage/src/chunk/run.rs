//! Run: samples of equal time step and value, which decoders of floats write many at a time.

/// Samples written at once. Arrays that are filled have as much room behind their last sample.
pub(super) const BLOCK: usize = 4;

/// Writes `run` samples of equal step and value, in whole blocks: what lies behind the run is written
/// too, but needs no branch. Both slices have a block of room behind their last sample.
#[inline(always)]
pub(super) fn fill(ts: &mut [i64], vs: &mut [f64], run: usize, mut t: i64, delta: i64, value: u64) {
    let blocks = ts.chunks_exact_mut(BLOCK).zip(vs.chunks_exact_mut(BLOCK));
    for (to_t, to_v) in blocks.take(run.div_ceil(BLOCK)) {
        for (to_t, to_v) in to_t.iter_mut().zip(to_v) {
            t = t.wrapping_add(delta);
            *to_t = t;
            *to_v = f64::from_bits(value);
        }
    }
}
