//! Postings offset table: (name, value) → offset of the postings section.
//!
//! Section: length u32, count u32, entries, CRC-32C. An entry is the number 2, name, value (each
//! behind its length) and the offset, all uvarints; sorted by name, then value, except in version 1.
//! In memory stay the names and the position of every 32nd value; of an unsorted table the position
//! of every entry.

use std::ops::ControlFlow;

use super::IndexCorruption;
use super::section::{self, corrupt};
use crate::encoding::{DecBuf, EncBuf};

/// The position of every such value of a name is kept.
const STRIDE: usize = 32;

/// Where the entries of an index's table lie. The bytes are handed in with each question.
#[derive(Debug)]
pub(super) struct OffsetTable {
    offset: u64,
    names: Vec<Name>,
    /// Positions of entries in the section's content, `stride` entries apart, name by name.
    positions: Vec<u32>,
    stride: usize,
}

#[derive(Debug)]
struct Name {
    name: Box<str>,
    /// Its first entry in `positions`.
    first: usize,
    values: usize,
}

/// One entry as it lies in the file.
#[derive(Clone, Copy)]
struct Entry<'a> {
    name: &'a [u8],
    value: &'a [u8],
    postings: u64,
}

impl OffsetTable {
    /// Checks the table at `offset` of `file`.
    pub(super) fn read(file: &[u8], offset: u64) -> Result<OffsetTable, IndexCorruption> {
        let content = section::content(file, offset, true)?;
        let mut buf = DecBuf::new(content);
        let count = buf.be32().map_err(|e| corrupt(offset, e))?;
        let mut table =
            OffsetTable { offset, names: Vec::new(), positions: Vec::new(), stride: STRIDE };
        let mut last: Option<Entry<'_>> = None;
        for _ in 0..count {
            if buf.is_empty() {
                break;
            }
            let position = (content.len() - buf.len()) as u32;
            let entry = next(&mut buf, offset)?;
            if let Some(last) = last
                && (last.name, last.value) >= (entry.name, entry.value)
            {
                return OffsetTable::read_unsorted(content, count, offset);
            }
            if last.is_none_or(|l| l.name != entry.name) {
                table.start_name(entry.name)?;
            }
            table.add(position);
            last = Some(entry);
        }
        table.positions.shrink_to_fit();
        Ok(table)
    }

    fn read_unsorted(
        content: &[u8],
        count: u32,
        offset: u64,
    ) -> Result<OffsetTable, IndexCorruption> {
        let mut buf = DecBuf::new(&content[4..]);
        let mut entries = Vec::new();
        for _ in 0..count {
            if buf.is_empty() {
                break;
            }
            let position = (content.len() - buf.len()) as u32;
            entries.push((next(&mut buf, offset)?, position));
        }
        // Of entries that say the same twice the later one counts.
        entries.sort_by(|(a, _), (b, _)| (a.name, a.value).cmp(&(b.name, b.value)));
        let mut table = OffsetTable { offset, names: Vec::new(), positions: Vec::new(), stride: 1 };
        for (i, (entry, position)) in entries.iter().enumerate() {
            let same = |other: Option<&(Entry<'_>, u32)>, value: bool| {
                other.is_some_and(|(o, _)| {
                    o.name == entry.name && (!value || o.value == entry.value)
                })
            };
            if same(entries.get(i + 1), true) {
                continue;
            }
            if table.names.last().is_none_or(|n| n.name.as_bytes() != entry.name) {
                table.start_name(entry.name)?;
            }
            table.add(*position);
        }
        Ok(table)
    }

    fn start_name(&mut self, name: &[u8]) -> Result<(), IndexCorruption> {
        let name = str::from_utf8(name)
            .map_err(|_| IndexCorruption::new(self.offset, "label name is not UTF-8"))?;
        self.names.push(Name { name: name.into(), first: self.positions.len(), values: 0 });
        Ok(())
    }

    fn add(&mut self, position: u32) {
        if let Some(name) = self.names.last_mut() {
            if name.values % self.stride == 0 {
                self.positions.push(position);
            }
            name.values += 1;
        }
    }

    /// Label names, ascending; the empty one (of the list of all series) among them.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|n| &*n.name)
    }

    /// Number of values of `name`.
    pub(super) fn value_count(&self, name: &str) -> usize {
        self.name(name).map_or(0, |n| n.values)
    }

    /// Bytes of memory held beside the file.
    pub(super) fn size_bytes(&self) -> usize {
        self.names.iter().map(|n| n.name.len() + size_of::<Name>()).sum::<usize>()
            + self.positions.capacity() * 4
    }

    fn name(&self, name: &str) -> Option<&Name> {
        let at = self.names.binary_search_by(|n| (*n.name).cmp(name)).ok()?;
        self.names.get(at)
    }

    /// Offset of the postings of the pair.
    pub(super) fn find(
        &self,
        file: &[u8],
        name: &str,
        value: &str,
    ) -> Result<Option<u64>, IndexCorruption> {
        let mut found = None;
        self.walk(file, name, value.as_bytes(), &mut |entry| {
            if entry.value == value.as_bytes() {
                found = Some(entry.postings);
            }
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// Visits (value, postings offset) of the values of `name` that start with `prefix`, ascending.
    pub(super) fn visit(
        &self,
        file: &[u8],
        name: &str,
        prefix: &str,
        visit: &mut dyn FnMut(&str, u64) -> ControlFlow<()>,
    ) -> Result<(), IndexCorruption> {
        self.walk(file, name, prefix.as_bytes(), &mut |entry| {
            if !entry.value.starts_with(prefix.as_bytes()) {
                return Ok(ControlFlow::Break(()));
            }
            let value = str::from_utf8(entry.value).map_err(|_| {
                IndexCorruption::new(self.offset, format!("value of label {name} is not UTF-8"))
            })?;
            Ok(visit(value, entry.postings))
        })
    }

    /// Visits the entries of `name` from the first value on that is not below `from`.
    fn walk(
        &self,
        file: &[u8],
        name: &str,
        from: &[u8],
        visit: &mut dyn FnMut(Entry<'_>) -> Result<ControlFlow<()>, IndexCorruption>,
    ) -> Result<(), IndexCorruption> {
        let Some(name) = self.name(name) else { return Ok(()) };
        // The checksum was checked when the table was opened.
        let content = section::content(file, self.offset, false)?;
        let entry_at = |position: u32| -> Result<(Entry<'_>, DecBuf<'_>), IndexCorruption> {
            let mut buf = DecBuf::new(content.get(position as usize..).unwrap_or_default());
            Ok((next(&mut buf, self.offset)?, buf))
        };
        let known = &self.positions[name.first..][..name.values.div_ceil(self.stride)];
        let mut failed = Ok(());
        let after = known.partition_point(|position| match entry_at(*position) {
            Ok((entry, _)) => entry.value <= from,
            Err(error) => {
                failed = Err(error);
                false
            }
        });
        failed?;
        let first = after.saturating_sub(1);
        for (i, position) in known.iter().enumerate().skip(first) {
            let (mut entry, mut buf) = entry_at(*position)?;
            let here = self.stride.min(name.values - i * self.stride);
            for n in 0..here {
                if n > 0 {
                    entry = next(&mut buf, self.offset)?;
                }
                if entry.value >= from && visit(entry)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

#[inline]
fn next<'a>(buf: &mut DecBuf<'a>, offset: u64) -> Result<Entry<'a>, IndexCorruption> {
    let keys = buf.uvarint().map_err(|e| corrupt(offset, e))?;
    if keys != 2 {
        let what = format!("unexpected number of keys for postings offset table {keys}");
        return Err(IndexCorruption::new(offset, what));
    }
    let mut text = || buf.uvarint_bytes().map_err(|e| corrupt(offset, e));
    let (name, value) = (text()?, text()?);
    Ok(Entry { name, value, postings: buf.uvarint().map_err(|e| corrupt(offset, e))? })
}

/// Appends one entry to `out`.
pub(super) fn write_entry(out: &mut Vec<u8>, name: &str, value: &str, postings: u64) {
    out.put_uvarint(2);
    out.put_uvarint_str(name);
    out.put_uvarint_str(value);
    out.put_uvarint(postings);
}
