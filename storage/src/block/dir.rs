//! Block directories: which ones a data directory has, and how they come and go so that a block is
//! either whole under its name or not there.
//!
//! A block is made under `<ULID>.tmp-for-creation` and renamed when durable; it is renamed to
//! `<ULID>.tmp-for-deletion` before its files go. What carries such a name at start is removed.

use std::io;
use std::path::{Path, PathBuf};

use ulid::Ulid;

use crate::fs::{DirEntry, FileKind, Fs, OpenMode, atomic};

use super::meta::{BlockMeta, META_FILENAME};
use model::QueryError;

/// Ending of a block directory in the making.
pub const TMP_FOR_CREATION: &str = ".tmp-for-creation";
/// Ending of a block directory on its way out.
pub const TMP_FOR_DELETION: &str = ".tmp-for-deletion";
/// Ending that old versions used for both.
const TMP_LEGACY: &str = ".tmp";
/// Start of the names of head snapshots, which use the same endings.
const CHUNK_SNAPSHOT: &str = "chunk_snapshot.";
/// Length of a ULID's text.
const ULID_LEN: usize = 26;

/// The name of a new block: creation time and 80 of the random bits.
pub fn new_ulid(now_ms: i64, random: u128) -> Ulid {
    Ulid::from_parts(now_ms.max(0) as u64, random)
}

fn parse_ulid(name: &str) -> Option<Ulid> {
    if name.len() != ULID_LEN {
        return None;
    }
    Ulid::from_string(name).ok()
}

/// The block directories below `dir`, by name.
pub fn list(fs: &dyn Fs, dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs.list(dir)?;
    let is_block = |e: &DirEntry| e.kind == FileKind::Dir && parse_ulid(&e.name).is_some();
    Ok(entries.into_iter().filter(is_block).map(|e| dir.join(e.name)).collect())
}

/// Removes what an interrupted run left half made or half deleted below `dir`: each path with the
/// error that kept it, if any.
pub fn remove_temporary(fs: &dyn Fs, dir: &Path) -> io::Result<Vec<(PathBuf, io::Result<()>)>> {
    let mut removed = Vec::new();
    for entry in fs.list(dir)? {
        if entry.kind == FileKind::Dir && is_temporary(&entry.name) {
            let path = dir.join(entry.name);
            let result = fs.remove_dir_all(&path);
            removed.push((path, result));
        }
    }
    Ok(removed)
}

fn is_temporary(name: &str) -> bool {
    [TMP_FOR_DELETION, TMP_FOR_CREATION, TMP_LEGACY].iter().any(|ending| {
        name.strip_suffix(ending)
            .is_some_and(|stem| stem.starts_with(CHUNK_SNAPSHOT) || parse_ulid(stem).is_some())
    })
}

/// Deletes the block `ulid` below `dir`; one that is not there is fine. Who has its files mapped
/// keeps them.
pub fn delete(fs: &dyn Fs, dir: &Path, ulid: Ulid) -> io::Result<()> {
    let block = dir.join(ulid.to_string());
    if !fs.exists(&block)? {
        return Ok(());
    }
    let leaving = dir.join(format!("{ulid}{TMP_FOR_DELETION}"));
    atomic::replace(fs, &block, &leaving)?;
    fs.remove_dir_all(&leaving)
}

/// Mends the block in `dir` if Prometheus 2.1 wrote it, which put the version of its index into
/// `meta.json`. Returns whether it did.
pub fn repair_index_version(fs: &dyn Fs, dir: &Path) -> Result<bool, QueryError> {
    let path = dir.join(META_FILENAME);
    let io = |e: io::Error| QueryError::Io(format!("{}: {e}", dir.display()));
    let text = fs.read(&path).map_err(io)?;
    let meta: BlockMeta = serde_json::from_slice(&text)
        .map_err(|e| QueryError::Corrupt(format!("{}: {e}", path.display())))?;
    match meta.version {
        1 => return Ok(false),
        2 => {}
        other => {
            let what = format!("{}: unexpected meta file version {other}", path.display());
            return Err(QueryError::Corrupt(what));
        }
    }
    let index = dir.join("index");
    let repaired = dir.join("index.repaired");
    let mut bytes = fs.read(&index).map_err(io)?;
    if let Some(version) = bytes.get_mut(4) {
        *version = 2;
    }
    let file = fs.open(&repaired, OpenMode::Truncate).map_err(io)?;
    file.write_all_at(&bytes, 0).and_then(|()| file.sync()).map_err(io)?;
    atomic::replace(fs, &repaired, &index).map_err(io)?;
    meta.write(fs, dir).map_err(io)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::SimFs;

    const A: &str = "01BZJ9WJQPWHGNC2W4J9TA62KC";

    #[test]
    fn only_whole_blocks_are_listed_and_leftovers_go() {
        let fs = SimFs::new(1);
        let dir = Path::new("/data");
        let stays = [A, "wal", "wal.tmp", "chunks_head", "01BZJ9WJQPWHGNC2W4J9TA62K!"];
        let goes = [
            format!("{A}.tmp-for-creation"),
            format!("{A}.tmp-for-deletion"),
            format!("{A}.tmp"),
            "chunk_snapshot.000001.0000000001.tmp".to_owned(),
        ];
        for name in stays.iter().copied().chain(goes.iter().map(String::as_str)) {
            fs.create_dir_all(&dir.join(name)).unwrap();
        }
        assert_eq!(list(&fs, dir).unwrap(), [dir.join(A)]);
        assert_eq!(remove_temporary(&fs, dir).unwrap().len(), goes.len());
        assert_eq!(fs.list(dir).unwrap().len(), stays.len());
        let ulid = Ulid::from_string(A).unwrap();
        delete(&fs, dir, ulid).unwrap();
        delete(&fs, dir, ulid).unwrap();
        assert_eq!(list(&fs, dir).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn the_index_version_bug_of_2_1_is_mended() {
        let Some(broken) = testdata::shared("conformance/tsdb/repair_index_version") else {
            return;
        };
        let broken = broken.join("01BZJ9WJQPWHGNC2W4J9TA62KC");
        let fs = SimFs::new(1);
        let dir = Path::new("/data").join(A);
        fs.create_dir_all(&dir).unwrap();
        for name in ["meta.json", "index"] {
            let file = fs.open(&dir.join(name), OpenMode::CreateNew).unwrap();
            file.write_all_at(&std::fs::read(broken.join(name)).unwrap(), 0).unwrap();
        }
        assert!(BlockMeta::read(&fs, &dir).is_err());
        assert!(repair_index_version(&fs, &dir).unwrap());
        assert!(!repair_index_version(&fs, &dir).unwrap());
        let (meta, _) = BlockMeta::read(&fs, &dir).unwrap();
        assert_eq!((meta.version, meta.stats.num_series), (1, 88910));
        let path = dir.join("index");
        let index = crate::index::IndexReader::open(fs.map(&path).unwrap(), &path).unwrap();
        let b = [model::Matcher::equal("b", "1")];
        let all = crate::postings::postings_for_matchers(&index, &b, None, &Default::default());
        let labels: Vec<String> =
            all.unwrap().iter().map(|&id| index.labels(id).unwrap().to_string()).collect();
        assert_eq!(labels, ["{a=\"1\", b=\"1\"}", "{a=\"2\", b=\"1\"}"]);
    }
}
