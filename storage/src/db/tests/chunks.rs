//! Where float chunks end: at other times in every series of the head, and no more of them in a
//! block than Prometheus would have written.

use std::path::Path;
use std::sync::Arc;

use model::{AppendOptions, Appendable, Labels, SeriesRef, TimeRange, Value};

use super::{dump, open};
use crate::db::{FloatEncoding, Options, RuntimeOptions};
use crate::fs::{Fs, SimFs};

const SERIES: usize = 24;
const STEP: i64 = 15_000;
const RANGE: i64 = 7_200_000;

fn spread_and_joined(float_encoding: FloatEncoding) {
    let fs: Arc<dyn Fs> = Arc::new(SimFs::new(1));
    let runtime =
        RuntimeOptions { retention_time_ms: 0, float_encoding, ..RuntimeOptions::default() };
    let options = Options { runtime, ..Options::default() };
    let db = open(Path::new("/data"), fs, options);
    let labels = |i: usize| Labels::from_pairs([("__name__", format!("m{i}"))]);
    let mut refs: Vec<SeriesRef> = Vec::new();
    let rounds = RANGE / STEP;
    let scrape = |refs: &mut Vec<SeriesRef>, k: i64| {
        let mut app = db.appender(AppendOptions::default());
        if refs.is_empty() {
            refs.extend((0..SERIES).map(|i| app.series(&labels(i)).unwrap()));
        }
        let t = k * STEP + k * 7 % 11;
        for (i, series) in refs.iter().enumerate() {
            app.append(*series, t, 0, Value::Float((k * i as i64) as f64)).unwrap();
        }
        app.commit().unwrap();
    };
    // In no round more than a few series hand over a full chunk.
    let mut full = db.head.metrics.mmap_chunks.get();
    for k in 0..rounds {
        scrape(&mut refs, k);
        let now = db.head.metrics.mmap_chunks.get();
        assert!(now - full <= 6, "{} chunks ended in round {k}", now - full);
        full = now;
    }
    assert!(full as usize > 3 * SERIES, "{full}");
    (rounds..rounds * 3 / 2 + 2).for_each(|k| scrape(&mut refs, k));

    let range = TimeRange { min: 0, max: RANGE - 1 };
    let before = dump(&db, range);
    db.maintain().unwrap();
    let blocks = db.block_metas();
    assert_eq!(blocks.len(), 1);
    let stats = &blocks[0].stats;
    assert_eq!(stats.num_samples as usize, SERIES * rounds as usize);
    assert!(stats.num_chunks as usize <= 4 * SERIES, "{stats:?}");
    let after = dump(&db, range);
    assert_eq!(before.len(), SERIES);
    for ((labels, before), (same, after)) in before.iter().zip(&after) {
        assert_eq!(labels, same);
        assert_eq!(before.timestamps, after.timestamps);
        assert_eq!(before.floats, after.floats);
    }
}

#[test]
fn chunks_end_at_different_times_and_are_joined_in_blocks() {
    spread_and_joined(FloatEncoding::Xor);
    spread_and_joined(FloatEncoding::Xor2);
}
