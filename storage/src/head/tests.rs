//! The head by itself: batches in, columns out.

use std::path::Path;

use model::{
    AppendOptions, CancelToken, Columns, Histogram, Labels, Matcher, SeriesRef, Span, TimeRange,
    Value,
};

use super::*;
use crate::fs::SimFs;
use crate::source::BlockReader;

fn head(options: Options) -> Arc<Head> {
    let fs: Arc<dyn Fs> = Arc::new(SimFs::new(1));
    Arc::new(Head::open(Path::new("/data"), options, &fs, &|_, _, _| {}).unwrap())
}

fn labels(i: usize) -> Labels {
    let i = i.to_string();
    Labels::from_pairs([("__name__", "m"), ("i", i.as_str())])
}

fn samples(view: &HeadView, i: usize) -> Vec<(i64, f64)> {
    let m = [Matcher::equal("i", i.to_string())];
    let ids = view.postings(&m, &CancelToken::default()).unwrap();
    let mut out = Columns::default();
    for &id in ids.iter() {
        assert_eq!(view.labels(id).unwrap(), labels(i));
        view.read(id, TimeRange::ALL, &mut out).unwrap();
    }
    out.timestamps.into_iter().zip(out.floats).collect()
}

#[test]
fn what_goes_in_comes_out() {
    let head = head(Options::default());
    let refs: Vec<SeriesRef> = (0..600)
        .map(|i| {
            let mut app = head.appender(AppendOptions::default());
            let r = app.series(&labels(i)).unwrap();
            app.append(r, 1000, 0, Value::Float(i as f64)).unwrap();
            app.commit().unwrap();
            r
        })
        .collect();
    let early = HeadView::new(head.clone(), i64::MIN);
    for t in 1..500i64 {
        let mut app = head.appender(AppendOptions::default());
        for (i, r) in refs.iter().enumerate() {
            app.append(*r, 1000 + t * 15_000, 0, Value::Float(i as f64 + t as f64 * 0.1)).unwrap();
        }
        app.commit().unwrap();
    }
    let view = HeadView::new(head.clone(), i64::MIN);
    for i in [0, 1, 255, 256, 599] {
        let want: Vec<(i64, f64)> =
            (0..500).map(|t| (1000 + t * 15_000, i as f64 + t as f64 * 0.1)).collect();
        assert_eq!(samples(&view, i), want);
        assert_eq!(samples(&early, i), want[..1]);
    }
    assert!(head.metrics.mmap_chunks.get() > 0);
}

#[test]
fn a_rolled_back_batch_leaves_nothing() {
    let head = head(Options::default());
    let mut a = head.appender(AppendOptions::default());
    let mut b = head.appender(AppendOptions::default());
    let (ra, rb) = (a.series(&labels(1)).unwrap(), b.series(&labels(1)).unwrap());
    let gone = {
        let mut c = head.appender(AppendOptions::default());
        let r = c.series(&labels(2)).unwrap();
        c.append(r, 1, 0, Value::Float(1.0)).unwrap();
        c.rollback();
        r
    };
    a.append(ra, 10, 0, Value::Float(1.0)).unwrap();
    b.append(rb, 20, 0, Value::Float(2.0)).unwrap();
    b.append(rb, 30, 0, Value::Float(3.0)).unwrap();
    b.commit().unwrap();
    a.commit().unwrap();
    let view = HeadView::new(head.clone(), i64::MIN);
    assert_eq!(samples(&view, 1), [(20, 2.0), (30, 3.0)], "the late loser is left out");
    assert_eq!(head.metrics.out_of_order.float.get(), 1);
    assert_eq!(head.metrics.series.get(), 1);
    let mut c = head.appender(AppendOptions::default());
    assert_eq!(c.append(gone, 99, 0, Value::Float(1.0)), Err(AppendError::UnknownSeries));
    assert_eq!(c.series(&labels(1)), Ok(rb));
    assert_eq!(c.append(rb, 30, 0, Value::Float(3.0)), Ok(()));
    assert_eq!(c.append(rb, 30, 0, Value::Float(4.0)), Err(AppendError::Duplicate));
    assert_eq!(c.append(rb, 29, 0, Value::Float(4.0)), Err(AppendError::OutOfOrder));
    assert_eq!(c.append(rb, -4_000_000, 0, Value::Float(4.0)), Err(AppendError::OutOfBounds));
}

#[test]
fn histograms_and_floats_share_a_series() {
    let head = head(Options::default());
    let h = |n: i64| Histogram {
        schema: 1,
        count: n as u64 * 2,
        sum: n as f64,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![n, 0],
        ..Histogram::default()
    };
    let mut app = head.appender(AppendOptions::default());
    let r = app.series(&labels(1)).unwrap();
    for t in 0..300i64 {
        match t % 100 {
            0..50 => app.append(r, t, 0, Value::Histogram(&h(t))).unwrap(),
            99 => app.append(r, t, 0, Value::Float(model::value::STALE_NAN)).unwrap(),
            _ => app.append(r, t, 0, Value::Float(t as f64)).unwrap(),
        }
    }
    app.commit().unwrap();
    let view = HeadView::new(head.clone(), i64::MIN);
    let id = view.postings(&[], &CancelToken::default()).unwrap()[0];
    let mut out = Columns::default();
    view.read(id, TimeRange::ALL, &mut out).unwrap();
    assert_eq!(out.timestamps, (0..300).collect::<Vec<_>>());
    assert_eq!(out.histograms.len(), 150);
    let total: usize = (view.chunks(id, TimeRange::ALL).unwrap().iter())
        .map(|c| crate::chunk::num_samples(c.encoding, &c.data).unwrap())
        .sum();
    assert_eq!(total, 300);
}

/// Refs of the series of a selection, in its order.
fn selected(head: &Arc<Head>) -> Vec<u64> {
    let view = HeadView::new(head.clone(), i64::MIN);
    let mut ids = view.postings(&[], &CancelToken::default()).unwrap();
    view.arrange(&mut ids);
    ids.iter().map(|&slot| head.series_ref(slot).unwrap()).collect()
}

#[test]
fn selections_are_in_order_of_refs() {
    let head = head(Options::default());
    let add = |app: &mut Box<dyn Appender>, i: usize, t: i64| {
        let r = app.series(&labels(i)).unwrap();
        app.append(r, t, 0, Value::Float(1.0)).unwrap();
        r.0
    };
    // Two appenders at once: the later refs are committed first.
    let mut first = head.appender(AppendOptions::default());
    let mut second = head.appender(AppendOptions::default());
    let mut refs: Vec<u64> = (0..300).map(|i| add(&mut first, i, 1000)).collect();
    refs.extend((300..600).map(|i| add(&mut second, i, 1000)));
    second.commit().unwrap();
    first.commit().unwrap();
    assert_eq!(selected(&head), refs);

    // Slots that are used again.
    let mut app = head.appender(AppendOptions::default());
    for i in (0..600).step_by(3) {
        add(&mut app, i, 20_000_000);
    }
    app.commit().unwrap();
    let mut garbage = Garbage::default();
    garbage.truncate(&head, 10_000_000, None);
    garbage.collect(&head).1.unwrap();
    let mut left: Vec<u64> = refs.iter().copied().step_by(3).collect();
    assert_eq!(selected(&head), left);
    let mut app = head.appender(AppendOptions::default());
    left.extend((1000..1100).map(|i| add(&mut app, i, 20_000_000)));
    app.commit().unwrap();
    let view = HeadView::new(head.clone(), i64::MIN);
    let ids = view.postings(&[], &CancelToken::default()).unwrap();
    assert!(ids.iter().all(|&id| id < 600), "slots are used again");
    assert_eq!(selected(&head), left);
}

/// What a snapshot says of an open chunk is believed only if its bits say the same, in order.
#[test]
fn an_open_chunk_that_is_out_of_order_is_not_restored() {
    use super::apply::Series;
    use super::image::Restorer;
    use crate::chunk::{ChunkEncoder, Encoding};
    use crate::encoding::{DecBuf, EncBuf};

    let restored = |encoding: Encoding, times: &[i64], min: i64, max: i64| {
        let mut encoder = ChunkEncoder::new(encoding);
        times.iter().for_each(|&t| drop(encoder.append(None, 0, t, Value::Float(1.0)).unwrap()));
        let mut image = vec![4, encoding as u8];
        image.put_varint(min);
        image.put_varint(max - min);
        image.put_varint(7_200_000);
        image.put_uvarint_bytes(encoder.bytes());
        image.put_be_f64(1.0);
        let head = head(Options::default());
        let page = head.pages.get_or_make(0).unwrap();
        let mut records = page.lock();
        page.reset_locked(&mut records, 0, 1);
        let mut series = Series { page, records: &mut records, place: 0 };
        Restorer::new(&head, i64::MIN).series(&mut series, &mut DecBuf::new(&image)).is_ok()
    };
    for encoding in [Encoding::Xor, Encoding::Xor2] {
        assert!(restored(encoding, &[10, 20, 30], 10, 30));
        assert!(!restored(encoding, &[10, 40, 30], 10, 30));
        assert!(!restored(encoding, &[10, 10, 30], 10, 30));
        assert!(!restored(encoding, &[10, 20, 30], 9, 30));
        assert!(!restored(encoding, &[10, 20, 30], 10, 31));
        assert!(!restored(encoding, &[], 10, 30));
    }
}

/// A start time becomes a zero where the series has nothing at that time or later; late zeros are
/// let go even where late samples are not.
#[test]
fn start_times_become_zeros() {
    let runtime = RuntimeOptions { out_of_order_window_ms: 60_000, ..RuntimeOptions::default() };
    let head = head(Options { start_times_as_zeros: true, runtime, ..Options::default() });
    let append = |added: &[(i64, i64, f64)]| {
        let mut app = head.appender(AppendOptions::default());
        let series = app.series(&labels(0)).unwrap();
        for (t, start, v) in added {
            app.append(series, *t, *start, Value::Float(*v)).unwrap();
        }
        app.commit().unwrap();
        samples(&HeadView::new(head.clone(), i64::MIN), 0)
    };
    // Before what the head begins with, later than the sample: no zero.
    assert_eq!(append(&[(10_000_000, 1, 1.0)]), [(10_000_000, 1.0)]);
    append(&[(10_000_100, 10_000_100, 2.0), (10_000_200, 10_000_300, 3.0)]);
    let mut want = vec![(10_000_000, 1.0), (10_000_100, 2.0), (10_000_200, 3.0)];
    // At the last sample, before it.
    want.extend([(10_000_300, 4.0), (10_000_400, 5.0)]);
    let at_last = [(10_000_300, 10_000_200, 4.0), (10_000_400, 10_000_150, 5.0)];
    assert_eq!(append(&at_last), want);
    // Behind the last sample; those that follow have the same beginning.
    append(&[(10_000_600, 10_000_500, 6.0), (10_000_700, 10_000_500, 7.0)]);
    want.extend([(10_000_500, 0.0), (10_000_600, 6.0), (10_000_700, 7.0), (10_000_800, 8.0)]);
    assert_eq!(append(&[(10_000_800, 10_000_500, 8.0)]), want);
}

/// As in Prometheus: name and value behind their lengths, which take a byte or, from 255 on, four;
/// times the series that have them.
#[test]
fn memory_by_label_name() {
    let head = head(Options::default());
    let mut app = head.appender(AppendOptions::default());
    let long = "x".repeat(255);
    for i in ["1", "22"] {
        for value in ["a", long.as_str()] {
            let labels = Labels::from_pairs([("__name__", "m"), ("i", i), ("long", value)]);
            let series = app.series(&labels).unwrap();
            app.append(series, 1000, 0, Value::Float(1.0)).unwrap();
        }
    }
    app.commit().unwrap();
    let found = |limit| -> Vec<(String, u64)> {
        let stats = head.stats(limit).memory_by_label_name;
        stats.into_iter().map(|count| (count.name, count.count)).collect()
    };
    let long = ("long".to_owned(), 2 * (5 + 2) + 2 * (5 + 4 + 255));
    let name = ("__name__".to_owned(), 4 * (9 + 2));
    let i = ("i".to_owned(), 2 * (2 + 2) + 2 * (2 + 3));
    assert_eq!(found(10), [long.clone(), name.clone(), i]);
    assert_eq!(found(2), [long, name]);
}
