//! Run: what the loops over the samples of float chunks share. As long as samples lie equally far
//! apart only their values are decoded, and the times written at once; values that repeat are
//! written many at a time; and the last bytes of a chunk are read from a register with zeros behind
//! them, so that the loops care for its end with one comparison.
#![allow(
    unsafe_code,
    reason = "measured on a block of 10,000 series: writing into reserved memory instead of zeros \
              takes 0.2 of 2.4 ns off a sample, shifts and counts of newer processors 0.3"
)]

use std::mem::MaybeUninit;

use model::Columns;

use super::ChunkError;
use super::window::ReadWindow;
use crate::encoding::{BitReader, word_at};

/// Unchanged samples taken at once at most: as many as every peek can show, of two bits each.
pub(super) const RUN: usize = 28;
/// Values of a run that are written whether they belong to it or not: short runs, which are the
/// frequent ones, then cost no branch that depends on their length.
const SHORT: usize = 16;
/// Room behind the last sample, for what is written too much.
pub(super) const ROOM: usize = RUN;

/// Bits to read, by position.
pub(super) trait Source: Copy {
    /// At least 57 bits from `pos` on, left-aligned; `None` where the source ends.
    fn word(self, pos: usize) -> Option<u64>;

    /// The same, with zeros where there is nothing.
    fn peek(self, pos: usize) -> u64;

    /// `n` (1 to 64) bits, with zeros where there is nothing.
    fn take(self, pos: usize, n: u32) -> u64;
}

/// The bytes of a chunk, up to the last eight.
#[derive(Clone, Copy)]
struct Front<'a>(&'a [u8]);

impl Source for Front<'_> {
    #[inline(always)]
    fn word(self, pos: usize) -> Option<u64> {
        word_at(self.0, pos)
    }

    #[inline(always)]
    fn peek(self, pos: usize) -> u64 {
        BitReader::at(self.0, pos).peek()
    }

    #[inline(always)]
    fn take(self, pos: usize, n: u32) -> u64 {
        BitReader::at(self.0, pos).take(n)
    }
}

/// The fewer than eight bytes behind, and zeros.
#[derive(Clone, Copy)]
struct Tail(u64);

impl Source for Tail {
    #[inline(always)]
    fn word(self, pos: usize) -> Option<u64> {
        (pos < 64).then(|| self.0 << pos)
    }

    #[inline(always)]
    fn peek(self, pos: usize) -> u64 {
        self.word(pos).unwrap_or(0)
    }

    #[inline(always)]
    fn take(self, pos: usize, n: u32) -> u64 {
        self.peek(pos) >> (64 - n)
    }
}

/// Values being written behind those of a column. The first `len` places of `room` are written.
pub(super) struct Values<'a> {
    room: &'a mut [MaybeUninit<f64>],
    len: usize,
}

impl Values<'_> {
    /// Samples so far.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Samples there will be.
    #[inline(always)]
    pub(super) fn count(&self) -> usize {
        self.room.len().saturating_sub(ROOM)
    }

    /// Writes the next value; nothing where there is no room.
    #[inline(always)]
    pub(super) fn push(&mut self, bits: u64) {
        if let Some(to) = self.room.get_mut(self.len) {
            to.write(f64::from_bits(bits));
            self.len += 1;
        }
    }

    /// Writes the next `n` (at most [`RUN`]) values, all the same.
    #[inline(always)]
    pub(super) fn repeat(&mut self, n: usize, bits: u64) {
        let room = self.room.get_mut(self.len..).and_then(|room| room.first_chunk_mut::<RUN>());
        let Some((short, rest)) = room.and_then(|room| room.split_at_mut_checked(SHORT)) else {
            return;
        };
        let value = MaybeUninit::new(f64::from_bits(bits));
        short.fill(value);
        if n > SHORT {
            rest.fill(value);
        }
        self.len += n.min(RUN);
    }
}

/// Where decoding stands: behind a sample.
#[derive(Clone, Copy)]
pub(super) struct Position {
    /// Time of the last sample, of the first as long as they are regular.
    pub(super) t: i64,
    pub(super) delta: i64,
    pub(super) value: u64,
    pub(super) window: ReadWindow,
    /// In bits.
    pub(super) pos: usize,
    /// Whether `delta` lies between any two samples.
    pub(super) regular: bool,
}

impl Position {
    /// In front of the bits.
    pub(super) const START: Position =
        Position { t: 0, delta: 0, value: 0, window: ReadWindow::FULL, pos: 0, regular: true };
}

/// Why a loop over samples ended.
pub(super) enum Stop {
    /// All are there.
    Done,
    /// The source ends.
    End,
    /// The next time step differs.
    Irregular,
}

/// An encoding of floats: its samples after the second, in two loops that stop as [`Stop`] says.
pub(super) trait Form {
    /// Samples up to the first that lies at another distance: their values.
    fn regular<S: Source>(
        source: S,
        at: &mut Position,
        values: &mut Values<'_>,
    ) -> Result<Stop, ChunkError>;

    /// Samples at any distance. `times` has the places of all samples and [`ROOM`].
    fn any<S: Source>(
        source: S,
        at: &mut Position,
        times: &mut [i64],
        values: &mut Values<'_>,
    ) -> Result<Stop, ChunkError>;
}

/// Appends the `count` samples of `bits` to `out`, the first two of which (or as many as there are)
/// are read: `first`. Where decoding stopped.
#[inline]
pub(super) fn decode<F: Form>(
    bits: &[u8],
    count: usize,
    at: Position,
    first: [u64; 2],
    out: &mut Columns,
) -> Result<Position, ChunkError> {
    #[cfg(target_arch = "x86_64")]
    {
        use std::is_x86_feature_detected as has;
        if has!("avx2") && has!("bmi1") && has!("bmi2") && has!("lzcnt") && has!("movbe") {
            // SAFETY: this processor has what the function was compiled for.
            return unsafe { decode_newer::<F>(bits, count, at, first, out) };
        }
    }
    decode_parts::<F>(bits, count, at, first, out)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,movbe")]
fn decode_newer<F: Form>(
    bits: &[u8],
    count: usize,
    at: Position,
    first: [u64; 2],
    out: &mut Columns,
) -> Result<Position, ChunkError> {
    decode_parts::<F>(bits, count, at, first, out)
}

#[inline(always)]
fn decode_parts<F: Form>(
    bits: &[u8],
    count: usize,
    mut at: Position,
    first: [u64; 2],
    out: &mut Columns,
) -> Result<Position, ChunkError> {
    let start = out.timestamps.len();
    out.floats.reserve(count + ROOM);
    let room = out.floats.spare_capacity_mut().get_mut(..count + ROOM).unwrap_or_default();
    let mut values = Values { room, len: 0 };
    first.iter().take(count).for_each(|bits| values.push(*bits));

    let mut base = 0;
    let times = &mut out.timestamps;
    if let Stop::End = decode_part::<F, _>(Front(bits), &mut at, times, start, &mut values)? {
        base = at.pos & !7;
        at.pos -= base;
        let tail = Tail(BitReader::at(bits, base).peek());
        if let Stop::End = decode_part::<F, _>(tail, &mut at, times, start, &mut values)? {
            return Err(ChunkError::Truncated);
        }
    }
    at.pos += base;
    if at.pos > bits.len() * 8 {
        return Err(ChunkError::Truncated);
    }
    if at.regular {
        push_times(times, at.t, at.delta, count);
    }
    times.truncate(start + count);
    let written = values.len.min(count);
    // SAFETY: `Values` counts what was written behind the values that were there.
    unsafe { out.floats.set_len(out.floats.len() + written) };
    Ok(at)
}

/// The samples of one source.
#[inline(always)]
fn decode_part<F: Form, S: Source>(
    source: S,
    at: &mut Position,
    times: &mut Vec<i64>,
    start: usize,
    values: &mut Values<'_>,
) -> Result<Stop, ChunkError> {
    if at.regular {
        match F::regular(source, at, values)? {
            Stop::Irregular => {}
            stop => return Ok(stop),
        }
        push_times(times, at.t, at.delta, values.len);
        at.t = at.t.wrapping_add(at.delta.wrapping_mul(values.len as i64 - 1));
        at.regular = false;
        times.resize(start + values.room.len(), 0);
    }
    F::any(source, at, times.get_mut(start..).unwrap_or_default(), values)
}

/// Appends `n` times `step` apart, the first of them `t`.
#[inline(always)]
fn push_times(times: &mut Vec<i64>, t: i64, step: i64, n: usize) {
    let mut next = t;
    times.extend((0..n).map(|_| {
        let t = next;
        next = next.wrapping_add(step);
        t
    }));
}

/// Writes the first of `times` `step` apart, the first of them a step after `t`. The last one.
#[cold]
#[inline(never)]
pub(super) fn steps(times: &mut [i64], t: i64, step: i64) -> i64 {
    let mut last = t;
    for to in times {
        last = last.wrapping_add(step);
        *to = last;
    }
    last
}
