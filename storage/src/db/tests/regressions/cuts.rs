//! Cuts: what went wrong when blocks were cut from the head and merged.

use super::*;

/// A query that reads late samples does not hold up the cut of blocks (#19013).
#[test]
fn open_queries_do_not_block_compaction() {
    let (fs, options) = (disk(), options(HOUR));
    let db = start(&fs, &options);
    floats(&db, "a", [HOUR, 2 * HOUR - 1, 2 * HOUR, 2 * HOUR - MINUTE]);
    let querier = db.querier(TimeRange::ALL).unwrap();
    let selection =
        querier.select(&named("a"), &SelectHints::default(), &CancelToken::default()).unwrap();
    floats(&db, "a", [5 * HOUR, 6 * HOUR]);
    db.maintain().unwrap();
    assert!(!db.block_metas().is_empty());
    let mut seen = Columns::default();
    selection.read(0, TimeRange::ALL, &mut seen).unwrap();
    assert!(seen.timestamps.starts_with(&[HOUR, 2 * HOUR - MINUTE, 2 * HOUR - 1, 2 * HOUR]));
    drop((selection, querier));
    db.maintain().unwrap();
    assert_eq!(times(&db, "a").len(), 6);
}

/// Chunks that are written as XOR2 stay XOR2 when blocks are cut and merged (#19145).
#[test]
fn xor2_stays_xor2() {
    let fs = disk();
    let mut options = options(24 * HOUR);
    options.runtime.float_encoding = FloatEncoding::Xor2;
    let db = start(&fs, &options);
    for hour in 1..12 {
        floats(&db, "a", (0..60).map(|m| hour * HOUR + m * MINUTE));
        // Late ones make blocks overlap, so that chunks are encoded anew.
        floats(&db, "a", (0..30).map(|m| hour * HOUR - HOUR / 2 + m * MINUTE + 1));
        db.maintain().unwrap();
    }
    let blocks = db.view.get().blocks.clone();
    assert!(blocks.iter().any(|b| b.meta().compaction.level > 1));
    for block in blocks {
        for &id in block.postings(&[], &CancelToken::default()).unwrap().iter() {
            let chunks = block.chunks(id, TimeRange::ALL).unwrap();
            assert!(chunks.iter().all(|c| c.encoding == Encoding::Xor2 as u8), "{chunks:?}");
        }
    }
}

/// Samples at the very ends of a block's range are in it or in the next one, not lost between them.
#[test]
fn samples_at_range_boundaries_stay() {
    let (fs, options) = (disk(), options(0));
    let db = start(&fs, &options);
    let mut want = Vec::new();
    for end in (2..=12).step_by(2).map(|h| h * HOUR) {
        let edge = [end - 2, end - 1, end, end + 1];
        floats(&db, "a", edge);
        want.extend(edge);
        db.maintain().unwrap();
        assert_eq!(times(&db, "a"), want);
    }
    assert!(db.block_metas().len() > 1);
    let db = start(&later(&fs), &options);
    assert_eq!(times(&db, "a"), want);
}

/// A merge that cannot read its source says so in the sources' meta files, once, and leaves them
/// alone from then on; everything else goes on.
#[test]
fn a_merge_that_fails_is_flagged() {
    let sim = SimFs::new(1);
    let fs: Arc<dyn Fs> = Arc::new(sim.clone());
    let options = options(0);
    let db = start(&fs, &options);
    for hour in 1..6 {
        floats(&db, "a", [hour * HOUR, hour * HOUR + MINUTE]);
    }
    db.maintain().unwrap();
    let first = db.block_metas()[0].clone();
    let chunks = Path::new(DIR).join(first.ulid.to_string()).join("chunks/000001");
    db.close().unwrap();
    drop(db);
    sim.flip_bit(&chunks, 12, 3).unwrap();
    let db = start(&fs, &options);
    for hour in 6..16 {
        floats(&db, "a", [hour * HOUR, hour * HOUR + MINUTE]);
    }
    assert!(db.maintain().is_err());
    let flagged = |db: &Db| db.block_metas().iter().filter(|m| m.compaction.failed).count();
    assert!(flagged(&db) > 0);
    assert_eq!(db.metrics().compactions_failed.get(), 1);
    db.maintain().unwrap();
    drop(db);
    let db = start(&(Arc::new(sim.kill(1)) as Arc<dyn Fs>), &options);
    assert!(flagged(&db) > 0, "the flag is in meta.json");
    db.maintain().unwrap();
}

/// Blocks are cut where samples are, however far apart: a head that steps through the gaps between
/// them would write empty ranges for years.
#[test]
fn samples_far_apart_are_cut_without_steps_between() {
    const FAR: i64 = 1_000_000_000 * HOUR;
    let (fs, options) = (disk(), options(4 * FAR));
    let db = start(&fs, &options);
    let ordered = [HOUR, FAR, FAR + 1, 2 * FAR + 5 * HOUR];
    floats(&db, "a", ordered);
    // One chunk of late samples that lie as far apart, and one before the epoch.
    floats(&db, "a", [FAR / 3, FAR / 2, 3 - FAR]);
    db.maintain().unwrap();
    assert_eq!(db.block_metas().len(), 5, "{:?}", db.block_metas());
    let want = [3 - FAR, HOUR, FAR / 3, FAR / 2, FAR, FAR + 1, 2 * FAR + 5 * HOUR];
    assert_eq!(times(&db, "a"), want);
    // Where Prometheus's head begins: at the sample left, unless that could still be preceded.
    assert_eq!(db.head.time_range().unwrap().min, 2 * FAR + 5 * HOUR - HOUR);
    drop(db);
    let db = start(&later(&fs), &options);
    assert_eq!(times(&db, "a"), want);
    // Nothing is left to wait for beyond half a range: a sample before that is late.
    floats(&db, "a", [2 * FAR + 5 * HOUR - 2 * HOUR]);
    db.maintain().unwrap();
    assert_eq!(times(&db, "a").len(), want.len() + 1);
}

/// A sample that was accepted stays, however far the head goes on before its batch is committed.
#[test]
fn a_cut_waits_for_the_appenders_it_would_leave_behind() {
    let (fs, options) = (disk(), options(0));
    let db = start(&fs, &options);
    floats(&db, "other", [0]);
    let mut slow = db.appender(AppendOptions::default());
    let series = slow.series(&labels("slow")).unwrap();
    slow.append(series, 10 * MINUTE, 0, Value::Float(1.0)).unwrap();
    floats(&db, "other", (1..30).map(|n| n * 10 * MINUTE));
    db.maintain().unwrap();
    assert_eq!(db.block_metas().len(), 0, "a block without what the appender has");
    slow.commit().unwrap();
    db.maintain().unwrap();
    assert_eq!(db.block_metas().len(), 1);
    assert_eq!(columns(&db, "slow").timestamps, [10 * MINUTE]);
    drop(db);
    assert_eq!(columns(&start(&fs, &options), "slow").timestamps, [10 * MINUTE]);
}
