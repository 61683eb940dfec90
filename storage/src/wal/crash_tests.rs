//! The log on a disk that fails: random logging, syncing, rotating, power cuts, kills, full disks
//! and I/O errors. After every restart what was acknowledged and synced is there, and what is there
//! is a prefix of what was acknowledged; after a kill all of it is.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::*;
use crate::fs::sim::Faults;
use crate::fs::{Fs, SimFs};

const DIR: &str = "/data/wal";
const LIVES: u64 = 4;
const SEEDS: u64 = 2_000;

/// A source of choices, the same for the same seed.
struct Choice(u64);

impl Choice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// What the log must hold.
#[derive(Default)]
struct Model {
    next_id: u64,
    /// Acknowledged, in order.
    acknowledged: Vec<u64>,
    /// How many of them are durable.
    durable: usize,
    /// Refused since the last acknowledged one: may be there, at the end.
    refused: Vec<u64>,
}

/// Bytes that do not compress.
static NOISE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut choice = Choice(1);
    (0..60_000).map(|_| choice.below(256) as u8).collect()
});

/// A record that says its number and fills up with bytes that depend on it.
fn record(id: u64, len: usize) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    bytes.extend_from_slice(&NOISE[id as usize % 20_000..][..len]);
    bytes
}

fn id_of(bytes: &[u8]) -> u64 {
    let (head, rest) = bytes.split_first_chunk::<8>().unwrap();
    let id = u64::from_be_bytes(*head);
    assert_eq!(bytes, record(id, rest.len()), "record {id} is not what was logged");
    id
}

/// Reads the log and repairs it as often as needed; the numbers of its records.
fn read_and_repair(fs: &Arc<dyn Fs>) -> Result<Vec<u64>, WalError> {
    loop {
        match read(fs) {
            Err(WalError::Corruption(damage)) => repair(fs.as_ref(), Path::new(DIR), &damage)?,
            other => return other,
        }
    }
}

fn read(fs: &Arc<dyn Fs>) -> Result<Vec<u64>, WalError> {
    let mut reader = Reader::replay(fs.clone(), Path::new(DIR))?;
    let mut ids = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        // A header that a power cut reduced to its first byte is an empty record.
        if !entry.record.is_empty() {
            ids.push(id_of(entry.record));
        }
    }
    Ok(ids)
}

fn some_faults(choice: &mut Choice, fs: &SimFs) -> Faults {
    let mut faults = Faults::default();
    let at = Some(choice.below(80));
    match choice.below(8) {
        0 => faults.crash_at_call = at,
        1 => faults.crash_at_sync = Some(choice.below(8)),
        2 => faults.eio_at_call = at,
        3 => faults.enospc_at_call = at,
        4 => faults.eio_at_sync = Some(choice.below(6)),
        5 => {
            faults.eio_at_sync = Some(choice.below(6));
            faults.crash_at_call = at;
        }
        6 => {
            let used = 1 << 40;
            let free = fs.space(Path::new("/")).map_or(0, |space| space.available_bytes);
            faults.byte_budget = Some(used - free + choice.below(120_000));
        }
        _ => {}
    }
    faults
}

fn options(choice: &mut Choice) -> Options {
    let compression = [Compression::None, Compression::Snappy, Compression::Zstd];
    Options {
        segment_size: PAGE_SIZE * (2 + choice.below(4)),
        compression: compression[choice.below(3) as usize],
        sync: match choice.below(3) {
            0 => SyncPolicy::Always,
            _ => SyncPolicy::Interval(Duration::from_secs(1)),
        },
        spawn: None,
    }
}

impl Model {
    /// Uses the log until the faults stop the machine or enough has happened.
    fn live(&mut self, wal: &Wal, fs: &SimFs, choice: &mut Choice) {
        for _ in 0..choice.below(40) {
            match choice.below(10) {
                0..=6 => self.log(wal, choice),
                7 | 8 => {
                    if wal.sync().is_ok() {
                        self.durable = self.acknowledged.len();
                    }
                }
                _ => {
                    let before = wal.last_segment();
                    if let Ok(segment) = wal.next_segment() {
                        assert!(segment > before);
                    }
                }
            }
            if fs.stopped() {
                return;
            }
        }
        if choice.one_in(4) && wal.close().is_ok() {
            self.durable = self.acknowledged.len();
            assert!(matches!(wal.log(&[b"x"]), Err(WalError::Closed)));
        }
    }

    fn log(&mut self, wal: &Wal, choice: &mut Choice) {
        let mut batch = Vec::new();
        for _ in 0..=choice.below(3) {
            let len = match choice.below(20) {
                0 => choice.below(40_000),
                1..=4 => choice.below(4_000),
                _ => choice.below(300),
            };
            batch.push(record(self.next_id + batch.len() as u64, len as usize));
        }
        // More than one record is all or nothing only if together they fit a segment.
        if batch.iter().map(Vec::len).sum::<usize>() > PAGE_SIZE as usize {
            batch.truncate(1);
        }
        let ids = self.next_id..self.next_id + batch.len() as u64;
        self.next_id = ids.end;
        let records: Vec<&[u8]> = batch.iter().map(Vec::as_slice).collect();
        match wal.log(&records) {
            Ok(_) => {
                self.acknowledged.extend(ids);
                self.refused.clear();
                if wal.options().sync == SyncPolicy::Always {
                    self.durable = self.acknowledged.len();
                }
            }
            Err(_) => self.refused.extend(ids),
        }
    }

    /// Compares with what a restart found, which is what later restarts must find too.
    fn check(&mut self, found: Vec<u64>, killed: bool) {
        // After a failed sync records may be there twice.
        let mut seen = HashSet::new();
        let mut distinct: Vec<u64> = found.into_iter().filter(|id| seen.insert(*id)).collect();
        let kept = distinct.iter().zip(&self.acknowledged).take_while(|(a, b)| a == b).count();
        let extra = distinct.split_off(kept);
        assert!(kept >= self.durable, "{kept} of {} durable records", self.durable);
        assert!(!killed || kept == self.acknowledged.len(), "a kill took something acknowledged");
        assert!(
            extra.iter().all(|id| self.refused.contains(id)),
            "not a prefix: {extra:?} behind {kept} of {:?}",
            self.acknowledged,
        );
        self.acknowledged.truncate(kept);
        self.acknowledged.extend(extra);
        self.refused.clear();
    }
}

/// A disk with a data directory.
fn disk(seed: u64) -> SimFs {
    let fs = SimFs::new(seed);
    crate::fs::atomic::create_dir_all(&fs, Path::new("/data")).unwrap();
    fs
}

fn uncompressed() -> Options {
    Options { compression: Compression::None, ..Options::default() }
}

fn run(seed: u64) {
    let mut choice = Choice(seed);
    let mut model = Model::default();
    let mut fs = disk(seed);
    for life in 0..LIVES {
        if choice.one_in(3) {
            fs.set_faults(some_faults(&mut choice, &fs));
        }
        let shared: Arc<dyn Fs> = Arc::new(fs.clone());
        let opened = read_and_repair(&shared).and_then(|found| {
            model.check(found, false);
            Wal::open(shared, Path::new(DIR), options(&mut choice))
        });
        // A failed start may have spent the system's one report of a failed write: what another
        // start of the same machine finds is not known to be on disk.
        let started = opened.is_ok();
        if let Ok(wal) = opened {
            // Opening made durable what a killed process had only written.
            model.durable = model.acknowledged.len();
            if choice.one_in(2) {
                fs.set_faults(some_faults(&mut choice, &fs));
            }
            model.live(&wal, &fs, &mut choice);
        }
        let kill = started && !fs.stopped() && choice.one_in(2);
        fs = if kill { fs.kill(seed + life) } else { fs.crash(seed + life) };
        let found = read_and_repair(&(Arc::new(fs.clone()) as Arc<dyn Fs>)).unwrap();
        model.check(found, kill);
    }
}

#[test]
fn what_was_synced_survives_everything() {
    for seed in 0..SEEDS {
        let done = std::panic::catch_unwind(|| run(seed));
        assert!(done.is_ok(), "seed {seed}");
    }
}

#[test]
fn a_flipped_bit_is_noticed_or_harmless() {
    for seed in 0..400 {
        let mut choice = Choice(seed);
        let mut model = Model::default();
        let fs = disk(seed);
        let shared: Arc<dyn Fs> = Arc::new(fs.clone());
        let wal = Wal::open(shared.clone(), Path::new(DIR), options(&mut choice)).unwrap();
        model.live(&wal, &fs, &mut choice);
        drop(wal);
        let all = segments(&fs, Path::new(DIR)).unwrap();
        let path = Path::new(DIR).join(&all[choice.below(all.len() as u64) as usize].name);
        let len = fs.metadata(&path).unwrap().len;
        if len == 0 {
            continue;
        }
        fs.flip_bit(&path, choice.below(len), choice.below(8) as u8).unwrap();
        let found = read_and_repair(&shared).unwrap();
        assert!(model.acknowledged.starts_with(&found), "seed {seed}");
    }
}

#[test]
fn a_full_disk_refuses_and_then_goes_on() {
    let fs = disk(5);
    let shared: Arc<dyn Fs> = Arc::new(fs.clone());
    let wal = Wal::open(shared.clone(), Path::new(DIR), uncompressed()).unwrap();
    wal.log(&[&record(0, 100)]).unwrap();
    fs.set_faults(Faults { byte_budget: Some(300), ..Faults::default() });
    let big = record(1, 9_000);
    for _ in 0..3 {
        let err = wal.log(&[&record(9, 40), &big]).unwrap_err();
        assert!(err.is_storage_full(), "{err}");
        assert_eq!(err.to_string(), "write /data/wal/00000000: no space left on device");
    }
    wal.log(&[&record(1, 50)]).unwrap();
    fs.set_faults(Faults::default());
    wal.log(&[&record(2, 9_000)]).unwrap();
    assert_eq!(read(&(Arc::new(fs.kill(1)) as Arc<dyn Fs>)).unwrap(), [0, 1, 2]);
    assert_eq!(wal.metrics().writes_failed.load(std::sync::atomic::Ordering::Relaxed), 3);
}

#[test]
fn a_failed_sync_logs_again_in_a_new_segment() {
    for seed in 0..50 {
        let fs = disk(seed);
        let shared: Arc<dyn Fs> = Arc::new(fs.clone());
        let wal = Wal::open(shared, Path::new(DIR), Options::default()).unwrap();
        wal.log(&[&record(0, 100)]).unwrap();
        wal.sync().unwrap();
        let durable = wal.end();
        wal.log(&[&record(1, 5_000), &record(2, 10)]).unwrap();
        fs.set_faults(Faults { eio_at_sync: Some(0), ..Faults::default() });
        wal.sync().unwrap();
        assert_eq!(wal.last_segment(), 1);
        assert_eq!(fs.metadata(Path::new("/data/wal/00000000")).unwrap().len, durable.offset);
        wal.log(&[&record(3, 10)]).unwrap();
        let after: Arc<dyn Fs> = Arc::new(fs.crash(seed));
        let found = read_and_repair(&after).unwrap();
        assert!([0, 1, 2, 3].starts_with(&found) && found.len() >= 3);
    }
}

#[test]
fn nothing_is_accepted_until_it_could_be_logged_again() {
    let fs = disk(8);
    let shared: Arc<dyn Fs> = Arc::new(fs.clone());
    let wal = Wal::open(shared, Path::new(DIR), uncompressed()).unwrap();
    wal.log(&[&record(0, 3_000)]).unwrap();
    // The sync fails, and there is no room for another segment.
    let eio_at_sync = Some(0);
    fs.set_faults(Faults { eio_at_sync, byte_budget: Some(3_100), ..Faults::default() });
    let stopped = |err: WalError| matches!(err, WalError::Stopped(_));
    assert!(stopped(wal.sync().unwrap_err()));
    assert!(stopped(wal.log(&[&record(1, 10)]).unwrap_err()));
    assert_eq!(read(&(Arc::new(fs.kill(1)) as Arc<dyn Fs>)).unwrap(), [0]);
    fs.set_faults(Faults::default());
    wal.log(&[&record(1, 10)]).unwrap();
    assert_eq!(wal.last_segment(), 1);
    assert_eq!(read(&(Arc::new(fs.kill(1)) as Arc<dyn Fs>)).unwrap(), [0, 1]);
}
