//! WalError and CorruptionError: what can go wrong with a log.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::segment_path;

/// A log cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// A file operation failed; a full disk is `StorageFull` in the source.
    #[error("{operation} {}: {source}", path.display())]
    Io { operation: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Corruption(#[from] CorruptionError),
    /// A number is missing between segment files.
    #[error("segments are not sequential")]
    NotSequential,
    /// A checkpoint must begin where the last one ended.
    #[error("unexpected gap to last checkpoint. expected:{expected}, requested:{requested}")]
    CheckpointGap { expected: u64, requested: u64 },
    #[error("checkpoint {0} is not a directory")]
    CheckpointNotADirectory(String),
    #[error("invalid segment size")]
    InvalidSegmentSize,
    #[error("wlog is closed")]
    Closed,
    /// A segment that a tailing reader needs was removed.
    #[error("segment {} is gone", path.display())]
    SegmentGone { path: PathBuf },
    /// A sync failed and what it covered could not be logged again yet: nothing is accepted until
    /// that succeeds; every attempt to log tries.
    #[error("write-ahead log stopped after a failed sync: {0}")]
    Stopped(Arc<str>),
}

impl WalError {
    pub(super) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WalError {
        let path = path.to_owned();
        move |source| WalError::Io { operation, path, source }
    }

    /// Whether the cause is a full disk (or quota): the log works again when there is space.
    pub fn is_storage_full(&self) -> bool {
        match self {
            WalError::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }
}

/// A segment does not hold what a writer would have left there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorruptionError {
    /// The log's or checkpoint's directory.
    pub dir: PathBuf,
    pub segment: u64,
    /// How far the segment was read when the damage showed.
    pub offset: u64,
    /// Where the damaged record begins: everything before is whole.
    pub record_start: u64,
    pub reason: String,
}

impl fmt::Display for CorruptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = segment_path(&self.dir, self.segment);
        write!(f, "corruption in segment {} at {}: {}", path.display(), self.offset, self.reason)
    }
}

impl std::error::Error for CorruptionError {}
