//! Snapshot: the head as it was at a clean stop, so that the next start need not replay the log.
//! Layout in `docs/format/head-snapshot.md`; Prometheus's own form is `super::chunk_snapshot`.
//!
//! What must hold: a snapshot is used only if the logs end exactly where they did when it was
//! written, blocks end where they did and every chunk it names is in `chunks_head`; it is removed
//! before anything new is logged. Whatever is in doubt, the log is replayed: it has everything.

mod load;
mod write;

pub(crate) use load::first_slot;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::commit::CommitState;
use super::exemplars::Exemplars;
use super::image::ImageError;
use super::index::HeadIndex;
use super::series::PAGE_SLOTS;
use super::{Head, lock, write};
use crate::fs::{FileKind, Fs, atomic};
use crate::tombstones::Tombstones;
use crate::wal::{LogPosition, WalError, segments};

/// First part of the directory's name; segment and offset where the log ends follow.
const PREFIX: &str = "epimetheus_snapshot.";
const TEMPORARY_SUFFIX: &str = ".tmp";
/// The layout that is written, and the only one that is read.
const VERSION: u8 = 1;

/// First byte of a record. Records of the log's own types stand in between.
pub(crate) mod kind {
    pub const HEADER: u8 = 0x80;
    pub const NAMES: u8 = 0x81;
    pub const PAIRS: u8 = 0x82;
    pub const LABELS: u8 = 0x83;
    pub const STATE: u8 = 0x84;
    pub const KEPT: u8 = 0x85;
    pub const END: u8 = 0x86;
}

/// What the head is besides its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub min_valid: i64,
    pub chunk_range: i64,
    /// Bounds of the head's times, and of late samples; none while min > max.
    pub times: (i64, i64),
    pub late: (i64, i64),
    pub last_ref: u64,
    pub next_slot: u32,
    pub series: u64,
    /// Where the log of late samples ends, if there is one.
    pub wbl: Option<LogPosition>,
}

/// Why there is no snapshot, or none that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error(transparent)]
    Log(#[from] WalError),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{0}")]
    Unusable(&'static str),
}

impl From<crate::encoding::DecodeError> for SnapshotError {
    fn from(error: crate::encoding::DecodeError) -> SnapshotError {
        SnapshotError::Image(error.into())
    }
}

impl From<crate::record::RecordError> for SnapshotError {
    fn from(_: crate::record::RecordError) -> SnapshotError {
        SnapshotError::Unusable("a record cannot be decoded")
    }
}

/// A path at which the system said no.
pub(super) fn io_at(path: &Path) -> impl FnOnce(io::Error) -> SnapshotError + '_ {
    move |source| SnapshotError::Io { path: path.to_owned(), source }
}

fn dir_name(end: LogPosition) -> String {
    format!("{PREFIX}{:08}.{:010}", end.segment, end.offset)
}

/// Where the log ended, by the directory's name.
pub(crate) fn position(name: &str) -> Option<LogPosition> {
    let (segment, offset) = name.strip_prefix(PREFIX)?.split_once('.')?;
    Some(LogPosition { segment: segment.parse().ok()?, offset: offset.parse().ok()? })
}

/// Where the log in `dir` ends; `None` when it has no segment.
pub(crate) fn log_end(fs: &dyn Fs, dir: &Path) -> Result<Option<LogPosition>, SnapshotError> {
    let Some(last) = segments(fs, dir)?.pop() else { return Ok(None) };
    let path = dir.join(&last.name);
    let offset = fs.metadata(&path).map_err(io_at(&path))?.len;
    Ok(Some(LogPosition { segment: last.index, offset }))
}

/// Our snapshots in a data directory, unfinished ones included.
fn list(fs: &dyn Fs, dir: &Path) -> Result<Vec<String>, SnapshotError> {
    let entries = fs.list(dir).map_err(io_at(dir))?;
    let ours = entries.into_iter().filter(|e| e.kind == FileKind::Dir);
    Ok(ours.map(|e| e.name).filter(|name| name.starts_with(PREFIX)).collect())
}

/// Removes all our snapshots, durably.
pub(crate) fn remove_all(fs: &dyn Fs, dir: &Path) -> Result<(), SnapshotError> {
    let names = list(fs, dir)?;
    for name in &names {
        let path = dir.join(name);
        fs.remove_dir_all(&path).map_err(io_at(&path))?;
    }
    if !names.is_empty() {
        fs.sync_dir(dir).map_err(io_at(dir))?;
    }
    Ok(())
}

impl Head {
    /// Writes the snapshot of a head whose log is closed and ends at `end`. Nothing is committed any
    /// more and `chunks_head` is on disk. In-order samples before `min_valid` are in blocks.
    pub(crate) fn write_snapshot(
        &self,
        fs: &dyn Fs,
        dir: &Path,
        min_valid: i64,
        end: LogPosition,
    ) -> Result<(), SnapshotError> {
        if log_end(fs, &dir.join("wal"))? != Some(end) {
            return Err(SnapshotError::Unusable("the log does not end where it was closed"));
        }
        remove_all(fs, dir)?;
        let finished = dir.join(dir_name(end));
        let mut temporary = finished.clone().into_os_string();
        temporary.push(TEMPORARY_SUFFIX);
        let temporary = PathBuf::from(temporary);
        let wbl = log_end(fs, &dir.join("wbl"))?;
        let written = write::write(self, fs, &temporary, (min_valid, wbl))
            .and_then(|()| atomic::replace(fs, &temporary, &finished).map_err(io_at(&finished)));
        if written.is_err() {
            // Best effort: the first error is the one to report, and the next start cleans up.
            let _ = fs.remove_dir_all(&temporary);
        }
        written
    }

    /// Fills an empty head from a snapshot; `false` when there is none for the log as it is. After
    /// an error the head may have anything in it: [`Head::forget`] empties it.
    pub(crate) fn load_snapshot(
        &self,
        fs: &Arc<dyn Fs>,
        dir: &Path,
        min_valid: i64,
    ) -> Result<bool, SnapshotError> {
        let found = list(fs.as_ref(), dir)?;
        if found.is_empty() {
            return Ok(false);
        }
        let Some(end) = log_end(fs.as_ref(), &dir.join("wal"))? else { return Ok(false) };
        let Some(name) = found.iter().find(|name| position(name) == Some(end)) else {
            return Ok(false);
        };
        let wbl = log_end(fs.as_ref(), &dir.join("wbl"))?;
        self.times.raise_min_valid(min_valid);
        load::load(self, fs, &dir.join(name), (min_valid, wbl))?;
        self.begin_behind_blocks(min_valid);
        self.metrics.snapshot_loads.add(1);
        Ok(true)
    }

    /// Empties a head that nobody reads yet.
    pub(crate) fn forget(&self) {
        for (_, page) in self.pages.iter() {
            let mut records = page.lock();
            (0..PAGE_SLOTS).for_each(|place| page.reset_locked(&mut records, place, 0));
        }
        self.refs.clear();
        self.order.clear();
        *self.index_mut() = HeadIndex::default();
        *self.lock_commit() = CommitState::default();
        *write(&self.tombstones) = Tombstones::default();
        let mut exemplars = Exemplars::default();
        if self.options.exemplar_storage {
            exemplars.resize(self.runtime().max_exemplars);
        }
        *lock(&self.exemplars) = exemplars;
        lock(&self.kept_in_log).clear();
        self.all_kept_in_log.store(i64::MIN, Ordering::Relaxed);
        self.last_ref.store(0, Ordering::Relaxed);
        self.times.clear();
        self.begin_late();
        self.set_late((i64::MAX, i64::MIN));
        let m = &self.metrics;
        for count in [&m.series, &m.stale_series, &m.series_created, &m.chunks, &m.chunks_created] {
            count.set(0);
        }
        m.exemplars_appended.set(0);
    }
}
