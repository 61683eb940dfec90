//! Tests of the block writer: golden blocks written again, byte for byte.

use std::path::PathBuf;

use model::{Labels, Querier, SelectHints};
use ulid::Ulid;

use super::*;
use crate::block::Block;
use crate::fs::{OpenMode, RealFs, SimFs};
use crate::read::MergeQuerier;
use crate::source::SeriesIds;

/// The directories of the golden blocks of one data directory, by name.
fn golden(data: &str) -> Vec<PathBuf> {
    testdata::shared(&format!("golden/prometheus-3.14/{data}/data"))
        .map(|dir| crate::block::list(&RealFs, &dir).unwrap())
        .unwrap_or_default()
}

fn open(dir: &Path) -> Arc<Block> {
    Arc::new(Block::open(&RealFs, dir).unwrap())
}

/// A copy of a block without its tombstones file.
fn copy_whole(fs: &dyn Fs, from: &Path, to: &Path) {
    fs.create_dir_all(&to.join("chunks")).unwrap();
    for name in ["index", "meta.json", "chunks/000001"] {
        let file = fs.open(&to.join(name), OpenMode::CreateNew).unwrap();
        file.write_all_at(&std::fs::read(from.join(name)).unwrap(), 0).unwrap();
    }
}

fn rewrite(
    fs: &Arc<dyn Fs>,
    sources: &[Arc<Block>],
    meta: BlockMeta,
) -> Result<Option<BlockMeta>, CompactError> {
    let sources: Vec<Arc<dyn BlockReader>> =
        sources.iter().map(|b| b.clone() as Arc<dyn BlockReader>).collect();
    let out = Path::new("/out");
    fs.create_dir_all(out).unwrap();
    write_block(fs, out, &sources, meta, &WriteOptions::default(), &CancelToken::default())
}

#[test]
fn a_block_without_deletions_is_rewritten_byte_for_byte() {
    for dir in ["killed", "stopped", "xor2"].into_iter().flat_map(golden) {
        let fs: Arc<dyn Fs> = Arc::new(SimFs::new(1));
        copy_whole(&*fs, &dir, Path::new("/in"));
        let block = Arc::new(Block::open(&*fs, Path::new("/in")).unwrap());
        let meta = block.meta().clone();
        let new = BlockMeta { stats: BlockStats::default(), ..meta.clone() };
        let written = rewrite(&fs, &[block], new).unwrap().unwrap();
        let stats = BlockStats { num_tombstones: 0, ..meta.stats };
        assert_eq!(written, BlockMeta { stats, ..meta.clone() });
        let out = Path::new("/out").join(meta.ulid.to_string());
        for name in ["index", "chunks/000001"] {
            assert!(
                fs.read(&out.join(name)).unwrap() == std::fs::read(dir.join(name)).unwrap(),
                "{} {name}",
                dir.display()
            );
        }
        assert_eq!(fs.list(Path::new("/out")).unwrap().len(), 1);
        assert_eq!(tombstones::read(&*fs, &out).unwrap().0, Tombstones::new());
    }
}

/// Everything that can be read of `blocks`, by series.
fn samples(blocks: &[Arc<Block>]) -> Vec<(Labels, Columns)> {
    let sources = blocks.iter().map(|b| b.clone() as Arc<dyn BlockReader>);
    let querier = MergeQuerier::new(sources, TimeRange::ALL, false);
    let all = querier.select(&[], &SelectHints::default(), &CancelToken::default()).unwrap();
    (0..all.len())
        .map(|i| {
            let mut columns = Columns::default();
            all.read(i, TimeRange::ALL, &mut columns).unwrap();
            (all.labels(i), columns)
        })
        .collect()
}

/// What was deleted is gone and everything else stays, whichever blocks are merged.
#[test]
fn a_merge_holds_what_its_parents_show() {
    for data in ["killed", "stopped", "xor2"] {
        let blocks: Vec<Arc<Block>> = golden(data).iter().map(|dir| open(dir)).collect();
        if blocks.is_empty() {
            continue;
        }
        for size in [1, 2, blocks.len()] {
            for parents in blocks.windows(size) {
                let mut parents = parents.to_vec();
                parents.sort_by_key(|b| b.meta().min_time);
                let fs: Arc<dyn Fs> = Arc::new(SimFs::new(1));
                let metas: Vec<&BlockMeta> = parents.iter().map(|b| b.meta()).collect();
                let meta = BlockMeta::merge(Ulid::from_parts(1, 1), &metas);
                let written = rewrite(&fs, &parents, meta).unwrap().unwrap();
                let out = Path::new("/out").join(written.ulid.to_string());
                let merged = Arc::new(Block::open(&*fs, &out).unwrap());
                assert_eq!(merged.meta(), &written);
                same_when_read_ahead(&parents, &*fs, &out);
                let (want, got) = (samples(&parents), samples(&[merged]));
                assert_eq!(got.len(), want.len());
                for ((labels, got), (want_labels, want)) in got.iter().zip(&want) {
                    assert_eq!(labels, want_labels);
                    assert_same(got, want);
                }
            }
        }
    }
}

/// Merges `parents` once more, their chunks read in pieces.
fn same_when_read_ahead(parents: &[Arc<Block>], fs: &dyn Fs, merged: &Path) {
    let real: Arc<dyn Fs> = Arc::new(RealFs);
    for caching in [Caching::Cached, Caching::Uncached] {
        let ahead: Vec<Arc<Block>> =
            parents.iter().map(|b| Arc::new(b.read_ahead(&real, caching))).collect();
        let again: Arc<dyn Fs> = Arc::new(SimFs::new(1));
        let metas: Vec<&BlockMeta> = parents.iter().map(|b| b.meta()).collect();
        let meta = BlockMeta::merge(Ulid::from_parts(1, 1), &metas);
        rewrite(&again, &ahead, meta).unwrap().unwrap();
        for name in ["index", "meta.json", "chunks/000001"] {
            let path = merged.join(name);
            assert!(fs.read(&path).unwrap() == again.read(&path).unwrap(), "{name}");
        }
    }
}

/// Equal but for hints, which a change of source may make unknown on one side only.
fn assert_same(got: &Columns, want: &Columns) {
    assert_eq!(got.timestamps, want.timestamps);
    let starts = |c: &Columns| -> Vec<i64> {
        (0..c.len()).map(|i| c.start_timestamps.get(i).copied().unwrap_or(0)).collect()
    };
    assert_eq!(starts(got), starts(want));
    for i in 0..got.len() {
        match (got.histogram(i), want.histogram(i)) {
            (None, None) => assert_eq!(got.floats[i].to_bits(), want.floats[i].to_bits()),
            (Some(got), Some(want)) => {
                let (mut got, mut want) = (got.to_float(), want.to_float());
                got.counter_reset_hint = Default::default();
                want.counter_reset_hint = Default::default();
                // Stale markers are NaN.
                assert_eq!(format!("{got:?}"), format!("{want:?}"));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn nothing_left_is_no_block() {
    for dir in golden("killed").iter().take(1) {
        let fs: Arc<dyn Fs> = Arc::new(SimFs::new(1));
        copy_whole(&*fs, dir, Path::new("/in"));
        let block = Block::open(&*fs, Path::new("/in")).unwrap();
        let cancel = CancelToken::default();
        let block = block.delete(&*fs, TimeRange::ALL, &[], &cancel).unwrap().unwrap();
        assert_eq!(block.meta().stats.num_tombstones, block.meta().stats.num_series);
        let reopened = Block::open(&*fs, Path::new("/in")).unwrap();
        assert_eq!(reopened.tombstones(), block.tombstones());
        assert_eq!(reopened.meta(), block.meta());
        let meta = BlockMeta::new(Ulid::from_parts(1, 1), 0, i64::MAX, Some(block.meta()));
        assert_eq!(rewrite(&fs, &[Arc::new(block)], meta).unwrap(), None);
        assert_eq!(fs.list(Path::new("/out")).unwrap(), []);
    }
}

#[test]
fn a_narrow_span_trims_chunks() {
    for dir in golden("stopped").iter().take(1) {
        let block = open(dir);
        let fs: Arc<dyn Fs> = Arc::new(SimFs::new(1));
        let middle = (block.meta().min_time + block.meta().max_time) / 2;
        let meta = BlockMeta::new(Ulid::from_parts(1, 1), middle, middle + 600_000, None);
        let written = rewrite(&fs, std::slice::from_ref(&block), meta).unwrap().unwrap();
        let merged =
            Arc::new(Block::open(&*fs, &Path::new("/out").join(written.ulid.to_string())).unwrap());
        let mut want = 0;
        let mut cut = Columns::default();
        for &id in block.postings(&[], &CancelToken::default()).unwrap().iter() {
            cut.clear();
            let range = TimeRange { min: middle, max: middle + 599_999 };
            block.read(id, range, &mut cut).unwrap();
            want += cut.len();
        }
        let got: usize = samples(&[merged]).iter().map(|(_, c)| c.len()).sum();
        assert!(want > 0 && got == want && written.stats.num_samples == want as u64);
    }
}

#[test]
fn stopping_leaves_nothing_behind() {
    for dir in golden("stopped").iter().take(1) {
        let fs: Arc<dyn Fs> = Arc::new(SimFs::new(1));
        let sources: [Arc<dyn BlockReader>; 1] = [open(dir)];
        let meta = BlockMeta::new(Ulid::from_parts(1, 1), i64::MIN, i64::MAX, None);
        let cancel = CancelToken::default();
        cancel.cancel(model::cancel::CancelReason::Canceled);
        let out = Path::new("/out");
        let error = write_block(&fs, out, &sources, meta, &WriteOptions::default(), &cancel);
        assert!(error.is_err_and(|e| e.is_cancelled()));
        assert_eq!(fs.list(out).unwrap(), []);
    }
}

/// A block that does not say what its symbols are, as a head does not.
struct Unlisted(Arc<Block>);

impl BlockReader for Unlisted {
    fn range(&self) -> TimeRange {
        self.0.range()
    }

    fn postings(
        &self,
        matchers: &[model::Matcher],
        cancel: &CancelToken,
    ) -> Result<SeriesIds, QueryError> {
        self.0.postings(matchers, cancel)
    }

    fn label_ordered(&self) -> bool {
        true
    }

    fn labels(&self, id: SeriesId) -> Result<Labels, QueryError> {
        BlockReader::labels(&*self.0, id)
    }

    fn label_value(
        &self,
        id: SeriesId,
        name: &str,
        with: &mut dyn FnMut(&str),
    ) -> Result<(), QueryError> {
        self.0.label_value(id, name, with)
    }

    fn label_names(&self, matchers: &[model::Matcher]) -> Result<Vec<String>, QueryError> {
        self.0.label_names(matchers)
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[model::Matcher],
    ) -> Result<Vec<String>, QueryError> {
        self.0.label_values(name, matchers)
    }

    fn read(&self, id: SeriesId, range: TimeRange, out: &mut Columns) -> Result<(), QueryError> {
        self.0.read(id, range, out)
    }

    fn chunks(&self, id: SeriesId, range: TimeRange) -> Result<Vec<EncodedChunk>, QueryError> {
        self.0.chunks(id, range)
    }
}

#[test]
fn gathered_symbols_are_those_of_a_block_that_prometheus_cut() {
    for dir in ["killed", "stopped"].into_iter().flat_map(golden) {
        let block = open(&dir);
        let ids = block.postings(&[], &CancelToken::default()).unwrap();
        let gathered = super::super::symbols::of_series(&Unlisted(block.clone()), &ids).unwrap();
        let theirs: Vec<String> =
            block.symbols().unwrap().map(|s| s.unwrap().into_owned()).collect();
        assert_eq!(gathered.first().map(String::as_str), Some(""), "{}", dir.display());
        // Theirs has those of series of the head, too, that had nothing to be cut.
        assert!(gathered.iter().all(|s| theirs.binary_search(s).is_ok()), "{}", dir.display());
        assert_eq!(theirs.first(), gathered.first(), "{}", dir.display());
    }
}

#[test]
fn a_chunk_with_a_wrong_checksum_is_not_passed_on() {
    for dir in golden("killed").into_iter().take(1) {
        let fs: Arc<dyn Fs> = Arc::new(SimFs::new(1));
        copy_whole(&*fs, &dir, Path::new("/in"));
        let path = Path::new("/in/chunks/000001");
        let mut bytes = fs.read(path).unwrap();
        // Inside the data of the first chunk.
        bytes[16] ^= 1;
        let file = fs.open(path, OpenMode::Write).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        let block = Block::open(&*fs, Path::new("/in")).unwrap();
        let meta = block.meta().clone();
        let ahead = [Caching::Cached, Caching::Uncached].map(|c| block.read_ahead(&fs, c));
        for block in ahead.into_iter().chain([block]) {
            let error = rewrite(&fs, &[Arc::new(block)], meta.clone()).unwrap_err();
            assert!(error.is_corruption(), "{error}");
            assert!(error.to_string().contains("/in/chunks/000001"), "{error}");
            assert!(fs.list(Path::new("/out")).unwrap().is_empty());
        }
    }
}
