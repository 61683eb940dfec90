//! Nanoseconds a sample of decoding and encoding XOR chunks, tidy and jittered: medians of five runs
//! over data that does not fit the caches nearest to the core.
//! `cargo bench -p storage --bench chunk_decode`

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::time::Instant;

use model::{Columns, TimeRange};
use storage::chunk::cut::SAMPLES_PER_CHUNK;
use storage::chunk::{self, ChunkEncoder, Encoding};

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

/// The median over the runs, in nanoseconds a sample, of the median slice of a run: other work on the
/// machine disturbs some slices, not most.
fn median<T>(all: &[T], mut run: impl FnMut(&[T])) -> f64 {
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
                    start.elapsed().as_nanos() as f64 / (SLICE * SAMPLES_PER_CHUNK) as f64
                })
                .collect();
            middle(&mut slices)
        })
        .collect();
    middle(&mut runs)
}

fn measure(name: &str, encoding: Encoding, samples: &[Vec<(i64, f64)>]) {
    let chunks = encoded(encoding, samples);
    let bytes: usize = chunks.iter().map(Vec::len).sum();
    let mut out = Columns::default();
    let decode = median(&chunks, |slice| {
        for data in slice {
            out.clear();
            let decoded = chunk::decode(encoding as u8, data, TimeRange::ALL, &mut out);
            assert!(decoded.is_ok());
            black_box(&out);
        }
    });
    let encode = median(samples, |slice| {
        black_box(encoded(encoding, slice));
    });
    let size = bytes as f64 / (CHUNKS * SAMPLES_PER_CHUNK) as f64;
    println!(
        "{encoding:?} {name}: decode {decode:.2} ns, encode {encode:.2} ns, {size:.2} B a sample"
    );
}

fn main() {
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
