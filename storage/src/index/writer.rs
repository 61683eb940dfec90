//! IndexWriter: writes an index of version 2 front to back, never seeking.
//!
//! Memory: the symbols once, and for each label of each series eight bytes (value and series id,
//! gathered by name, sorted when the postings are written); nothing of the chunk lists.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use model::cancel::CancelReason;
use model::number::go_quote;
use model::{CancelToken, Labels};

use super::series::{self, ChunkMeta};
use super::symbols::{SymbolError, SymbolSet};
use super::toc::Toc;
use super::{MAGIC, SERIES_ALIGN, Version, offset_table, postings};
use crate::encoding::{Crc32c, EncBuf, crc32c};
use crate::file_error::FileError;
use crate::fs::{Caching, Fs, Stream};

/// References into an index have 32 bits of 16 bytes each.
const MAX_LEN: u64 = 16 * u32::MAX as u64;
/// Bytes of a table made between two writes.
const PIECE_BYTES: usize = 1 << 16;

/// Why an index could not be written.
#[derive(Debug, thiserror::Error)]
pub enum IndexWriteError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Symbol(#[from] SymbolError),
    /// What was to be written breaks a rule of the format; in Prometheus's words.
    #[error("{0}")]
    Invalid(String),
    #[error("{}", model::QueryError::Cancelled(*.0))]
    Cancelled(CancelReason),
}

/// An index file being written: symbols at creation, then series in label order, then `finish`.
pub struct IndexWriter {
    path: PathBuf,
    out: Stream,
    symbols: SymbolSet,
    toc: Toc,
    series: Vec<u32>,
    columns: Vec<Column>,
    column_of: HashMap<u32, usize>,
    last_labels: Labels,
    /// The labels of the last series as numbers; neighbours share most of them.
    last_refs: Vec<LabelRef>,
    last_chunk: u64,
    refs: Vec<LabelRef>,
    pairs: Vec<(u32, u32)>,
    entry: Vec<u8>,
    content: Vec<u8>,
}

/// The uses of one label name: value symbol in the upper half, series id in the lower.
struct Column {
    name: u32,
    uses: Vec<u64>,
}

#[derive(Clone, Copy)]
struct LabelRef {
    name: u32,
    value: u32,
    column: usize,
}

/// One entry of the offset table to come; `None` is the list of all series.
struct Listed {
    pair: Option<(u32, u32)>,
    offset: u64,
}

impl IndexWriter {
    /// Starts the file at `path` with the section of `symbols`.
    pub fn create(
        fs: &dyn Fs,
        path: &Path,
        symbols: SymbolSet,
    ) -> Result<IndexWriter, IndexWriteError> {
        let mut out =
            Stream::create(fs, path, Caching::Cached).map_err(FileError::io("create", path))?;
        let mut header = Vec::new();
        header.put_be32(MAGIC);
        header.put_u8(Version::V2 as u8);
        out.put(&header).map_err(FileError::io("write", path))?;
        let mut toc = Toc { symbols: out.position(), ..Toc::default() };
        symbols.write(|bytes| out.put(bytes)).map_err(FileError::io("write", path))?;
        toc.series = out.position();
        Ok(IndexWriter {
            path: path.to_owned(),
            out,
            symbols,
            toc,
            series: Vec::new(),
            columns: Vec::new(),
            column_of: HashMap::new(),
            last_labels: Labels::empty(),
            last_refs: Vec::new(),
            last_chunk: 0,
            refs: Vec::new(),
            pairs: Vec::new(),
            entry: Vec::new(),
            content: Vec::new(),
        })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), IndexWriteError> {
        self.out.put(bytes).map_err(|error| self.io(error))?;
        if self.out.position() > MAX_LEN {
            let path = go_quote(&self.path.to_string_lossy());
            return Err(IndexWriteError::Invalid(format!("{path} exceeding max size of 64GiB")));
        }
        Ok(())
    }

    /// Appends zeros up to the next multiple of `align`.
    fn pad(&mut self, align: u64) -> Result<(), IndexWriteError> {
        const ZEROS: [u8; 16] = [0; 16];
        let missing = self.out.position().next_multiple_of(align) - self.out.position();
        self.put(&ZEROS[..missing as usize])
    }

    fn io(&self, error: io::Error) -> IndexWriteError {
        FileError::io("write", &self.path)(error).into()
    }

    /// Adds a series. Labels must be above those of the last one, chunk references not below the
    /// last one, and the chunks of the series ascending in time without overlap.
    pub fn add_series(
        &mut self,
        labels: &Labels,
        chunks: &[ChunkMeta],
    ) -> Result<(), IndexWriteError> {
        if *labels <= self.last_labels {
            return Err(IndexWriteError::Invalid(format!(
                "out-of-order series added with label set {}, last label set {}",
                go_quote(&labels.to_string()),
                go_quote(&self.last_labels.to_string())
            )));
        }
        self.check_chunks(chunks)?;
        self.pad(SERIES_ALIGN)?;
        let id = (self.out.position() / SERIES_ALIGN) as u32;
        self.resolve(labels)?;

        let mut content = std::mem::take(&mut self.content);
        let mut entry = std::mem::take(&mut self.entry);
        self.pairs.clear();
        self.pairs.extend(self.refs.iter().map(|r| (r.name, r.value)));
        content.clear();
        series::write_content(&mut content, &self.pairs, chunks);
        entry.clear();
        entry.put_uvarint_bytes(&content);
        entry.put_be32(crc32c(&content));
        let written = self.put(&entry);
        (self.content, self.entry) = (content, entry);
        written?;

        for r in &self.refs {
            push(&mut self.columns[r.column].uses, u64::from(r.value) << 32 | u64::from(id));
        }
        push(&mut self.series, id);
        std::mem::swap(&mut self.refs, &mut self.last_refs);
        self.last_labels = labels.clone();
        if let Some(last) = chunks.last() {
            self.last_chunk = last.reference.0;
        }
        Ok(())
    }

    fn check_chunks(&self, chunks: &[ChunkMeta]) -> Result<(), IndexWriteError> {
        let invalid = |what: String| Err(IndexWriteError::Invalid(what));
        let mut reference = self.last_chunk;
        let mut last_max = None;
        for chunk in chunks {
            let (min, max) = (chunk.range.min, chunk.range.max);
            if chunk.reference.0 < reference {
                return invalid(format!(
                    "unsorted chunk reference: {}, previous: {reference}",
                    chunk.reference.0
                ));
            }
            if let Some(last) = last_max.filter(|last| min <= *last) {
                return invalid(format!(
                    "chunk minT {min} is not higher than previous chunk maxT {last}"
                ));
            }
            if max < min {
                return invalid(format!("chunk maxT {max} is less than minT {min}"));
            }
            (reference, last_max) = (chunk.reference.0, Some(max));
        }
        Ok(())
    }

    /// Fills `refs` with the labels as numbers.
    fn resolve(&mut self, labels: &Labels) -> Result<(), IndexWriteError> {
        self.refs.clear();
        let mut before = self.last_labels.iter().zip(&self.last_refs);
        for (name, value) in labels.iter() {
            let (name_ref, column, value_ref) = match before.next() {
                Some(((n, v), last)) if n == name => {
                    (last.name, last.column, (v == value).then_some(last.value))
                }
                _ => {
                    let name_ref = find(&self.symbols, name)?;
                    let columns = &mut self.columns;
                    let column = *self.column_of.entry(name_ref).or_insert_with(|| {
                        columns.push(Column { name: name_ref, uses: Vec::new() });
                        columns.len() - 1
                    });
                    (name_ref, column, None)
                }
            };
            let value_ref = match value_ref {
                Some(known) => known,
                None => find(&self.symbols, value)?,
            };
            self.refs.push(LabelRef { name: name_ref, value: value_ref, column });
        }
        Ok(())
    }

    /// Writes the postings and the tables and makes the file durable; returns its length.
    pub fn finish(mut self, cancel: &CancelToken) -> Result<u64, IndexWriteError> {
        self.toc.label_indices = self.out.position();
        self.toc.postings = self.out.position();
        self.pad(4)?;
        let mut listed = Vec::new();
        let mut section = Vec::new();

        listed.push(Listed { pair: None, offset: self.out.position() });
        let all = std::mem::take(&mut self.series);
        postings::write(&mut section, all.iter().copied());
        self.put(&section)?;
        drop(all);

        let mut columns = std::mem::take(&mut self.columns);
        columns.sort_unstable_by_key(|c| c.name);
        for mut column in columns {
            if let Some(reason) = cancel.reason() {
                return Err(IndexWriteError::Cancelled(reason));
            }
            column.uses.sort_unstable();
            for run in column.uses.chunk_by(|a, b| a >> 32 == b >> 32) {
                let value = (run[0] >> 32) as u32;
                listed
                    .push(Listed { pair: Some((column.name, value)), offset: self.out.position() });
                section.clear();
                postings::write(&mut section, run.iter().map(|used| *used as u32));
                self.put(&section)?;
            }
        }
        self.write_offset_table(&listed)?;
        let mut tail = Vec::new();
        self.toc.write(&mut tail);
        self.put(&tail)?;
        Ok(self.out.finish().map_err(FileError::io("write", &self.path))?)
    }

    fn write_offset_table(&mut self, listed: &[Listed]) -> Result<(), IndexWriteError> {
        self.toc.label_indices_table = self.out.position();
        self.toc.postings_table = self.out.position();
        // The length stands before the entries, so each entry is made twice.
        let mut piece = Vec::with_capacity(PIECE_BYTES + 1024);
        let mut len = 4u64;
        for one in listed {
            piece.clear();
            self.put_entry(&mut piece, one);
            len += piece.len() as u64;
        }
        let (Ok(len), Ok(count)) = (u32::try_from(len), u32::try_from(listed.len())) else {
            return Err(IndexWriteError::Invalid(format!(
                "postings offset table length/crc32 write error: length size exceeds 4 bytes: {len}"
            )));
        };
        self.put(&len.to_be_bytes())?;
        let mut crc = Crc32c::new();
        piece.clear();
        piece.put_be32(count);
        for one in listed {
            self.put_entry(&mut piece, one);
            if piece.len() >= PIECE_BYTES {
                crc.update(&piece);
                self.put(&piece)?;
                piece.clear();
            }
        }
        crc.update(&piece);
        piece.put_be32(crc.value());
        self.put(&piece)
    }

    fn put_entry(&self, out: &mut Vec<u8>, listed: &Listed) {
        let symbol = |i| self.symbols.get(i);
        let (name, value) = listed.pair.map_or(("", ""), |(n, v)| (symbol(n), symbol(v)));
        offset_table::write_entry(out, name, value, listed.offset);
    }
}

/// Appends, growing by a quarter: these arrays are most of the memory of a compaction.
fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 4).max(64));
    }
    list.push(item);
}

fn find(symbols: &SymbolSet, text: &str) -> Result<u32, IndexWriteError> {
    symbols.find(text).ok_or_else(|| {
        IndexWriteError::Invalid(format!("symbol entry for {} does not exist", go_quote(text)))
    })
}
