//! FrozenFs: a file system of which only one directory may be changed. What reads a data directory
//! that belongs to somebody else works through it, so that nothing in there can be touched by
//! mistake.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{DirEntry, File, Fs, Mapped, Metadata, OpenMode, Space};

/// Passes everything on but changes outside of `sandbox`.
pub struct FrozenFs {
    inner: Arc<dyn Fs>,
    sandbox: PathBuf,
}

impl FrozenFs {
    /// Lets only what lies below `sandbox` be changed.
    pub fn new(inner: Arc<dyn Fs>, sandbox: &Path) -> FrozenFs {
        FrozenFs { inner, sandbox: sandbox.to_owned() }
    }

    fn change(&self, path: &Path) -> io::Result<()> {
        if path.starts_with(&self.sandbox) {
            return Ok(());
        }
        let what = format!("{} is opened for reading only", path.display());
        Err(io::Error::new(io::ErrorKind::PermissionDenied, what))
    }
}

impl Fs for FrozenFs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        if mode != OpenMode::Read {
            self.change(path)?;
        }
        self.inner.open(path, mode)
    }

    fn open_uncached(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        if mode != OpenMode::Read {
            self.change(path)?;
        }
        self.inner.open_uncached(path, mode)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.change(path)?;
        self.inner.create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.list(dir)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.inner.metadata(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(from)?;
        self.change(to)?;
        self.inner.rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(to)?;
        self.inner.hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change(path)?;
        self.inner.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.change(path)?;
        self.inner.remove_dir_all(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.sync_dir(dir)
    }

    fn map(&self, path: &Path) -> io::Result<Mapped> {
        self.inner.map(path)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.inner.space(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.change(path)?;
        self.inner.lock(path)
    }
}
