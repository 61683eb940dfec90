//! Join: short float chunks that follow one another become one.
//!
//! A head ends the chunks of every series at times of its own (`chunk::cut`), for which it has one
//! more of them a chunk range than Prometheus. A block has no use for it, and every chunk costs some
//! thirty bytes. Only what a source made is joined: chunks of blocks stay as they are.

use model::{Columns, EncodedChunk, TimeRange, Value};

use crate::chunk::{self, ChunkEncoder, ChunkError, Encoding, num_samples};
use crate::source::SourceChunk;

/// The most bytes a joined chunk may take, as for a chunk of the head.
const MOST_BYTES: usize = 1024;

/// Joins neighbours that hold no more than `most` samples together.
pub(super) fn join_short(chunks: &mut Vec<SourceChunk<'_>>, most: usize) -> Result<(), ChunkError> {
    let mut at = 1;
    while let [before, this] = chunks.get(at - 1..=at).unwrap_or_default() {
        match joined(before, this, most)? {
            Some(joined) => {
                chunks[at - 1] = SourceChunk::Made(joined);
                chunks.remove(at);
            }
            None => at += 1,
        }
    }
    Ok(())
}

/// Both as one chunk, if they fit.
fn joined(
    a: &SourceChunk<'_>,
    b: &SourceChunk<'_>,
    most: usize,
) -> Result<Option<EncodedChunk>, ChunkError> {
    let (SourceChunk::Made(a), SourceChunk::Made(b)) = (a, b) else { return Ok(None) };
    let encoding = Encoding::from_u8(a.encoding)?;
    let alike = encoding.is_float() && a.encoding == b.encoding && a.range.max < b.range.min;
    if !alike
        || a.data.len() + b.data.len() > MOST_BYTES
        || num_samples(a.encoding, &a.data)? + num_samples(b.encoding, &b.data)? > most
    {
        return Ok(None);
    }
    let mut columns = Columns::default();
    chunk::decode(b.encoding, &b.data, TimeRange::ALL, &mut columns)?;
    let mut encoder = ChunkEncoder::resume(encoding, a.data.clone())?;
    for (i, (&t, &v)) in columns.timestamps.iter().zip(&columns.floats).enumerate() {
        let start_t = columns.start_timestamps.get(i).copied().unwrap_or(0);
        encoder.append(None, start_t, t, Value::Float(v))?;
    }
    let range = TimeRange { min: a.range.min, max: b.range.max };
    Ok(Some(EncodedChunk { range, encoding: a.encoding, data: encoder.finish() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(encoding: Encoding, samples: &[(i64, i64, f64)]) -> SourceChunk<'static> {
        let mut encoder = ChunkEncoder::new(encoding);
        for &(start_t, t, v) in samples {
            encoder.append(None, start_t, t, Value::Float(v)).unwrap();
        }
        let range = TimeRange { min: samples[0].1, max: samples[samples.len() - 1].1 };
        let data = encoder.finish();
        SourceChunk::Made(EncodedChunk { range, encoding: encoding as u8, data })
    }

    fn samples_of(chunks: &[SourceChunk<'_>]) -> Columns {
        let mut columns = Columns::default();
        for chunk in chunks {
            let (encoding, data) = chunk.parts();
            chunk::decode(encoding, data, TimeRange::ALL, &mut columns).unwrap();
        }
        columns
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn nothing_changes_but_the_number_of_chunks(
            lengths in proptest::collection::vec(1usize..140, 1..8),
            xor2: bool,
            wild: bool,
            seed in 0u64..1000,
        ) {
            let encoding = if xor2 { Encoding::Xor2 } else { Encoding::Xor };
            let (mut t, mut x) = (1_700_000_000_000i64, seed);
            let mut chunks = Vec::new();
            for n in &lengths {
                let samples: Vec<(i64, i64, f64)> = (0..*n)
                    .map(|i| {
                        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        t += 15_000 + (x >> 60) as i64;
                        let v = if wild { f64::from_bits(x) } else { (i / 3) as f64 };
                        (if xor2 && x & 1 == 0 { t - 50 } else { 0 }, t, v)
                    })
                    .collect();
                chunks.push(encoded(encoding, &samples));
            }
            let want = samples_of(&chunks);
            let mut got = chunks.clone();
            join_short(&mut got, 210).unwrap();
            let found = samples_of(&got);
            prop_assert_eq!(&found.timestamps, &want.timestamps);
            prop_assert_eq!(&found.start_timestamps, &want.start_timestamps);
            let bits = |c: &Columns| c.floats.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&found), bits(&want));
            let mut samples = Vec::new();
            for chunk in &got {
                let (encoding, data) = chunk.parts();
                let columns = samples_of(std::slice::from_ref(chunk));
                let range = chunk.range();
                prop_assert_eq!(columns.timestamps.first(), Some(&range.min));
                prop_assert_eq!(columns.timestamps.last(), Some(&range.max));
                samples.push(num_samples(encoding, data).unwrap());
            }
            // What could be joined was, and nothing else; wild values and start times are too large.
            prop_assert!(samples.iter().all(|n| *n <= 210));
            if !wild && !xor2 {
                prop_assert!(samples.windows(2).all(|two| two[0] + two[1] > 210), "{samples:?}");
            }
        }
    }

    #[test]
    fn other_chunks_stay() {
        let floats = |t| encoded(Encoding::Xor, &[(0, t, 1.0)]);
        let mut chunks = vec![floats(1), encoded(Encoding::Xor2, &[(0, 2, 1.0)]), floats(3)];
        join_short(&mut chunks, 210).unwrap();
        assert_eq!(chunks.len(), 3);
        let mut overlapping = vec![floats(5), floats(5)];
        join_short(&mut overlapping, 210).unwrap();
        assert_eq!(overlapping.len(), 2);
        join_short(&mut Vec::new(), 210).unwrap();
    }
}
