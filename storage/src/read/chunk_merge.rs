//! Merging the encoded chunks of one series from several sources, as Prometheus's compaction does:
//! chunks that overlap nothing go through as they are, exact repetitions once, and what overlaps is
//! decoded, merged and encoded anew.

use std::iter::Peekable;
use std::vec::IntoIter;

use model::{Columns, EncodedChunk, QueryError, TimeRange};

use super::heap::MinHeap;
use super::sample_merge::merge_samples;
use crate::chunk::{self, ChunkError, CutRule, EncodeOptions};

/// Chunks of one source that are left, and the time of the first of them.
struct Source {
    first: TimeRange,
    chunks: Peekable<IntoIter<EncodedChunk>>,
}

impl Source {
    fn new(chunks: Vec<EncodedChunk>) -> Option<Source> {
        let mut chunks = chunks.into_iter().peekable();
        let first = chunks.peek()?.range;
        Some(Source { first, chunks })
    }

    fn less(&self, other: &Source) -> bool {
        (self.first.min, self.first.max) < (other.first.min, other.first.max)
    }
}

struct Sources(MinHeap<Source>);

impl Sources {
    fn push(&mut self, source: Option<Source>) {
        if let Some(source) = source {
            self.0.push(source, Source::less);
        }
    }

    /// The chunk that begins first.
    fn next(&mut self) -> Option<EncodedChunk> {
        let mut source = self.0.pop(Source::less)?;
        let chunk = source.chunks.next()?;
        if let Some(next) = source.chunks.peek() {
            source.first = next.range;
            self.push(Some(source));
        }
        Some(chunk)
    }

    fn next_if_begins_by(&mut self, time: i64) -> Option<EncodedChunk> {
        if self.0.peek()?.first.min > time {
            return None;
        }
        self.next()
    }
}

/// One ascending list out of the lists of several sources, without overlap. `xor2` = floats that
/// are encoded anew become XOR2.
pub fn merge_chunks(
    parts: Vec<Vec<EncodedChunk>>,
    xor2: bool,
) -> Result<Vec<EncodedChunk>, QueryError> {
    let mut sources = Sources(MinHeap::new());
    let mut merged = Vec::with_capacity(parts.iter().map(Vec::len).max().unwrap_or(0));
    parts.into_iter().for_each(|part| sources.push(Source::new(part)));
    while let Some(current) = sources.next() {
        let mut end = current.range.max;
        let mut overlapping: Vec<EncodedChunk> = Vec::new();
        while let Some(next) = sources.next_if_begins_by(end) {
            let last = overlapping.last().unwrap_or(&current);
            if next.range != last.range || next.data != last.data {
                end = end.max(next.range.max);
                overlapping.push(next);
            }
        }
        if overlapping.is_empty() {
            merged.push(current);
            continue;
        }
        // Prometheus puts the chunk the others overlap last; equal times depend on it.
        overlapping.push(current);
        let anew = encode_anew(&overlapping, xor2).map_err(|e| {
            let range = overlapping.first().map_or(TimeRange::ALL, |c| c.range);
            QueryError::Corrupt(format!(
                "merge overlapping chunks from {} to {end}: {e}",
                range.min
            ))
        })?;
        let mut anew = anew.into_iter();
        merged.extend(anew.next());
        sources.push(Source::new(anew.collect()));
    }
    Ok(merged)
}

fn encode_anew(chunks: &[EncodedChunk], xor2: bool) -> Result<Vec<EncodedChunk>, ChunkError> {
    let mut parts = Vec::with_capacity(chunks.len());
    for one in chunks {
        let mut columns = Columns::default();
        chunk::decode(one.encoding, &one.data, TimeRange::ALL, &mut columns)?;
        parts.push(columns);
    }
    let mut columns = Columns::default();
    merge_samples(parts, &mut columns);
    chunk::encode(&columns, EncodeOptions { rule: CutRule::Merge, xor2, histogram_st: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chunk of samples of value `v`, every `step` in `from..to`.
    fn chunk(from: i64, to: i64, step: usize, v: f64) -> EncodedChunk {
        let mut columns = Columns::default();
        (from..to).step_by(step).for_each(|t| columns.push_float(t, v));
        chunk::encode(&columns, EncodeOptions::default()).unwrap().remove(0)
    }

    fn check(parts: Vec<Vec<EncodedChunk>>, expected: &[(i64, i64, usize)]) -> Vec<EncodedChunk> {
        let merged = merge_chunks(parts, false).unwrap();
        let got: Vec<(i64, i64, usize)> = merged
            .iter()
            .map(|c| {
                let n = chunk::num_samples(c.encoding, &c.data).unwrap();
                (c.range.min, c.range.max, n)
            })
            .collect();
        assert_eq!(got, expected);
        merged
    }

    #[test]
    fn chunks_apart_go_through() {
        let (a, b, c) = (chunk(0, 10, 1, 1.0), chunk(10, 20, 1, 2.0), chunk(20, 30, 1, 3.0));
        let merged = check(
            vec![vec![b.clone()], vec![a.clone(), c.clone()]],
            &[(0, 9, 10), (10, 19, 10), (20, 29, 10)],
        );
        assert_eq!(merged, [a, b, c]);
    }

    #[test]
    fn repetitions_count_once_and_overlaps_are_cut_at_120() {
        let a = chunk(0, 100, 1, 1.0);
        check(vec![vec![a.clone()], vec![a.clone()], vec![a.clone()]], &[(0, 99, 100)]);
        check(
            vec![vec![a.clone(), chunk(100, 200, 1, 1.0)], vec![chunk(50, 150, 1, 2.0)]],
            &[(0, 119, 120), (120, 199, 80)],
        );
        check(
            vec![vec![a, chunk(300, 310, 1, 1.0)], vec![chunk(90, 290, 2, 2.0)]],
            &[(0, 138, 120), (140, 288, 75), (300, 309, 10)],
        );
    }

    #[test]
    fn broken_chunks_are_errors() {
        let mut bad = chunk(0, 10, 1, 1.0);
        bad.data.truncate(5);
        let error = merge_chunks(vec![vec![bad], vec![chunk(5, 6, 1, 1.0)]], false).unwrap_err();
        assert!(error.to_string().starts_with("merge overlapping chunks from"), "{error}");
    }
}
