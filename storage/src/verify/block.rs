//! Judging a block: `meta.json`, index, every chunk, tombstones, and what they say of each other.

use std::path::Path;

use model::{Columns, TimeRange};

use super::Verifier;
use crate::block::{BlockMeta, BlockStats, CHUNKS_DIR, INDEX_FILENAME, META_FILENAME};
use crate::chunk::{self, Encoding};
use crate::chunkfile::{self, HEADER_SIZE};
use crate::file_error::FileError;
use crate::fs::FileKind;
use crate::index::{ChunkMeta, IndexReader};
use crate::tombstones;

/// The parts of a block that could be opened.
pub(super) struct Parts {
    pub(super) meta: Option<BlockMeta>,
    pub(super) chunks: Option<chunkfile::Reader>,
    /// Bytes of each segment that chunks of series take.
    pub(super) used: Vec<u64>,
    pub(super) stats: BlockStats,
    columns: Columns,
}

impl Verifier<'_> {
    pub(super) fn block(&mut self, dir: &Path) {
        self.counts.blocks += 1;
        let meta = self.meta(dir);
        let chunks = self.segments(dir);
        let used = vec![HEADER_SIZE as u64; chunks.as_ref().map_or(0, |c| c.segments())];
        let mut parts =
            Parts { meta, chunks, used, stats: BlockStats::default(), columns: Columns::default() };
        let path = dir.join(INDEX_FILENAME);
        self.count_file(&path);
        let index = self.fs.map(&path).map_err(FileError::io("map", &path));
        let opened = index.map_err(Into::into).and_then(|bytes| IndexReader::open(bytes, &path));
        let ids = match opened {
            Ok(index) => self.index(&index, &path, &mut parts),
            Err(error) => {
                self.fault(error);
                None
            }
        };
        self.tombstones(dir, ids.as_deref());
        if ids.is_some() {
            self.unused(dir, &parts);
            self.stats(dir, &parts);
        }
    }

    fn meta(&mut self, dir: &Path) -> Option<BlockMeta> {
        let path = dir.join(META_FILENAME);
        self.count_file(&path);
        let meta = match BlockMeta::read(&*self.fs, dir) {
            Ok((meta, _)) => meta,
            Err(error) => {
                self.fault(error);
                return None;
            }
        };
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        if meta.ulid.to_string() != name {
            self.fault(format!("{}: ulid {} in block {name}", path.display(), meta.ulid));
        }
        if meta.min_time >= meta.max_time {
            let (min, max) = (meta.min_time, meta.max_time);
            self.fault(format!("{}: minTime {min} is not below maxTime {max}", path.display()));
        }
        Some(meta)
    }

    fn segments(&mut self, dir: &Path) -> Option<chunkfile::Reader> {
        let dir = dir.join(CHUNKS_DIR);
        match self.fs.list(&dir) {
            Ok(entries) => {
                let files = entries.iter().filter(|e| e.kind == FileKind::File);
                let mut numbers: Vec<u64> = files.filter_map(|e| e.name.parse().ok()).collect();
                numbers.sort_unstable();
                let gap = (1..).zip(&numbers).find(|(want, number)| want != *number);
                if let Some((want, _)) = gap {
                    self.fault(format!("{}: segment {want:06} is missing", dir.display()));
                }
            }
            Err(error) => {
                self.fault(FileError::io("list", &dir)(error));
                return None;
            }
        }
        match chunkfile::Reader::open(&*self.fs, &dir) {
            Ok(chunks) => {
                self.counts.bytes += chunks.size_bytes();
                Some(chunks)
            }
            Err(error) => {
                self.fault(error);
                None
            }
        }
    }

    /// Judges one chunk; `of` says whose it is.
    pub(super) fn chunk(&mut self, parts: &mut Parts, meta: &ChunkMeta, of: &dyn Fn() -> String) {
        self.counts.chunks += 1;
        parts.stats.num_chunks += 1;
        let Some(chunks) = &parts.chunks else { return };
        let stored = match chunks.chunk(meta.reference) {
            Ok(stored) => stored,
            Err(error) => return self.fault(format!("{error}, chunk of {}", of())),
        };
        let (file, offset) = (meta.reference.file(), meta.reference.offset());
        if let Some(used) = parts.used.get_mut(file as usize) {
            *used += u64::from(stored.end.saturating_sub(offset));
        }
        let path = chunks.path(file);
        let mut wrong = |what: String| {
            let text = FileError::Corrupt {
                what: "chunk segment",
                path: path.to_owned(),
                offset: u64::from(offset),
                reason: format!("{what}, chunk of {}", of()),
            };
            self.fault(text);
        };
        parts.columns.clear();
        let decoded =
            chunk::decode(stored.encoding, stored.data, TimeRange::ALL, &mut parts.columns);
        if let Err(error) = decoded {
            return wrong(error.to_string());
        }
        let times = &parts.columns.timestamps;
        let samples = times.len() as u64;
        if let Some(what) = judge_times(times, meta.range) {
            wrong(what);
        }
        self.counts.samples += samples;
        parts.stats.num_samples += samples;
        if Encoding::from_u8(stored.encoding).is_ok_and(Encoding::is_float) {
            parts.stats.num_float_samples += samples;
        } else {
            parts.stats.num_histogram_samples += samples;
        }
    }

    /// Says what bytes of the segments no series refers to.
    fn unused(&mut self, dir: &Path, parts: &Parts) {
        let Some(chunks) = &parts.chunks else { return };
        for (segment, used) in (0u32..).zip(&parts.used) {
            let path = chunks.path(segment);
            let len = self.fs.metadata(path).map_or(0, |m| m.len);
            if *used != len {
                let text = format!(
                    "{}: series of block {} refer to {used} of {len} bytes",
                    path.display(),
                    dir.file_name().unwrap_or_default().to_string_lossy()
                );
                self.note(text);
            }
        }
    }

    fn tombstones(&mut self, dir: &Path, ids: Option<&[u32]>) {
        let path = dir.join(tombstones::FILE_NAME);
        self.count_file(&path);
        let found = match tombstones::read(&*self.fs, dir) {
            Ok((found, _)) => found,
            Err(error) => return self.fault(error),
        };
        self.counts.tombstones += found.total();
        let Some(ids) = ids else { return };
        for (series, _) in found.iter() {
            if u32::try_from(series).is_ok_and(|id| ids.binary_search(&id).is_ok()) {
                continue;
            }
            let text = format!("tombstone of series {series}, which the index does not have");
            self.fault(format!("{}: {text}", path.display()));
        }
    }

    fn stats(&mut self, dir: &Path, parts: &Parts) {
        let (Some(meta), true) = (&parts.meta, parts.chunks.is_some()) else { return };
        let (said, found) = (&meta.stats, &parts.stats);
        let by_type = said.num_float_samples + said.num_histogram_samples > 0;
        for (name, said, found) in [
            ("numSamples", said.num_samples, found.num_samples),
            ("numSeries", said.num_series, found.num_series),
            ("numChunks", said.num_chunks, found.num_chunks),
            // Blocks of older versions do not say.
            ("numFloatSamples", said.num_float_samples, found.num_float_samples),
            ("numHistogramSamples", said.num_histogram_samples, found.num_histogram_samples),
        ] {
            if said != found
                && (by_type || !name.contains("tSamples") && !name.contains("mSamples"))
            {
                let path = dir.join(META_FILENAME);
                self.note(format!("{}: {name} is {said}, found {found}", path.display()));
            }
        }
    }
}

/// What is wrong with the times of a chunk that the index says to have `range`.
fn judge_times(times: &[i64], range: TimeRange) -> Option<String> {
    let (Some(&first), Some(&last)) = (times.first(), times.last()) else {
        return Some("no samples".to_owned());
    };
    if let Some(at) = times.windows(2).position(|pair| pair[0] >= pair[1]) {
        return Some(format!("sample {} is not after the one before", at + 1));
    }
    let TimeRange { min, max } = range;
    (first != min || last != max)
        .then(|| format!("samples from {first} to {last}, the index says {min} to {max}"))
}
