//! Segments: the numbered files of a log.

use std::io;
use std::path::{Path, PathBuf};

use super::WalError;
use crate::fs::{FileKind, Fs};

/// A segment file by name; the name may have more or fewer digits than we would write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentRef {
    pub index: u64,
    pub name: String,
}

/// The file name of a segment.
pub fn segment_name(index: u64) -> String {
    format!("{index:08}")
}

/// The path of a segment.
pub fn segment_path(dir: &Path, index: u64) -> PathBuf {
    dir.join(segment_name(index))
}

/// The segments of a directory in order; an absent directory has none. A missing number between
/// them is an error.
pub fn segments(fs: &dyn Fs, dir: &Path) -> Result<Vec<SegmentRef>, WalError> {
    let entries = match fs.list(dir) {
        Ok(entries) => entries,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(err) => return Err(WalError::io("open", dir)(err)),
    };
    let mut segments: Vec<SegmentRef> = entries
        .into_iter()
        .filter(|entry| entry.kind == FileKind::File)
        .filter(|entry| entry.name.bytes().all(|b| b.is_ascii_digit()))
        .filter_map(|entry| Some(SegmentRef { index: entry.name.parse().ok()?, name: entry.name }))
        .collect();
    segments.sort_by_key(|segment| segment.index);
    match segments.windows(2).all(|pair| pair[0].index.checked_add(1) == Some(pair[1].index)) {
        true => Ok(segments),
        false => Err(WalError::NotSequential),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{OpenMode, SimFs};

    #[test]
    fn lists_in_order_and_finds_gaps() {
        let fs = SimFs::new(0);
        let dir = Path::new("/wal");
        assert_eq!(segments(&fs, dir).unwrap(), []);
        fs.create_dir_all(&dir.join("checkpoint.00000001")).unwrap();
        let touch = |name: &str| fs.open(&dir.join(name), OpenMode::Create).map(|_| ()).unwrap();
        ["00000009", "00000010", "000011", "x", "1.tmp"].into_iter().for_each(touch);
        let found: Vec<_> = segments(&fs, dir).unwrap().into_iter().map(|s| s.index).collect();
        assert_eq!(found, [9, 10, 11]);
        touch("00000013");
        assert_eq!(segments(&fs, dir).unwrap_err().to_string(), "segments are not sequential");
    }
}
