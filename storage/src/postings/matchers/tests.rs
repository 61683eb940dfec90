//! Tests of matchers: postings against a full scan of the label sets.

use std::collections::BTreeMap;

use model::Labels;
use model::cancel::CancelReason;
use proptest::prelude::*;
use roaring::RoaringBitmap;

use super::*;
use crate::postings::{ListRef, label_values, postings_for_matchers};

/// An index over label sets, in either form of list.
struct Model {
    series: Vec<(u32, Labels)>,
    lists: BTreeMap<(String, String), (Vec<u8>, RoaringBitmap)>,
    all: (Vec<u8>, RoaringBitmap),
    bitmaps: bool,
}

impl Model {
    fn new(sets: &[Labels], bitmaps: bool) -> Model {
        let mut model =
            Model { series: Vec::new(), lists: BTreeMap::new(), all: Default::default(), bitmaps };
        for (i, labels) in sets.iter().enumerate() {
            let id = 5 + 3 * i as u32;
            model.series.push((id, labels.clone()));
            let add = |list: &mut (Vec<u8>, RoaringBitmap)| {
                list.0.extend(id.to_be_bytes());
                list.1.insert(id);
            };
            add(&mut model.all);
            for (n, v) in labels.iter() {
                add(model.lists.entry((n.to_owned(), v.to_owned())).or_default());
            }
        }
        model
    }

    fn lend(&self, list: &(Vec<u8>, RoaringBitmap), with: &mut dyn FnMut(ListRef<'_>)) {
        if self.bitmaps {
            with(ListRef::Bitmap(&list.1));
        } else {
            with(ListRef::BigEndian(&list.0));
        }
    }
}

impl PostingsSource for Model {
    type Pair = u32;

    fn pair(&self, name: &str, value: &str) -> Result<Option<u32>, QueryError> {
        Ok(self.lists.keys().position(|(n, v)| n == name && v == value).map(|i| i as u32))
    }

    fn pairs(
        &self,
        name: &str,
        prefix: &str,
        visit: &mut dyn FnMut(&str, u32) -> ControlFlow<()>,
    ) -> Result<(), QueryError> {
        for (i, (n, v)) in self.lists.keys().enumerate() {
            if n == name && v.starts_with(prefix) && visit(v, i as u32).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn sorted_values(&self) -> bool {
        true
    }

    fn value_count(&self, name: &str) -> usize {
        self.lists.keys().filter(|(n, _)| n == name).count()
    }

    fn list_len(&self, pair: u32) -> Result<usize, QueryError> {
        Ok(self.lists.values().nth(pair as usize).unwrap().0.len() / 4)
    }

    fn with_list(&self, pair: u32, with: &mut dyn FnMut(ListRef<'_>)) -> Result<(), QueryError> {
        self.lend(self.lists.values().nth(pair as usize).unwrap(), with);
        Ok(())
    }

    fn with_all(&self, with: &mut dyn FnMut(ListRef<'_>)) -> Result<(), QueryError> {
        self.lend(&self.all, with);
        Ok(())
    }

    fn label_value(
        &self,
        id: u32,
        name: &str,
        with: &mut dyn FnMut(&str),
    ) -> Result<(), QueryError> {
        let (_, labels) = self.series.iter().find(|(i, _)| *i == id).unwrap();
        with(labels.get(name).unwrap_or(""));
        Ok(())
    }

    fn span(&self, _: &str, pair: u32) -> Result<Option<(u32, u32)>, QueryError> {
        let (_, ids) = self.lists.values().nth(pair as usize).unwrap();
        let (first, last) = (ids.min().unwrap(), ids.max().unwrap());
        let whole = self.all.1.range_cardinality(first..=last) == ids.len();
        Ok(whole.then_some((first, last)))
    }

    fn generation(&self) -> Option<u64> {
        Some(1)
    }

    fn changed_since(&self, _: u64) -> Option<&[u32]> {
        None
    }

    fn has(&self, id: u32) -> bool {
        self.series.iter().any(|(i, _)| *i == id)
    }
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let op = prop_oneof![
        Just(MatchOp::Equal),
        Just(MatchOp::NotEqual),
        Just(MatchOp::Regex),
        Just(MatchOp::NotRegex)
    ];
    let name = prop_oneof![Just("a"), Just("b"), Just("c"), Just("absent")];
    let value = prop_oneof![
        Just(""),
        Just("x"),
        Just("y1"),
        Just("none"),
        Just(".*"),
        Just(".+"),
        Just("x|y1"),
        Just("x|"),
        Just("y.*"),
        Just("y.+"),
        Just("(y1)?"),
        Just("[xy].*"),
        Just("q.*"),
    ];
    (op, name, value).prop_map(|(op, name, value)| Matcher::new(op, name, value).unwrap())
}

fn label_sets() -> impl Strategy<Value = Vec<Labels>> {
    let value = || prop_oneof![Just(""), Just("x"), Just("xx"), Just("y1"), Just("y2"), Just("y3")];
    proptest::collection::vec((value(), value(), value()), 0..30).prop_map(|sets| {
        sets.into_iter()
            .map(|(a, b, c)| Labels::from_pairs([("a", a), ("b", b), ("c", c)]))
            .collect()
    })
}

proptest! {
    #[test]
    fn finds_what_a_full_scan_finds(
        sets in label_sets(),
        matchers in proptest::collection::vec(matcher(), 0..4),
        bitmaps in any::<bool>(),
    ) {
        let model = Model::new(&sets, bitmaps);
        let satisfies = |labels: &Labels| {
            matchers.iter().all(|m| m.matches(labels.get(&m.name).unwrap_or("")))
        };
        let want: Vec<u32> =
            model.series.iter().filter(|(_, l)| satisfies(l)).map(|(id, _)| *id).collect();
        let cache = PostingsCache::new(1 << 20);
        for _ in 0..2 {
            let got =
                postings_for_matchers(&model, &matchers, Some(&cache), &CancelToken::default());
            prop_assert_eq!(&*got.unwrap(), &want, "{:?}", &matchers);
        }
        let mut values: Vec<&str> = model
            .series.iter().filter(|(_, l)| satisfies(l)).filter_map(|(_, l)| l.get("a")).collect();
        values.sort_unstable();
        values.dedup();
        let got = label_values(&model, "a", &matchers, &CancelToken::default()).unwrap();
        prop_assert_eq!(got, values);
    }
}

#[test]
fn stops_when_told() {
    let model = Model::new(&[Labels::from_pairs([("a", "x")])], false);
    let cancel = CancelToken::default();
    cancel.cancel(CancelReason::TimedOut);
    let got = postings_for_matchers(&model, &[Matcher::equal("a", "x")], None, &cancel);
    assert_eq!(got.unwrap_err().to_string(), "context deadline exceeded");
}
