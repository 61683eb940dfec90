//! Shown: the samples that histories write, what is known of them, and what can be read.

use std::collections::BTreeMap;

use model::columns::HistogramValue;
use model::value::STALE_NAN;
use model::{
    CancelToken, Columns, Histogram, Labels, MatchOp, Matcher, Queryable, SelectHints, Span,
    TimeRange,
};

use crate::db::Db;

/// Whether a sample must be there or only may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fate {
    Must,
    May,
    /// Under a deletion that failed: what shows of it now a power cut may take back.
    Undecided,
}

/// Series → time → what is known of it.
pub(super) type Known = BTreeMap<u64, BTreeMap<i64, Fate>>;
/// Series → time → what was read.
pub(super) type Read = BTreeMap<u64, BTreeMap<i64, u64>>;

pub(super) fn labels(i: u64) -> Labels {
    let (i, g) = (i.to_string(), (i % 3).to_string());
    Labels::from_pairs([("__name__", "m"), ("g", g.as_str()), ("i", i.as_str())])
}

pub(super) fn number(i: u64, t: i64) -> f64 {
    i as f64 + (t / 1000) as f64 / 16.0
}

/// Now and then a series ends.
pub(super) fn float(i: u64, t: i64) -> f64 {
    if t % 5 == 0 { STALE_NAN } else { number(i, t) }
}

pub(super) fn is_histogram(i: u64) -> bool {
    i % 5 == 4
}

pub(super) fn histogram(i: u64, t: i64) -> Histogram {
    let n = (t / 1000) as u64;
    Histogram {
        schema: 1,
        count: 2 * n + i,
        sum: number(i, t),
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![(n + i) as i64, -(i as i64)],
        ..Histogram::default()
    }
}

/// What series `i` says at `t`, as [`observe`] sees it.
pub(super) fn value(i: u64, t: i64) -> u64 {
    if is_histogram(i) {
        number(i, t).to_bits() ^ histogram(i, t).count
    } else {
        float(i, t).to_bits()
    }
}

/// Everything that can be read, and the errors of what cannot.
pub(super) fn observe(db: &Db) -> (Read, Vec<String>) {
    let any = Matcher::new(MatchOp::Regex, "i", ".+").unwrap();
    let (mut read, mut errors) = (Read::new(), Vec::new());
    let querier = db.querier(TimeRange::ALL).unwrap();
    let hints = SelectHints::default();
    let selection = match querier.select(&[any], &hints, &CancelToken::default()) {
        Ok(selection) => selection,
        Err(error) => return (read, vec![error.to_string()]),
    };
    for s in 0..selection.len() {
        let mut columns = Columns::default();
        if let Err(error) = selection.read(s, TimeRange::ALL, &mut columns) {
            errors.push(error.to_string());
            continue;
        }
        let found = selection.labels(s);
        let i: u64 = found.get("i").unwrap().parse().unwrap();
        assert_eq!(found, labels(i), "labels nobody wrote");
        assert!(columns.timestamps.is_sorted_by(|a, b| a < b), "series {i} ascends");
        let bits = |at: usize| match columns.histogram(at) {
            None => columns.floats[at].to_bits(),
            Some(HistogramValue::Integer(h)) => h.sum.to_bits() ^ h.count,
            Some(HistogramValue::Float(_)) => panic!("series {i} has no float histograms"),
        };
        let samples = columns.timestamps.iter().enumerate().map(|(at, &t)| (t, bits(at)));
        let samples: BTreeMap<i64, u64> = samples.collect();
        if !samples.is_empty() {
            assert!(read.insert(i, samples).is_none(), "series {i} twice");
        }
    }
    (read, errors)
}

/// What is missing; panics at what was never written.
pub(super) fn compare(read: &Read, known: &Known, what: &str) -> Vec<(u64, i64)> {
    for (i, samples) in read {
        for (t, bits) in samples {
            let fate = known.get(i).and_then(|k| k.get(t));
            assert!(fate.is_some(), "{what}: series {i} at {t} should not be there");
            assert_eq!(*bits, value(*i, *t), "{what}: series {i} at {t} has another value");
        }
    }
    let mut missing = Vec::new();
    for (i, samples) in known {
        for (t, fate) in samples {
            if *fate == Fate::Must && !read.get(i).is_some_and(|s| s.contains_key(t)) {
                missing.push((*i, *t));
            }
        }
    }
    missing
}
