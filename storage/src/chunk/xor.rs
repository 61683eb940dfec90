//! XOR (encoding 1): floats, timestamps as deltas of deltas, values as the bits that changed.
//! Layout in `docs/format/chunk-encodings.md`.

use model::Columns;

use super::run::{self, Form, Position, RUN, Source, Stop, Values};
use super::window::{self, FastWindow, WriteWindow};
use super::{ChunkError, Encoding};
use crate::encoding::{BitReader, BitSink, BitWriter, DecBuf};

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
        let end = decode_run(data, columns)?;
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

/// The three bits in front of a value in the old window, the time step being as before.
const SAME_WINDOW: u64 = 0b010;
/// The three bits in front of a new window.
const NEW_WINDOW: u64 = 0b011;

/// Appends all samples of `data` to `out`; on an error some of them. The distance in time of two
/// samples, if it is the same for all.
pub(super) fn decode(data: &[u8], out: &mut Columns) -> Result<Option<i64>, ChunkError> {
    decode_run(data, out).map(|end| end.regular.then_some(end.delta))
}

/// Decodes all samples. Where decoding stopped, in bits behind the count.
fn decode_run(data: &[u8], out: &mut Columns) -> Result<Position, ChunkError> {
    let (count, bits) = data.split_first_chunk::<HEADER_SIZE>().ok_or(ChunkError::Truncated)?;
    let count = usize::from(u16::from_be_bytes(*count));
    // A sample takes two bits at least: what cannot be there is not allocated either.
    if count > bits.len() * 4 {
        return Err(ChunkError::Truncated);
    }
    let (at, first) = first_samples(bits, count)?;
    run::decode::<Xor>(bits, count, at, first, out)
}

/// The first two samples, or as many as there are, and their values.
#[inline(always)]
fn first_samples(bits: &[u8], count: usize) -> Result<(Position, [u64; 2]), ChunkError> {
    let mut at = Position::START;
    if count == 0 {
        return Ok((at, [0; 2]));
    }
    let mut head = DecBuf::new(bits);
    at.t = head.varint()?;
    at.value = head.be64()?;
    let first = at.value;
    if count > 1 {
        at.delta = head.uvarint()? as i64;
    }
    at.pos = (bits.len() - head.len()) * 8;
    if count > 1 {
        let mut r = BitReader::at(bits, at.pos);
        window::read(&mut r, &mut at.value, &mut at.window)?;
        at.pos = r.position();
    }
    Ok((at, [first, at.value]))
}

/// The loops of this encoding.
struct Xor;

impl Form for Xor {
    /// One branch a form, which is predicted well, and a run of unchanged samples taken at once.
    #[inline(always)]
    fn regular<S: Source>(
        source: S,
        at: &mut Position,
        values: &mut Values<'_>,
    ) -> Result<Stop, ChunkError> {
        let count = values.count();
        let Position { mut value, mut window, mut pos, .. } = *at;
        let mut fast = FastWindow::new(window, SAME_WINDOW);
        let stop = loop {
            if values.len() >= count {
                break Stop::Done;
            }
            let Some(word) = source.word(pos) else { break Stop::End };
            if word >> 61 == fast.control {
                value ^= fast.xor(word);
                values.push(value);
                // A word shows two samples of a narrow window.
                let next = word << fast.advance;
                let two = next >> 61 == SAME_WINDOW && fast.fits_behind(fast.advance);
                pos += fast.advance;
                if two && values.len() < count {
                    value ^= fast.xor(next);
                    values.push(value);
                    pos += fast.advance;
                }
            } else if word >> 62 == 0 {
                let run = (word.leading_zeros() as usize / 2).min(RUN).min(count - values.len());
                values.repeat(run, value);
                pos += 2 * run;
            } else if word >> 63 == 0 {
                value ^= window.read(source, &mut pos, word, word >> 61 == NEW_WINDOW)?;
                fast = FastWindow::new(window, SAME_WINDOW);
                values.push(value);
            } else {
                break Stop::Irregular;
            }
        };
        (at.value, at.window, at.pos) = (value, window, pos);
        Ok(stop)
    }

    /// The 14-bit delta of deltas that jittered scrapes are full of has its own predicted branch with
    /// a constant length: a computed one makes a serial chain.
    #[inline(always)]
    fn any<S: Source>(
        source: S,
        at: &mut Position,
        times: &mut [i64],
        values: &mut Values<'_>,
    ) -> Result<Stop, ChunkError> {
        let count = values.count().min(times.len());
        let Position { mut t, mut delta, mut value, mut window, mut pos, .. } = *at;
        let mut fast = FastWindow::new(window, SAME_WINDOW);
        // Whether a value in it can be read without another look.
        let mut near = fast.fits_behind(DOD_BITS);
        let stop = loop {
            let i = values.len();
            if i >= count {
                break Stop::Done;
            }
            let Some(word) = source.word(pos) else { break Stop::End };
            // The position of the bit in front of the value's control, and the bits from there.
            let (value_at, form) = if word >> 62 == 0b10 {
                delta = delta.wrapping_add(signed(word << 2 >> 50, 14));
                (pos + DOD_BITS, word << DOD_BITS)
            } else if word >> 63 == 0 {
                if word >> (64 - LONG_RUN) == 0 {
                    let run = (word.leading_zeros() as usize / 2).min(RUN).min(count - i);
                    t = run::steps(&mut times[i..i + run], t, delta);
                    values.repeat(run, value);
                    pos += 2 * run;
                    continue;
                }
                (pos, word)
            } else {
                let (dod, bits) = wide_dod(source, pos);
                delta = delta.wrapping_add(dod);
                pos += bits - 1;
                (pos, source.peek(pos))
            };
            pos = value_at;
            let control = form << 1 >> 62;
            if near && control == 0b10 {
                value ^= fast.xor(form);
                pos += fast.advance;
            } else if control < 0b10 {
                pos += 2;
            } else {
                let word = source.peek(pos);
                value ^= window.read(source, &mut pos, word, control == 0b11)?;
                fast = FastWindow::new(window, SAME_WINDOW);
                near = fast.fits_behind(DOD_BITS);
            }
            t = t.wrapping_add(delta);
            times[i] = t;
            values.push(value);
        };
        (at.t, at.delta, at.value, at.window, at.pos) = (t, delta, value, window, pos);
        Ok(stop)
    }
}

/// Bits of a delta of deltas of 14 bits, less the one before the value's control.
const DOD_BITS: usize = 15;
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
