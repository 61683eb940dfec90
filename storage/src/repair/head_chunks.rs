//! Saving `chunks_head`: each file up to its first damage. Offsets stay, as the log of late samples
//! names chunks by them; what is cut off stands in the log.

use std::path::{Path, PathBuf};

use super::{RepairError, Repairer};
use crate::chunkfile::{VERSION, file_name, header, header_fault};
use crate::file_error::FileError;
use crate::fs::{FileKind, OpenMode};
use crate::headchunks::{Entries, HEADER_SIZE, MAGIC};

/// More missing files than this are not made up for.
const MAX_GAP: u32 = 1000;

impl Repairer<'_> {
    pub(super) fn head_chunks(&mut self, from: &Path, to: &Path) -> Result<(), RepairError> {
        let fs = self.fs.clone();
        fs.create_dir_all(to).map_err(FileError::io("create", to))?;
        let entries = fs.list(from).map_err(FileError::io("list", from))?;
        let mut files: Vec<(u32, PathBuf)> = entries
            .into_iter()
            .filter(|e| e.kind == FileKind::File)
            .filter_map(|e| Some((e.name.parse().ok()?, from.join(e.name))))
            .collect();
        files.sort_unstable();
        let mut next = files.first().map_or(1, |f| f.0);
        for (number, path) in files {
            if number - next > MAX_GAP {
                self.lost(format!("{}: the files before are missing", path.display()));
                break;
            }
            for missing in next..number {
                self.lost(format!("{}: missing", from.join(file_name(missing)).display()));
                self.write(&to.join(file_name(missing)), &[])?;
            }
            self.head_chunk_file(number, &path, to)?;
            next = number.saturating_add(1);
        }
        fs.sync_dir(to).map_err(FileError::io("sync", to))?;
        Ok(())
    }

    fn head_chunk_file(&mut self, number: u32, path: &Path, to: &Path) -> Result<(), RepairError> {
        let mapped = self.fs.map(path).map_err(FileError::io("map", path))?;
        let bytes = (*mapped).as_ref();
        let content = bytes.get(HEADER_SIZE..).unwrap_or_default();
        if bytes.len() > HEADER_SIZE
            && let Some((offset, reason)) = header_fault(bytes, MAGIC)
        {
            self.mended(format!("{}: offset {offset}: {reason}", path.display()));
        }
        // Walked behind a header that is right.
        let mut whole = header(MAGIC, VERSION).to_vec();
        whole.extend_from_slice(content);
        let whole: crate::fs::Mapped = std::sync::Arc::new(whole);
        let mut end = content.len();
        for entry in Entries::new(vec![(number, path.to_owned(), whole)]) {
            if let Err(error) = entry {
                if let FileError::Corrupt { offset, .. } = &error {
                    end = usize::try_from(*offset).unwrap_or(0).saturating_sub(HEADER_SIZE);
                }
                let bytes = content.len().saturating_sub(end);
                self.lost(format!("{error}: the last {bytes} bytes, whose samples are in the log"));
                break;
            }
        }
        self.write(&to.join(file_name(number)), content.get(..end).unwrap_or_default())?;
        self.saved.head_chunk_files += 1;
        Ok(())
    }

    fn write(&mut self, path: &Path, content: &[u8]) -> Result<(), FileError> {
        let file = self.fs.open(path, OpenMode::CreateNew);
        let file = file.map_err(FileError::io("create", path))?;
        file.write_all_at(&header(MAGIC, VERSION), 0)
            .and_then(|()| file.write_all_at(content, HEADER_SIZE as u64))
            .and_then(|()| file.sync())
            .map_err(FileError::io("write", path))
    }
}
