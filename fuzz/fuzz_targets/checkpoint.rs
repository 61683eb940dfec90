//! Log records of any bytes, well framed: a checkpoint of them is made or refused as corrupt; one
//! that was made reads, and a checkpoint of it that keeps everything drops nothing.
//!
//! Input: records, each behind its length in two bytes, big-endian.
#![no_main]

use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use storage::fs::{Fs, SimFs};
use storage::wal::checkpoint::{self, Keep};
use storage::wal::{Compression, Options, Reader, SyncPolicy, Wal};

fuzz_target!(|bytes: &[u8]| {
    let fs: Arc<dyn Fs> = Arc::new(SimFs::new(0));
    let dir = Path::new("/wal");
    let options = Options {
        segment_size: 1 << 17,
        compression: Compression::None,
        sync: SyncPolicy::Off,
        spawn: None,
    };
    let Ok(wal) = Wal::open(fs.clone(), dir, options) else { panic!("an empty log opens") };
    let mut rest = bytes;
    while let [high, low, after @ ..] = rest {
        let (record, after) =
            after.split_at(after.len().min(usize::from(u16::from_be_bytes([*high, *low]))));
        rest = after;
        assert!(record.is_empty() || wal.log(&[record]).is_ok());
    }
    assert!(wal.next_segment().is_ok());
    let some = Keep { series: &|series| series.0 % 3 != 0, min_t: 1000 };
    if checkpoint::create(&fs, dir, (0, 0), &some, Compression::Snappy).is_err() {
        return;
    }
    let mut reader = Reader::replay(fs.clone(), dir).expect("what was made opens");
    while reader.next_entry().expect("what was made reads").is_some() {}
    let all = Keep { series: &|_| true, min_t: i64::MIN };
    assert!(wal.next_segment().is_ok());
    let again = checkpoint::create(&fs, dir, (1, 1), &all, Compression::None);
    let stats = again.expect("what was made is taken over");
    let dropped = stats.series.dropped + stats.samples.dropped + stats.exemplars.dropped;
    assert_eq!(dropped, 0);
});
