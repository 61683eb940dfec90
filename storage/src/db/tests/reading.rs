//! Reading: what queries of a model test show, each of the ways to read compared with the others.

use std::sync::LazyLock;

use model::{Columns, Matcher, Querier, SelectHints, TimeRange};

use super::model_test::{MINUTE, Store, labels};
use super::*;

/// Threads as those of a query, which selections are shared out to.
static POOL: LazyLock<rayon::ThreadPool> =
    LazyLock::new(|| rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap());

/// Everything that a query shows.
pub(super) fn read(querier: &dyn Querier) -> Store {
    let any = Matcher::new(MatchOp::Regex, "i", ".+").unwrap();
    let select = || querier.select(&[any], &SelectHints::default(), &CancelToken::default());
    let selection = POOL.install(select).unwrap();
    let mut got = Store::new();
    for s in 0..selection.len() {
        let i: u64 = selection.labels(s).get("i").unwrap().parse().unwrap();
        assert_eq!(selection.labels(s), labels(i));
        let mut columns = Columns::default();
        selection.read(s, TimeRange::ALL, &mut columns).unwrap();
        assert!(columns.timestamps.is_sorted_by(|a, b| a < b), "series {i} ascends");
        let middle = columns.timestamps.get(columns.len() / 2).copied();
        for max in [i64::MAX, middle.unwrap_or(0)] {
            let range = TimeRange { min: middle.unwrap_or(0) - 5 * MINUTE, max };
            let mut last = Columns::default();
            selection.read_last(s, range, &mut last).unwrap();
            let newest = columns.timestamps.iter().rposition(|t| range.contains(*t));
            let newest = newest.map(|at| (columns.timestamps[at], columns.floats[at].to_bits()));
            let got = last.timestamps.last().zip(last.floats.last());
            assert_eq!(got.map(|(t, v)| (*t, v.to_bits())), newest, "series {i}");
        }
        let samples = columns.timestamps.iter().copied().zip(columns.floats);
        got.insert(i, samples.map(|(t, v)| (t, v.to_bits())).collect());
    }
    got.retain(|_, samples| !samples.is_empty());
    got
}

/// What a query says of newest samples is what it shows; how many it knew.
pub(super) fn check_newest(querier: &dyn Querier, shown: &Store) -> usize {
    let any = Matcher::new(MatchOp::Regex, "i", ".+").unwrap();
    let times = shown.values().flat_map(|samples| samples.keys().copied());
    let Some(last) = times.max() else { return 0 };
    let mut known = 0;
    for end in [last, last - MINUTE, last - 120 * MINUTE] {
        let range = TimeRange { min: end - 5 * MINUTE, max: end };
        let hints = SelectHints { start: range.min, end, newest: true, ..SelectHints::default() };
        let selection =
            querier.select(std::slice::from_ref(&any), &hints, &CancelToken::default()).unwrap();
        let newest = selection.newest();
        assert!(newest.is_empty() || newest.len() == selection.len());
        for (s, newest) in newest.iter().enumerate().filter(|(_, newest)| newest.is_known()) {
            let i: u64 = selection.labels(s).get("i").unwrap().parse().unwrap();
            let want = shown.get(&i).and_then(|all| all.range(range.min..=end).next_back());
            assert_eq!(Some((&newest.t, &newest.v.to_bits())), want, "series {i} up to {end}");
            known += 1;
        }
    }
    known
}
