//! ChunkList: where the full in-order chunks of a series stand in `chunks_head`.
//!
//! A series has a handful of them and looks at them rarely, so they are kept as varints, each chunk
//! by how it differs from what the ones before let expect: six or seven bytes instead of 24. What
//! must hold: any chunks come back as they went in; it is made for ascending ones with samples at
//! even distances, where the numbers are small.

use super::series::MappedChunk;
use crate::encoding::{DecBuf, DecodeError, EncBuf};

/// Chunks in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChunkList(Box<[u8]>);

/// What the next chunk is told relative to.
#[derive(Clone, Copy, Default)]
struct Before {
    /// See [`position`]; and the distance from that of the chunk before.
    position: u64,
    distance: u64,
    max_t: i64,
    /// Time from sample to sample.
    step: i64,
    samples: u16,
    encoding: u8,
}

/// Bits of a place inside a file of `chunks_head`, which are of 128 MiB.
const FILE_BITS: u32 = 27;

/// A chunk's place as if all files were one. Any ref can be told from it: what no file is large
/// enough for stands above the number of the file.
fn position(chunk_ref: u64) -> u64 {
    let (file, offset) = (chunk_ref >> 32, chunk_ref & u64::from(u32::MAX));
    let (high, low) = (offset >> FILE_BITS, offset & ((1 << FILE_BITS) - 1));
    high << (32 + FILE_BITS) | file << FILE_BITS | low
}

/// The ref of a place.
fn ref_at(position: u64) -> u64 {
    let low = position & ((1 << FILE_BITS) - 1);
    let file = position >> FILE_BITS & u64::from(u32::MAX);
    file << 32 | position >> (32 + FILE_BITS) << FILE_BITS | low
}

impl Before {
    fn after(self, chunk: &MappedChunk) -> Before {
        let position = position(chunk.chunk_ref);
        // The first place says nothing of how far it is from one chunk to the next.
        let first = self.samples == 0 && self.position == 0;
        Before {
            position,
            distance: if first { 0 } else { position.wrapping_sub(self.position) },
            samples: chunk.samples,
            max_t: chunk.max_t(),
            step: i64::from(chunk.span_ms) / steps(chunk.samples).max(1),
            encoding: chunk.encoding,
        }
    }

    /// The time a chunk of so many samples probably spans.
    fn span(&self, samples: u16) -> i64 {
        self.step.wrapping_mul(steps(samples))
    }
}

/// Distances between so many samples.
fn steps(samples: u16) -> i64 {
    i64::from(samples) - 1
}

/// Reads the chunks one after another.
#[derive(Clone)]
pub(crate) struct Iter<'a> {
    buf: DecBuf<'a>,
    before: Before,
}

fn put(out: &mut Vec<u8>, before: &mut Before, chunk: &MappedChunk) {
    let other = chunk.encoding != before.encoding;
    let more = i64::from(chunk.samples) - i64::from(before.samples);
    out.put_varint(more << 1 | i64::from(other));
    if other {
        out.put_u8(chunk.encoding);
    }
    let expected = before.position.wrapping_add(before.distance);
    out.put_varint(position(chunk.chunk_ref).wrapping_sub(expected) as i64);
    out.put_varint(chunk.min_t.wrapping_sub(before.max_t).wrapping_sub(before.step));
    out.put_varint(i64::from(chunk.span_ms).wrapping_sub(before.span(chunk.samples)));
    *before = before.after(chunk);
}

impl Iter<'_> {
    fn read(&mut self) -> Result<MappedChunk, DecodeError> {
        let (buf, before) = (&mut self.buf, self.before);
        let head = buf.varint()?;
        let samples = i64::from(before.samples).wrapping_add(head >> 1) as u16;
        let encoding = if head & 1 == 1 { buf.u8()? } else { before.encoding };
        let expected = before.position.wrapping_add(before.distance);
        let chunk = MappedChunk {
            encoding,
            chunk_ref: ref_at(expected.wrapping_add(buf.varint()? as u64)),
            min_t: before.max_t.wrapping_add(before.step).wrapping_add(buf.varint()?),
            span_ms: before.span(samples).wrapping_add(buf.varint()?) as u32,
            samples,
        };
        self.before = before.after(&chunk);
        Ok(chunk)
    }
}

impl Iterator for Iter<'_> {
    type Item = MappedChunk;

    fn next(&mut self) -> Option<MappedChunk> {
        if self.buf.is_empty() {
            return None;
        }
        // Written by `put`: it can be read.
        self.read().ok()
    }
}

impl ChunkList {
    /// The chunks in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { buf: DecBuf::new(&self.0), before: Before::default() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// The first chunk.
    pub fn first(&self) -> Option<MappedChunk> {
        self.iter().next()
    }

    /// The last chunk.
    pub fn last(&self) -> Option<MappedChunk> {
        self.iter().last()
    }

    /// Adds chunks behind the others.
    pub fn extend(&mut self, chunks: &[MappedChunk]) {
        if chunks.is_empty() {
            return;
        }
        let mut all = self.iter();
        all.by_ref().for_each(drop);
        let mut before = all.before;
        let mut bytes = std::mem::take(&mut self.0).into_vec();
        bytes.reserve_exact(24 * chunks.len());
        chunks.iter().for_each(|chunk| put(&mut bytes, &mut before, chunk));
        self.0 = bytes.into_boxed_slice();
    }

    /// Adds a chunk behind the others.
    pub fn push(&mut self, chunk: MappedChunk) {
        self.extend(&[chunk]);
    }

    /// Drops the chunks for which `keep` says no; how many that were.
    pub fn retain(&mut self, keep: impl Fn(&MappedChunk) -> bool) -> usize {
        if self.iter().all(|chunk| keep(&chunk)) {
            return 0;
        }
        let total = self.len();
        let kept: Vec<MappedChunk> = self.iter().filter(keep).collect();
        *self = ChunkList::default();
        self.extend(&kept);
        total - kept.len()
    }

    /// Bytes outside the structure.
    pub fn heap_bytes(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn chunk()(chunk_ref: u64, min_t: i64, span_ms: u32, samples: u16, encoding: u8) -> MappedChunk {
            MappedChunk { chunk_ref, min_t, span_ms, samples, encoding }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_chunks_come_back(chunks in proptest::collection::vec(chunk(), 0..12), odd: bool) {
            let mut list = ChunkList::default();
            let (front, back) = chunks.split_at(chunks.len() / 2);
            front.iter().for_each(|c| list.push(*c));
            list.extend(back);
            prop_assert_eq!(list.iter().collect::<Vec<_>>(), chunks.clone());
            prop_assert_eq!(list.first(), chunks.first().copied());
            prop_assert_eq!(list.last(), chunks.last().copied());

            let keep = |c: &MappedChunk| (c.samples % 2 == 1) == odd;
            let mut kept = chunks.clone();
            kept.retain(keep);
            prop_assert_eq!(list.retain(keep), chunks.len() - kept.len());
            prop_assert_eq!(list.iter().collect::<Vec<_>>(), kept);
        }
    }

    #[test]
    fn usual_chunks_take_few_bytes() {
        let mut list = ChunkList::default();
        for i in 0..10i64 {
            // Other series take more or less room in between, and there are two chunks a file.
            let at = i as u64 * 66_000_000 + i as u64 % 3 * 400_000;
            list.push(MappedChunk {
                chunk_ref: ((3 + (at >> FILE_BITS)) << 32) | (at % (1 << FILE_BITS)),
                min_t: 1_790_000_000_000 + i * 1_995_000 + i % 5,
                span_ms: 1_980_000 + i as u32 % 7,
                samples: 133,
                encoding: 1,
            });
        }
        assert!(list.heap_bytes() <= 10 * 6 + 14, "{}", list.heap_bytes());
    }
}
