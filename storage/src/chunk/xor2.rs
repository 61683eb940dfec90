//! XOR2 (encoding 4): floats, one prefix for time step and value together, a staleness marker in a
//! few bits that does not disturb the value it follows, optional start timestamps.
//! Layout in `docs/format/chunk-encodings.md`.

use model::Columns;
use model::value::STALE_NAN_BITS;

use super::run::{self, Form, Position, RUN, Samples, Source, Stop};
use super::start_time::{StartReader, StartWriter};
use super::window::{CONTROL_BITS, FastWindow, ReadWindow, WriteWindow, put};
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
        let mut end = Position::START;
        let start = decode_run(&data, &mut columns, &mut end)?;
        let Some(&t) = columns.timestamps.last() else { return Ok(Xor2Encoder::new()) };
        Ok(Xor2Encoder {
            t,
            delta: end.delta,
            value: end.value,
            window: end.window.to_writer(),
            samples: columns.len() as u16,
            start: start.to_writer(),
            bits: BitWriter::resume(data, HEADER_SIZE * 8 + end.pos),
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

/// Three bits of a sample whose time step is as before: its value in the old window, ...
const SAME: u64 = 0b100;
/// ... or in a new one.
const OPENS: u64 = 0b101;
/// Five bits: a staleness marker, the time step as before.
const STALE: u64 = 0b11111;

/// Appends all samples of `data` to `out`; on an error some of them, if they have start times. The
/// distance in time of two samples, if it is the same for all.
pub(super) fn decode(data: &[u8], out: &mut Columns) -> Result<Option<i64>, ChunkError> {
    let mut at = Position::START;
    decode_run(data, out, &mut at)?;
    Ok(at.regular.then_some(at.delta))
}

/// Decodes all samples. `at` is then where decoding stopped, in bits behind the header.
fn decode_run(
    data: &[u8],
    out: &mut Columns,
    at: &mut Position,
) -> Result<StartReader, ChunkError> {
    let (header, bits) = data.split_first_chunk::<HEADER_SIZE>().ok_or(ChunkError::Truncated)?;
    let count = usize::from(u16::from_be_bytes([header[0], header[1]]));
    let mut start = StartReader::new(header[2]);
    // A sample takes a bit at least: what cannot be there is not allocated either.
    if count > bits.len() * 8 {
        return Err(ChunkError::Truncated);
    }
    if start.any() && count > 0 {
        *at = with_starts(bits, count, &mut start, out)?;
    } else {
        run::decode::<Xor2>(bits, count, out, at)?;
    }
    Ok(start)
}

/// Samples with start times, one after the other.
fn with_starts(
    bits: &[u8],
    count: usize,
    start: &mut StartReader,
    out: &mut Columns,
) -> Result<Position, ChunkError> {
    let first = out.timestamps.len();
    out.start_timestamps.resize(first, 0);
    out.timestamps.reserve(count);
    out.floats.reserve(count);
    out.start_timestamps.reserve(count);
    let mut at = Position::START;
    let mut r = BitReader::new(bits);
    let (mut t, mut prev_t) = (0i64, 0);
    for i in 0..count {
        let value = read_sample(&mut r, &mut at, i)?;
        t = if i == 0 { at.t } else { t.wrapping_add(at.delta) };
        out.timestamps.push(t);
        out.floats.push(f64::from_bits(value));
        out.start_timestamps.push(start.read(&mut r, i as u32, prev_t, t)?);
        prev_t = t;
    }
    r.check()?;
    at.pos = r.position();
    Ok(at)
}

/// Time (of the first) or time step, and the value of sample `i`, which is returned.
#[inline(always)]
fn read_sample(r: &mut BitReader<'_>, at: &mut Position, i: usize) -> Result<u64, ChunkError> {
    match i {
        0 => {
            at.t = r.varint()?;
            let value = r.read(64)?;
            if value != STALE_NAN_BITS {
                at.value = value;
            }
            Ok(value)
        }
        1 => {
            at.delta = r.uvarint()? as i64;
            read_value(r, at)
        }
        _ => read_joint(r, at),
    }
}

/// The window for values behind three bits of control.
#[inline(always)]
fn fast_window(window: ReadWindow) -> FastWindow {
    FastWindow::new(window, CONTROL_BITS, 0, SAME)
}

/// The encoding's own.
struct Xor2;

impl Form for Xor2 {
    const SAME: u64 = SAME;
    const OPENS: u64 = OPENS;
    const UNCHANGED: u32 = 1;
    const STALE: Option<u64> = Some(STALE);

    #[inline(always)]
    fn first(bits: &[u8], count: usize, at: &mut Position) -> Result<[u64; 2], ChunkError> {
        let mut values = [0; 2];
        let mut r = BitReader::new(bits);
        for (i, to) in values.iter_mut().enumerate().take(count) {
            *to = read_sample(&mut r, at, i)?;
        }
        at.pos = r.position();
        Ok(values)
    }

    #[inline(always)]
    fn any<S: Source>(
        source: S,
        at: &mut Position,
        to: &mut Samples<'_>,
    ) -> Result<Stop, ChunkError> {
        let mut out = to.take();
        let count = out.count();
        let Position { mut t, mut delta, mut value, mut window, mut pos, .. } = *at;
        let mut fast = fast_window(window);
        let stop = loop {
            let i = out.len();
            if i >= count {
                break Stop::Done;
            }
            let Some(word) = source.word(pos) else { break Stop::End };
            let mut stale = false;
            if word >> 63 == 0 {
                if word >> (64 - LONG_RUN) == 0 {
                    let run = (word.leading_zeros() as usize).min(RUN).min(count - i);
                    (out, t) = out.with_steps(run, t, delta, value);
                    pos += run;
                    continue;
                }
                pos += 1;
            } else if word >> 61 == fast.control {
                value ^= fast.xor(word);
                pos += fast.advance;
            } else if word >> 62 == 0b10 {
                value ^= window.read(source, &mut pos, word, word >> 61 == OPENS)?;
                fast = fast_window(window);
            } else if word >> 59 == STALE {
                stale = true;
                pos += 5;
            } else {
                // The position of the bit in front of the value's control, and the bits from there.
                let form = if word >> 61 == 0b110 {
                    delta = delta.wrapping_add((word << 3) as i64 >> 51);
                    pos += DOD_BITS;
                    word << DOD_BITS
                } else {
                    let (dod, bits) = wide_dod(source, pos);
                    delta = delta.wrapping_add(dod);
                    pos += bits - 1;
                    source.peek(pos)
                };
                match form << 1 >> 61 {
                    0b000..=0b011 => pos += 2,
                    0b100 | 0b101 if fast.fits_behind(DOD_BITS) => {
                        value ^= fast.xor(form);
                        pos += fast.advance;
                    }
                    0b111 => {
                        stale = true;
                        pos += 4;
                    }
                    control => {
                        // Of two bits of control and the one in front, or of three.
                        pos += usize::from(control == 0b110);
                        let word = source.peek(pos);
                        value ^= window.read(source, &mut pos, word, control == 0b110)?;
                        fast = fast_window(window);
                    }
                }
            }
            t = t.wrapping_add(delta);
            out.push(t, if stale { STALE_NAN_BITS } else { value });
        };
        *to = out;
        (at.t, at.delta, at.value, at.window, at.pos) = (t, delta, value, window, pos);
        Ok(stop)
    }
}

/// Bits of a delta of deltas of 13 bits, less the one before the value's control.
const DOD_BITS: usize = 15;
/// Zero bits that show a run worth a call among samples at different distances.
const LONG_RUN: u32 = 8;

/// A delta of deltas of 20 or 64 bits with its prefix at `pos`, and the bits of both.
#[cold]
fn wide_dod<S: Source>(source: S, pos: usize) -> (i64, usize) {
    let (prefix, width) = if source.peek(pos) >> 60 == 0b1110 { (4, 20) } else { (5, 64) };
    let bits = source.take(pos + prefix, width);
    ((bits << (64 - width)) as i64 >> (64 - width), prefix + width as usize)
}

/// Time step (into `at.delta`) and value of a sample after the second.
#[inline(always)]
fn read_joint(r: &mut BitReader<'_>, at: &mut Position) -> Result<u64, ChunkError> {
    let word = r.peek();
    if word >> 63 == 0 {
        r.skip(1);
        return Ok(at.value);
    }
    if word >> 62 == 0b10 {
        if word >> 61 == 0b100 {
            r.skip(3);
        } else {
            at.window = ReadWindow::opened_by(word << 3)?;
            r.skip(14);
        }
        at.value ^= r.take(at.window.width) << at.window.trailing;
        return Ok(at.value);
    }
    if word >> 61 == 0b110 {
        at.delta = at.delta.wrapping_add((word << 3) as i64 >> 51);
        r.skip(16);
    } else if word >> 60 == 0b1110 {
        at.delta = at.delta.wrapping_add((word << 4) as i64 >> 44);
        r.skip(24);
    } else {
        r.skip(5);
        if word >> 59 == 0b11111 {
            return Ok(STALE_NAN_BITS);
        }
        at.delta = at.delta.wrapping_add(r.take(64) as i64);
    }
    at.regular = false;
    read_value(r, at)
}

/// The value behind a time step that changed.
#[inline(always)]
fn read_value(r: &mut BitReader<'_>, at: &mut Position) -> Result<u64, ChunkError> {
    let word = r.peek();
    match word >> 61 {
        0b000..=0b011 => {
            r.skip(1);
            return Ok(at.value);
        }
        0b100 | 0b101 => r.skip(2),
        0b110 => {
            at.window = ReadWindow::opened_by(word << 3)?;
            r.skip(14);
        }
        _ => {
            r.skip(3);
            return Ok(STALE_NAN_BITS);
        }
    }
    at.value ^= r.take(at.window.width) << at.window.trailing;
    Ok(at.value)
}
