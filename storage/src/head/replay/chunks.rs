//! Found: what `chunks_head` has for series that the log has not named yet.

use std::collections::HashMap;

use super::shards::Attached;
use crate::file_error::FileError;
use crate::head::Head;
use crate::head::mmap::mapped;

/// Chunks by ref.
#[derive(Default)]
pub(super) struct Found {
    series: HashMap<u64, Attached>,
}

impl Found {
    /// Reads what `chunks_head` has. After a corruption its file and all later ones are removed;
    /// their samples are in the log.
    pub fn load(&mut self, head: &Head, min_valid: i64) -> Option<FileError> {
        let mut failed = None;
        for entry in head.chunks.files().entries() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            };
            head.chunks.found(entry.at.0);
            let Some(chunk) = mapped(&entry) else { continue };
            if !entry.out_of_order && chunk.max_t() < min_valid {
                continue;
            }
            let found = self.series.entry(entry.series.0).or_default();
            let chunks = if entry.out_of_order { &mut found.late } else { &mut found.chunks };
            chunks.push(chunk);
        }
        let error = failed?;
        head.metrics.mmap_chunk_corruptions.add(1);
        let from = error.file_number().unwrap_or(0);
        // Chunks of removed files must not be referred to, whether the removal works or not.
        let below = crate::chunk::ChunkRef::new(from, 0).0;
        for found in self.series.values_mut() {
            found.chunks.retain(|c| c.chunk_ref < below);
            found.late.retain(|c| c.chunk_ref < below);
        }
        Some(head.chunks.files().drop_from(from).err().unwrap_or(error))
    }

    /// The highest ref anything was found under.
    pub fn last_ref(&self) -> u64 {
        self.series.keys().copied().max().unwrap_or(0)
    }

    /// The chunks under a ref.
    #[inline]
    pub fn take(&mut self, series_ref: u64) -> Option<Attached> {
        if self.series.is_empty() {
            return None;
        }
        self.series.remove(&series_ref)
    }
}
