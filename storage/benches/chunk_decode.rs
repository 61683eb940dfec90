//! Nanoseconds a sample of decoding and encoding float chunks: generated ones, tidy and jittered,
//! and those of the golden blocks where the shared data is there. Medians of five runs, beside them
//! the quickest slice of any run, which tells more on a busy machine. Beside the decoder an iterator
//! over single samples, which every chunk is read with as well: both see the same samples.
//! `cargo bench -p storage --bench chunk_decode [-- BLOCK]`: with a block, its chunks only.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod sample_iterator;

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use model::{Columns, TimeRange};
use sample_iterator::SampleIterator;
use storage::chunk::cut::SAMPLES_PER_CHUNK;
use storage::chunk::{self, ChunkEncoder, ChunkRef, Encoding};
use storage::chunkfile::{HEADER_SIZE, Reader};
use storage::fs::RealFs;

const CHUNKS: usize = 20_000;
const RUNS: usize = 5;
/// Chunks timed at once: about 40 microseconds.
const SLICE: usize = 200;

/// A small generator (xorshift), so that every run sees the same data.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// How the values of one chunk move: the mix of a usual target.
fn value(dice: &mut Dice, kind: usize, last: f64) -> f64 {
    match kind % 10 {
        0..3 => last,
        3..7 => last + dice.below(40) as f64,
        7 | 8 => last + (dice.below(10) == 0) as u8 as f64,
        _ => last + dice.below(1 << 40) as f64 / 1e9,
    }
}

fn samples(jitter: impl Fn(&mut Dice) -> i64) -> Vec<Vec<(i64, f64)>> {
    let mut dice = Dice(42);
    (0..CHUNKS)
        .map(|kind| {
            let mut v = dice.below(100_000) as f64;
            let at =
                |i: usize, dice: &mut Dice| 1_700_000_000_000 + 15_000 * i as i64 + jitter(dice);
            (0..SAMPLES_PER_CHUNK)
                .map(|i| {
                    v = value(&mut dice, kind, v);
                    (at(i, &mut dice), v)
                })
                .collect()
        })
        .collect()
}

fn encoded(encoding: Encoding, samples: &[Vec<(i64, f64)>]) -> Vec<Vec<u8>> {
    samples
        .iter()
        .map(|run| {
            let mut encoder = ChunkEncoder::new(encoding);
            for &(t, v) in run {
                let appended = encoder.append(None, 0, t, model::Value::Float(v));
                assert!(appended.is_ok_and(|next| next.is_none()));
            }
            encoder.finish()
        })
        .collect()
}

/// Times in nanoseconds a sample.
struct Times {
    /// Median over the runs of the median slice of a run.
    median: f64,
    /// Quickest slice of all.
    best: f64,
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.2} ns (best {:.2})", self.median, self.best)
    }
}

/// Times `run` over slices of `all`, which have `samples` samples together.
fn times<T>(all: &[T], samples: usize, mut run: impl FnMut(&[T])) -> Times {
    let per_slice = samples as f64 / all.len() as f64 * SLICE as f64;
    let mut best = f64::INFINITY;
    let middle = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let mut runs: Vec<f64> = (0..RUNS)
        .map(|_| {
            let mut slices: Vec<f64> = all
                .chunks_exact(SLICE)
                .map(|slice| {
                    let start = Instant::now();
                    run(slice);
                    start.elapsed().as_nanos() as f64 / per_slice
                })
                .collect();
            let median = middle(&mut slices);
            best = best.min(slices[0]);
            median
        })
        .collect();
    Times { median: middle(&mut runs), best }
}

/// Times of the decoder and of the iterator over single samples, which read the same.
fn beside_iterator(chunks: &[&[u8]], samples: usize) -> (Times, Times) {
    for data in chunks {
        let mut out = Columns::default();
        assert!(chunk::decode(Encoding::Xor as u8, data, TimeRange::ALL, &mut out).is_ok());
        let values = out.floats.iter().map(|v| v.to_bits());
        let decoded = out.timestamps.iter().copied().zip(values);
        assert!(SampleIterator::new(data).map(|(t, v)| (t, v.to_bits())).eq(decoded));
    }
    let iterated = times(chunks, samples, |slice| {
        for data in slice {
            let mut sums = (0i64, 0.0);
            for (t, v) in SampleIterator::new(data) {
                sums = (sums.0.wrapping_add(t), sums.1 + v);
            }
            black_box(sums);
        }
    });
    (decode_times(Encoding::Xor, chunks, samples), iterated)
}

fn decode_times<T: AsRef<[u8]>>(encoding: Encoding, chunks: &[T], samples: usize) -> Times {
    let mut out = Columns::default();
    times(chunks, samples, |slice| {
        for data in slice {
            out.clear();
            let data = data.as_ref();
            let decoded = chunk::decode(encoding as u8, data, TimeRange::ALL, &mut out);
            assert!(decoded.is_ok());
            black_box(&out);
        }
    })
}

/// The golden blocks.
fn golden() -> Vec<PathBuf> {
    let root = testdata::shared("golden/prometheus-3.14/stopped/data");
    let blocks = root.and_then(|root| std::fs::read_dir(root).ok()).into_iter().flatten().flatten();
    blocks.map(|block| block.path()).collect()
}

/// The XOR chunks of some blocks, where they lie, and their samples.
fn stored(readers: &[Reader]) -> (Vec<&[u8]>, usize) {
    let (mut chunks, mut samples) = (Vec::new(), 0);
    for reader in readers {
        let mut offset = HEADER_SIZE as u32;
        while let Ok(stored) = reader.chunk(ChunkRef::new(0, offset)) {
            offset = stored.end;
            if stored.encoding == Encoding::Xor as u8 {
                samples += chunk::num_samples(stored.encoding, stored.data).unwrap_or(0);
                chunks.push(stored.data);
            }
        }
    }
    (chunks, samples)
}

fn measure(name: &str, encoding: Encoding, samples: &[Vec<(i64, f64)>]) {
    let chunks = encoded(encoding, samples);
    let all = CHUNKS * SAMPLES_PER_CHUNK;
    let bytes: usize = chunks.iter().map(Vec::len).sum();
    let decode = decode_times(encoding, &chunks, all);
    let encode = times(samples, all, |slice| {
        black_box(encoded(encoding, slice));
    });
    let size = bytes as f64 / all as f64;
    println!("{encoding:?} {name}: decode {decode}, encode {encode}, {size:.2} B a sample");
}

fn main() {
    let given = std::env::args().skip(1).find(|a| !a.starts_with("--")).map(PathBuf::from);
    let one_only = given.is_some();
    let blocks = given.map_or_else(golden, |block| vec![block]);
    let open = |block: &PathBuf| Reader::open(&RealFs, &block.join("chunks")).ok();
    let readers: Vec<Reader> = blocks.iter().filter_map(open).collect();
    let (chunks, all) = stored(&readers);
    if chunks.len() >= SLICE {
        let (decode, iterated) = beside_iterator(&chunks, all);
        println!("Xor stored, {} chunks: decode {decode}", chunks.len());
        let ratio = iterated.median / decode.median;
        println!("the same, sample by sample: {iterated}, ratio {ratio:.2}");
    }
    if one_only {
        return;
    }
    let tidy = samples(|_| 0);
    let some = samples(|dice| if dice.below(20) == 0 { dice.below(5) as i64 - 2 } else { 0 });
    let five = samples(|dice| dice.below(11) as i64 - 5);
    let fifty = samples(|dice| dice.below(101) as i64 - 50);
    for encoding in [Encoding::Xor, Encoding::Xor2] {
        measure("tidy", encoding, &tidy);
        measure("jitter 2 ms on 5 %", encoding, &some);
        measure("jitter 5 ms", encoding, &five);
        measure("jitter 50 ms", encoding, &fifty);
    }
}
