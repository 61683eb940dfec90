//! FileError: what can be wrong with a chunk or tombstone file, always with the file and, for bad
//! bytes, the offset.

use std::io;
use std::path::{Path, PathBuf};

use model::QueryError;

/// A file that could not be read or written, or holds what it should not.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system said no.
    #[error("{doing} {}: {error}", path.display())]
    Io { doing: &'static str, path: PathBuf, error: io::Error },
    /// Bytes are not what they should be.
    #[error("corruption in {what} {} at offset {offset}: {reason}", path.display())]
    Corrupt { what: &'static str, path: PathBuf, offset: u64, reason: String },
}

impl FileError {
    /// For `map_err` after an operation on `path`; `doing` says which, as in "read".
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
        let path = path.to_path_buf();
        move |error| FileError::Io { doing, path, error }
    }

    /// The number that the file's name is, if it is one.
    pub fn file_number(&self) -> Option<u32> {
        let (FileError::Io { path, .. } | FileError::Corrupt { path, .. }) = self;
        path.file_name()?.to_str()?.parse().ok()
    }

    /// Whether bytes are bad, as opposed to unreachable.
    pub fn is_corruption(&self) -> bool {
        matches!(self, FileError::Corrupt { .. })
    }
}

impl From<FileError> for QueryError {
    fn from(error: FileError) -> QueryError {
        match &error {
            FileError::Io { .. } => QueryError::Io(error.to_string()),
            FileError::Corrupt { .. } => QueryError::Corrupt(error.to_string()),
        }
    }
}
