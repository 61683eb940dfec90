//! Varbit integers: a unary prefix names one of nine widths (0, 3, 6, 9, 12, 18, 25, 56, 64 bits),
//! made for the deltas of deltas in histogram chunks. `docs/format/chunk-encodings.md` has the table.

use super::{BitReader, BitSink, DecodeError};

/// Widths by the number of leading ones in the prefix.
const WIDTHS: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

/// Appends the prefix of class `class` and `value` in its width.
#[inline]
fn put<S: BitSink>(sink: &mut S, class: usize, value: u64) {
    let width = WIDTHS[class];
    // `class` ones and a zero; the last class needs no zero.
    let (prefix, prefix_len) = match class {
        8 => (0xff, 8),
        _ => ((1u64 << (class + 1)) - 2, class as u32 + 1),
    };
    if prefix_len + width <= 64 {
        let mask = (1u64 << width) - 1;
        sink.write_bits(prefix << width | value & mask, prefix_len + width);
    } else {
        sink.write_bits(prefix, prefix_len);
        sink.write_bits(value, width);
    }
}

/// Appends a signed number. A class of width n holds -(2^(n-1)-1) to 2^(n-1).
#[inline]
pub fn put_int<S: BitSink>(sink: &mut S, v: i64) {
    if v == 0 {
        return sink.write_bits(0, 1);
    }
    // v fits n bits exactly when v - 1 fits n bits in two's complement.
    let shifted = v.wrapping_sub(1);
    let bits = if v == i64::MIN { 64 } else { 65 - (shifted ^ (shifted >> 63)).leading_zeros() };
    put(sink, class_of(bits), v as u64);
}

/// Appends an unsigned number.
#[inline]
pub fn put_uint<S: BitSink>(sink: &mut S, v: u64) {
    put(sink, class_of(64 - v.leading_zeros()), v);
}

/// The first class at least `bits` wide.
#[inline]
fn class_of(bits: u32) -> usize {
    WIDTHS.iter().position(|&w| bits <= w).unwrap_or(8)
}

/// The width that follows, and the width of its prefix, from a peeked word.
#[inline]
fn class_at(word: u64) -> (u32, u32) {
    let ones = (word.leading_ones() as usize).min(8);
    let prefix = if ones == 8 { 8 } else { ones as u32 + 1 };
    (WIDTHS[ones], prefix)
}

/// Reads a signed number.
#[inline]
pub fn read_int(r: &mut BitReader<'_>) -> Result<i64, DecodeError> {
    let word = r.peek();
    if word >> 63 == 0 {
        return r.read(1).map(|_| 0);
    }
    let (width, prefix) = class_at(word);
    r.read(prefix)?;
    let v = r.read(width)?;
    Ok(if width < 64 && v > 1 << (width - 1) { v.wrapping_sub(1 << width) } else { v } as i64)
}

/// Reads an unsigned number.
#[inline]
pub fn read_uint(r: &mut BitReader<'_>) -> Result<u64, DecodeError> {
    let (width, prefix) = class_at(r.peek());
    r.read(prefix)?;
    r.read(width)
}

#[cfg(test)]
mod tests {
    use super::super::BitWriter;
    use super::*;
    use proptest::prelude::*;

    fn check(v: i64, bits: usize) {
        let mut w = BitWriter::default();
        put_int(&mut w, v);
        assert_eq!(w.bit_len(), bits, "{v}");
        let bytes = w.into_bytes();
        assert_eq!(read_int(&mut BitReader::new(&bytes)), Ok(v));
    }

    #[test]
    fn classes_end_where_the_format_says() {
        check(0, 1);
        let mut size = 5;
        for (n, next) in [(3, 9), (6, 13), (9, 17), (12, 24), (18, 32), (25, 64), (56, 72)] {
            check((1 << (n - 1)) - 1, size);
            check(1 << (n - 1), size);
            check(-(1 << (n - 1)) + 1, size);
            size = next;
            check((1 << (n - 1)) + 1, size);
            check(-(1 << (n - 1)), size);
        }
        check(i64::MAX, 72);
        check(i64::MIN, 72);
        check(i64::MIN + 1, 72);
    }

    proptest! {
        #[test]
        fn numbers_come_back(i in any::<i64>(), u in any::<u64>(), shift in 0u32..64) {
            let mut w = BitWriter::default();
            put_int(&mut w, i >> shift);
            put_uint(&mut w, u >> shift);
            let bytes = w.into_bytes();
            let mut r = BitReader::new(&bytes);
            prop_assert_eq!(read_int(&mut r), Ok(i >> shift));
            prop_assert_eq!(read_uint(&mut r), Ok(u >> shift));
        }
    }
}
