//! Pages and fragments: how a record becomes bytes of a segment.
//!
//! A segment is a row of 32 KiB pages. A record is cut at page ends into fragments, each behind a
//! header of seven bytes: type and flags (1), length (2, big-endian), CRC-32C of the fragment's
//! data (4, big-endian). Fewer than seven bytes left in a page are zeros.

use crate::encoding::crc32c;

/// Bytes of a page.
pub const PAGE_SIZE: u64 = 32 * 1024;
/// Bytes of a fragment's header.
pub(super) const HEADER_SIZE: usize = 7;
/// Most data a fragment holds.
pub(super) const MAX_FRAGMENT: usize = PAGE_SIZE as usize - HEADER_SIZE;

/// The low three bits of a header's first byte.
const TYPE_MASK: u8 = 0b111;
/// The rest of the page is zeros.
pub(super) const PAGE_TERM: u8 = 0;
const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// A fragment's header, taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// Type number and compression flags as they stand.
    pub(super) flags: u8,
    pub(super) len: usize,
    pub(super) crc: u32,
}

impl Header {
    pub(super) fn parse(bytes: [u8; HEADER_SIZE]) -> Header {
        let [flags, l0, l1, c0, c1, c2, c3] = bytes;
        Header {
            flags,
            len: usize::from(u16::from_be_bytes([l0, l1])),
            crc: u32::from_be_bytes([c0, c1, c2, c3]),
        }
    }
}

/// The type number of a header's first byte.
pub(super) fn fragment_type(flags: u8) -> u8 {
    flags & TYPE_MASK
}

/// Whether a record goes on behind a fragment of this type.
pub(super) fn continues(kind: u8) -> bool {
    kind == FIRST || kind == MIDDLE
}

/// Whether a fragment of type `kind` may come as number `index` of a record; else what is wrong.
pub(super) fn check_order(kind: u8, index: usize) -> Result<(), String> {
    match (kind, index) {
        (FULL, 0) | (FIRST, 0) => Ok(()),
        (MIDDLE | LAST, 1..) => Ok(()),
        (FULL, _) => Err("unexpected full record".into()),
        (FIRST, _) => Err("unexpected first record, dropping buffer".into()),
        (MIDDLE, _) => Err("unexpected middle record, dropping buffer".into()),
        (LAST, _) => Err("unexpected last record, dropping buffer".into()),
        _ => Err(format!("unexpected record type {kind}")),
    }
}

/// What framing added to the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Framed {
    pub(super) parts: u64,
    pub(super) part_bytes: u64,
}

/// Appends the fragments of a record to `out`, whose first byte will stand at `start` in the
/// segment; `start` and every earlier record leave room for a header in their page. `flags` are
/// the compression bits.
pub(super) fn frame(out: &mut Vec<u8>, start: u64, mut data: &[u8], flags: u8) -> Framed {
    let mut framed = Framed::default();
    let mut first = true;
    loop {
        let most = room(start + out.len() as u64) - HEADER_SIZE;
        let (part, rest) = data.split_at(data.len().min(most));
        let kind = match (first, rest.is_empty()) {
            (true, true) => FULL,
            (true, false) => FIRST,
            (false, false) => MIDDLE,
            (false, true) => LAST,
        };
        out.push(kind | flags);
        // A part is shorter than a page.
        out.extend_from_slice(&(part.len() as u16).to_be_bytes());
        out.extend_from_slice(&crc32c(part).to_be_bytes());
        out.extend_from_slice(part);
        framed.parts += 1;
        framed.part_bytes += (part.len() + HEADER_SIZE) as u64;
        let left = room(start + out.len() as u64);
        if left < HEADER_SIZE {
            out.resize(out.len() + left, 0);
        }
        (data, first) = (rest, false);
        if data.is_empty() {
            return framed;
        }
    }
}

/// Bytes that [`frame`] adds for a record of `len` bytes at `start`.
pub(super) fn framed_len(start: u64, len: usize) -> u64 {
    let (mut at, mut rest, mut first) = (start, len, true);
    while first || rest > 0 {
        let part = rest.min(room(at) - HEADER_SIZE);
        at += (part + HEADER_SIZE) as u64;
        let left = room(at);
        if left < HEADER_SIZE {
            at += left as u64;
        }
        rest -= part;
        first = false;
        // Behind a full page come full pages: counted, not walked.
        let whole = rest / MAX_FRAGMENT;
        if whole > 0 {
            at += whole as u64 * PAGE_SIZE;
            rest -= whole * MAX_FRAGMENT;
        }
    }
    at - start
}

/// Bytes from `offset` to the end of its page: a whole page at a page's start.
fn room(offset: u64) -> usize {
    (PAGE_SIZE - offset % PAGE_SIZE) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_agree_with_framing() {
        for start in [0, 1, 100, PAGE_SIZE - 7, PAGE_SIZE - 8, PAGE_SIZE, 3 * PAGE_SIZE - 500] {
            for len in [0, 1, 6, 7, 493, 494, 32_754, 32_761, 32_762, 65_522, 65_523, 200_000] {
                let mut out = Vec::new();
                let framed = frame(&mut out, start, &vec![7; len], 0);
                assert_eq!(out.len() as u64, framed_len(start, len), "{start} {len}");
                assert_eq!(framed.part_bytes, len as u64 + 7 * framed.parts);
                let left = room(start + out.len() as u64);
                assert!(left >= HEADER_SIZE);
            }
        }
    }

    #[test]
    fn a_small_record_is_one_full_fragment() {
        let mut out = Vec::new();
        frame(&mut out, 0, b"abc", 0);
        assert_eq!(out, b"\x01\x00\x03\x36\x4b\x3f\xb7abc");
    }
}
