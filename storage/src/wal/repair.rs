//! Repair: makes a log readable again by cutting it at the first damage.

use std::path::Path;

use super::{CorruptionError, WalError, segment_path, segments};
use crate::fs::{Fs, OpenMode};

/// Cuts the log in `dir` at a damaged record: later segments are removed, the damaged one keeps the
/// records before. Later records go too, because what they say may rest on the lost ones. The log
/// must not be open for writing. A crash in between leaves a log to repair again.
///
/// Damage elsewhere, as in a checkpoint, cannot be repaired and is returned as it is.
pub fn repair(fs: &dyn Fs, dir: &Path, damage: &CorruptionError) -> Result<(), WalError> {
    if damage.dir != dir {
        return Err(WalError::Corruption(damage.clone()));
    }
    // From the last one down, so that the numbers have no gap at any time.
    for segment in segments(fs, dir)?.iter().rev() {
        if segment.index > damage.segment {
            let path = dir.join(&segment.name);
            fs.remove_file(&path).map_err(WalError::io("remove", &path))?;
        }
    }
    fs.sync_dir(dir).map_err(WalError::io("sync", dir))?;
    let path = match segments(fs, dir)?.iter().find(|s| s.index == damage.segment) {
        Some(segment) => dir.join(&segment.name),
        None => segment_path(dir, damage.segment),
    };
    let file = fs.open(&path, OpenMode::Write).map_err(WalError::io("open", &path))?;
    let len = file.len().map_err(WalError::io("stat", &path))?;
    file.truncate(damage.record_start.min(len)).map_err(WalError::io("truncate", &path))?;
    file.sync().map_err(WalError::io("sync", &path))
}
