//! Window: the Gorilla form of one float next to the one before it. The bits in which two values
//! differ are written inside a window (leading zeros, width) that is kept as long as they fit it.
//! Used by XOR chunks for values and by histogram chunks for sums and float counts.

use super::ChunkError;
use crate::encoding::{BitReader, BitSink};

/// Most leading zeros the five bits of a window can say.
const MAX_LEADING: u32 = 31;
/// Marks a writing window that nothing was written in yet.
const NONE: u8 = 0xff;

/// The last window a writer used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WriteWindow {
    leading: u8,
    trailing: u8,
}

impl WriteWindow {
    /// No window yet: the first change opens one.
    pub(super) const EMPTY: WriteWindow = WriteWindow { leading: NONE, trailing: 0 };

    /// Whether `xor` (not 0) fits, and its bits with their number when it does.
    #[inline]
    pub(super) fn fit(self, xor: u64) -> Option<(u64, u32)> {
        let (leading, trailing) = (u32::from(self.leading), u32::from(self.trailing));
        let fits = self.leading != NONE
            && xor.leading_zeros().min(MAX_LEADING) >= leading
            && xor.trailing_zeros() >= trailing;
        fits.then(|| (xor >> trailing, 64 - leading - trailing))
    }

    /// Opens the window of `xor` (not 0): its eleven bits (five of leading zeros, six of width, 64
    /// as 0), then the bits and their number.
    #[inline]
    pub(super) fn open(&mut self, xor: u64) -> (u64, u64, u32) {
        let leading = xor.leading_zeros().min(MAX_LEADING);
        let trailing = xor.trailing_zeros();
        *self = WriteWindow { leading: leading as u8, trailing: trailing as u8 };
        let width = 64 - leading - trailing;
        (u64::from(leading << 6 | width & 0x3f), xor >> trailing, width)
    }
}

/// Writes `new` after `old`: `0` the same, `10` bits in the old window, `11` a new window.
/// `lead` (`lead_len` bits, at most 24) is written in front of it.
#[inline]
pub(super) fn write<S: BitSink>(
    sink: &mut S,
    (lead, lead_len): (u64, u32),
    old: u64,
    new: u64,
    window: &mut WriteWindow,
) {
    let xor = old ^ new;
    if xor == 0 {
        sink.write_bits(lead << 1, lead_len + 1);
    } else if let Some((bits, width)) = window.fit(xor) {
        put(sink, lead << 2 | 0b10, lead_len + 2, bits, width);
    } else {
        let (head, bits, width) = window.open(xor);
        put(sink, lead << 13 | 0b11 << 11 | head, lead_len + 13, bits, width);
    }
}

/// Two fields, in one write when they fit 64 bits.
#[inline]
pub(super) fn put<S: BitSink>(sink: &mut S, head: u64, head_len: u32, bits: u64, width: u32) {
    if head_len + width <= 64 {
        sink.write_bits(head << width | bits, head_len + width);
    } else {
        sink.write_bits(head, head_len);
        sink.write_bits(bits, width);
    }
}

/// The last window a reader met. Before the first one it is all 64 bits, as Prometheus reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadWindow {
    /// Width, 1 to 64.
    pub(super) width: u32,
    /// Zeros behind, 0 to 63.
    pub(super) trailing: u32,
}

impl ReadWindow {
    /// Before the first window.
    pub(super) const FULL: ReadWindow = ReadWindow { width: 64, trailing: 0 };

    /// The window that the eleven top bits of `word` open.
    #[inline(always)]
    pub(super) fn opened_by(word: u64) -> Result<ReadWindow, ChunkError> {
        let leading = (word >> 59) as u32;
        let width = match (word >> 53) as u32 & 0x3f {
            0 => 64,
            width => width,
        };
        if leading + width > 64 {
            return Err(ChunkError::InvalidWindow { leading, bits: width });
        }
        Ok(ReadWindow { width, trailing: 64 - leading - width })
    }

    /// The writer that would have read as this reader did.
    pub(super) fn to_writer(self) -> WriteWindow {
        if self == ReadWindow::FULL {
            return WriteWindow::EMPTY;
        }
        WriteWindow {
            leading: (64 - self.width - self.trailing) as u8,
            trailing: self.trailing as u8,
        }
    }
}

/// Reads the value after `value`. Whether the bits existed is for the caller to check.
#[inline]
pub(super) fn read(
    r: &mut BitReader<'_>,
    value: &mut u64,
    window: &mut ReadWindow,
) -> Result<(), ChunkError> {
    let word = r.peek();
    if word >> 63 == 0 {
        r.skip(1);
        return Ok(());
    }
    if word >> 62 == 0b11 {
        *window = ReadWindow::opened_by(word << 2)?;
        r.skip(13);
    } else {
        r.skip(2);
    }
    *value ^= r.take(window.width) << window.trailing;
    Ok(())
}
