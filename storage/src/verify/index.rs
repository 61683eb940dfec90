//! Judging an index: sections, symbols, every series entry, every postings list. That each list has
//! the series with its pair, and those only, is seen from counts and sums gathered while the series
//! are read, so that no list has to be held.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

use model::{Labels, TimeRange};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::Verifier;
use super::block::Parts;
use crate::file_error::FileError;
use crate::index::{ChunkMeta, IndexReader};
use crate::postings::{ListRef, PostingsSource};

/// What a postings list adds up to: ids, and the sum of their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    ids: u64,
    hashes: u64,
}

impl Sum {
    fn add(&mut self, id: u32) {
        self.ids += 1;
        self.hashes = self.hashes.wrapping_add(xxh3_64(&id.to_le_bytes()));
    }
}

fn pair_key(name: &str, value: &str) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(name.as_bytes());
    hash.update(&[0xff]);
    hash.update(value.as_bytes());
    hash.digest()
}

/// The ids of a list of a block.
fn ids_of(list: ListRef<'_>) -> Vec<u32> {
    match list {
        ListRef::BigEndian(bytes) => {
            bytes.as_chunks::<4>().0.iter().map(|id| u32::from_be_bytes(*id)).collect()
        }
        ListRef::Sorted(ids) => ids.to_vec(),
        ListRef::Bitmap(ids) => ids.iter().collect(),
    }
}

impl Verifier<'_> {
    /// Judges the index and all chunks it names; the ids of all series, if their list is readable.
    pub(super) fn index(
        &mut self,
        index: &IndexReader,
        path: &Path,
        parts: &mut Parts,
    ) -> Option<Vec<u32>> {
        self.symbols(index, path);
        let mut all = Vec::new();
        if let Err(error) = index.with_all(&mut |list| all = ids_of(list)) {
            self.fault(error);
            return None;
        }
        if let Some(at) = all.windows(2).position(|pair| pair[0] >= pair[1]) {
            let text =
                format!("{}: list of all series: id {} not after", path.display(), all[at + 1]);
            self.fault(format!("{text} {}", all[at]));
            return None;
        }
        let mut sums: HashMap<u64, Sum> = HashMap::new();
        let mut whole = true;
        let mut last = Labels::empty();
        let mut metas = Vec::new();
        for &id in &all {
            self.counts.series += 1;
            parts.stats.num_series += 1;
            match self.series(index, path, id, &last, &mut metas) {
                Some(labels) => {
                    for (name, value) in labels.iter() {
                        sums.entry(pair_key(name, value)).or_default().add(id);
                    }
                    self.chunks_of(path, parts, id, &labels, &metas);
                    last = labels;
                }
                None => whole = false,
            }
        }
        self.postings(index, path, &all, whole.then_some(sums));
        Some(all)
    }

    fn symbols(&mut self, index: &IndexReader, path: &Path) {
        let mut last: Option<String> = None;
        for symbol in index.symbols() {
            match symbol {
                Ok(symbol) => {
                    if last.as_deref().is_some_and(|last| last >= symbol) {
                        let symbol = model::number::go_quote(symbol);
                        let offset = index.toc().symbols;
                        let reason = format!("symbol {symbol} out-of-order");
                        self.fault(corrupt(path, offset, reason));
                    }
                    last.get_or_insert_default().clear();
                    last.get_or_insert_default().push_str(symbol);
                }
                Err(error) => return self.fault(error),
            }
        }
    }

    /// Judges an entry: its labels, and in `metas` its chunks.
    fn series(
        &mut self,
        index: &IndexReader,
        path: &Path,
        id: u32,
        last: &Labels,
        metas: &mut Vec<ChunkMeta>,
    ) -> Option<Labels> {
        metas.clear();
        let offset = index.series_offset(id);
        let read = index.labels(id).and_then(|labels| {
            for meta in index.chunks(id)? {
                metas.push(meta.map_err(|e| index.corruption(e))?);
            }
            Ok((labels, index.label_refs(id)?.count()))
        });
        let (labels, stored) = match read {
            Ok(read) => read,
            Err(error) => {
                self.fault(error);
                return None;
            }
        };
        if labels.len() != stored {
            let what = format!("series {labels} has names twice, out of order or without a value");
            self.fault(corrupt(path, offset, what));
        }
        if labels <= *last {
            self.fault(corrupt(path, offset, format!("series {labels} is not after {last}")));
        }
        Some(labels)
    }

    fn chunks_of(
        &mut self,
        path: &Path,
        parts: &mut Parts,
        id: u32,
        labels: &Labels,
        metas: &[ChunkMeta],
    ) {
        let mut last: Option<TimeRange> = None;
        let span = parts.meta.as_ref().map(|m| (m.min_time, m.max_time));
        for meta in metas {
            let TimeRange { min, max } = meta.range;
            let mut wrong = |what: String| {
                let path = path.display();
                self.fault(format!("{path}: series {id} {labels}: {what}"));
            };
            if max < min {
                wrong(format!("chunk maxT {max} is less than minT {min}"));
            }
            if let Some(last) = last.filter(|last| min <= last.max) {
                let last = last.max;
                wrong(format!("chunk minT {min} is not higher than previous chunk maxT {last}"));
            }
            if let Some((from, to)) = span.filter(|(from, to)| min < *from || max >= *to) {
                wrong(format!("chunk from {min} to {max} outside of the block's {from} to {to}"));
            }
            last = Some(meta.range);
            self.chunk(parts, meta, &|| format!("series {labels}"));
        }
        if metas.is_empty() {
            self.note(format!("{}: series {id} {labels} has no chunks", path.display()));
        }
    }

    /// Judges all postings lists; with sums of the series, also that they have the right ids.
    fn postings(
        &mut self,
        index: &IndexReader,
        path: &Path,
        all: &[u32],
        mut sums: Option<HashMap<u64, Sum>>,
    ) {
        let names: Vec<String> = index.label_names().map(str::to_owned).collect();
        for name in names {
            let mut pairs: Vec<(String, u64)> = Vec::new();
            let visited = index.pairs(&name, "", &mut |value, pair| {
                pairs.push((value.to_owned(), pair));
                ControlFlow::Continue(())
            });
            if let Err(error) = visited {
                self.fault(error);
                continue;
            }
            for (value, pair) in pairs {
                self.counts.postings += 1;
                let mut ids = Vec::new();
                if let Err(error) = index.with_list(pair, &mut |list| ids = ids_of(list)) {
                    self.fault(format!("{error}, postings of {name}={value:?}"));
                    continue;
                }
                let wrong = judge_list(&ids, all).or_else(|| {
                    let want = sums.as_mut()?.remove(&pair_key(&name, &value)).unwrap_or_default();
                    let mut have = Sum::default();
                    ids.iter().for_each(|id| have.add(*id));
                    (have != want).then(|| {
                        format!("{} series, {} series have this label", have.ids, want.ids)
                    })
                });
                if let Some(wrong) = wrong {
                    let text = format!("postings of {name}={value:?}: {wrong}");
                    self.fault(corrupt(path, pair, text));
                }
            }
        }
        let missing = sums.map_or(0, |sums| sums.len());
        if missing > 0 {
            let path = path.display();
            self.fault(format!("{path}: {missing} label pairs of series have no postings"));
        }
    }
}

fn corrupt(path: &Path, offset: u64, reason: String) -> FileError {
    FileError::Corrupt { what: "index", path: path.to_owned(), offset, reason }
}

/// What is wrong with the ids of a list by themselves.
fn judge_list(ids: &[u32], all: &[u32]) -> Option<String> {
    if let Some(at) = ids.windows(2).position(|pair| pair[0] >= pair[1]) {
        return Some(format!("id {} is not after id {}", ids[at + 1], ids[at]));
    }
    let strange = ids.iter().find(|id| all.binary_search(id).is_err());
    strange.map(|id| format!("id {id} is no series"))
}
