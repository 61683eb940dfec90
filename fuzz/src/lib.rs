//! World: data directories on a simulated disk, for the targets that open whole databases.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use model::{CancelToken, Columns, MatchOp, Matcher, Queryable, SelectHints, TimeRange};
use storage::db::{Db, Env, HeadSnapshot, Options, ReplayProgress, RuntimeOptions, WalFsync};
use storage::fs::{Fs, SimFs, atomic};
use storage::wal::{self, Compression, SyncPolicy, Wal};

/// The data directory.
pub const DIR: &str = "/data";

/// Time goes on by a millisecond whenever somebody looks.
fn env(fs: &Arc<dyn Fs>) -> Env {
    let clock = Arc::new(AtomicI64::new(1_700_000_000_000));
    let random = clock.clone();
    Env {
        fs: fs.clone(),
        clock: Arc::new(move || clock.fetch_add(1, Ordering::Relaxed)),
        random: Arc::new(move || random.fetch_add(1, Ordering::Relaxed) as u128),
        spawn: Arc::new(|name, job| {
            let _ = std::thread::Builder::new().name(name.to_owned()).spawn(job);
        }),
        log: Arc::new(|_, _, _| {}),
    }
}

/// What the databases are opened with.
pub fn options(snapshot: HeadSnapshot) -> Options {
    Options {
        wal_fsync: WalFsync::Off,
        exemplar_storage: true,
        metadata_wal_records: true,
        start_timestamps: true,
        snapshot,
        runtime: RuntimeOptions {
            retention_time_ms: 0,
            out_of_order_window_ms: 600_000,
            ..RuntimeOptions::default()
        },
        ..Options::default()
    }
}

/// Opens the directory; `None` when it is refused.
pub fn open(fs: &Arc<dyn Fs>, snapshot: HeadSnapshot) -> Option<Arc<Db>> {
    Db::open(Path::new(DIR), options(snapshot), env(fs), &ReplayProgress::default()).ok()
}

/// How many samples can be read. Those of a series ascend.
pub fn samples(db: &Db) -> usize {
    let (Ok(querier), Ok(any)) =
        (db.querier(TimeRange::ALL), Matcher::new(MatchOp::Regex, "__name__", ".*"))
    else {
        return 0;
    };
    let (hints, cancel) = (SelectHints::default(), CancelToken::default());
    let Ok(selection) = querier.select(&[any], &hints, &cancel) else { return 0 };
    let mut columns = Columns::default();
    let mut count = 0;
    for i in 0..selection.len() {
        columns.clear();
        if selection.read(i, TimeRange::ALL, &mut columns).is_ok() {
            assert!(columns.timestamps.is_sorted());
            count += columns.len();
        }
    }
    count
}

/// Writes a log of these records; none is empty.
pub fn log(fs: &Arc<dyn Fs>, dir: &str, records: &[impl AsRef<[u8]>]) {
    let options = wal::Options {
        segment_size: 1 << 17,
        compression: Compression::None,
        sync: SyncPolicy::Off,
        spawn: None,
    };
    let Ok(log) = Wal::open(fs.clone(), Path::new(dir), options) else { return };
    for record in records.iter().map(AsRef::as_ref).filter(|r| !r.is_empty()) {
        assert!(log.log(&[record]).is_ok());
    }
    assert!(log.close().is_ok());
}

/// Parts of an input, each behind a byte that says where it goes and its length in two bytes,
/// big-endian.
pub fn parts<const N: usize>(mut rest: &[u8]) -> [Vec<&[u8]>; N] {
    let mut parts = [const { Vec::new() }; N];
    while let [to, high, low, after @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let (part, after) = after.split_at(after.len().min(len));
        parts[usize::from(*to) % N].push(part);
        rest = after;
    }
    parts
}

/// Opens what is in the directory, reads, closes, opens again with the same samples, maintains.
/// `judge` looks at it as it was opened, and is told how many samples it has.
pub fn live(fs: &Arc<dyn Fs>, snapshot: HeadSnapshot, judge: impl FnOnce(&Db, usize)) {
    let Some(db) = open(fs, snapshot) else { return };
    let before = samples(&db);
    judge(&db, before);
    assert!(db.close().is_ok());
    drop(db);
    let db = open(fs, snapshot).expect("what was opened and closed opens");
    assert_eq!(samples(&db), before);
    let _ = db.maintain();
    samples(&db);
    let _ = db.close();
}

/// A directory with head chunk files and a snapshot of a head whose log is empty. If it is not used,
/// nothing of it is left.
pub fn live_from_snapshot(
    snapshot: HeadSnapshot,
    name: &str,
    records: &[impl AsRef<[u8]>],
    head_chunk_files: &[&[u8]],
) {
    let fs: Arc<dyn Fs> = Arc::new(SimFs::new(0));
    assert!(fs.create_dir_all(Path::new(&format!("{DIR}/chunks_head"))).is_ok());
    for (number, file) in (1..).zip(head_chunk_files) {
        let path = format!("{DIR}/chunks_head/{number:06}");
        assert!(atomic::write(&*fs, Path::new(&path), file).is_ok());
    }
    log(&fs, &format!("{DIR}/wal"), &[[]]);
    log(&fs, &format!("{DIR}/{name}"), records);
    live(&fs, snapshot, |db, samples| {
        assert!(db.head_metrics().snapshot_loads.get() > 0 || samples == 0);
    });
}
