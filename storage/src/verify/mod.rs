//! Verify: a whole data directory read and judged: every checksum, every order, every reference of
//! blocks, logs, checkpoints, head chunks and head snapshots. Nothing is written.
//!
//! A fault is something that a start or a query would stumble over, or samples that cannot be read.
//! A note is something odd that costs nothing. Both name the file and, for bad bytes, the offset.

mod block;
mod chunk_snapshot;
mod head_chunks;
mod index;
mod log;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use crate::block as block_dir;
use crate::block::{TMP_FOR_CREATION, TMP_FOR_DELETION};
use crate::fs::{DirEntry, FileKind, Fs};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Note,
    Fault,
}

/// Something found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// What is wrong, where.
    pub text: String,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub blocks: u64,
    pub series: u64,
    pub chunks: u64,
    pub samples: u64,
    pub postings: u64,
    pub tombstones: u64,
    pub segments: u64,
    pub records: u64,
    pub head_chunks: u64,
    /// Bytes of the files read.
    pub bytes: u64,
    pub faults: u64,
    pub notes: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} blocks: {} series, {} chunks, {} samples, {} postings, {} tombstones\n{} log \
             segments: {} records\n{} head chunks\n{} bytes read: {} faults, {} notes",
            self.blocks,
            self.series,
            self.chunks,
            self.samples,
            self.postings,
            self.tombstones,
            self.segments,
            self.records,
            self.head_chunks,
            self.bytes,
            self.faults,
            self.notes
        )
    }
}

/// A series' labels by its ref, as a hash: what the logs have said so far.
type KnownRefs = HashMap<u64, u64>;

/// What a snapshot must agree with.
struct Around<'a> {
    refs: &'a KnownRefs,
    chunks: &'a head_chunks::HeadChunks,
}

impl Around<'_> {
    /// Whether the log has this series with these labels; `Ok(false)` when it does not know it.
    fn series(&self, series: u64, labels: u64) -> Result<bool, String> {
        match self.refs.get(&series) {
            Some(known) if *known != labels => {
                Err(format!("series {series} has other labels in the log"))
            }
            known => Ok(known.is_some()),
        }
    }
}

/// One run over a directory.
struct Verifier<'v> {
    fs: Arc<dyn Fs>,
    counts: Counts,
    report: &'v mut dyn FnMut(&Finding),
}

/// Looks at everything below `dir` and tells `report` what it finds, as it finds it. An error means
/// that the directory itself cannot be listed.
pub fn verify(
    fs: &Arc<dyn Fs>,
    dir: &Path,
    report: &mut dyn FnMut(&Finding),
) -> io::Result<Counts> {
    let entries = fs.list(dir)?;
    let mut verifier = Verifier { fs: fs.clone(), counts: Counts::default(), report };
    let blocks = block_dir::list(&**fs, dir)?;
    for block in &blocks {
        verifier.block(block);
    }
    verifier.left_over(dir, &entries, &blocks);
    let mut refs = KnownRefs::new();
    let has = |name: &str| entries.iter().any(|e| e.name == name && e.kind == FileKind::Dir);
    if has("wal") {
        verifier.write_ahead_log(&dir.join("wal"), &mut refs);
    }
    let chunks = match has("chunks_head") {
        true => verifier.head_chunks(&dir.join("chunks_head"), &refs),
        false => Default::default(),
    };
    if has("wbl") {
        verifier.write_behind_log(&dir.join("wbl"), &mut refs, &chunks);
    }
    for entry in entries.iter().filter(|e| e.kind == FileKind::Dir) {
        if is_snapshot(&entry.name) {
            let around = Around { refs: &refs, chunks: &chunks };
            verifier.snapshot(dir, &entry.name, &around);
        }
    }
    Ok(verifier.counts)
}

/// The same for one block.
pub fn verify_block(fs: &Arc<dyn Fs>, dir: &Path, report: &mut dyn FnMut(&Finding)) -> Counts {
    let mut verifier = Verifier { fs: fs.clone(), counts: Counts::default(), report };
    verifier.block(dir);
    verifier.counts
}

/// The first fault of the head snapshot of this name in a data directory.
pub(crate) fn fault_of_snapshot(fs: &Arc<dyn Fs>, dir: &Path, name: &str) -> Option<String> {
    let mut silent = |_: &Finding| {};
    let counts = Counts::default();
    let mut around = Verifier { fs: fs.clone(), counts, report: &mut silent };
    let (mut refs, mut chunks) = (KnownRefs::new(), head_chunks::HeadChunks::new());
    let has = |name: &str| fs.exists(&dir.join(name)).unwrap_or(false);
    if has("wal") {
        around.write_ahead_log(&dir.join("wal"), &mut refs);
    }
    if has("chunks_head") {
        chunks = around.head_chunks(&dir.join("chunks_head"), &refs);
    }
    let mut first = None;
    let mut report = |finding: &Finding| {
        if finding.severity == Severity::Fault {
            first.get_or_insert_with(|| finding.text.clone());
        }
    };
    let mut verifier = Verifier { fs: fs.clone(), counts, report: &mut report };
    verifier.snapshot(dir, name, &Around { refs: &refs, chunks: &chunks });
    first
}

/// Whether a directory of this name is a snapshot of a head.
pub(crate) fn is_snapshot(name: &str) -> bool {
    ["chunk_snapshot.", "epimetheus_snapshot."].iter().any(|start| {
        name.strip_prefix(start).is_some_and(|rest| {
            rest.bytes().all(|b| b.is_ascii_digit() || b == b'.') && !rest.is_empty()
        })
    })
}

/// A number for the labels of a series; none when there are no labels, or not in order.
fn labels_hash<'l>(labels: impl Iterator<Item = (&'l str, &'l str)>) -> Option<u64> {
    let mut hash = Xxh3::new();
    let mut last: Option<&str> = None;
    for (name, value) in labels {
        if last.is_some_and(|last| last >= name) {
            return None;
        }
        last = Some(name);
        for text in [name, value] {
            hash.update(text.as_bytes());
            hash.update(&[0xff]);
        }
    }
    last.map(|_| hash.digest())
}

impl Verifier<'_> {
    fn fault(&mut self, text: impl fmt::Display) {
        self.counts.faults += 1;
        (self.report)(&Finding { severity: Severity::Fault, text: text.to_string() });
    }

    fn note(&mut self, text: impl fmt::Display) {
        self.counts.notes += 1;
        (self.report)(&Finding { severity: Severity::Note, text: text.to_string() });
    }

    /// Counts the bytes of a file that is going to be read.
    fn count_file(&mut self, path: &Path) {
        if let Ok(found) = self.fs.metadata(path) {
            self.counts.bytes += found.len;
        }
    }

    /// What an interrupted run left, which the next start removes.
    fn left_over(&mut self, dir: &Path, entries: &[DirEntry], blocks: &[PathBuf]) {
        for entry in entries.iter().filter(|e| e.kind == FileKind::Dir) {
            let name = &entry.name;
            let unfinished = [TMP_FOR_CREATION, TMP_FOR_DELETION, ".tmp"];
            let path = dir.join(name);
            if unfinished.iter().any(|end| name.ends_with(end)) {
                self.note(format!("{}: left half made, the next start removes it", path.display()));
            } else if name.starts_with("tmp_dbro_sandbox") {
                self.note(format!("{}: left by a tool, can be removed", path.display()));
            }
        }
        if blocks.is_empty() && !entries.iter().any(|e| e.name == "wal") {
            self.note(format!("{}: neither blocks nor a log", dir.display()));
        }
    }
}
