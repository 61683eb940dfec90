//! IndexReader: the index of one block over its mapped bytes.
//!
//! Open checks header, table of contents, symbols and postings table; every series entry and
//! postings list is checked by its own checksum when it is read.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use model::labels::METRIC_NAME;
use model::{Labels, QueryError};

use super::offset_table::OffsetTable;
use super::series::{self, ChunkMetas, LabelRefs};
use super::symbols::SymbolTable;
use super::toc::Toc;
use super::{HEADER_LEN, IndexCorruption, MAGIC, Version, postings, section};
use crate::file_error::FileError;
use crate::fs::Mapped;
use crate::postings::{BigEndian, ListRef, PostingsSource, SortedIds};

/// A block's index. Cheap questions, no locks; series ids are those of its postings.
pub struct IndexReader {
    file: Mapped,
    path: PathBuf,
    version: Version,
    toc: Toc,
    symbols: SymbolTable,
    table: OffsetTable,
    /// Label names, ascending, with their symbol references.
    names: Vec<(Box<str>, u32)>,
    /// Long lists whose checksum was right.
    checked: Mutex<HashSet<u64>>,
}

/// Lists of at least this many bytes are remembered once they are checked, so many of them.
const LONG_LIST_BYTES: usize = 4096;
const MOST_CHECKED: usize = 4096;

impl IndexReader {
    /// Opens the index in `file`; `path` is for messages.
    pub fn open(file: Mapped, path: &Path) -> Result<IndexReader, QueryError> {
        let read = || -> Result<_, IndexCorruption> {
            let bytes = (*file).as_ref();
            let version = header(bytes)?;
            let toc = Toc::read(bytes)?;
            let symbols = SymbolTable::read(bytes, toc.symbols, version)
                .map_err(|e| context("read symbols", e))?;
            let table = OffsetTable::read(bytes, toc.postings_table)
                .map_err(|e| context("read postings table", e))?;
            let mut names = Vec::new();
            for name in table.names().filter(|n| !n.is_empty()) {
                let symbol = symbols.find(bytes, name)?.ok_or_else(|| {
                    let name = model::number::go_quote(name);
                    let what = format!("reverse symbol lookup: unknown symbol {name}");
                    IndexCorruption::new(toc.symbols, what)
                })?;
                names.push((name.into(), symbol));
            }
            Ok((version, toc, symbols, table, names))
        };
        let (version, toc, symbols, table, names) = read().map_err(|e| corrupt_file(path, e))?;
        let path = path.to_owned();
        let checked = Mutex::default();
        Ok(IndexReader { path, version, toc, symbols, table, names, file, checked })
    }

    fn bytes(&self) -> &[u8] {
        (*self.file).as_ref()
    }

    fn corrupt(&self, error: IndexCorruption) -> QueryError {
        corrupt_file(&self.path, error)
    }

    /// Length of the file in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.bytes().len() as u64
    }

    /// Version of the format the file is in.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Where the sections start.
    pub fn toc(&self) -> Toc {
        self.toc
    }

    /// Bytes of memory held for symbols.
    pub fn symbol_table_bytes(&self) -> usize {
        self.symbols.size_bytes()
    }

    /// Bytes of memory held beside the file.
    pub fn memory_bytes(&self) -> usize {
        self.symbols.size_bytes() + self.table.size_bytes()
    }

    /// All strings of the index, ascending.
    pub fn symbols(&self) -> impl Iterator<Item = Result<&str, QueryError>> {
        self.symbols.iter(self.bytes()).map(|s| s.map_err(|e| self.corrupt(e)))
    }

    /// The string behind a symbol reference of a series entry.
    pub fn symbol(&self, symbol: u32) -> Result<&str, QueryError> {
        self.symbols.get(self.bytes(), symbol).map_err(|e| self.corrupt(e))
    }

    /// The label references of a series.
    pub fn label_refs(&self, id: u32) -> Result<LabelRefs<'_>, QueryError> {
        series::entry(self.bytes(), id, self.version)
            .and_then(|(content, offset)| LabelRefs::new(content, offset))
            .map_err(|e| self.corrupt(e))
    }

    /// Offset in the file of the entry of a series.
    pub fn series_offset(&self, id: u32) -> u64 {
        series::offset_of(id, self.version)
    }

    /// The chunks of a series.
    pub fn chunks(&self, id: u32) -> Result<ChunkMetas<'_>, QueryError> {
        self.label_refs(id)?.chunks().map_err(|e| self.corrupt(e))
    }

    /// The ids of a list. Long ones are checked once only: the mapped file does not change.
    fn list(&self, pair: u64) -> Result<&[u8], QueryError> {
        let known = self.checked.lock().unwrap_or_else(PoisonError::into_inner).contains(&pair);
        let ids = postings::list(self.bytes(), pair, !known).map_err(|e| self.corrupt(e))?;
        if !known && ids.len() >= LONG_LIST_BYTES {
            let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
            if checked.len() < MOST_CHECKED {
                checked.insert(pair);
            }
        }
        Ok(ids)
    }

    /// First and last of `ids` if they are all the series from the one to the other, as those of a
    /// metric name are unless some label sorts before it. Where they stand among all series tells, so
    /// the ends need no checksum: ends that are damaged do not stand as far apart as there are ids.
    fn span_of(&self, ids: BigEndian<'_>) -> Result<Option<(u32, u32)>, QueryError> {
        let (Some(first), Some(last)) = (ids.first(), ids.last()) else { return Ok(None) };
        let Some(all) = self.pair("", "")? else { return Ok(None) };
        let all = postings::list(self.bytes(), all, false).map_err(|e| self.corrupt(e))?;
        let all = BigEndian::new(all);
        let between = all.position_after(last).checked_sub(all.position(first));
        Ok((between == Some(ids.len())).then_some((first, last)))
    }

    /// What a failed step of [`LabelRefs`] or [`ChunkMetas`] means, with the file's name.
    pub fn corruption(&self, error: IndexCorruption) -> QueryError {
        self.corrupt(error)
    }

    /// The labels of a series.
    pub fn labels(&self, id: u32) -> Result<Labels, QueryError> {
        LabelsDecoder::new(self).decode(id).map_err(|e| self.corrupt(e))
    }

    /// Appends the labels of `ids` to `out`.
    pub fn labels_of(&self, ids: &[u32], out: &mut Vec<Labels>) -> Result<(), QueryError> {
        let mut decoder = LabelsDecoder::new(self);
        for id in ids {
            out.push(decoder.decode(*id).map_err(|e| self.corrupt(e))?);
        }
        Ok(())
    }

    /// The section of the symbols, as it is; `None` where series do not name them by number.
    pub fn symbol_bytes(&self) -> Option<&[u8]> {
        let offset = (self.version != Version::V1).then_some(self.toc.symbols)?;
        section::content(self.bytes(), offset, false).ok()
    }

    /// The labels of a series, as its entry has them.
    pub fn label_bytes(&self, id: u32) -> Option<&[u8]> {
        let (content, offset) = series::entry(self.bytes(), id, self.version).ok()?;
        LabelRefs::new(content, offset).ok()?.bytes_of(content)
    }

    /// Whether the labels of a series are `bytes`, which [`label_bytes`](Self::label_bytes) gave. They
    /// say themselves where they end, so those of no other labels begin with them.
    pub fn has_label_bytes(&self, id: u32, bytes: &[u8]) -> bool {
        let entry = series::entry(self.bytes(), id, self.version);
        entry.is_ok_and(|(content, _)| content.starts_with(bytes))
    }

    /// Appends the symbol that is the value of `name` in each of `ids`; a number that no symbol has
    /// where there is none.
    pub fn value_refs(
        &self,
        ids: &[u32],
        name: &str,
        out: &mut Vec<u32>,
    ) -> Result<(), QueryError> {
        let Ok(at) = self.names.binary_search_by(|(n, _)| (**n).cmp(name)) else {
            out.resize(out.len() + ids.len(), u32::MAX);
            return Ok(());
        };
        let wanted = self.names[at].1;
        for id in ids {
            let mut value = u32::MAX;
            for pair in self.label_refs(*id)? {
                let pair = pair.map_err(|e| self.corrupt(e))?;
                if pair.0 == wanted {
                    value = pair.1;
                    break;
                }
            }
            out.push(value);
        }
        Ok(())
    }

    /// Label names, ascending.
    pub fn label_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|(name, _)| &**name)
    }

    /// Label names of the given series, ascending.
    pub fn label_names_of(&self, ids: &[u32]) -> Result<Vec<String>, QueryError> {
        let mut seen = BTreeSet::new();
        // Series next to each other have the same names in the same places.
        let mut last: Vec<u32> = Vec::new();
        for id in ids {
            for (i, pair) in self.label_refs(*id)?.enumerate() {
                let (name, _) = pair.map_err(|e| self.corrupt(e))?;
                match last.get_mut(i) {
                    Some(known) if *known == name => continue,
                    Some(known) => *known = name,
                    None => last.push(name),
                }
                seen.insert(name);
            }
        }
        let mut names = seen
            .into_iter()
            .map(|symbol| self.symbol(symbol).map(str::to_owned))
            .collect::<Result<Vec<String>, QueryError>>()?;
        names.sort_unstable();
        Ok(names)
    }
}

/// Decodes label sets one after the other. Neighbours have most labels in common, at the same
/// places; those are not looked up again.
struct LabelsDecoder<'a> {
    reader: &'a IndexReader,
    bytes: &'a [u8],
    /// The last label set as symbol references and as strings.
    refs: Vec<(u32, u32)>,
    pairs: Vec<(&'a str, &'a str)>,
}

impl<'a> LabelsDecoder<'a> {
    fn new(reader: &'a IndexReader) -> LabelsDecoder<'a> {
        let (refs, pairs) = (Vec::with_capacity(16), Vec::with_capacity(16));
        LabelsDecoder { reader, bytes: reader.bytes(), refs, pairs }
    }

    fn decode(&mut self, id: u32) -> Result<Labels, IndexCorruption> {
        let (content, offset) = series::entry(self.bytes, id, self.reader.version)?;
        let mut len = 0;
        for (i, refs) in LabelRefs::new(content, offset)?.enumerate() {
            let refs = refs?;
            len = i + 1;
            match self.refs.get(i) {
                Some(known) if *known == refs => {}
                Some((name, _)) if *name == refs.0 => {
                    self.refs[i].1 = refs.1;
                    self.pairs[i].1 = self.symbol(refs.1)?;
                }
                _ => {
                    self.refs.truncate(i);
                    self.pairs.truncate(i);
                    let pair = (self.symbol(refs.0)?, self.symbol(refs.1)?);
                    self.refs.push(refs);
                    self.pairs.push(pair);
                }
            }
        }
        self.refs.truncate(len);
        self.pairs.truncate(len);
        let pairs = self.pairs.iter().copied();
        // What a store writes is sorted; other bytes must not make an invalid label set.
        let sorted = self.pairs.is_sorted_by(|a, b| a.0 < b.0);
        Ok(if sorted && self.pairs.iter().all(|(_, value)| !value.is_empty()) {
            Labels::from_sorted(pairs)
        } else {
            Labels::from_pairs(pairs)
        })
    }

    #[inline]
    fn symbol(&self, symbol: u32) -> Result<&'a str, IndexCorruption> {
        self.reader.symbols.get(self.bytes, symbol)
    }
}

fn header(bytes: &[u8]) -> Result<Version, IndexCorruption> {
    let Some((magic, rest)) = bytes.split_first_chunk::<4>() else {
        return Err(IndexCorruption::new(0, "index header: invalid size"));
    };
    if bytes.len() < HEADER_LEN {
        return Err(IndexCorruption::new(0, "index header: invalid size"));
    }
    let magic = u32::from_be_bytes(*magic);
    if magic != MAGIC {
        return Err(IndexCorruption::new(0, format!("invalid magic number {magic:x}")));
    }
    match rest.first() {
        Some(1) => Ok(Version::V1),
        Some(2) => Ok(Version::V2),
        Some(3) => Ok(Version::V3),
        other => {
            let version = other.copied().unwrap_or(0);
            Err(IndexCorruption::new(4, format!("unknown index file version {version}")))
        }
    }
}

fn context(step: &str, error: IndexCorruption) -> IndexCorruption {
    IndexCorruption { what: format!("{step}: {}", error.what), ..error }
}

fn corrupt_file(path: &Path, error: IndexCorruption) -> QueryError {
    let path = path.to_owned();
    FileError::Corrupt { what: "index", path, offset: error.offset, reason: error.what }.into()
}

impl PostingsSource for IndexReader {
    /// Offset of the list.
    type Pair = u64;

    fn pair(&self, name: &str, value: &str) -> Result<Option<u64>, QueryError> {
        self.table.find(self.bytes(), name, value).map_err(|e| self.corrupt(e))
    }

    fn pairs(
        &self,
        name: &str,
        prefix: &str,
        visit: &mut dyn FnMut(&str, u64) -> ControlFlow<()>,
    ) -> Result<(), QueryError> {
        self.table.visit(self.bytes(), name, prefix, visit).map_err(|e| self.corrupt(e))
    }

    fn sorted_values(&self) -> bool {
        true
    }

    fn value_count(&self, name: &str) -> usize {
        self.table.value_count(name)
    }

    fn list_len(&self, pair: u64) -> Result<usize, QueryError> {
        postings::list_len(self.bytes(), pair).map_err(|e| self.corrupt(e))
    }

    fn with_list(&self, pair: u64, with: &mut dyn FnMut(ListRef<'_>)) -> Result<(), QueryError> {
        with(ListRef::BigEndian(self.list(pair)?));
        Ok(())
    }

    fn with_all(&self, with: &mut dyn FnMut(ListRef<'_>)) -> Result<(), QueryError> {
        match self.pair("", "")? {
            Some(pair) => self.with_list(pair, with),
            None => {
                with(ListRef::Sorted(&[]));
                Ok(())
            }
        }
    }

    fn label_value(
        &self,
        id: u32,
        name: &str,
        with: &mut dyn FnMut(&str),
    ) -> Result<(), QueryError> {
        if let Ok(at) = self.names.binary_search_by(|(n, _)| (**n).cmp(name)) {
            let wanted = self.names[at].1;
            for pair in self.label_refs(id)? {
                let (name, value) = pair.map_err(|e| self.corrupt(e))?;
                if name == wanted {
                    with(self.symbol(value)?);
                    return Ok(());
                }
            }
        }
        with("");
        Ok(())
    }

    fn span(&self, name: &str, pair: u64) -> Result<Option<(u32, u32)>, QueryError> {
        if name != METRIC_NAME {
            return Ok(None);
        }
        let ids = postings::list(self.bytes(), pair, false).map_err(|e| self.corrupt(e))?;
        self.span_of(BigEndian::new(ids))
    }

    fn generation(&self) -> Option<u64> {
        // A block's index never changes.
        Some(0)
    }

    fn changed_since(&self, _generation: u64) -> Option<&[u32]> {
        None
    }

    fn has(&self, _id: u32) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
