//! IndexWriter: writes an index of version 2 front to back, never seeking.
//!
//! Memory: the symbols once, and for each label of each series eight bytes (value and series id,
//! gathered by name, sorted by counting when the postings are written); nothing of the chunk lists.

use std::io;
use std::path::{Path, PathBuf};

use model::cancel::CancelReason;
use model::number::go_quote;
use model::{CancelToken, Labels};

use super::numbers::{LabelNumber, Numberer, label_symbols};
use super::series::{self, ChunkMeta};
use super::symbols::{SymbolError, SymbolSet};
use super::toc::Toc;
use super::uses::{self, LabelUses, Lists};
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
    uses: LabelUses,
    numberer: Numberer,
    last_labels: Vec<LabelNumber>,
    last_chunk: u64,
    /// Of the entry being written, like the next one: length, and the rest.
    len: Vec<u8>,
    content: Vec<u8>,
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
            uses: LabelUses::default(),
            numberer: Numberer::default(),
            last_labels: Vec::new(),
            last_chunk: 0,
            len: Vec::new(),
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

    /// The symbols, which number labels.
    pub fn symbols(&self) -> &SymbolSet {
        &self.symbols
    }

    /// Adds a series, as [`add_numbered`](Self::add_numbered) does.
    pub fn add_series(
        &mut self,
        labels: &Labels,
        chunks: &[ChunkMeta],
    ) -> Result<(), IndexWriteError> {
        let mut numberer = std::mem::take(&mut self.numberer);
        let added = match numberer.number(&self.symbols, labels) {
            Ok(numbers) => self.add_numbered(numbers, chunks),
            Err(error) => Err(error),
        };
        self.numberer = numberer;
        added
    }

    /// Adds a series. Labels (numbered by the symbols) must be above those of the last one, chunk
    /// references not below the last one, and the chunks of the series ascending in time without
    /// overlap.
    pub fn add_numbered(
        &mut self,
        labels: &[LabelNumber],
        chunks: &[ChunkMeta],
    ) -> Result<(), IndexWriteError> {
        let unknown = |number: u32| number as usize >= self.symbols.len();
        let no_symbol = |label: &LabelNumber| {
            let (name, value) = label_symbols(*label);
            unknown(name) || unknown(value)
        };
        if labels.iter().any(no_symbol) {
            return Err(IndexWriteError::Invalid("symbol entry does not exist".to_string()));
        }
        if *labels <= *self.last_labels {
            return Err(IndexWriteError::Invalid(format!(
                "out-of-order series added with label set {}, last label set {}",
                go_quote(&self.text(labels).to_string()),
                go_quote(&self.text(&self.last_labels).to_string())
            )));
        }
        self.check_chunks(chunks)?;
        self.pad(SERIES_ALIGN)?;
        let id = (self.out.position() / SERIES_ALIGN) as u32;

        let mut content = std::mem::take(&mut self.content);
        content.clear();
        series::write_content(&mut content, labels, chunks);
        let mut len = std::mem::take(&mut self.len);
        len.clear();
        len.put_uvarint(content.len() as u64);
        let sum = crc32c(&content);
        content.put_be32(sum);
        let written = self.put(&len).and_then(|()| self.put(&content));
        (self.content, self.len) = (content, len);
        written?;

        self.uses.add(labels, id);
        uses::push(&mut self.series, id);
        self.last_labels.clear();
        self.last_labels.extend_from_slice(labels);
        if let Some(last) = chunks.last() {
            self.last_chunk = last.reference.0;
        }
        Ok(())
    }

    fn text(&self, labels: &[LabelNumber]) -> Labels {
        let symbol = |number| self.symbols.get(number);
        Labels::from_pairs(labels.iter().map(|label| {
            let (name, value) = label_symbols(*label);
            (symbol(name), symbol(value))
        }))
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

        let columns = std::mem::take(&mut self.uses).into_columns();
        let mut lists = Lists::new(self.symbols.len());
        for column in columns {
            if let Some(reason) = cancel.reason() {
                return Err(IndexWriteError::Cancelled(reason));
            }
            lists.sort(&column);
            for (value, ids) in lists.iter() {
                let pair = Some((column.name, value));
                listed.push(Listed { pair, offset: self.out.position() });
                section.clear();
                postings::write(&mut section, ids.iter().copied());
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
