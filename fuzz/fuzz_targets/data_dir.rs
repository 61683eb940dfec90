//! A data directory whose parts are well framed and hold anything: log, checkpoint, log of late
//! samples, head chunks. It opens or is refused; what opens reads, is maintained, closes and opens
//! again with the same samples.
//!
//! Input: parts, each behind a byte that says where it goes and its length in two bytes, big-endian.
#![no_main]

use std::path::Path;
use std::sync::Arc;

use fuzz::{DIR, live, log, parts};
use libfuzzer_sys::fuzz_target;
use model::{SeriesRef, TimeRange};
use storage::db::HeadSnapshot;
use storage::fs::{Fs, SimFs};
use storage::headchunks::HeadChunks;
use storage::wal::{self, Wal};

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
    let [ahead, checkpoint, behind, head_chunks] = parts(bytes);
    assert!(fs.create_dir_all(Path::new(DIR)).is_ok());
    if !checkpoint.is_empty() {
        log(&fs, "/data/wal/checkpoint.00000000", &checkpoint);
        log(&fs, "/data/wal", &[[]]);
        let Ok(wal) = Wal::open(fs.clone(), Path::new("/data/wal"), wal::Options::default()) else {
            return;
        };
        assert!(wal.truncate(1).is_ok() && wal.close().is_ok());
    }
    log(&fs, "/data/wal", &ahead);
    log(&fs, "/data/wbl", &behind);
    let Ok(chunks) = HeadChunks::open(fs.clone(), Path::new("/data/chunks_head")) else { return };
    head_chunks.iter().for_each(|part| head_chunk(&chunks, part));
    let _ = chunks.flush();
    drop(chunks);
    live(&fs, HeadSnapshot::Own, |_, _| {});
});
