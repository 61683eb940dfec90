//! Judging `chunks_head`: every file, every entry, every chunk.

use std::collections::HashMap;
use std::path::Path;

use model::{Columns, TimeRange};

use super::{KnownRefs, Verifier};
use crate::chunk;
use crate::file_error::FileError;
use crate::fs::FileKind;
use crate::headchunks::{Entries, stored_data};

/// A chunk that is whole.
#[derive(Clone, Copy)]
pub(super) struct HeadChunk {
    pub series: u64,
    pub range: TimeRange,
    pub encoding: u8,
    pub samples: usize,
}

/// The chunks that are whole, by reference.
pub(super) type HeadChunks = HashMap<u64, HeadChunk>;

impl Verifier<'_> {
    pub(super) fn head_chunks(&mut self, dir: &Path, refs: &KnownRefs) -> HeadChunks {
        let entries = match self.fs.list(dir) {
            Ok(entries) => entries,
            Err(error) => {
                self.fault(FileError::io("list", dir)(error));
                return HeadChunks::new();
            }
        };
        let mut found = HeadChunks::new();
        let mut files: Vec<(u32, String)> = entries
            .into_iter()
            .filter(|e| e.kind == FileKind::File)
            .filter_map(|e| Some((e.name.parse().ok()?, e.name)))
            .collect();
        files.sort_unstable();
        for pair in files.windows(2).filter(|pair| pair[0].0 + 1 != pair[1].0) {
            let (before, behind) = (pair[0].0, pair[1].0);
            let path = dir.join(&pair[1].1);
            let reason = format!("found unsequential head chunk files {before} and {behind}");
            self.fault(FileError::Corrupt { what: "head chunk file", path, offset: 0, reason });
        }
        let newest = files.last().map(|f| f.0);
        for (number, name) in files {
            self.head_chunk_file(&dir.join(name), number, newest == Some(number), &mut found);
        }
        let unknown = found.values().map(|chunk| chunk.series).filter(|s| !refs.contains_key(s));
        let strangers: Vec<u64> = unknown.collect();
        if let Some(series) = strangers.iter().min() {
            let (dir, count) = (dir.display(), strangers.len());
            self.note(format!("{dir}: {count} chunks of unknown series, one of series {series}"));
        }
        found
    }

    /// Adds the chunks that are whole to `found`.
    fn head_chunk_file(&mut self, path: &Path, number: u32, newest: bool, found: &mut HeadChunks) {
        self.count_file(path);
        let mapped = match self.fs.map(path) {
            Ok(mapped) => mapped,
            Err(error) => return self.fault(FileError::io("map", path)(error)),
        };
        let bytes = (*mapped).as_ref();
        if newest && bytes.iter().take(4).all(|b| *b == 0) {
            let path = path.display();
            return self.note(format!("{path}: begun and empty, the next start removes it"));
        }
        let mut columns = Columns::default();
        for entry in Entries::new(vec![(number, path.to_owned(), mapped.clone())]) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.fault(error),
            };
            self.counts.head_chunks += 1;
            columns.clear();
            let data = stored_data(bytes, entry.at.offset()).unwrap_or_default();
            let decoded = chunk::decode(entry.encoding, data, TimeRange::ALL, &mut columns);
            let times = &columns.timestamps;
            let TimeRange { min, max } = entry.range;
            let reason = match (decoded, times.first(), times.last()) {
                (Err(error), ..) => error.to_string(),
                (_, Some(first), Some(last)) if (*first, *last) != (min, max) => {
                    format!("samples from {first} to {last}, the entry says {min} to {max}")
                }
                (_, Some(_), Some(_)) if times.is_sorted_by(|a, b| a < b) => {
                    let (series, samples) = (entry.series.0, times.len());
                    let (range, encoding) = (entry.range, entry.encoding);
                    found.insert(entry.at.0, HeadChunk { series, range, encoding, samples });
                    continue;
                }
                _ => "samples are not in order".to_owned(),
            };
            let reason = format!("{reason}, chunk of series {}", entry.series.0);
            let (path, offset) = (path.to_owned(), u64::from(entry.at.offset()));
            self.fault(FileError::Corrupt { what: "head chunk file", path, offset, reason });
        }
    }
}
