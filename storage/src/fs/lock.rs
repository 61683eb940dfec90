//! DirLock: one process per data directory.
//!
//! The lock is flock(2), exclusive and not waiting, on the file `lock` in the data directory: what
//! Prometheus takes, so the two exclude each other. The file itself has no content; a clean stop
//! removes it, so finding one at start means that the last process did not stop cleanly.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Fs;

/// Name of the lock file in the data directory.
pub const LOCK_FILE: &str = "lock";

/// The data directory is in use, or its lock file cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("lock DB directory: {0}")]
pub struct LockError(pub io::Error);

/// A held directory lock; released when dropped.
pub struct DirLock {
    fs: Arc<dyn Fs>,
    path: PathBuf,
    held: Option<Box<dyn Send + Sync>>,
    replaced: bool,
}

impl DirLock {
    /// Locks `dir`, making it when absent. Fails at once when another process (of ours or
    /// Prometheus) holds it.
    pub fn acquire(fs: Arc<dyn Fs>, dir: &Path) -> Result<DirLock, LockError> {
        super::atomic::create_dir_all(fs.as_ref(), dir).map_err(LockError)?;
        let path = dir.join(LOCK_FILE);
        let replaced = fs.exists(&path).map_err(LockError)?;
        let held = fs.lock(&path).map_err(|err| match err.kind() {
            io::ErrorKind::WouldBlock => LockError(io::Error::new(
                io::ErrorKind::WouldBlock,
                "resource temporarily unavailable",
            )),
            _ => LockError(err),
        })?;
        Ok(DirLock { fs, path, held: Some(held), replaced })
    }

    /// Whether a lock file of an earlier process was found: 0 in
    /// `prometheus_tsdb_clean_start` when true, 1 when false.
    pub fn replaced(&self) -> bool {
        self.replaced
    }

    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DirLock {
    /// Removes the file while the lock is still held, so that nobody's newer file can be hit. A
    /// file that cannot be removed only makes the next start look unclean.
    fn drop(&mut self) {
        let _ = self.fs.remove_file(&self.path);
        drop(self.held.take());
    }
}

impl fmt::Debug for DirLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirLock").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{RealFs, SimFs};
    use super::*;

    fn excludes(fs: Arc<dyn Fs>, dir: &Path) {
        let first = DirLock::acquire(fs.clone(), dir).unwrap();
        assert!(!first.replaced());
        let second = DirLock::acquire(fs.clone(), dir).unwrap_err();
        assert_eq!(second.to_string(), "lock DB directory: resource temporarily unavailable");
        drop(first);
        assert!(!fs.exists(&dir.join(LOCK_FILE)).unwrap());
        drop(DirLock::acquire(fs, dir).unwrap());
    }

    #[test]
    fn one_holder_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        excludes(Arc::new(RealFs), &dir.path().join("data"));
        excludes(Arc::new(SimFs::new(1)), Path::new("/data"));
    }

    #[test]
    fn a_file_left_behind_is_noticed_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(LOCK_FILE), "").unwrap();
        assert!(DirLock::acquire(Arc::new(RealFs), dir.path()).unwrap().replaced());
    }
}
