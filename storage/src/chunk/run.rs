//! Run: what the loops over the samples of float chunks share. As long as samples lie equally far
//! apart only their values are decoded, and the times written at once; values that repeat are
//! written many at a time; and the last bytes of a chunk are read from a register with zeros behind
//! them, so that the loops care for its end with one comparison.
#![allow(
    unsafe_code,
    reason = "measured on a block of 10,000 series: writing into reserved memory instead of zeros \
              takes 0.2 of 2.4 ns off a sample, shifts and counts of newer processors 0.3; words are \
              read behind the one comparison that looks for the end of a chunk"
)]

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use model::Columns;
use model::value::STALE_NAN_BITS;

use super::ChunkError;
use super::window::{self, CONTROL_BITS, FastWindow, ReadWindow, WINDOW_BITS};
use crate::encoding::{BitReader, PEEK_BITS};

/// Unchanged samples taken at once at most: as many as every peek can show, of two bits each.
pub(super) const RUN: usize = 28;
/// Values of a run that are written whether they belong to it or not: short runs, which are the
/// frequent ones, then cost no branch that depends on their length.
const SHORT: usize = 16;
/// Room behind the last sample, for what is written too much.
const ROOM: usize = RUN;
/// Times written at once.
const LANES: usize = 16;
const _: () = assert!(RUN <= ROOM && LANES <= ROOM);
/// Width of a new window at most, so that a word shows it and the next sample in it.
const NEAR: u32 = (PEEK_BITS - WINDOW_BITS) / 2 - CONTROL_BITS;

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
pub(super) struct Front<'a> {
    bytes: &'a [u8],
    /// Positions below have eight bytes.
    end: usize,
}

impl<'a> Front<'a> {
    #[inline(always)]
    fn new(bytes: &'a [u8]) -> Front<'a> {
        Front { bytes, end: bytes.len().saturating_sub(7) * 8 }
    }
}

impl Source for Front<'_> {
    #[inline(always)]
    fn word(self, pos: usize) -> Option<u64> {
        if pos >= self.end {
            std::hint::cold_path();
            return None;
        }
        // SAFETY: pos < 8 * (len - 7), so pos / 8 + 8 <= len.
        let word = unsafe { self.bytes.as_ptr().add(pos >> 3).cast::<u64>().read_unaligned() };
        Some(u64::from_be(word) << (pos & 7))
    }

    #[inline(always)]
    fn peek(self, pos: usize) -> u64 {
        self.word(pos).unwrap_or_else(|| BitReader::at(self.bytes, pos).peek())
    }

    #[inline(always)]
    fn take(self, pos: usize, n: u32) -> u64 {
        BitReader::at(self.bytes, pos).take(n)
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

/// Samples being written behind those of a column. The first `len` values are written, the times as
/// far as they are told.
pub(super) struct Samples<'a> {
    /// `count` places of each and [`ROOM`] behind, or none; pointers, so that one comparison guards
    /// both.
    times: *mut i64,
    values: *mut f64,
    /// Samples there will be.
    count: usize,
    len: usize,
    room: PhantomData<&'a mut [MaybeUninit<f64>]>,
}

impl<'a> Samples<'a> {
    #[inline(always)]
    fn new(
        times: &'a mut [MaybeUninit<i64>],
        values: &'a mut [MaybeUninit<f64>],
        len: usize,
    ) -> Self {
        Samples {
            count: times.len().min(values.len()).saturating_sub(ROOM),
            times: times.as_mut_ptr().cast(),
            values: values.as_mut_ptr().cast(),
            len,
            room: PhantomData,
        }
    }

    /// All of it, for a loop to hold in registers and to give back.
    #[inline(always)]
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Samples::new(&mut [], &mut [], 0))
    }

    /// Samples so far.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Samples there will be.
    #[inline(always)]
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Writes the next value; nothing behind the last.
    #[inline(always)]
    fn push_value(&mut self, bits: u64) {
        if self.len < self.count {
            // SAFETY: there are `count` places.
            unsafe { self.values.add(self.len).write(f64::from_bits(bits)) };
            self.len += 1;
        }
    }

    /// Writes the next sample; nothing behind the last.
    #[inline(always)]
    pub(super) fn push(&mut self, t: i64, bits: u64) {
        if self.len < self.count {
            // SAFETY: there are `count` places.
            unsafe { self.times.add(self.len).write(t) };
            self.push_value(bits);
        }
    }

    /// Writes the next `n` (at most [`RUN`]) values, all the same.
    #[inline(always)]
    fn repeat(&mut self, n: usize, bits: u64) {
        if self.len >= self.count {
            return;
        }
        let value = f64::from_bits(bits);
        // SAFETY: `len` is a place, there are ROOM behind the last, and no more are written.
        unsafe {
            let to = self.values.add(self.len);
            to.cast::<[f64; SHORT]>().write([value; SHORT]);
            if n > SHORT {
                to.add(SHORT).cast::<[f64; RUN - SHORT]>().write([value; RUN - SHORT]);
            }
        }
        self.len += n.min(RUN).min(self.count - self.len);
    }

    /// Writes the times of the first `n` samples, `step` apart, the first of them `t`; and some more.
    #[inline(always)]
    fn write_times(&mut self, t: i64, step: i64, n: usize) {
        let mut next: [i64; LANES] =
            std::array::from_fn(|i| t.wrapping_add(step.wrapping_mul(i as i64)));
        let mut at = 0;
        while at < n.min(self.count) {
            // SAFETY: `at` is a place, there are ROOM behind the last, and no more are written.
            unsafe { self.times.add(at).cast::<[i64; LANES]>().write(next) };
            next.iter_mut().for_each(|t| *t = t.wrapping_add(step.wrapping_mul(LANES as i64)));
            at += LANES;
        }
    }

    /// With `n` more samples, all of the same value, the first of them a step after `t`; and the time
    /// of the last. By value: what a loop lends out it could not hold in registers.
    #[cold]
    #[inline(never)]
    pub(super) fn with_steps(mut self, n: usize, t: i64, step: i64, bits: u64) -> (Self, i64) {
        let mut last = t;
        for _ in 0..n {
            last = last.wrapping_add(step);
            self.push(last, bits);
        }
        (self, last)
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
    /// Samples so far.
    len: usize,
}

impl Position {
    /// In front of the bits.
    pub(super) const START: Position = Position {
        t: 0,
        delta: 0,
        value: 0,
        window: ReadWindow::FULL,
        pos: 0,
        regular: true,
        len: 0,
    };
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

/// An encoding of floats.
pub(super) trait Form {
    /// The three bits in front of a value in the old window, the time step being as before.
    const SAME: u64;
    /// The three bits in front of a new window.
    const OPENS: u64;
    /// Bits of a sample in which nothing changed, all of them 0.
    const UNCHANGED: u32;
    /// Five bits that stand for a staleness marker, the time step being as before.
    const STALE: Option<u64>;

    /// Reads the first two samples, or as many as there are, behind which `at` is then. Their
    /// values.
    fn first(bits: &[u8], count: usize, at: &mut Position) -> Result<[u64; 2], ChunkError>;

    /// Decodes samples at any distance to the last of them, or to the end of the source.
    fn any<S: Source>(
        source: S,
        at: &mut Position,
        to: &mut Samples<'_>,
    ) -> Result<Stop, ChunkError>;
}

/// Appends the `count` samples of `bits` to `out`, or none. `at` is then where decoding stopped.
#[inline]
pub(super) fn decode<F: Form>(
    bits: &[u8],
    count: usize,
    out: &mut Columns,
    at: &mut Position,
) -> Result<(), ChunkError> {
    let places = count + ROOM;
    out.timestamps.reserve(places);
    out.floats.reserve(places);
    let times = out.timestamps.spare_capacity_mut().get_mut(..places).unwrap_or_default();
    let values = out.floats.spare_capacity_mut().get_mut(..places).unwrap_or_default();
    let newer = newer();
    let mut stop = if newer {
        // SAFETY: this processor has what the function was compiled for.
        unsafe { regular_newer::<F>(bits, at, times, values)? }
    } else {
        regular_parts::<F>(bits, at, times, values)?
    };
    if let Stop::Irregular = stop {
        at.regular = false;
        stop = if newer {
            // SAFETY: as above.
            unsafe { any_newer::<F>(bits, at, times, values)? }
        } else {
            any_parts::<F>(bits, at, times, values)?
        };
    }
    let done = matches!(stop, Stop::Done) && at.len >= count;
    if !done || at.pos > bits.len() * 8 {
        return Err(ChunkError::Truncated);
    }
    // SAFETY: `len` counts the values written, and a loop that is done wrote as many times.
    unsafe {
        out.timestamps.set_len(out.timestamps.len() + count);
        out.floats.set_len(out.floats.len() + count);
    }
    Ok(())
}

/// Whether this processor has what the functions of that name are compiled for.
#[inline(always)]
fn newer() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        use std::is_x86_feature_detected as has;
        has!("avx2") && has!("bmi1") && has!("bmi2") && has!("lzcnt") && has!("movbe")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,bmi1,bmi2,lzcnt,movbe"))]
unsafe fn regular_newer<F: Form>(
    bits: &[u8],
    at: &mut Position,
    times: &mut [MaybeUninit<i64>],
    values: &mut [MaybeUninit<f64>],
) -> Result<Stop, ChunkError> {
    regular_parts::<F>(bits, at, times, values)
}

/// A function of its own, so that its loop has the registers for itself.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,bmi1,bmi2,lzcnt,movbe"))]
#[inline(never)]
unsafe fn any_newer<F: Form>(
    bits: &[u8],
    at: &mut Position,
    times: &mut [MaybeUninit<i64>],
    values: &mut [MaybeUninit<f64>],
) -> Result<Stop, ChunkError> {
    any_parts::<F>(bits, at, times, values)
}

/// Decodes samples up to the first that lies at another distance, and writes their times.
#[inline(always)]
fn regular_parts<F: Form>(
    bits: &[u8],
    at: &mut Position,
    times: &mut [MaybeUninit<i64>],
    values: &mut [MaybeUninit<f64>],
) -> Result<Stop, ChunkError> {
    let to = &mut Samples::new(times, values, 0);
    let count = to.count();
    let first = F::first(bits, count, at)?;
    first.iter().take(count).for_each(|bits| to.push_value(*bits));
    let mut stop = regular::<F, _>(Front::new(bits), at, to)?;
    if let Stop::End = stop {
        let (tail, base) = tail(bits, at);
        stop = regular::<F, _>(tail, at, to)?;
        at.pos += base;
    }
    let (first, len) = (at.t, to.len);
    to.write_times(first, at.delta, len);
    at.len = len;
    if let Stop::Irregular = stop {
        at.t = first.wrapping_add(at.delta.wrapping_mul(len as i64 - 1));
    }
    Ok(stop)
}

/// Decodes the samples from the first on that lies at another distance.
#[inline(always)]
fn any_parts<F: Form>(
    bits: &[u8],
    at: &mut Position,
    times: &mut [MaybeUninit<i64>],
    values: &mut [MaybeUninit<f64>],
) -> Result<Stop, ChunkError> {
    let to = &mut Samples::new(times, values, at.len);
    let mut stop = F::any(Front::new(bits), at, to)?;
    if let Stop::End = stop {
        let (tail, base) = tail(bits, at);
        stop = F::any(tail, at, to)?;
        at.pos += base;
    }
    at.len = to.len;
    Ok(stop)
}

/// The bytes of `bits` from the position on, which are fewer than eight. The position is in them
/// then, and what it was moved by is returned as well.
#[inline(always)]
fn tail(bits: &[u8], at: &mut Position) -> (Tail, usize) {
    let base = at.pos & !7;
    at.pos -= base;
    (Tail(BitReader::at(bits, base).peek()), base)
}

/// Decodes the values of samples that lie equally far apart: one branch a form, which is predicted
/// well, and a run of unchanged samples taken at once.
#[inline(always)]
fn regular<F: Form, S: Source>(
    source: S,
    at: &mut Position,
    to: &mut Samples<'_>,
) -> Result<Stop, ChunkError> {
    let mut out = to.take();
    let count = out.count();
    let Position { mut value, mut window, mut pos, .. } = *at;
    let mut fast = FastWindow::new(window, CONTROL_BITS, 0, F::SAME);
    let stop = 'all: loop {
        // A loop in the loop: what lives in it gets the registers.
        let word = loop {
            if out.len >= count {
                break 'all Stop::Done;
            }
            let Some(word) = source.word(pos) else { break 'all Stop::End };
            if word >> 61 != fast.control {
                break word;
            }
            value ^= fast.xor(word);
            out.push_value(value);
            pos += fast.advance;
            // A word shows two samples of a narrow window, or three.
            let mut next = word;
            for widest in [PEEK_BITS / 2, PEEK_BITS / 3] {
                next <<= fast.advance & 63;
                if next >> 61 != F::SAME || fast.advance > widest as usize || out.len >= count {
                    break;
                }
                value ^= fast.xor(next);
                out.push_value(value);
                pos += fast.advance;
            }
        };
        if word >> 61 == F::OPENS {
            if let Some((opened, xor)) = window::opened_behind(word, CONTROL_BITS, 0) {
                window = opened;
                value ^= xor;
                pos += (CONTROL_BITS + WINDOW_BITS + window.width) as usize;
            } else {
                let xor;
                (xor, pos, window) = read_rare(source, pos, true, window)?;
                value ^= xor;
            }
            fast = FastWindow::new(window, CONTROL_BITS, 0, F::SAME);
            out.push_value(value);
            // The next one often is in sight: whether it is known is not waited for.
            let next = word << ((CONTROL_BITS + WINDOW_BITS + window.width) & 63);
            if next >> 61 == fast.control && window.width <= NEAR && out.len < count {
                value ^= fast.xor(next);
                out.push_value(value);
                pos += fast.advance;
            }
        } else if word >> (64 - F::UNCHANGED) == 0 {
            let most = RUN.min(count - out.len);
            let run = (word.leading_zeros() / F::UNCHANGED) as usize;
            if run >= RUN && most == RUN {
                // How far it goes is predicted then, not waited for.
                out.repeat(RUN, value);
                pos += RUN * F::UNCHANGED as usize;
            } else {
                let run = run.min(most);
                out.repeat(run, value);
                pos += run * F::UNCHANGED as usize;
            }
        } else if word >> 61 == F::SAME {
            let xor;
            (xor, pos, window) = read_rare(source, pos, false, window)?;
            value ^= xor;
            out.push_value(value);
        } else if F::STALE.is_some_and(|stale| word >> 59 == stale) {
            out.push_value(STALE_NAN_BITS);
            pos += 5;
        } else {
            break Stop::Irregular;
        }
    };
    *to = out;
    (at.value, at.window, at.pos) = (value, window, pos);
    Ok(stop)
}

/// The bits that changed in a value whose three bits of control are at `pos`, the position behind
/// it and its window: where a loop would lose its registers to what hardly ever is.
#[cold]
#[inline(never)]
pub(super) fn read_rare<S: Source>(
    source: S,
    pos: usize,
    opens: bool,
    window: ReadWindow,
) -> Result<(u64, usize, ReadWindow), ChunkError> {
    let (mut pos, mut window) = (pos, window);
    let word = source.peek(pos);
    let xor = window.read(source, &mut pos, word, opens)?;
    Ok((xor, pos, window))
}
