//! A data directory whose parts are well framed and hold anything: log, checkpoint, log of late
//! samples, head chunks. It opens or is refused; what opens reads, is maintained, closes and opens
//! again with the same samples.
//!
//! Input: parts, each behind a byte that says where it goes and its length in two bytes, big-endian.
#![no_main]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use libfuzzer_sys::fuzz_target;
use model::{
    CancelToken, Columns, MatchOp, Matcher, Queryable, SelectHints, SeriesRef, TimeRange,
};
use storage::db::{Db, Env, Options, ReplayProgress, RuntimeOptions, WalFsync};
use storage::fs::{Fs, SimFs};
use storage::headchunks::HeadChunks;
use storage::wal::{self, Compression, SyncPolicy, Wal};

const DIR: &str = "/data";

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

fn open(fs: &Arc<dyn Fs>) -> Option<Arc<Db>> {
    let options = Options {
        wal_fsync: WalFsync::Off,
        exemplar_storage: true,
        metadata_wal_records: true,
        start_timestamps: true,
        runtime: RuntimeOptions {
            retention_time_ms: 0,
            out_of_order_window_ms: 600_000,
            ..RuntimeOptions::default()
        },
        ..Options::default()
    };
    Db::open(Path::new(DIR), options, env(fs), &ReplayProgress::default()).ok()
}

fn samples(db: &Db) -> usize {
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

fn log(fs: &Arc<dyn Fs>, dir: &str, records: &[&[u8]]) {
    let options = wal::Options {
        segment_size: 1 << 17,
        compression: Compression::None,
        sync: SyncPolicy::Off,
        spawn: None,
    };
    let Ok(log) = Wal::open(fs.clone(), Path::new(dir), options) else { return };
    for record in records.iter().filter(|r| !r.is_empty()) {
        assert!(log.log(&[record]).is_ok());
    }
    assert!(log.close().is_ok());
}

/// Series, encoding, first and last time (three bytes each) and data of a head chunk.
fn head_chunk(chunks: &HeadChunks, part: &[u8]) {
    let [series, encoding, a, b, c, d, e, f, data @ ..] = part else { return };
    let (min, max) = (i64::from_be_bytes([0, 0, 0, 0, 0, *a, *b, *c]), [*d, *e, *f]);
    let max = i64::from_be_bytes([0, 0, 0, 0, 0, max[0], max[1], max[2]]);
    let range = TimeRange { min, max: max.max(min) };
    let series = SeriesRef(u64::from(*series));
    let _ = chunks.write(series, range, encoding & 0x7f, encoding & 0x80 != 0, data);
}

fuzz_target!(|bytes: &[u8]| {
    let fs: Arc<dyn Fs> = Arc::new(SimFs::new(0));
    let mut parts: [Vec<&[u8]>; 4] = Default::default();
    let mut rest = bytes;
    while let [to, high, low, after @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let (part, after) = after.split_at(after.len().min(len));
        parts[usize::from(*to) % parts.len()].push(part);
        rest = after;
    }
    assert!(fs.create_dir_all(Path::new(DIR)).is_ok());
    if !parts[1].is_empty() {
        log(&fs, "/data/wal/checkpoint.00000000", &parts[1]);
        log(&fs, "/data/wal", &[]);
        let Ok(wal) = Wal::open(fs.clone(), Path::new("/data/wal"), wal::Options::default()) else {
            return;
        };
        assert!(wal.truncate(1).is_ok() && wal.close().is_ok());
    }
    log(&fs, "/data/wal", &parts[0]);
    log(&fs, "/data/wbl", &parts[2]);
    let Ok(chunks) = HeadChunks::open(fs.clone(), Path::new("/data/chunks_head")) else { return };
    parts[3].iter().for_each(|part| head_chunk(&chunks, part));
    let _ = chunks.flush();
    drop(chunks);

    let Some(db) = open(&fs) else { return };
    let before = samples(&db);
    assert!(db.close().is_ok());
    drop(db);
    let db = open(&fs).expect("what was opened and closed opens");
    assert_eq!(samples(&db), before);
    let _ = db.maintain();
    samples(&db);
    let _ = db.close();
});
