//! XOR (encoding 1): floats, timestamps as deltas of deltas, values as the bits that changed.
//! Layout in `docs/format/chunk-encodings.md`.

use model::Columns;

use super::run::{self, Form, Position, RUN, Samples, Source, Stop};
use super::window::{self, FastWindow, ReadWindow, WriteWindow};
use super::{ChunkError, Encoding};
use crate::encoding::{BitReader, BitSink, BitWriter, DecBuf, short_uvarint, unzigzag};

/// Bytes of the sample count in front of the bits.
pub const HEADER_SIZE: usize = 2;
/// Most bits one sample after the second takes: 68 for the time, 77 for the value.
pub const MAX_SAMPLE_BITS: u32 = 68 + 77;

/// Everything needed to append to an open XOR chunk, without its bytes: fits 32 bytes, so that a
/// series can hold it inline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XorState {
    t: i64,
    delta: i64,
    value: u64,
    window: WriteWindow,
    samples: u16,
}

const _: () = assert!(size_of::<XorState>() <= 32);

impl Default for XorState {
    fn default() -> XorState {
        XorState { t: i64::MIN, delta: 0, value: 0, window: WriteWindow::EMPTY, samples: 0 }
    }
}

impl XorState {
    /// The state after the samples of `data` (count and bits), and the number of bits behind the
    /// count that they take: what is needed to go on writing where someone else stopped. The samples
    /// are left in `columns`, which are empty before.
    pub fn resume(data: &[u8], columns: &mut Columns) -> Result<(XorState, usize), ChunkError> {
        let mut end = Position::START;
        decode_run(data, columns, &mut end)?;
        let Some(&t) = columns.timestamps.last() else { return Ok((XorState::default(), 0)) };
        let state = XorState {
            t,
            delta: end.delta,
            value: end.value,
            window: end.window.to_writer(),
            samples: columns.len() as u16,
        };
        Ok((state, end.pos))
    }

    /// Samples appended so far; the two bytes in front of the bits.
    #[inline]
    pub fn samples(&self) -> u16 {
        self.samples
    }

    /// Time of the last sample, `i64::MIN` before the first.
    #[inline]
    pub fn last_t(&self) -> i64 {
        self.t
    }

    /// The last value; meaningless before the first sample.
    #[inline]
    pub fn last_value(&self) -> f64 {
        f64::from_bits(self.value)
    }

    /// Writes one sample to `sink`, which gets the bits behind the count; whoever keeps them writes
    /// [`samples`](Self::samples) in front. Full (65,535 samples), it writes nothing and says `false`.
    #[inline]
    pub fn append<S: BitSink>(&mut self, sink: &mut S, t: i64, v: f64) -> bool {
        let value = v.to_bits();
        if self.samples < 2 {
            return self.append_early(sink, t, value);
        }
        if self.samples == u16::MAX {
            return false;
        }
        let delta = t.wrapping_sub(self.t);
        let dod = delta.wrapping_sub(self.delta);
        let lead = if dod == 0 { (0, 1) } else { dod_bits(sink, dod) };
        window::write(sink, lead, self.value, value, &mut self.window);
        self.delta = delta;
        self.t = t;
        self.value = value;
        self.samples += 1;
        true
    }

    /// The first sample is stored whole, the second with its distance in time.
    fn append_early<S: BitSink>(&mut self, sink: &mut S, t: i64, value: u64) -> bool {
        if self.samples == 0 {
            sink.write_varint(t);
            sink.write_bits(value, 64);
        } else {
            self.delta = t.wrapping_sub(self.t);
            sink.write_uvarint(self.delta as u64);
            window::write(sink, (0, 0), self.value, value, &mut self.window);
        }
        self.t = t;
        self.value = value;
        self.samples += 1;
        true
    }
}

/// The bits of a delta of deltas that is not 0, to be written in front of the value. The widest
/// form does not fit there and is written at once.
#[inline]
fn dod_bits<S: BitSink>(sink: &mut S, dod: i64) -> (u64, u32) {
    let fits = |n: u32| (-(1i64 << (n - 1)) < dod) && dod <= 1 << (n - 1);
    let low = |n: u32| dod as u64 & ((1 << n) - 1);
    if fits(14) {
        (0b10 << 14 | low(14), 16)
    } else if fits(17) {
        (0b110 << 17 | low(17), 20)
    } else if fits(20) {
        (0b1110 << 20 | low(20), 24)
    } else {
        sink.write_bits(0b1111, 4);
        sink.write_bits(dod as u64, 64);
        (0, 0)
    }
}

/// An XOR chunk being written to a vector.
#[derive(Clone, Debug)]
pub struct XorEncoder {
    state: XorState,
    bits: BitWriter,
}

impl Default for XorEncoder {
    fn default() -> XorEncoder {
        XorEncoder::new()
    }
}

impl XorEncoder {
    /// An empty chunk.
    pub fn new() -> XorEncoder {
        let mut bytes = Vec::with_capacity(128);
        bytes.resize(HEADER_SIZE, 0);
        XorEncoder { state: XorState::default(), bits: BitWriter::new(bytes) }
    }

    /// Goes on with a chunk written before.
    pub fn resume(data: Vec<u8>) -> Result<XorEncoder, ChunkError> {
        let (state, bits) = XorState::resume(&data, &mut Columns::default())?;
        Ok(XorEncoder { state, bits: BitWriter::resume(data, HEADER_SIZE * 8 + bits) })
    }

    /// Appends a sample; times must ascend for readers to make sense of it.
    pub fn append(&mut self, t: i64, v: f64) -> Result<(), ChunkError> {
        if !self.state.append(&mut self.bits, t, v) {
            return Err(ChunkError::Full);
        }
        self.bits.bytes_mut()[..HEADER_SIZE].copy_from_slice(&self.state.samples.to_be_bytes());
        Ok(())
    }

    /// Samples so far.
    pub fn samples(&self) -> usize {
        usize::from(self.state.samples)
    }

    /// The chunk data so far: always a complete chunk.
    pub fn bytes(&self) -> &[u8] {
        self.bits.bytes()
    }

    /// The finished chunk data, encoding [`Encoding::Xor`].
    pub fn finish(self) -> Vec<u8> {
        self.bits.into_bytes()
    }

    /// The byte that names this encoding.
    pub const ENCODING: u8 = Encoding::Xor as u8;
}

/// Appends all samples of `data` to `out`; on an error none. The distance in time of two samples,
/// if it is the same for all.
pub(super) fn decode(data: &[u8], out: &mut Columns) -> Result<Option<i64>, ChunkError> {
    let mut at = Position::START;
    decode_run(data, out, &mut at)?;
    Ok(at.regular.then_some(at.delta))
}

/// Decodes all samples. `at` is then where decoding stopped, in bits behind the count.
#[inline]
fn decode_run(data: &[u8], out: &mut Columns, at: &mut Position) -> Result<(), ChunkError> {
    let (count, bits) = data.split_first_chunk::<HEADER_SIZE>().ok_or(ChunkError::Truncated)?;
    let count = usize::from(u16::from_be_bytes(*count));
    // A sample takes two bits at least: what cannot be there is not allocated either.
    if count > bits.len() * 4 {
        return Err(ChunkError::Truncated);
    }
    run::decode::<Xor>(bits, count, out, at)
}

/// Time, value and time step of the first two samples (of at least two), and the bytes they take,
/// where none of their numbers is unusually long.
#[inline(always)]
fn usual_start(bits: &[u8]) -> Option<(i64, u64, i64, usize)> {
    let (t, n) = short_uvarint(bits)?;
    let rest = bits.get(n..)?;
    let (value, rest) = rest.split_first_chunk::<8>()?;
    let (delta, m) = short_uvarint(rest)?;
    Some((unzigzag(t), u64::from_be_bytes(*value), delta as i64, n + 8 + m))
}

/// The same, of any numbers, and of the first sample when there is one.
#[cold]
#[inline(never)]
fn any_start(bits: &[u8], count: usize) -> Result<(i64, u64, i64, usize), ChunkError> {
    if count == 0 {
        return Ok((0, 0, 0, 0));
    }
    let mut head = DecBuf::new(bits);
    let t = head.varint()?;
    let value = head.be64()?;
    let delta = if count > 1 { head.uvarint()? as i64 } else { 0 };
    Ok((t, value, delta, bits.len() - head.len()))
}

/// The encoding's own.
struct Xor;

impl Form for Xor {
    const SAME: u64 = 0b010;
    const OPENS: u64 = 0b011;
    const UNCHANGED: u32 = 2;
    const STALE: Option<u64> = None;

    #[inline(always)]
    fn first(bits: &[u8], count: usize, at: &mut Position) -> Result<[u64; 2], ChunkError> {
        let usual = if count > 1 { usual_start(bits) } else { None };
        let (t, first, delta, bytes) = match usual {
            Some(usual) => usual,
            None => any_start(bits, count)?,
        };
        (at.t, at.delta, at.value, at.pos) = (t, delta, first, bytes * 8);
        if count > 1 {
            let word = BitReader::at(bits, at.pos).peek();
            let opened = if word >> 62 == 0b11 { window::opened_behind(word, 2, 0) } else { None };
            if word >> 63 == 0 {
                at.pos += 1;
            } else if let Some((window, xor)) = opened {
                at.value ^= xor;
                at.window = window;
                at.pos += (2 + window::WINDOW_BITS + window.width) as usize;
            } else {
                let mut r = BitReader::at(bits, at.pos);
                window::read(&mut r, &mut at.value, &mut at.window)?;
                at.pos = r.position();
            }
        }
        Ok([first, at.value])
    }

    /// The 14-bit delta of deltas that jittered scrapes are full of has its own predicted branch with
    /// a constant length: a computed one makes a serial chain.
    #[inline(always)]
    fn any<S: Source>(
        source: S,
        at: &mut Position,
        to: &mut Samples<'_>,
    ) -> Result<Stop, ChunkError> {
        let mut out = to.take();
        let count = out.count();
        let Position { mut t, mut delta, mut value, mut window, mut pos, .. } = *at;
        let mut fast = fast_behind_dod(window);
        let stop = 'all: loop {
            if out.len() >= count {
                break 'all Stop::Done;
            }
            // The bits of a sample with another delta of deltas.
            let word = loop {
                let Some(word) = source.word(pos) else { break 'all Stop::End };
                if word as i64 >= TEN_BELOW {
                    break word;
                }
                delta = delta.wrapping_add(signed(word << 2 >> (64 - DOD_WIDTH), DOD_WIDTH));
                t = t.wrapping_add(delta);
                let form = word << DOD_BITS;
                if (form as i64) < fast.below {
                    value ^= fast.window.xor(form);
                    pos += DOD_BITS + fast.window.advance;
                } else if form >> 63 == 0 {
                    pos += DOD_BITS + 1;
                } else {
                    (value, pos) = changed(source, pos + DOD_BITS, form, value, &mut window)?;
                    fast = fast_behind_dod(window);
                }
                out.push(t, value);
                if out.len() >= count {
                    break 'all Stop::Done;
                }
            };
            std::hint::cold_path();
            let form = if word >> 63 == 0 {
                if word >> (64 - LONG_RUN) == 0 {
                    let run = (word.leading_zeros() as usize / 2).min(RUN).min(count - out.len());
                    (out, t) = out.with_steps(run, t, delta, value);
                    pos += 2 * run;
                    continue;
                }
                pos += 1;
                word << 1
            } else {
                let (dod, bits) = wide_dod(source, pos);
                delta = delta.wrapping_add(dod);
                pos += bits;
                source.peek(pos)
            };
            t = t.wrapping_add(delta);
            if form >> 63 == 0 {
                pos += 1;
            } else if (form as i64) < fast.below {
                value ^= fast.window.xor(form);
                pos += fast.window.advance;
            } else {
                (value, pos) = changed(source, pos, form, value, &mut window)?;
                fast = fast_behind_dod(window);
            }
            out.push(t, value);
        };
        *to = out;
        (at.t, at.delta, at.value, at.window, at.pos) = (t, delta, value, window, pos);
        Ok(stop)
    }
}

/// The value after `value`, its two bits of control at `pos` and at the top of `form`, of which
/// [`DOD_BITS`] may be gone; and the position behind it.
#[inline(always)]
fn changed<S: Source>(
    source: S,
    pos: usize,
    form: u64,
    value: u64,
    window: &mut ReadWindow,
) -> Result<(u64, usize), ChunkError> {
    let opened =
        if form >> 62 == 0b11 { window::opened_behind(form, 2, DOD_BITS as u32) } else { None };
    if let Some((opened, xor)) = opened {
        *window = opened;
        return Ok((value ^ xor, pos + (2 + window::WINDOW_BITS + opened.width) as usize));
    }
    // As if there were a bit for the time in front.
    let (xor, pos, read) = run::read_rare(source, pos - 1, form >> 62 == 0b11, *window)?;
    *window = read;
    Ok((value ^ xor, pos))
}

/// A window for values behind a delta of deltas of 14 bits.
#[derive(Clone, Copy)]
struct BehindDod {
    window: FastWindow,
    /// Bits of which a value in the window is at the top are less than that, as numbers with a sign;
    /// none are where the value may not lie in the word.
    below: i64,
}

#[inline(always)]
fn fast_behind_dod(window: ReadWindow) -> BehindDod {
    let window = FastWindow::new(window, 2, DOD_BITS as u32, 0b10);
    BehindDod { window, below: if window.control == 0b10 { TEN_BELOW } else { i64::MIN } }
}

/// What begins with the bits `10` is less, as a number with a sign: one comparison.
const TEN_BELOW: i64 = 0b11 << 62;
/// Bits of the usual delta of deltas, ...
const DOD_WIDTH: u32 = 14;
/// ... and with its prefix.
const DOD_BITS: usize = DOD_WIDTH as usize + 2;
/// Zero bits that show a run worth a call among samples at different distances.
const LONG_RUN: u32 = 16;

/// A delta of deltas of 17, 20 or 64 bits with its prefix at `pos`, and the bits of both.
#[cold]
fn wide_dod<S: Source>(source: S, pos: usize) -> (i64, usize) {
    let (prefix, width) = match source.peek(pos) >> 60 {
        0b1111 => (4, 64),
        0b1110 => (4, 20),
        _ => (3, 17),
    };
    let bits = source.take(pos + prefix, width);
    (if width == 64 { bits as i64 } else { signed(bits, width) }, prefix + width as usize)
}

/// `n` bits as a number from -(2^(n-1)-1) to 2^(n-1), without a branch: jitter has either sign.
#[inline(always)]
fn signed(bits: u64, n: u32) -> i64 {
    ((bits.wrapping_sub(1) << (64 - n)) as i64 >> (64 - n)) + 1
}
