//! Window: the Gorilla form of one float next to the one before it. The bits in which two values
//! differ are written inside a window (leading zeros, width) that is kept as long as they fit it.
//! Used by XOR chunks for values and by histogram chunks for sums and float counts.

use super::ChunkError;
use super::run::Source;
use crate::encoding::{BitReader, BitSink, PEEK_BITS};

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

    /// The bits that changed in a value whose three bits of control are at `pos`, which moves behind
    /// it, and at the top of `word`. `opens`: a new window follows them.
    #[inline(always)]
    pub(super) fn read<S: Source>(
        &mut self,
        source: S,
        pos: &mut usize,
        word: u64,
        opens: bool,
    ) -> Result<u64, ChunkError> {
        let mut skip = CONTROL_BITS;
        if opens {
            *self = ReadWindow::opened_by(word << CONTROL_BITS)?;
            skip += WINDOW_BITS;
        }
        let bits = if skip + self.width <= PEEK_BITS {
            word << skip >> (64 - self.width)
        } else {
            source.take(*pos + skip as usize, self.width)
        };
        *pos += (skip + self.width) as usize;
        Ok(bits << self.trailing)
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

/// A window as the loops over many samples want it. The bits of a value that stand behind a few
/// bits of control are brought to their place by one shift and one mask.
#[derive(Clone, Copy, Debug)]
pub(super) struct FastWindow {
    /// Leading zeros less the bits of control.
    shift: u32,
    mask: u64,
    /// Control and value, in bits.
    pub(super) advance: usize,
    /// The control bits, or what no bits of control are where the shift cannot be done.
    pub(super) control: u64,
}

/// Bits of a sample's control: time step and old window.
pub(super) const CONTROL_BITS: u32 = 3;
/// Bits that say a window: leading zeros and width.
pub(super) const WINDOW_BITS: u32 = 11;

impl FastWindow {
    /// `bits` of control, which are `control` in front of a value that fits its window. Both stand
    /// in a peeked word, `skipped` bits of which are gone.
    #[inline(always)]
    pub(super) fn new(window: ReadWindow, bits: u32, skipped: u32, control: u64) -> FastWindow {
        let ReadWindow { width, trailing } = window;
        let leading = 64 - width - trailing;
        let can = leading >= bits && skipped + bits + width <= PEEK_BITS;
        FastWindow {
            shift: leading.wrapping_sub(bits) & 63,
            mask: u64::MAX >> (64 - width) << trailing,
            advance: (bits + width) as usize,
            control: if can { control } else { u64::MAX },
        }
    }

    /// The bits that changed, of a word that begins with the control bits.
    #[inline(always)]
    pub(super) fn xor(self, word: u64) -> u64 {
        word >> self.shift & self.mask
    }

    /// Whether a sample that begins `skipped` bits into a peeked word lies wholly in it.
    #[inline(always)]
    pub(super) fn fits_behind(self, skipped: usize) -> bool {
        self.control != u64::MAX && skipped + self.advance <= PEEK_BITS as usize
    }
}

/// The window that is opened behind `bits` of control at the top of `word`, `skipped` bits of which
/// are gone, and the bits that changed. `None` = not all of it is in sight, or it is none.
#[inline(always)]
pub(super) fn opened_behind(word: u64, bits: u32, skipped: u32) -> Option<(ReadWindow, u64)> {
    let most = PEEK_BITS - skipped - bits - WINDOW_BITS;
    let leading = (word << bits >> 59) as u32;
    let width = (word << bits >> 53) as u32 & 0x3f;
    let trailing = 64u32.wrapping_sub(leading).wrapping_sub(width);
    if width.wrapping_sub(1) >= most || trailing > 63 {
        std::hint::cold_path();
        return None;
    }
    let xor = word << (bits + WINDOW_BITS) >> (64 - width) << trailing;
    Some((ReadWindow { width, trailing }, xor))
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
