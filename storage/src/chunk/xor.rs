//! XOR (encoding 1): floats, timestamps as deltas of deltas, values as the bits that changed.
//! Layout in `docs/format/chunk-encodings.md`.

use model::Columns;

use super::run::{BLOCK, fill};
use super::window::{self, ReadWindow, WriteWindow};
use super::{ChunkError, Encoding};
use crate::encoding::{BitReader, BitSink, BitWriter};

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
        let (Some(&t), Some(v)) = (columns.timestamps.last(), columns.floats.last()) else {
            return Ok((XorState::default(), 0));
        };
        let state = XorState {
            t,
            delta: end.delta,
            value: v.to_bits(),
            window: end.window.to_writer(),
            samples: columns.len() as u16,
        };
        Ok((state, end.bits))
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

/// Where decoding stopped.
struct End {
    delta: i64,
    /// Whether `delta` lies between any two samples.
    regular: bool,
    window: ReadWindow,
    /// Bits read behind the count.
    bits: usize,
}

/// Appends all samples of `data` to `out`; on an error some of them. The distance in time of two
/// samples, if it is the same for all.
pub(super) fn decode(data: &[u8], out: &mut Columns) -> Result<Option<i64>, ChunkError> {
    decode_run(data, out).map(|end| end.regular.then_some(end.delta))
}

fn decode_run(data: &[u8], out: &mut Columns) -> Result<End, ChunkError> {
    let (count, bits) = data.split_first_chunk::<HEADER_SIZE>().ok_or(ChunkError::Truncated)?;
    let count = usize::from(u16::from_be_bytes(*count));
    let mut r = BitReader::new(bits);
    let mut end = End { delta: 0, regular: true, window: ReadWindow::FULL, bits: 0 };
    if count == 0 {
        return Ok(end);
    }
    // A sample takes two bits at least: what cannot be there is not allocated either.
    if count > bits.len() * 4 {
        return Err(ChunkError::Truncated);
    }
    let start = out.timestamps.len();
    out.timestamps.resize(start + count + BLOCK, 0);
    out.floats.resize(start + count + BLOCK, 0.0);
    let ts = &mut out.timestamps[start..];
    let vs = &mut out.floats[start..];

    let mut t = r.varint()?;
    let mut value = r.read(64)?;
    (ts[0], vs[0]) = (t, f64::from_bits(value));
    if count > 1 {
        end.delta = r.uvarint()? as i64;
        t = t.wrapping_add(end.delta);
        window::read(&mut r, &mut value, &mut end.window)?;
        (ts[1], vs[1]) = (t, f64::from_bits(value));
        decode_rest(&mut r, t, value, &mut end, &mut ts[2..], &mut vs[2..])?;
    }
    out.timestamps.truncate(start + count);
    out.floats.truncate(start + count);
    r.check()?;
    end.bits = r.position();
    Ok(end)
}

/// The samples after the second. One branch per form, the frequent ones inline: a run of unchanged
/// samples is taken at once, and the 14-bit delta of deltas that jittered scrapes are full of has
/// its own predicted branch with a constant length (a computed one makes a serial chain).
#[inline]
fn decode_rest(
    r: &mut BitReader<'_>,
    mut t: i64,
    mut value: u64,
    end: &mut End,
    ts: &mut [i64],
    vs: &mut [f64],
) -> Result<(), ChunkError> {
    let count = ts.len().min(vs.len()).saturating_sub(BLOCK);
    let mut delta = end.delta;
    let mut window = end.window;
    let mut i = 0;
    while i < count {
        let mut word = r.peek();
        if word >> 62 == 0 {
            // Pairs of zero bits: time step and value as before. 57 bits are certain.
            let run = (word.leading_zeros() as usize / 2).min(28).min(count - i);
            fill(&mut ts[i..], &mut vs[i..], run, t, delta, value);
            t = t.wrapping_add(delta.wrapping_mul(run as i64));
            r.skip(2 * run as u32);
            i += run;
            continue;
        }
        let mut used;
        if word >> 63 == 0 {
            // The step as before, another value.
            used = 3;
            if word >> 61 == 0b011 {
                window = ReadWindow::opened_by(word << 3)?;
                used = 14;
            }
            word <<= used;
        } else {
            let mut control = word << 16;
            used = 16;
            end.regular = false;
            if word >> 62 == 0b10 {
                delta = delta.wrapping_add(signed(word << 2 >> 50, 14));
            } else {
                delta = delta.wrapping_add(wide_dod(r));
                control = r.peek();
                used = 0;
            }
            if control >> 63 == 0 {
                t = t.wrapping_add(delta);
                r.skip(used + 1);
                ts[i] = t;
                vs[i] = f64::from_bits(value);
                i += 1;
                continue;
            }
            let mut more = 2;
            if control >> 62 == 0b11 {
                window = ReadWindow::opened_by(control << 2)?;
                more = 13;
            }
            used += more;
            word = control << more;
        }
        t = t.wrapping_add(delta);
        r.skip(used);
        let bits = if used + window.width <= 57 {
            r.skip(window.width);
            word >> (64 - window.width)
        } else {
            r.take(window.width)
        };
        value ^= bits << window.trailing;
        ts[i] = t;
        vs[i] = f64::from_bits(value);
        i += 1;
    }
    end.delta = delta;
    end.window = window;
    Ok(())
}

/// A delta of deltas of 17, 20 or 64 bits, prefix included.
#[cold]
fn wide_dod(r: &mut BitReader<'_>) -> i64 {
    match r.peek() >> 60 {
        0b1111 => {
            r.skip(4);
            r.take(64) as i64
        }
        0b1110 => {
            r.skip(4);
            signed(r.take(20), 20)
        }
        _ => {
            r.skip(3);
            signed(r.take(17), 17)
        }
    }
}

/// `n` bits as a number from -(2^(n-1)-1) to 2^(n-1), without a branch: jitter has either sign.
#[inline(always)]
fn signed(bits: u64, n: u32) -> i64 {
    ((bits.wrapping_sub(1) << (64 - n)) as i64 >> (64 - n)) + 1
}
