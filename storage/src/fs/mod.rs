//! Fs: every file operation storage does, so that the same code runs on a real disk and on a
//! simulated one that crashes, tears writes and fills up.
//!
//! What must hold: storage touches no file except through this trait. Durability is explicit: bytes
//! survive a power cut after [`File::sync`] of the file and [`Fs::sync_dir`] of the directory that
//! names it, and not before. Only sealed files (never written again) are mapped; see
//! `docs/decisions/fsync-and-mmap.md`.

pub mod atomic;
mod buffer;
pub mod frozen;
pub mod lock;
mod map;
pub mod real;
pub mod sim;
mod stream;

use std::io;
use std::path::Path;
use std::sync::Arc;

pub use buffer::IoBuffer;
pub use frozen::FrozenFs;
pub use lock::DirLock;
pub use real::RealFs;
pub use sim::SimFs;
pub use stream::{Caching, Stream};

/// The bytes of a sealed file. Cheap to clone; the mapping ends with the last clone, also when the
/// file has been removed in between.
pub type Mapped = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Offset, length and memory of what goes past the page cache are multiples of this. A disk's blocks
/// are no larger.
pub const BLOCK_BYTES: usize = 4096;

/// How [`Fs::open`] opens a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, for reading only.
    Read,
    /// An existing file, for reading and writing.
    Write,
    /// A file for reading and writing; made when absent, kept as it is when present.
    Create,
    /// A file for reading and writing that must not exist yet.
    CreateNew,
    /// A file for reading and writing, empty at first: made when absent, emptied when present.
    Truncate,
}

/// What kind of thing a directory entry is. Symbolic links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    File,
    Dir,
    /// Neither: a socket, a device, a dangling link.
    Other,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The entry's name, without its directory. Entries whose names are not UTF-8 are not listed:
    /// the store never makes one.
    pub name: String,
    pub kind: FileKind,
}

/// Size and kind of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    pub kind: FileKind,
    /// Length in bytes (of a file; a directory's means nothing).
    pub len: u64,
}

/// Bytes of the file system that holds a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub total_bytes: u64,
    /// What an unprivileged process may still use.
    pub available_bytes: u64,
}

/// An open file. All access is positional, so one handle serves several threads.
pub trait File: Send + Sync {
    /// Reads up to `buf.len()` bytes at `offset`; 0 means end of file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes some of `bytes` at `offset` and says how many; a gap before `offset` reads as zeros.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Sets the length: cuts the tail (and space reserved behind it) or appends zeros.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Reserves disk space for the first `len` bytes without changing the length. A file system
    /// that cannot reserve is not an error; a full one is.
    fn preallocate(&self, len: u64) -> io::Result<()>;

    /// Waits until bytes and length are durable (fdatasync). After an error nothing is known about
    /// what was written since the last success, and a later success says nothing about it.
    fn sync(&self) -> io::Result<()>;

    /// Reads and writes from here on may have any length, offset and place in memory, also when
    /// [`Fs::open_uncached`] opened the file.
    fn use_page_cache(&self) -> io::Result<()> {
        Ok(())
    }

    /// Fills `buf` from `offset`; a file that ends before is an `UnexpectedEof`.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let read = read_full_at(self, buf, offset)?;
        if read < buf.len() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "unexpected end of file"));
        }
        Ok(())
    }

    /// Writes all of `bytes` at `offset`. After an error any part of them may have been written.
    fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    bytes = bytes.get(n..).unwrap_or_default();
                    offset += n as u64;
                }
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        }
        Ok(())
    }
}

/// Reads from `offset` until `buf` is full or the file ends; returns how many bytes there were.
pub fn read_full_at<F: File + ?Sized>(file: &F, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buf.len() {
        match file.read_at(&mut buf[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
            Err(err) => return Err(err),
        }
    }
    Ok(done)
}

/// A file system. Errors of the real one are the operating system's; paths are not part of them,
/// callers that report them add the path.
pub trait Fs: Send + Sync {
    /// Opens a file. A new directory entry is durable only after `sync_dir` of its directory.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>>;

    /// Opens a file past the page cache where the system can. Reads and writes are then whole
    /// blocks of [`BLOCK_BYTES`] in memory that is aligned so, or refused as `InvalidInput`.
    fn open_uncached(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        self.open(path, mode)
    }

    /// Makes a directory and its missing parents; one that exists is fine.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// The entries of a directory, sorted bytewise by name.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Kind and length of a path; `NotFound` when nothing is there.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// Moves a file or directory; a file (or an empty directory) at `to` is replaced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name. `to` must not exist.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name; open handles and mappings keep the bytes.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory with everything in it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Makes the entries of a directory durable: names made, removed and moved.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Maps a sealed file read-only. The caller has made sure that nobody writes or cuts it any
    /// more, and checks length and checksums before use.
    fn map(&self, path: &Path) -> io::Result<Mapped>;

    /// Size and free space of the file system that holds `path`.
    fn space(&self, path: &Path) -> io::Result<Space>;

    /// Takes an exclusive lock on a file that is made when absent, without waiting; `WouldBlock`
    /// when another holder has it. The lock ends when the returned handle is dropped.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;

    /// Whether anything is at `path`.
    fn exists(&self, path: &Path) -> io::Result<bool> {
        match self.metadata(path) {
            Ok(_) => Ok(true),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(err) => Err(err),
        }
    }

    /// The whole content of a file, read (not mapped).
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path, OpenMode::Read)?;
        let len = usize::try_from(file.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = vec![0; len];
        let read = read_full_at(file.as_ref(), &mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Bytes of all files below `path`; what vanishes meanwhile counts as nothing.
    fn dir_size(&self, path: &Path) -> io::Result<u64> {
        let mut total = 0u64;
        let entries = match self.list(path) {
            Ok(entries) => entries,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(err) => return Err(err),
        };
        for entry in entries {
            let inner = path.join(&entry.name);
            total += match entry.kind {
                FileKind::Dir => self.dir_size(&inner)?,
                FileKind::File => match self.metadata(&inner) {
                    Ok(metadata) => metadata.len,
                    Err(err) if err.kind() == io::ErrorKind::NotFound => 0,
                    Err(err) => return Err(err),
                },
                FileKind::Other => 0,
            };
        }
        Ok(total)
    }
}
