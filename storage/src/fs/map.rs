//! Read-only mappings of sealed files: the one place of the file-system room with unsafe code.
//!
//! What must hold: only files that nobody writes or cuts any more are mapped (block index and
//! chunks, finished head-chunk files). `docs/decisions/fsync-and-mmap.md` says what is left of the
//! SIGBUS risk.
#![allow(unsafe_code, reason = "mapping a file is unsafe in memmap2: its bytes could change")]

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::Mapped;

/// Maps all of `file`. An empty file gives an empty slice (the system refuses to map nothing).
pub(super) fn map_sealed(file: &File) -> io::Result<Mapped> {
    if file.metadata()?.len() == 0 {
        return Ok(Arc::new(Vec::new()));
    }
    // SAFETY: the mapping is read-only and private to this process's view; by the contract of
    // `Fs::map` the file is sealed, so its bytes do not change and it is not cut while mapped.
    // The store's directory is locked against other writers. Removing the file keeps the bytes.
    let map = unsafe { memmap2::Mmap::map(file)? };
    Ok(Arc::new(map))
}
