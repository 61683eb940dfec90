//! Copying files and directories, durably.

use std::path::Path;

use crate::file_error::FileError;
use crate::fs::{FileKind, Fs, OpenMode};

/// Bytes copied at a time.
const PIECE: usize = 1 << 20;

/// Copies a file.
pub(super) fn file(fs: &dyn Fs, from: &Path, to: &Path) -> Result<(), FileError> {
    let source = fs.open(from, OpenMode::Read).map_err(FileError::io("open", from))?;
    let target = fs.open(to, OpenMode::CreateNew).map_err(FileError::io("create", to))?;
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    loop {
        let read = crate::fs::read_full_at(&*source, &mut piece, at);
        let read = read.map_err(FileError::io("read", from))?;
        if read == 0 {
            break;
        }
        target.write_all_at(&piece[..read], at).map_err(FileError::io("write", to))?;
        at += read as u64;
    }
    target.sync().map_err(FileError::io("sync", to))
}

/// Copies a directory with the files and directories in it.
pub(super) fn directory(fs: &dyn Fs, from: &Path, to: &Path) -> Result<(), FileError> {
    fs.create_dir_all(to).map_err(FileError::io("create", to))?;
    for entry in fs.list(from).map_err(FileError::io("list", from))? {
        let (from, to) = (from.join(&entry.name), to.join(&entry.name));
        match entry.kind {
            FileKind::Dir => directory(fs, &from, &to)?,
            FileKind::File => file(fs, &from, &to)?,
            FileKind::Other => {}
        }
    }
    fs.sync_dir(to).map_err(FileError::io("sync", to))
}
