//! Tests of the index: series come and go, and what is remembered of matchers follows.

use std::sync::Arc;

use model::{CancelToken, MatchOp, Matcher};

use super::*;
use crate::postings::{PostingsCache, postings_for_matchers};

fn series(i: u32) -> Labels {
    let pod = format!("pod-{i}");
    Labels::from_pairs([("__name__", "up"), ("pod", pod.as_str()), ("zone", "a")])
}

#[test]
fn series_come_and_go() {
    let mut index = HeadIndex::default();
    for i in 0..100 {
        index.add(i, series(i).hash64(), &series(i));
    }
    assert_eq!(index.find(series(7).hash64(), &series(7)), Some(7));
    assert_eq!(index.find(series(700).hash64(), &series(700)), None);
    assert_eq!(index.labels(8), series(8));
    assert_eq!(index.value(8, "pod"), "pod-8");

    let gone: Vec<Slot> = (0..90).collect();
    index.unlink(&gone);
    assert_eq!(index.find(series(7).hash64(), &series(7)), None);
    assert_eq!(index.labels(7), series(7), "labels stay until released");
    assert_eq!(index.pair("pod", "pod-7").unwrap(), None);
    index.release(&gone);
    index.tidy();
    assert_eq!(index.all().len(), 10);
    assert_eq!(index.symbols.pair_count(), 12);

    index.add(3, series(93).hash64() ^ 1, &series(5));
    let zone = index.pair("zone", "a").unwrap().unwrap();
    let mut slots = Vec::new();
    index.with_list(zone, &mut |list| list.append_to(&mut slots)).unwrap();
    assert_eq!(slots, [3, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99]);
}

#[test]
fn remembered_matchers_follow_series_that_come_and_go() {
    let cache = PostingsCache::new(1 << 20);
    let matchers: Vec<Matcher> = [
        (MatchOp::Regex, "pod", "pod-1.*"),
        (MatchOp::NotRegex, "pod", "pod-1.*"),
        (MatchOp::Regex, "zone", ".+"),
        (MatchOp::NotEqual, "zone", ""),
    ]
    .map(|(op, name, value)| Matcher::new(op, name, value).unwrap())
    .into();
    let mut index = HeadIndex::default();
    let mut next = 0;
    let mut present: Vec<Slot> = Vec::new();
    for round in 0..60u32 {
        // Once more than is remembered of changes.
        for _ in 0..if round == 30 { MOST_CHANGES as u32 + 10 } else { round % 7 } {
            let labels = match next % 5 {
                0 => Labels::from_pairs([("__name__", format!("other_{next}"))]),
                _ => series(next),
            };
            index.add(next, labels.hash64(), &labels);
            present.push(next);
            next += 1;
        }
        let gone: Vec<Slot> = (0..round % 4).filter_map(|_| present.pop()).collect();
        index.unlink(&gone);
        for matcher in std::slice::from_ref(&matchers[round as usize % 4]).iter().chain(&matchers) {
            let one = std::slice::from_ref(matcher);
            let ask =
                |cache| postings_for_matchers(&index, one, cache, &CancelToken::default()).unwrap();
            assert_eq!(ask(Some(&cache)), ask(None), "{matcher} in round {round}");
        }
    }
    assert!(index.changed_since(0).is_none(), "old changes are forgotten");
}

#[test]
fn remembered_answers_follow_series_that_come_and_go() {
    let cache = PostingsCache::new(1 << 20);
    let equal = Matcher::equal("zone", "a");
    let other = Matcher::new(MatchOp::NotRegex, "pod", ".*7").unwrap();
    let mut index = HeadIndex::default();
    let (mut next, mut known) = (0, 0);
    for round in 0..40u32 {
        // Every other round brings series that no matcher selects, and takes none.
        let unrelated = round % 2 == 1;
        for _ in 0..if round == 0 { 8000 } else { round % 9 * 7 } {
            let labels = match next % 5 {
                _ if unrelated => Labels::from_pairs([("pod", format!("{next}7"))]),
                0 => Labels::from_pairs([("__name__", format!("other_{next}"))]),
                _ => series(next),
            };
            index.add(next, labels.hash64(), &labels);
            next += 1;
        }
        let gone = if unrelated { 0 } else { round % 4 };
        index.unlink(&(0..gone).map(|i| round * 13 + i).collect::<Vec<Slot>>());
        for matchers in
            [vec![equal.clone()], vec![equal.clone(), other.clone()], vec![other.clone()]]
        {
            let before = cache.answer(&matchers);
            let ask = |cache| {
                postings_for_matchers(&index, &matchers, cache, &CancelToken::default()).unwrap()
            };
            let answer = ask(Some(&cache));
            assert_eq!(answer, ask(None), "{matchers:?} in round {round}");
            known += usize::from(before.is_some_and(|(_, ids)| Arc::ptr_eq(&ids, &answer)));
        }
    }
    assert!(known >= 3 * 20, "unrelated series cost no answer");
}
