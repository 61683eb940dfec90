//! Tests of the index reader: golden and old indexes, damaged ones, hostile ones.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use model::{CancelToken, TimeRange};
use proptest::prelude::*;

use super::super::{ChunkMeta, IndexWriter, SymbolSet};
use super::*;
use crate::chunk::ChunkRef;
use crate::fs::{Fs, RealFs, SimFs};
use crate::postings::postings_for_matchers;

fn open(bytes: Vec<u8>) -> Result<IndexReader, QueryError> {
    IndexReader::open(Arc::new(bytes), Path::new("index"))
}

fn write(series: &BTreeMap<Labels, Vec<ChunkMeta>>) -> Vec<u8> {
    let mut symbols: Vec<String> =
        series.keys().flat_map(Labels::iter).flat_map(|(n, v)| [n.into(), v.into()]).collect();
    symbols.sort();
    let fs = SimFs::new(1);
    let path = Path::new("/index");
    let symbols = symbols.into_iter().map(|s| Ok(Cow::Owned(s)));
    let symbols = SymbolSet::from_sorted::<super::super::IndexWriteError>(symbols).unwrap();
    let mut writer = IndexWriter::create(&fs, path, symbols).unwrap();
    for (labels, chunks) in series {
        writer.add_series(labels, chunks).unwrap();
    }
    let len = writer.finish(&CancelToken::default()).unwrap();
    let bytes = fs.read(path).unwrap();
    assert_eq!(bytes.len() as u64, len);
    bytes
}

/// Everything an index holds, through its public face.
fn contents(reader: &IndexReader) -> Result<BTreeMap<Labels, Vec<ChunkMeta>>, QueryError> {
    let mut found = BTreeMap::new();
    for &id in postings_for_matchers(reader, &[], None, &CancelToken::default())?.iter() {
        let chunks = reader.chunks(id)?;
        let chunks: Result<Vec<ChunkMeta>, IndexCorruption> = chunks.collect();
        found.insert(reader.labels(id)?, chunks.map_err(|e| reader.corruption(e))?);
    }
    for name in reader.label_names().map(str::to_owned).collect::<Vec<_>>() {
        let mut pairs = Vec::new();
        reader.pairs(&name, "", &mut |value, pair| {
            pairs.push((value.to_owned(), pair));
            ControlFlow::Continue(())
        })?;
        for (value, pair) in pairs {
            assert_eq!(reader.pair(&name, &value)?, Some(pair));
            let mut ids = Vec::new();
            reader.with_list(pair, &mut |list| list.append_to(&mut ids))?;
            for id in ids {
                reader.label_value(id, &name, &mut |v| assert_eq!(v, value))?;
            }
        }
    }
    Ok(found)
}

fn chunks(spans: Vec<(u16, u16)>) -> Vec<ChunkMeta> {
    let mut at = -1000;
    spans
        .into_iter()
        .enumerate()
        .map(|(i, (gap, len))| {
            let min = at + 1 + i64::from(gap);
            at = min + i64::from(len);
            ChunkMeta { range: TimeRange { min, max: at }, reference: ChunkRef(i as u64) }
        })
        .collect()
}

fn series() -> impl Strategy<Value = BTreeMap<Labels, Vec<ChunkMeta>>> {
    let labels =
        proptest::collection::btree_map("[a-d]", "[a-zü]{1,3}", 1..5).prop_map(Labels::from_pairs);
    let chunks = proptest::collection::vec(any::<(u16, u16)>(), 1..4).prop_map(chunks);
    proptest::collection::btree_map(labels, chunks, 1..60).prop_map(|mut map| {
        // References ascend over all series.
        let mut reference = 8;
        for chunk in map.values_mut().flatten() {
            chunk.reference = ChunkRef(reference);
            reference += 300;
        }
        map
    })
}

proptest! {
    #[test]
    fn what_is_written_comes_back(series in series()) {
        let bytes = write(&series);
        let reader = open(bytes).unwrap();
        prop_assert_eq!(contents(&reader).unwrap(), series);
    }

    #[test]
    fn damaged_bytes_are_answered_or_refused(
        series in series(),
        cut in any::<prop::sample::Index>(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 1u8..), 0..4),
    ) {
        let mut bytes = write(&series);
        for (at, mask) in &flips {
            let at = at.index(bytes.len());
            bytes[at] ^= mask;
        }
        if flips.is_empty() {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(reader) = open(bytes) {
            let _ = contents(&reader);
        }
    }
}

#[test]
fn rules_of_the_format_are_kept() {
    let fs = SimFs::new(1);
    let symbols = ["a", "b"].map(|s| Ok::<_, super::super::IndexWriteError>(Cow::Borrowed(s)));
    let symbols = SymbolSet::from_sorted(symbols).unwrap();
    let mut writer = IndexWriter::create(&fs, Path::new("/index"), symbols).unwrap();
    let a = Labels::from_pairs([("a", "b")]);
    let chunk = |min, max, at| ChunkMeta { range: TimeRange { min, max }, reference: ChunkRef(at) };
    let mut check = |labels: &Labels, chunks: &[ChunkMeta], expected: &str| {
        let error = writer.add_series(labels, chunks).err().map(|e| e.to_string());
        assert_eq!(error.unwrap_or_default(), expected);
    };
    check(&a, &[chunk(1, 0, 0)], "chunk maxT 0 is less than minT 1");
    check(
        &a,
        &[chunk(1, 5, 0), chunk(5, 6, 1)],
        "chunk minT 5 is not higher than previous chunk maxT 5",
    );
    check(&a, &[chunk(1, 5, 1), chunk(6, 6, 0)], "unsorted chunk reference: 0, previous: 1");
    check(&Labels::from_pairs([("a", "x")]), &[], "symbol entry for \"x\" does not exist");
    check(&a, &[chunk(1, 5, 7)], "");
    check(
        &a,
        &[],
        "out-of-order series added with label set \"{a=\\\"b\\\"}\", \
         last label set \"{a=\\\"b\\\"}\"",
    );
    check(
        &Labels::from_pairs([("b", "b")]),
        &[chunk(1, 5, 3)],
        "unsorted chunk reference: 3, previous: 7",
    );
}

#[test]
fn what_is_no_index_is_named() {
    for (bytes, expected) in [
        (vec![], "corruption in index index at offset 0: index header: invalid size"),
        (
            vec![1, 2, 3, 4, 5],
            "corruption in index index at offset 0: invalid magic number 1020304",
        ),
        (
            vec![0xba, 0xaa, 0xd7, 0, 4],
            "corruption in index index at offset 4: unknown index file version 4",
        ),
        (
            vec![0xba, 0xaa, 0xd7, 0, 2],
            "corruption in index index at offset 0: read TOC: invalid size",
        ),
    ] {
        assert_eq!(open(bytes).err().map(|e| e.to_string()).as_deref(), Some(expected));
    }
}

fn golden_indexes() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for data in ["killed", "stopped", "xor2"] {
        let Some(dir) = testdata::shared(&format!("golden/prometheus-3.14/{data}/data")) else {
            continue;
        };
        let mut blocks: Vec<PathBuf> =
            std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path().join("index")).collect();
        blocks.retain(|index| index.exists());
        found.extend(blocks);
    }
    found
}

/// Reading what Prometheus wrote and writing it again gives the same bytes.
#[test]
fn golden_indexes_are_rewritten_byte_for_byte() {
    for path in golden_indexes() {
        let reader = IndexReader::open(RealFs.map(&path).unwrap(), &path).unwrap();
        let series = contents(&reader).unwrap();
        assert!(!series.is_empty());
        let fs = SimFs::new(1);
        let symbols = reader.symbols().map(|s| s.map(Cow::Borrowed).map_err(|e| e.to_string()));
        let symbols: Result<Vec<_>, String> = symbols.collect();
        let symbols = symbols.unwrap().into_iter().map(Ok::<_, super::super::IndexWriteError>);
        let symbols = SymbolSet::from_sorted(symbols).unwrap();
        let mut writer = IndexWriter::create(&fs, Path::new("/index"), symbols).unwrap();
        for (labels, chunks) in &series {
            writer.add_series(labels, chunks).unwrap();
        }
        writer.finish(&CancelToken::default()).unwrap();
        let written = fs.read(Path::new("/index")).unwrap();
        assert!(written == std::fs::read(&path).unwrap(), "{}", path.display());
    }
}

#[test]
fn version_1_is_read() {
    let Some(dir) = testdata::shared("conformance/tsdb") else { return };
    let path = dir.join("index_format_v1/index");
    let reader = IndexReader::open(RealFs.map(&path).unwrap(), &path).unwrap();
    assert_eq!(reader.version(), Version::V1);
    let series = contents(&reader).unwrap();
    assert_eq!(series.len(), 102);
    assert_eq!(reader.label_names().collect::<Vec<_>>(), ["bar", "foo"]);
    for i in 0..100 {
        assert!(series.contains_key(&Labels::from_pairs([("bar", i.to_string())])), "{i}");
    }
    assert!(series.contains_key(&Labels::from_pairs([("foo", "baz")])));
    let find = |op, value: &str| {
        let matcher = model::Matcher::new(op, "bar", value).unwrap();
        postings_for_matchers(&reader, &[matcher], None, &CancelToken::default()).unwrap().len()
    };
    assert_eq!(find(model::MatchOp::Regex, "1.?"), 11);
    assert_eq!(find(model::MatchOp::Equal, "7"), 1);
}

/// Series of a metric lie in one piece, unless a label sorts before its name.
#[test]
fn spans_are_told_from_pieces() {
    let set = |front: &str, name: &str, pod: usize| {
        let pod = pod.to_string();
        Labels::from_pairs([("A", front), ("__name__", name), ("pod", &pod)])
    };
    for pieces in [false, true] {
        let series = (0..60).map(|i| {
            let front = if pieces { ["x", "", "y"][i / 4 % 3] } else { "" };
            (set(front, ["up", "down", "go"][i % 3], i), chunks(vec![(0, 1)]))
        });
        let reader = open(write(&series.collect())).unwrap();
        for name in ["up", "down", "go"] {
            let pair = reader.pair("__name__", name).unwrap().unwrap();
            assert_eq!(reader.span("__name__", pair).unwrap().is_some(), !pieces, "{name}");
            let matchers = [
                model::Matcher::equal("__name__", name),
                model::Matcher::new(model::MatchOp::NotEqual, "pod", "").unwrap(),
                model::Matcher::equal("pod", "30"),
            ];
            for matchers in [&matchers[..2], &matchers] {
                let ids = postings_for_matchers(&reader, matchers, None, &CancelToken::default());
                let wanted = contents(&reader).unwrap().into_keys().filter(|labels| {
                    matchers.iter().all(|m| m.matches(labels.get(&m.name).unwrap_or("")))
                });
                assert_eq!(ids.unwrap().len(), wanted.count());
            }
        }
    }
}
