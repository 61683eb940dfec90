//! Repair: what can be saved of a data directory, written to a new one. The old one is not touched.
//!
//! A block without a fault is copied; another one is written anew from its whole series and chunks.
//! Logs keep every record that can be read, also behind damage; head chunk files end at damage, as
//! their samples stand in the log. Everything left out is said.

mod block;
mod copy;
mod head_chunks;
mod log;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::block as block_dir;
use crate::file_error::FileError;
use crate::fs::{FileKind, Fs, atomic};
use crate::verify::{fault_of_snapshot, is_snapshot};
use crate::wal::WalError;

/// Why a repair had to stop.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The system said no, most likely to writing.
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Log(#[from] WalError),
    /// Something is there already.
    #[error("{}: is not empty", .0.display())]
    NotEmpty(PathBuf),
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    pub blocks_copied: u64,
    pub blocks_rewritten: u64,
    pub blocks_lost: u64,
    pub segments_copied: u64,
    pub segments_rewritten: u64,
    pub head_chunk_files: u64,
    /// Places where something was left out.
    pub losses: u64,
}

impl fmt::Display for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} blocks copied, {} rewritten, {} lost\n{} log segments copied, {} rewritten\n{} head \
             chunk files kept\n{} losses",
            self.blocks_copied,
            self.blocks_rewritten,
            self.blocks_lost,
            self.segments_copied,
            self.segments_rewritten,
            self.head_chunk_files,
            self.losses
        )
    }
}

/// One run.
struct Repairer<'r> {
    fs: Arc<dyn Fs>,
    saved: Saved,
    report: &'r mut dyn FnMut(&str),
}

/// Writes what can be saved of `dir` to `to`, which must be empty or not there. `report` is told
/// what is lost, and what was mended on the way.
pub fn repair(
    fs: &Arc<dyn Fs>,
    dir: &Path,
    to: &Path,
    report: &mut dyn FnMut(&str),
) -> Result<Saved, RepairError> {
    let entries = fs.list(dir).map_err(FileError::io("list", dir))?;
    if fs.list(to).is_ok_and(|found| !found.is_empty()) {
        return Err(RepairError::NotEmpty(to.to_owned()));
    }
    atomic::create_dir_all(&**fs, to).map_err(FileError::io("create", to))?;
    let mut repairer = Repairer { fs: fs.clone(), saved: Saved::default(), report };
    for block in block_dir::list(&**fs, dir).map_err(FileError::io("list", dir))? {
        repairer.block(&block, to)?;
    }
    for entry in entries.iter().filter(|e| e.kind == FileKind::Dir) {
        let (from, to) = (dir.join(&entry.name), to.join(&entry.name));
        match entry.name.as_str() {
            "wal" => repairer.write_ahead_log(&from, &to)?,
            "wbl" => repairer.log(&from, &to, None)?,
            "chunks_head" => repairer.head_chunks(&from, &to)?,
            // The log has all that a snapshot holds, and one of another directory fits no other.
            name if is_snapshot(name) => {
                if let Some(fault) = fault_of_snapshot(fs, dir, name) {
                    repairer.mended(format!("left out {}: {fault}", from.display()));
                }
            }
            _ => {}
        }
    }
    fs.sync_dir(to).map_err(FileError::io("sync", to))?;
    Ok(repairer.saved)
}

impl Repairer<'_> {
    fn lost(&mut self, text: impl fmt::Display) {
        self.saved.losses += 1;
        (self.report)(&format!("lost: {text}"));
    }

    fn mended(&mut self, text: impl fmt::Display) {
        (self.report)(&format!("mended: {text}"));
    }
}
