//! RealFs: the operating system's files.
//!
//! Modes are Prometheus's (0666 files, 0777 directories before the umask), so a data directory may
//! go back and forth between the two.

use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, FlockOperation, OFlags};
use rustix::io::Errno;

use super::{DirEntry, File, FileKind, Fs, Mapped, Metadata, OpenMode, Space, map};

/// The file system of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFs;

struct RealFile(fs::File);

impl File for RealFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        // Not `set_len`: the same system call, but that one promises nothing about a file that
        // already has this length, and cutting off reserved blocks depends on it.
        Ok(rustix::fs::ftruncate(&self.0, len)?)
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::KEEP_SIZE, 0, len) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            other => Ok(other?),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn use_page_cache(&self) -> io::Result<()> {
        let flags = rustix::fs::fcntl_getfl(&self.0)?;
        if flags.contains(OFlags::DIRECT) {
            rustix::fs::fcntl_setfl(&self.0, flags - OFlags::DIRECT)?;
        }
        Ok(())
    }
}

fn open(path: &Path, mode: OpenMode) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true);
    match mode {
        OpenMode::Read => &mut options,
        OpenMode::Write => options.write(true),
        OpenMode::Create => options.write(true).create(true).truncate(false),
        OpenMode::CreateNew => options.write(true).create_new(true),
        OpenMode::Truncate => options.write(true).create(true).truncate(true),
    };
    options.open(path)
}

fn kind(file_type: fs::FileType) -> FileKind {
    if file_type.is_file() {
        FileKind::File
    } else if file_type.is_dir() {
        FileKind::Dir
    } else {
        FileKind::Other
    }
}

impl Fs for RealFs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(RealFile(open(path, mode)?)))
    }

    fn open_uncached(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let file = open(path, mode)?;
        let flags = rustix::fs::fcntl_getfl(&file)?;
        // A file system that has no such files says it here.
        match rustix::fs::fcntl_setfl(&file, flags | OFlags::DIRECT) {
            Ok(()) | Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Arc::new(RealFile(file))),
            Err(error) => Err(error.into()),
        }
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let mut file_type = entry.file_type()?;
            if file_type.is_symlink() {
                // A dangling link stays a link, which is `Other`.
                file_type = fs::metadata(entry.path()).map_or(file_type, |m| m.file_type());
            }
            entries.push(DirEntry { name, kind: kind(file_type) });
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let metadata = fs::metadata(path)?;
        Ok(Metadata { kind: kind(metadata.file_type()), len: metadata.len() })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn map(&self, path: &Path) -> io::Result<Mapped> {
        map::map_sealed(&fs::File::open(path)?)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(Space {
            total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
            available_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        loop {
            let file = fs::OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            // A holder that went away in between may have removed the file just opened: a lock on
            // a file without a name excludes nobody.
            let held = file.metadata()?;
            match fs::metadata(path) {
                Ok(named) if (named.dev(), named.ino()) == (held.dev(), held.ino()) => {
                    return Ok(Box::new(file));
                }
                Ok(_) => {}
                Err(err) if err.kind() == io::ErrorKind::NotFound => {}
                Err(err) => return Err(err),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_writes_cuts_and_maps() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let file = RealFs.open(&path, OpenMode::CreateNew).unwrap();
        file.preallocate(1 << 20).unwrap();
        assert_eq!(file.len().unwrap(), 0);
        file.write_all_at(b"hello world", 0).unwrap();
        file.sync().unwrap();
        file.truncate(5).unwrap();
        assert_eq!(RealFs.read(&path).unwrap(), b"hello");
        let mapped = RealFs.map(&path).unwrap();
        RealFs.remove_file(&path).unwrap();
        assert_eq!((*mapped).as_ref(), b"hello");
        assert!(!RealFs.exists(&path).unwrap());
        RealFs.sync_dir(dir.path()).unwrap();
        assert!(RealFs.space(dir.path()).unwrap().total_bytes > 0);
    }

    #[test]
    fn an_empty_file_maps_to_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        RealFs.open(&path, OpenMode::Create).unwrap();
        assert!((*RealFs.map(&path).unwrap()).as_ref().is_empty());
    }

    #[test]
    fn lists_sorted_with_kinds() {
        let dir = tempfile::tempdir().unwrap();
        RealFs.create_dir_all(&dir.path().join("b/c")).unwrap();
        RealFs.open(&dir.path().join("a"), OpenMode::Create).unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("d")).unwrap();
        let listed = RealFs.list(dir.path()).unwrap();
        let listed: Vec<_> = listed.iter().map(|e| (e.name.as_str(), e.kind)).collect();
        assert_eq!(listed, [("a", FileKind::File), ("b", FileKind::Dir), ("d", FileKind::Other)]);
    }
}
