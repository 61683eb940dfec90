//! ActiveFile: `queries.active`, where the queries under way are written down, so that after a crash
//! the next start can name those that may have caused it.
//!
//! The form (docs/format/active-queries.md) is Prometheus's and each server reads the other's: `[`,
//! then one slot of 1000 bytes for each query that may run at once, all NUL while free. A query in a
//! slot is a JSON object `{"query":…,"timestamp_sec":…}` and a comma in the last byte. Without the
//! NULs, and with the last comma made a `]`, the file is a JSON list. Slots of rules lie behind those
//! of requests; the file only reaches there once a rule has run.
//!
//! What must hold: a slot never holds more than its object and comma, whatever the query contains.
//! The file is written in place, never mapped: a full disk or a file cut short by somebody else is
//! an error of one write, not the end of the process.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::gate::Lane;
use super::query_log::push_json_char;

/// Name of the file in the data directory.
const NAME: &str = "queries.active";
/// Bytes of a slot.
const SLOT: usize = 1000;
/// Most bytes of an old file that are looked at, unless this one is larger.
const MOST_READ: usize = 1 << 20;

/// The open file.
#[derive(Debug)]
pub struct ActiveFile {
    file: File,
    /// Slots of requests, of rules.
    free: Mutex<[BTreeSet<usize>; 2]>,
    failed: AtomicBool,
}

impl ActiveFile {
    /// Starts a new file for `max` queries in `dir`; also what an old one says was under way, as a
    /// JSON list, when that is anything.
    pub fn open(dir: &Path, max: usize) -> io::Result<(ActiveFile, Option<String>)> {
        let path = dir.join(NAME);
        let size = 1 + max * SLOT;
        let unfinished = match File::open(&path) {
            Ok(old) => {
                let mut bytes = Vec::new();
                old.take(size.max(MOST_READ) as u64).read_to_end(&mut bytes)?;
                unfinished(&bytes)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        let mut file =
            OpenOptions::new().create(true).read(true).write(true).truncate(true).open(&path)?;
        // Written, not only sized: what has its place on disk needs none when the disk is full.
        let mut bytes = vec![0; size];
        bytes[0] = b'[';
        file.write_all(&bytes)?;
        file.sync_data()?;
        let free = [(0..max).collect(), (max..2 * max).collect()];
        let file = ActiveFile { file, free: Mutex::new(free), failed: AtomicBool::new(false) };
        Ok((file, unfinished))
    }

    /// Writes a query down until what is returned is dropped.
    pub fn insert(self: &Arc<Self>, lane: Lane, query: &str) -> Written {
        let slot = self.free()[lane as usize].pop_first();
        let written = Written { file: Arc::clone(self), lane, slot };
        if let Some(slot) = slot {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            self.write(slot, &entry(query, now.map_or(0, |d| d.as_secs())));
        }
        written
    }

    fn free(&self) -> MutexGuard<'_, [BTreeSet<usize>; 2]> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, slot: usize, bytes: &[u8; SLOT]) {
        let at = 1 + slot as u64 * SLOT as u64;
        if let Err(e) = self.file.write_all_at(bytes, at)
            && !self.failed.swap(true, Ordering::Relaxed)
        {
            let err = crate::gotext::os_error(&e);
            tracing::warn!(
                component = "activeQueryTracker",
                err,
                "Cannot write the active query file; queries go on without"
            );
        }
    }
}

/// A query that is written down.
#[derive(Debug)]
pub struct Written {
    file: Arc<ActiveFile>,
    lane: Lane,
    slot: Option<usize>,
}

impl Drop for Written {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            self.file.write(slot, &[0; SLOT]);
            self.file.free()[self.lane as usize].insert(slot);
        }
    }
}

/// A slot with a query: as much of it as fits.
fn entry(query: &str, seconds: u64) -> [u8; SLOT] {
    let end = format!("\",\"timestamp_sec\":{seconds}}}");
    let mut text = "{\"query\":\"".to_owned();
    for c in query.chars() {
        let whole = text.len();
        push_json_char(&mut text, c, true);
        // The last byte is the comma's.
        if text.len() + end.len() >= SLOT {
            text.truncate(whole);
            break;
        }
    }
    text.push_str(&end);
    let mut slot = [0; SLOT];
    slot[..text.len()].copy_from_slice(text.as_bytes());
    slot[SLOT - 1] = b',';
    slot
}

/// The list in a file that was left behind; `None` when nothing was under way. The file may hold
/// anything, and is for people to read.
fn unfinished(bytes: &[u8]) -> Option<String> {
    let mut list = String::from_utf8_lossy(bytes).replace('\0', "");
    list.pop();
    if list.is_empty() {
        return None;
    }
    list.push(']');
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(dir: &Path) -> Vec<u8> {
        std::fs::read(dir.join(NAME)).unwrap()
    }

    #[test]
    fn slots_are_taken_and_freed() {
        let dir = tempfile::tempdir().unwrap();
        let (file, before) = ActiveFile::open(dir.path(), 2).unwrap();
        assert_eq!(before, None);
        let file = Arc::new(file);
        let mut empty = vec![0; 2001];
        empty[0] = b'[';
        assert_eq!(read(dir.path()), empty);
        let first = file.insert(Lane::Requests, "a\"<b");
        let second = file.insert(Lane::Requests, "c");
        drop(first);
        assert_eq!(&read(dir.path())[..1001], &empty[..1001]);
        let bytes = read(dir.path());
        assert!(bytes[1001..].starts_with(b"{\"query\":\"c\",\"timestamp_sec\":1"));
        assert_eq!((bytes.len(), bytes[2000]), (2001, b','));
        let rule = file.insert(Lane::Rules, "r");
        let bytes = read(dir.path());
        assert!(bytes[2001..].starts_with(b"{\"query\":\"r\""));
        // Nobody is kept from running by a lack of slots.
        let more = [file.insert(Lane::Requests, "d"), file.insert(Lane::Requests, "e")];

        let (_, left) = ActiveFile::open(dir.path(), 2).unwrap();
        let list: Vec<serde_json::Value> = serde_json::from_str(&left.unwrap()).unwrap();
        let queries: Vec<_> = list.iter().map(|q| q["query"].as_str().unwrap()).collect();
        assert_eq!(queries, ["d", "c", "r"]);
        drop((second, rule, more));
        assert!(ActiveFile::open(dir.path(), 2).unwrap().1.is_none());
    }

    #[test]
    fn whatever_was_left_is_read() {
        let check = |bytes: &[u8], expected: Option<&str>| {
            assert_eq!(unfinished(bytes).as_deref(), expected, "{bytes:?}");
        };
        check(b"", None);
        check(b"[", None);
        check(b"\0\0", None);
        check(b"[{}\0\0,\0", Some("[{}]"));
        check(b"[\xff\0x", Some("[\u{fffd}]"));
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(NAME), vec![b'x'; 5 << 20]).unwrap();
        let (_, left) = ActiveFile::open(dir.path(), 1).unwrap();
        assert_eq!(left.unwrap().len(), MOST_READ);
        assert_eq!(read(dir.path()).len(), 1001);
    }

    proptest! {
        #[test]
        fn a_slot_holds_any_query(query in "(?s).{0,1200}", seconds: u64) {
            let slot = entry(&query, seconds);
            prop_assert_eq!(slot[SLOT - 1], b',');
            let text = std::str::from_utf8(&slot[..SLOT - 1]).unwrap().trim_end_matches('\0');
            let json: serde_json::Value = serde_json::from_str(text).unwrap();
            let kept = json["query"].as_str().unwrap();
            prop_assert!(query.starts_with(kept));
            // No more is left out than must be: the next character would not fit.
            prop_assert!(kept == query || text.len() > SLOT - 1 - 7);
            prop_assert_eq!(&json["timestamp_sec"], seconds);
        }
    }
}
