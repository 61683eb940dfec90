//! XOR2 (encoding 4): floats, one prefix for time step and value together, a staleness marker in a
//! few bits that does not disturb the value it follows, optional start timestamps.
//! Layout in `docs/format/chunk-encodings.md`.

use model::Columns;
use model::value::STALE_NAN_BITS;

use super::run::{BLOCK, fill};
use super::start_time::{StartReader, StartWriter};
use super::window::{ReadWindow, WriteWindow, put};
use super::{ChunkError, Encoding};
use crate::encoding::{BitReader, BitSink, BitWriter};

/// Bytes in front of the bits: sample count, start time header.
pub const HEADER_SIZE: usize = 3;

/// An XOR2 chunk being written to a vector.
#[derive(Clone, Debug)]
pub struct Xor2Encoder {
    t: i64,
    delta: i64,
    /// The last value that was not a staleness marker.
    value: u64,
    window: WriteWindow,
    samples: u16,
    start: StartWriter,
    bits: BitWriter,
}

impl Default for Xor2Encoder {
    fn default() -> Xor2Encoder {
        Xor2Encoder::new()
    }
}

impl Xor2Encoder {
    /// The byte that names this encoding.
    pub const ENCODING: u8 = Encoding::Xor2 as u8;

    /// An empty chunk.
    pub fn new() -> Xor2Encoder {
        let mut bytes = Vec::with_capacity(128);
        bytes.resize(HEADER_SIZE, 0);
        Xor2Encoder {
            t: i64::MIN,
            delta: 0,
            value: 0,
            window: WriteWindow::EMPTY,
            samples: 0,
            start: StartWriter::default(),
            bits: BitWriter::new(bytes),
        }
    }

    /// Goes on with a chunk written before.
    pub fn resume(data: Vec<u8>) -> Result<Xor2Encoder, ChunkError> {
        let mut columns = Columns::default();
        let end = decode_run(&data, &mut columns)?;
        let Some(&t) = columns.timestamps.last() else { return Ok(Xor2Encoder::new()) };
        Ok(Xor2Encoder {
            t,
            delta: end.delta,
            value: end.value,
            window: end.window.to_writer(),
            samples: columns.len() as u16,
            start: end.start.to_writer(),
            bits: BitWriter::resume(data, HEADER_SIZE * 8 + end.bits),
        })
    }

    /// Appends a sample; `start_t` 0 = unknown. Times must ascend for readers to make sense of it.
    pub fn append(&mut self, start_t: i64, t: i64, v: f64) -> Result<(), ChunkError> {
        let value = v.to_bits();
        let delta = t.wrapping_sub(self.t);
        match self.samples {
            u16::MAX => return Err(ChunkError::Full),
            0 => {
                self.bits.write_varint(t);
                self.bits.write_bits(value, 64);
            }
            1 => {
                self.bits.write_uvarint(delta as u64);
                self.write_value((0, 0), value);
            }
            _ => self.write_joint(delta.wrapping_sub(self.delta), value),
        }
        let index = u32::from(self.samples);
        let header = self.start.write(&mut self.bits, index, self.t, t, start_t);
        self.delta = if self.samples == 0 { 0 } else { delta };
        self.t = t;
        if value != STALE_NAN_BITS {
            self.value = value;
        }
        self.samples += 1;
        let count = self.samples.to_be_bytes();
        self.bits.bytes_mut()[..HEADER_SIZE].copy_from_slice(&[count[0], count[1], header]);
        Ok(())
    }

    /// Time step and value of a sample after the second.
    fn write_joint(&mut self, dod: i64, value: u64) {
        if dod != 0 {
            let lead = self.dod_bits(dod);
            return self.write_value(lead, value);
        }
        let xor = value ^ self.value;
        if value == STALE_NAN_BITS {
            self.bits.write_bits(0b11111, 5);
        } else if xor == 0 {
            self.bits.write_bits(0, 1);
        } else if let Some((bits, width)) = self.window.fit(xor) {
            put(&mut self.bits, 0b100, 3, bits, width);
        } else {
            let (head, bits, width) = self.window.open(xor);
            put(&mut self.bits, 0b101 << 11 | head, 14, bits, width);
        }
    }

    /// The bits of a delta of deltas that is not 0, to be written in front of the value; the widest
    /// form is written at once.
    fn dod_bits(&mut self, dod: i64) -> (u64, u32) {
        let fits = |n: u32| (-(1i64 << (n - 1))..1i64 << (n - 1)).contains(&dod);
        if fits(13) {
            (0b110 << 13 | dod as u64 & 0x1fff, 16)
        } else if fits(20) {
            (0b1110 << 20 | dod as u64 & 0xf_ffff, 24)
        } else {
            self.bits.write_bits(0b11110, 5);
            self.bits.write_bits(dod as u64, 64);
            (0, 0)
        }
    }

    /// `lead`, then the value: `0` the same, `10` in the old window, `110` a new window, `111` stale.
    fn write_value(&mut self, (lead, lead_len): (u64, u32), value: u64) {
        let xor = value ^ self.value;
        if value == STALE_NAN_BITS {
            self.bits.write_bits(lead << 3 | 0b111, lead_len + 3);
        } else if xor == 0 {
            self.bits.write_bits(lead << 1, lead_len + 1);
        } else if let Some((bits, width)) = self.window.fit(xor) {
            put(&mut self.bits, lead << 2 | 0b10, lead_len + 2, bits, width);
        } else {
            let (head, bits, width) = self.window.open(xor);
            put(&mut self.bits, lead << 14 | 0b110 << 11 | head, lead_len + 14, bits, width);
        }
    }

    /// Samples so far.
    pub fn samples(&self) -> usize {
        usize::from(self.samples)
    }

    /// The chunk data so far: always a complete chunk.
    pub fn bytes(&self) -> &[u8] {
        self.bits.bytes()
    }

    /// The finished chunk data, encoding [`Encoding::Xor2`].
    pub fn finish(self) -> Vec<u8> {
        self.bits.into_bytes()
    }
}

/// Where decoding stopped.
struct End {
    delta: i64,
    /// Whether `delta` lies between any two samples.
    regular: bool,
    value: u64,
    window: ReadWindow,
    start: StartReader,
    /// Bits read behind the header.
    bits: usize,
}

/// Appends all samples of `data` to `out`; on an error some of them. The distance in time of two
/// samples, if it is the same for all.
pub(super) fn decode(data: &[u8], out: &mut Columns) -> Result<Option<i64>, ChunkError> {
    decode_run(data, out).map(|end| end.regular.then_some(end.delta))
}

fn decode_run(data: &[u8], out: &mut Columns) -> Result<End, ChunkError> {
    let (header, bits) = data.split_first_chunk::<HEADER_SIZE>().ok_or(ChunkError::Truncated)?;
    let count = usize::from(u16::from_be_bytes([header[0], header[1]]));
    let mut r = BitReader::new(bits);
    let start = StartReader::new(header[2]);
    let mut end =
        End { delta: 0, regular: true, value: 0, window: ReadWindow::FULL, start, bits: 0 };
    // A sample takes a bit at least: what cannot be there is not allocated either.
    if count > bits.len() * 8 {
        return Err(ChunkError::Truncated);
    }
    let first = out.timestamps.len();
    out.timestamps.resize(first + count + BLOCK, 0);
    out.floats.resize(first + count + BLOCK, 0.0);
    let ts = &mut out.timestamps[first..];
    let vs = &mut out.floats[first..];
    if start.any() && count > 0 {
        out.start_timestamps.resize(first + count, 0);
        let starts = &mut out.start_timestamps[first..];
        let mut prev_t = 0;
        let (ts, vs) = (&mut ts[..count], &mut vs[..count]);
        decode_samples(&mut r, &mut end, ts, vs, |r, start, i, t| {
            starts[i] = start.read(r, i as u32, prev_t, t)?;
            prev_t = t;
            Ok(())
        })?;
    } else {
        let early = count.min(2);
        let (ts_early, ts) = ts.split_at_mut(early);
        let (vs_early, vs) = vs.split_at_mut(early);
        decode_samples(&mut r, &mut end, ts_early, vs_early, |_, _, _, _| Ok(()))?;
        if let Some(&t) = ts_early.last() {
            decode_rest(&mut r, &mut end, t, ts, vs)?;
        }
    }
    out.timestamps.truncate(first + count);
    out.floats.truncate(first + count);
    r.check()?;
    end.bits = r.position();
    Ok(end)
}

/// The samples after the second of a chunk without start times, as in
/// [`xor`](super::xor): one branch per form, the frequent ones inline.
#[inline]
fn decode_rest(
    r: &mut BitReader<'_>,
    end: &mut End,
    mut t: i64,
    ts: &mut [i64],
    vs: &mut [f64],
) -> Result<(), ChunkError> {
    let count = ts.len().min(vs.len()).saturating_sub(BLOCK);
    let End { mut delta, mut value, mut window, .. } = *end;
    let mut i = 0;
    while i < count {
        let mut word = r.peek();
        if word >> 63 == 0 {
            // Time step and value as before, a bit each. 57 bits are certain.
            let run = (word.leading_zeros() as usize).min(57).min(count - i);
            fill(&mut ts[i..], &mut vs[i..], run, t, delta, value);
            t = t.wrapping_add(delta.wrapping_mul(run as i64));
            r.skip(run as u32);
            i += run;
            continue;
        }
        let mut used;
        if word >> 62 == 0b10 {
            // The step as before, another value.
            used = 3;
            if word >> 61 == 0b101 {
                window = ReadWindow::opened_by(word << 3)?;
                used = 14;
            }
            word <<= used;
        } else {
            let mut control = word << 16;
            used = 16;
            end.regular &= word >> 59 == 0b11111;
            if word >> 61 == 0b110 {
                delta = delta.wrapping_add((word << 3) as i64 >> 51);
            } else {
                if word >> 59 == 0b11111 {
                    r.skip(5);
                    t = t.wrapping_add(delta);
                    (ts[i], vs[i]) = (t, f64::from_bits(STALE_NAN_BITS));
                    i += 1;
                    continue;
                }
                delta = delta.wrapping_add(wide_dod(r));
                control = r.peek();
                used = 0;
            }
            if control >> 62 != 0b10 {
                let stored = if control >> 63 == 0 {
                    r.skip(used + 1);
                    value
                } else if control >> 61 == 0b111 {
                    r.skip(used + 3);
                    STALE_NAN_BITS
                } else {
                    window = ReadWindow::opened_by(control << 3)?;
                    r.skip(used + 14);
                    value ^= r.take(window.width) << window.trailing;
                    value
                };
                t = t.wrapping_add(delta);
                (ts[i], vs[i]) = (t, f64::from_bits(stored));
                i += 1;
                continue;
            }
            used += 2;
            word = control << 2;
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
        (ts[i], vs[i]) = (t, f64::from_bits(value));
        i += 1;
    }
    (end.delta, end.value, end.window) = (delta, value, window);
    Ok(())
}

/// A delta of deltas of 20 or 64 bits, prefix included.
#[cold]
fn wide_dod(r: &mut BitReader<'_>) -> i64 {
    let word = r.peek();
    if word >> 60 == 0b1110 {
        r.skip(24);
        return (word << 4) as i64 >> 44;
    }
    r.skip(5);
    r.take(64) as i64
}

/// Fills `ts` and `vs`; `after` reads what follows each sample.
#[inline(always)]
fn decode_samples(
    r: &mut BitReader<'_>,
    end: &mut End,
    ts: &mut [i64],
    vs: &mut [f64],
    mut after: impl FnMut(&mut BitReader<'_>, &mut StartReader, usize, i64) -> Result<(), ChunkError>,
) -> Result<(), ChunkError> {
    let mut t = 0i64;
    for (i, (to_t, to_v)) in ts.iter_mut().zip(vs.iter_mut()).enumerate() {
        let value = match i {
            0 => {
                t = r.varint()?;
                let value = r.read(64)?;
                if value != STALE_NAN_BITS {
                    end.value = value;
                }
                value
            }
            1 => {
                end.delta = r.uvarint()? as i64;
                read_value(r, end)?
            }
            _ => read_joint(r, end)?,
        };
        t = t.wrapping_add(end.delta);
        (*to_t, *to_v) = (t, f64::from_bits(value));
        after(r, &mut end.start, i, t)?;
    }
    Ok(())
}

/// Time step (into `end.delta`) and value of a sample after the second.
#[inline(always)]
fn read_joint(r: &mut BitReader<'_>, end: &mut End) -> Result<u64, ChunkError> {
    let word = r.peek();
    if word >> 63 == 0 {
        r.skip(1);
        return Ok(end.value);
    }
    if word >> 62 == 0b10 {
        if word >> 61 == 0b100 {
            r.skip(3);
        } else {
            end.window = ReadWindow::opened_by(word << 3)?;
            r.skip(14);
        }
        end.value ^= r.take(end.window.width) << end.window.trailing;
        return Ok(end.value);
    }
    if word >> 61 == 0b110 {
        end.delta = end.delta.wrapping_add((word << 3) as i64 >> 51);
        r.skip(16);
    } else if word >> 60 == 0b1110 {
        end.delta = end.delta.wrapping_add((word << 4) as i64 >> 44);
        r.skip(24);
    } else {
        r.skip(5);
        if word >> 59 == 0b11111 {
            return Ok(STALE_NAN_BITS);
        }
        end.delta = end.delta.wrapping_add(r.take(64) as i64);
    }
    end.regular = false;
    read_value(r, end)
}

/// The value behind a time step that changed.
#[inline(always)]
fn read_value(r: &mut BitReader<'_>, end: &mut End) -> Result<u64, ChunkError> {
    let word = r.peek();
    match word >> 61 {
        0b000..=0b011 => {
            r.skip(1);
            return Ok(end.value);
        }
        0b100 | 0b101 => r.skip(2),
        0b110 => {
            end.window = ReadWindow::opened_by(word << 3)?;
            r.skip(14);
        }
        _ => {
            r.skip(3);
            return Ok(STALE_NAN_BITS);
        }
    }
    end.value ^= r.take(end.window.width) << end.window.trailing;
    Ok(end.value)
}
