//! Limits of the head: who gets in, who does not, and what they never touch.

use std::path::Path;
use std::sync::Arc;

use model::{AppendError, AppendOptions, Appendable, Labels, TimeRange, Value};

use super::{dump, open};
use crate::db::{Db, LimitStats, Options, Refusals};
use crate::fs::{Fs, SimFs};

fn limited(fs: &Arc<dyn Fs>, max_head_series: u64, max_head_bytes: u64) -> Arc<Db> {
    let options = Options { max_head_series, max_head_bytes, ..Options::default() };
    open(Path::new("/data"), fs.clone(), options)
}

fn labels(job: &str, i: u64) -> Labels {
    let i = i.to_string();
    Labels::from_pairs([("__name__", "m"), ("i", i.as_str()), ("job", job)])
}

/// Writes a sample of series `from..from + n` in one batch; how many were taken.
fn write(db: &Db, job: &str, from: u64, n: u64, t: i64) -> u64 {
    let mut app = db.appender(AppendOptions::default());
    let mut taken = 0;
    for i in from..from + n {
        match app.series(&labels(job, i)) {
            Ok(series) => {
                app.append(series, t, 0, Value::Float(1.0)).unwrap();
                taken += 1;
            }
            Err(AppendError::LimitExceeded(text)) => assert!(text.starts_with("head "), "{text}"),
            Err(error) => panic!("{error}"),
        }
    }
    app.commit().unwrap();
    taken
}

#[test]
fn existing_series_go_on_and_new_ones_are_refused() {
    let fs: Arc<dyn Fs> = Arc::new(SimFs::new(1));
    let db = limited(&fs, 100, 0);
    assert_eq!(write(&db, "a", 0, 150, 1000), 100);
    assert_eq!(write(&db, "a", 0, 150, 2000), 100);
    assert!(dump(&db, TimeRange::ALL).iter().all(|(_, c)| c.timestamps == [1000, 2000]));
    let refused = vec![Refusals { metric: "m".into(), job: "a".into(), count: 100 }];
    let want =
        LimitStats { max_series: 100, series: 100, refusing: true, refused, ..Default::default() };
    assert_eq!(db.head_limits(10), want);

    // What must tell of it is let in all the same.
    let mut app = db.appender(AppendOptions { exempt_from_limits: true, ..Default::default() });
    let up = app.series(&labels("a", 1000)).unwrap();
    app.append(up, 2000, 0, Value::Float(1.0)).unwrap();
    app.commit().unwrap();
    assert_eq!(db.head_limits(10).series, 101);
    db.close().unwrap();

    // Replay knows no limit, and its series go on.
    let db = limited(&fs, 50, 0);
    assert_eq!(db.head_limits(0).series, 101);
    assert_eq!(write(&db, "a", 90, 20, 3000), 10);
}

#[test]
fn open_batches_count_until_they_are_given_up() {
    let fs: Arc<dyn Fs> = Arc::new(SimFs::new(1));
    let db = limited(&fs, 10, 0);
    let mut a = db.appender(AppendOptions::default());
    for i in 0..10 {
        a.series(&labels("a", i)).unwrap();
    }
    assert_eq!(write(&db, "a", 20, 5, 1000), 0);
    a.rollback();
    assert_eq!(write(&db, "a", 20, 5, 1000), 5);
    drop(db.appender(AppendOptions::default()));
    assert_eq!(write(&db, "a", 30, 50, 1000), 5);
    assert_eq!(db.head_limits(0).series, 10);
}

#[test]
fn what_leaves_the_head_makes_room() {
    let fs: Arc<dyn Fs> = Arc::new(SimFs::new(1));
    let db = limited(&fs, 10, 0);
    let hour = 3_600_000;
    assert_eq!(write(&db, "a", 0, 20, 1000), 10);
    assert_eq!(write(&db, "a", 0, 1, 2 * hour + 1), 1);
    assert_eq!(write(&db, "a", 0, 1, 4 * hour), 1);
    assert_eq!(write(&db, "a", 30, 1, 4 * hour), 0);
    db.maintain().unwrap();
    db.maintain().unwrap();
    assert_eq!(db.head_limits(0).series, 1);
    assert_eq!(write(&db, "a", 30, 20, 4 * hour + 1), 9);
}

#[test]
fn bytes_are_held_against_their_limit() {
    let fs: Arc<dyn Fs> = Arc::new(SimFs::new(1));
    let limit = 32 << 20;
    let db = limited(&fs, 0, limit);
    let mut taken = 0;
    for batch in 0..60 {
        taken += write(&db, "a", batch * 2000, 2000, 1000);
    }
    let stats = db.head_limits(1);
    assert!(stats.refusing && stats.bytes <= limit, "{stats:?}");
    let each = db.head.memory_bytes() / taken;
    assert!((200..600).contains(&each), "{each} bytes a series");
    // The estimate is of the right size: the limit was not reached much too early.
    assert!(db.head.memory_bytes() > limit / 10 * 8, "{taken} series");
    db.close().unwrap();
    let db = limited(&fs, 0, limit / 2);
    assert!(db.head_limits(0).bytes > limit / 2);
    assert_eq!(write(&db, "b", 0, 1, 2000), 0);
    assert_eq!(write(&db, "a", 0, 1, 2000), 1);
}
