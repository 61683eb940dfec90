//! Golden directories with every chunk of every block in its twin encoding, and back again: the
//! answers stay, also after a deletion, a restart and the rewrite that makes the deletion real.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use model::{Columns, EncodedChunk, Labels, Matcher, QueryError, TimeRange};

use super::golden::{Shown, compare, copy, expected};
use super::*;
use crate::block::{self, Block, BlockMeta};
use crate::chunk::{self, CutRule, EncodeOptions, Encoding};
use crate::compact::{WriteOptions, write_block};
use crate::db::RuntimeOptions;
use crate::fs::RealFs;
use crate::source::{BlockReader, SeriesId, SeriesIds};

/// The encoding of the same kind of samples that holds start times, or does not.
fn twin(encoding: u8) -> Encoding {
    match Encoding::from_u8(encoding).unwrap() {
        Encoding::Xor => Encoding::Xor2,
        Encoding::Xor2 => Encoding::Xor,
        Encoding::Histogram => Encoding::HistogramSt,
        Encoding::HistogramSt => Encoding::Histogram,
        Encoding::FloatHistogram => Encoding::FloatHistogramSt,
        Encoding::FloatHistogramSt => Encoding::FloatHistogram,
    }
}

/// A block whose chunks come in their twin encodings.
struct Twin(Block);

impl BlockReader for Twin {
    fn range(&self) -> TimeRange {
        self.0.range()
    }

    fn postings(
        &self,
        matchers: &[Matcher],
        cancel: &CancelToken,
    ) -> Result<SeriesIds, QueryError> {
        self.0.postings(matchers, cancel)
    }

    fn label_ordered(&self) -> bool {
        true
    }

    fn labels(&self, id: SeriesId) -> Result<Labels, QueryError> {
        self.0.labels(id)
    }

    fn label_value(
        &self,
        id: SeriesId,
        name: &str,
        with: &mut dyn FnMut(&str),
    ) -> Result<(), QueryError> {
        self.0.label_value(id, name, with)
    }

    fn label_names(&self, matchers: &[Matcher]) -> Result<Vec<String>, QueryError> {
        self.0.label_names(matchers)
    }

    fn label_values(&self, name: &str, matchers: &[Matcher]) -> Result<Vec<String>, QueryError> {
        self.0.label_values(name, matchers)
    }

    fn read(&self, id: SeriesId, range: TimeRange, out: &mut Columns) -> Result<(), QueryError> {
        self.0.read(id, range, out)
    }

    fn chunks(&self, id: SeriesId, range: TimeRange) -> Result<Vec<EncodedChunk>, QueryError> {
        let mut twins = Vec::new();
        for one in self.0.chunks(id, range)? {
            let mut columns = Columns::default();
            chunk::decode(one.encoding, &one.data, TimeRange::ALL, &mut columns).unwrap();
            let options =
                EncodeOptions { rule: CutRule::Keep(twin(one.encoding)), ..Default::default() };
            let encoded = chunk::encode(&columns, options).unwrap();
            assert!(encoded.iter().all(|e| e.encoding == twin(one.encoding) as u8));
            twins.extend(encoded);
        }
        Ok(twins)
    }
}

/// Replaces every block below `dir` by its twin; how many chunks there are of each encoding.
fn convert(dir: &Path) -> BTreeMap<u8, u64> {
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let seen: Rc<RefCell<BTreeMap<u8, u64>>> = Rc::default();
    for path in block::list(&*fs, dir).unwrap() {
        let twin = Twin(Block::open(&*fs, &path).unwrap());
        let meta: BlockMeta = twin.0.meta().clone();
        let aside = dir.join("twins");
        std::fs::create_dir_all(&aside).unwrap();
        let source: Arc<dyn BlockReader> = Arc::new(twin);
        let counts = seen.clone();
        let on_chunk = move |one: &EncodedChunk, _: usize| {
            *counts.borrow_mut().entry(one.encoding).or_insert(0) += 1;
        };
        let options = WriteOptions { on_chunk: Some(&on_chunk), ..WriteOptions::default() };
        let cancel = CancelToken::default();
        let ulid = meta.ulid.to_string();
        let made = write_block(&fs, &aside, &[source], meta, &options, &cancel).unwrap();
        assert!(made.is_some());
        std::fs::remove_dir_all(&path).unwrap();
        std::fs::rename(aside.join(ulid), &path).unwrap();
    }
    seen.take()
}

fn check(folder: &str) {
    let Some(golden) = testdata::shared(&format!("golden/prometheus-3.14/{folder}")) else {
        return;
    };
    let Some(mut want) = expected(&golden.join("samples.json.xz")) else { return };
    let dir = tempfile::tempdir().unwrap();
    copy(&golden.join("data"), dir.path());
    let options = Options {
        runtime: RuntimeOptions { retention_time_ms: 0, ..RuntimeOptions::default() },
        ..Options::default()
    };
    let open = || open(dir.path(), Arc::new(RealFs), options.clone());

    let there = convert(dir.path());
    let db = open();
    compare(&db, &want, &format!("{folder}, twin encodings"));
    db.close().unwrap();
    let back = convert(dir.path());
    for (encoding, chunks) in &there {
        assert_eq!(back.get(&(twin(*encoding) as u8)), Some(chunks), "{folder}: {back:?}");
    }

    let db = open();
    compare(&db, &want, &format!("{folder}, converted back"));
    // Of blocks and of the head; not where the head has late samples below its first one in order,
    // which a deletion does not reach, here as in Prometheus.
    let gone = [
        TimeRange { min: 1_795_160_000_000, max: 1_795_172_000_000 },
        TimeRange { min: 1_795_199_000_000, max: 1_795_199_999_999 },
    ];
    let matchers = [vec![Matcher::equal("method", "GET")]];
    gone.iter().for_each(|range| db.delete_series(*range, &matchers).unwrap());
    let before: usize = want.values().map(Vec::len).sum();
    for (labels, samples) in &mut want {
        if labels.contains("method=\"GET\"") {
            samples.retain(|(t, _): &Shown| !gone.iter().any(|range| range.contains(*t)));
        }
    }
    want.retain(|_, samples| !samples.is_empty());
    assert!(want.values().map(Vec::len).sum::<usize>() < before, "{folder}: nothing to delete");
    db.close().unwrap();
    let db = open();
    compare(&db, &want, &format!("{folder}, after a deletion and a restart"));
    if folder == "killed" {
        db.clean_tombstones().unwrap();
        compare(&db, &want, &format!("{folder}, after the rewrite without what was deleted"));
    }
    db.close().unwrap();
}

#[test]
fn of_a_killed_server() {
    check("killed");
}

#[test]
fn of_a_stopped_server() {
    check("stopped");
}

#[test]
fn of_xor2_and_start_times() {
    check("xor2");
}
