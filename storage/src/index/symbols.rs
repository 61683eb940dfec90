//! Symbols: the sorted strings of an index, which series entries name by number (by byte offset in
//! version 1).
//!
//! Section: length u32, count u32, each string behind its length as a uvarint, CRC-32C.

use std::borrow::Cow;
use std::sync::OnceLock;

use super::section::{self, corrupt};
use super::{IndexCorruption, Version};
use crate::encoding::{Crc32c, DecBuf, EncBuf, uvarint_len};

/// The position of every such symbol is kept; the ones between are found by walking.
const STRIDE: u32 = 8;
/// Bytes of the length field, from which offsets are counted.
const LEN_FIELD: u64 = 4;

/// Where the symbols of an index lie. The bytes are handed in with each question.
#[derive(Debug)]
pub struct SymbolTable {
    version: Version,
    /// Offset of the section's content.
    start: u64,
    count: u32,
    /// Of every `STRIDE`th symbol, from `start`.
    positions: Vec<u32>,
}

impl SymbolTable {
    /// Checks the section at `offset` of `file` and remembers where its symbols are.
    pub fn read(
        file: &[u8],
        offset: u64,
        version: Version,
    ) -> Result<SymbolTable, IndexCorruption> {
        let content = section::content(file, offset, true)?;
        let mut buf = DecBuf::new(content);
        let count = buf.be32().map_err(|e| corrupt(offset, e))?;
        // Every symbol takes a byte, so a count that lies cannot make this large.
        let capacity = (count as usize).min(buf.len()) / STRIDE as usize + 1;
        let mut positions = Vec::with_capacity(capacity);
        for i in 0..count {
            if i % STRIDE == 0 {
                positions.push((content.len() - buf.len()) as u32);
            }
            buf.uvarint_bytes().map_err(|e| corrupt(offset, e))?;
        }
        Ok(SymbolTable { version, start: offset + LEN_FIELD, count, positions })
    }

    /// Number of symbols.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is no symbol.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of memory held beside the file.
    pub fn size_bytes(&self) -> usize {
        self.positions.capacity() * 4
    }

    /// The string that series entries name `symbol`.
    #[inline]
    pub fn get<'a>(&self, file: &'a [u8], symbol: u32) -> Result<&'a str, IndexCorruption> {
        let (offset, walk) = if self.version == Version::V1 {
            (u64::from(symbol), 0)
        } else {
            let known = (symbol / STRIDE) as usize;
            match self.positions.get(known) {
                Some(position) if symbol < self.count => {
                    (self.start + u64::from(*position), symbol % STRIDE)
                }
                _ => {
                    let what = format!("unknown symbol offset {symbol}");
                    return Err(IndexCorruption::new(self.start, what));
                }
            }
        };
        let mut buf = section::at(file, offset)?;
        for _ in 0..walk {
            buf.uvarint_bytes().map_err(|e| corrupt(offset, e))?;
        }
        buf.uvarint_str().map_err(|e| corrupt(offset, e))
    }

    /// How series entries name the string `text`; `None` when it is not in the table.
    pub fn find(&self, file: &[u8], text: &str) -> Result<Option<u32>, IndexCorruption> {
        let text = text.as_bytes();
        let mut failed = Ok(());
        let after = self.positions.partition_point(|position| {
            let offset = self.start + u64::from(*position);
            match section::at(file, offset)
                .and_then(|mut b| b.uvarint_bytes().map_err(|e| corrupt(offset, e)))
            {
                Ok(symbol) => symbol <= text,
                Err(error) => {
                    failed = Err(error);
                    false
                }
            }
        });
        failed?;
        let Some(known) = after.checked_sub(1) else { return Ok(None) };
        let offset = self.start + u64::from(self.positions[known]);
        let mut buf = section::at(file, offset)?;
        let first = known as u32 * STRIDE;
        for symbol in first..(first + STRIDE).min(self.count) {
            let at = file.len() - buf.len();
            let found = buf.uvarint_bytes().map_err(|e| corrupt(offset, e))?;
            if found == text {
                let name = if self.version == Version::V1 { at as u32 } else { symbol };
                return Ok(Some(name));
            }
            if found > text {
                break;
            }
        }
        Ok(None)
    }

    /// All symbols in stored order, which is ascending.
    pub fn iter<'a>(
        &self,
        file: &'a [u8],
    ) -> impl Iterator<Item = Result<&'a str, IndexCorruption>> + use<'a> {
        let start = self.start + u64::from(self.positions.first().copied().unwrap_or(0));
        let mut buf = section::at(file, start).unwrap_or(DecBuf::new(&[]));
        (0..self.count).map(move |_| {
            let offset = (file.len() - buf.len()) as u64;
            buf.uvarint_str().map_err(|e| corrupt(offset, e))
        })
    }
}

/// The symbols of an index that is being written: sorted strings in one piece of memory, and, once
/// a string is looked up, their numbers by hash.
#[derive(Debug)]
pub struct SymbolSet {
    text: String,
    /// End of each symbol in `text`.
    ends: Vec<u32>,
    /// Symbol number + 1 at the slot of its hash or behind it; a power of two, at most half full.
    slots: OnceLock<Vec<u32>>,
    /// Bytes of the section's content.
    section_len: u64,
}

/// Why a symbol was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SymbolError {
    #[error("symbol {} out-of-order", model::number::go_quote(.0))]
    OutOfOrder(String),
    #[error("symbol table size exceeds 4294967295 bytes: {0}")]
    TooLarge(u64),
}

impl Default for SymbolSet {
    fn default() -> SymbolSet {
        SymbolSet { text: String::new(), ends: Vec::new(), slots: OnceLock::new(), section_len: 4 }
    }
}

impl SymbolSet {
    /// A set of what `sorted` yields; equal neighbours count once.
    pub fn from_sorted<'a, E: From<SymbolError>>(
        sorted: impl IntoIterator<Item = Result<Cow<'a, str>, E>>,
    ) -> Result<SymbolSet, E> {
        let mut set = SymbolSet::default();
        for symbol in sorted {
            set.push(&symbol?)?;
        }
        Ok(set)
    }

    /// Appends `symbol`, which must not be below the last one; says its number.
    pub fn push(&mut self, symbol: &str) -> Result<u32, SymbolError> {
        let number = self.ends.len() as u32;
        if let Some(before) = number.checked_sub(1) {
            let last = self.get(before);
            if last == symbol {
                return Ok(before);
            }
            if last > symbol {
                return Err(SymbolError::OutOfOrder(symbol.to_owned()));
            }
        }
        self.section_len += (uvarint_len(symbol.len() as u64) + symbol.len()) as u64;
        if self.section_len > u64::from(u32::MAX) {
            return Err(SymbolError::TooLarge(self.section_len));
        }
        self.text.push_str(symbol);
        self.ends.push(self.text.len() as u32);
        self.slots.take();
        Ok(number)
    }

    fn index(&self) -> Vec<u32> {
        let mut slots = vec![0; (self.ends.len() * 2).next_power_of_two()];
        for number in 0..self.ends.len() as u32 {
            let mut slot = home(&slots, self.get(number));
            while slots[slot] != 0 {
                slot = (slot + 1) % slots.len();
            }
            slots[slot] = number + 1;
        }
        slots
    }

    /// Number of symbols.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no symbol.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Symbol number `i`, which must be below `len`.
    pub fn get(&self, i: u32) -> &str {
        let start = if i == 0 { 0 } else { self.ends[i as usize - 1] as usize };
        &self.text[start..self.ends[i as usize] as usize]
    }

    /// The number of `symbol`.
    pub fn find(&self, symbol: &str) -> Option<u32> {
        let slots = self.slots.get_or_init(|| self.index());
        let mut slot = home(slots, symbol);
        loop {
            let number = slots.get(slot)?.checked_sub(1)?;
            if self.get(number) == symbol {
                return Some(number);
            }
            slot = (slot + 1) % slots.len();
        }
    }

    /// Writes the section in pieces through `put`.
    pub fn write<E>(&self, mut put: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        const PIECE: usize = 1 << 16;
        let mut piece = Vec::with_capacity(PIECE + 256);
        let mut crc = Crc32c::new();
        piece.put_be32(self.section_len as u32);
        put(&piece)?;
        piece.clear();
        piece.put_be32(self.ends.len() as u32);
        for i in 0..self.ends.len() as u32 {
            piece.put_uvarint_str(self.get(i));
            if piece.len() >= PIECE {
                crc.update(&piece);
                put(&piece)?;
                piece.clear();
            }
        }
        crc.update(&piece);
        piece.put_be32(crc.value());
        put(&piece)
    }
}

/// Where a symbol is looked for first.
fn home(slots: &[u32], symbol: &str) -> usize {
    xxhash_rust::xxh3::xxh3_64(symbol.as_bytes()) as usize & (slots.len() - 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn set(symbols: &BTreeSet<String>) -> SymbolSet {
        SymbolSet::from_sorted::<SymbolError>(symbols.iter().map(|s| Ok(Cow::Borrowed(s.as_str()))))
            .unwrap()
    }

    fn section(set: &SymbolSet) -> Vec<u8> {
        let mut file = vec![9, 9, 9];
        set.write(|bytes| {
            file.extend_from_slice(bytes);
            Ok::<(), Infallible>(())
        })
        .unwrap();
        file
    }

    proptest! {
        #[test]
        fn symbols_come_back(symbols in proptest::collection::btree_set("[a-zäß]{0,9}", 0..80)) {
            let written = set(&symbols);
            let file = section(&written);
            let table = SymbolTable::read(&file, 3, Version::V2).unwrap();
            prop_assert_eq!(table.len(), symbols.len());
            for (i, symbol) in symbols.iter().enumerate() {
                prop_assert_eq!(table.get(&file, i as u32).unwrap(), symbol);
                prop_assert_eq!(table.find(&file, symbol).unwrap(), Some(i as u32));
                prop_assert_eq!(written.find(symbol), Some(i as u32));
            }
            for absent in ["0", "zzzzzzzzzzzz", "ä0"] {
                prop_assert_eq!(table.find(&file, absent).unwrap(), None);
                prop_assert_eq!(written.find(absent), None);
            }
            let all: Vec<&str> = table.iter(&file).map(Result::unwrap).collect();
            prop_assert_eq!(all, symbols.iter().collect::<Vec<_>>());
            prop_assert!(table.get(&file, symbols.len() as u32).is_err());
        }
    }

    #[test]
    fn out_of_order_is_refused() {
        let symbols = ["b", "b", "a"].map(|s| Ok::<_, SymbolError>(Cow::Borrowed(s)));
        let error = SymbolSet::from_sorted(symbols).unwrap_err();
        assert_eq!(error.to_string(), "symbol \"a\" out-of-order");
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let file = section(&set(&["a", "bc", "d"].map(String::from).into()));
        for i in 3..file.len() {
            let mut bad = file.clone();
            bad[i] ^= 0x10;
            assert!(SymbolTable::read(&bad, 3, Version::V2).is_err(), "byte {i}");
        }
    }
}
