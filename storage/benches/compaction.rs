//! Compaction: 2-hour blocks merged to 6 and 18 hours, by the rounds a server makes.
//!
//! `cargo bench -p storage --bench compaction -- write DIR [TARGETS [JITTER_MS]]` makes ten blocks of
//! a thousand series a target (the newest one stays as it is), `… -- merge DIR` merges them.
//! `benches/peers/storage compact` runs it beside Prometheus and reads CPU time and memory from
//! outside.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod workload;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use model::{Labels, TimeRange};
use storage::block::{self, BlockMeta, BlockStats, CHUNKS_DIR, INDEX_FILENAME};
use storage::chunk::Encoding;
use storage::chunk::cut::SAMPLES_PER_CHUNK;
use storage::chunk::xor::XorEncoder;
use storage::chunkfile;
use storage::db::{Db, Options, ReplayProgress};
use storage::fs::{Fs, RealFs};
use storage::index::{ChunkMeta, IndexWriter, SymbolError, SymbolSet};
use storage::tombstones::{self, Tombstones};
use workload::{Family, INTERVAL_MS};

type Failure = Box<dyn std::error::Error>;

const RANGE_MS: i64 = 7_200_000;
/// A multiple of every range.
const START: i64 = 1_795_000_000_000 / (9 * RANGE_MS) * (9 * RANGE_MS);
/// Nine are merged.
const BLOCKS: i64 = 10;

/// Every series with what its values come from, in label order.
fn all_series(families: &[Family], targets: usize) -> Vec<(Labels, usize, usize)> {
    let of = |target: usize| {
        families.iter().enumerate().map(move |(at, f)| (f.labels(target), at, target))
    };
    let mut all: Vec<_> = (0..targets).flat_map(of).collect();
    all.sort_unstable();
    all
}

fn write(dir: &Path, targets: usize, jitter_ms: u64) -> Result<(), Failure> {
    let families = workload::families();
    let all = all_series(&families, targets);
    let symbols: BTreeSet<&str> =
        all.iter().flat_map(|(labels, ..)| labels.iter().flat_map(|(n, v)| [n, v])).collect();
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    for number in 0..BLOCKS {
        let from = START + number * RANGE_MS;
        let ulid = block::new_ulid(from, number as u128);
        let mut meta = BlockMeta::new(ulid, from, from + RANGE_MS, None);
        let block = dir.join(ulid.to_string());
        fs.create_dir_all(&block)?;
        let set = symbols.iter().map(|s| Ok::<_, SymbolError>(Cow::Borrowed(*s)));
        let set = SymbolSet::from_sorted(set)?;
        let mut index = IndexWriter::create(&*fs, &block.join(INDEX_FILENAME), set)?;
        let mut chunks = chunkfile::Writer::new(fs.clone(), &block.join(CHUNKS_DIR), 0)?;
        let mut stats = BlockStats { num_series: all.len() as u64, ..BlockStats::default() };
        for (labels, family, target) in &all {
            let mut metas = Vec::new();
            let times: Vec<i64> = (from + INTERVAL_MS..=from + RANGE_MS - INTERVAL_MS)
                .step_by(INTERVAL_MS as usize)
                .collect();
            for times in times.chunks(SAMPLES_PER_CHUNK) {
                let mut encoder = XorEncoder::new();
                let mut range = TimeRange { min: i64::MAX, max: i64::MIN };
                for &t in times {
                    let v = families[*family].value(*target, t / 1000);
                    let t = t + workload::jitter(*target, t / 1000, jitter_ms);
                    encoder.append(t, v)?;
                    range = TimeRange { min: range.min.min(t), max: range.max.max(t) };
                }
                stats.num_samples += times.len() as u64;
                stats.num_float_samples += times.len() as u64;
                stats.num_chunks += 1;
                let reference = chunks.write(Encoding::Xor as u8, encoder.bytes())?;
                metas.push(ChunkMeta { range, reference });
            }
            index.add_series(labels, &metas)?;
        }
        chunks.finish()?;
        index.finish(&Default::default())?;
        meta.stats = stats;
        meta.write(&*fs, &block)?;
        tombstones::write(&*fs, &block, &Tombstones::new())?;
    }
    Ok(())
}

fn merge(dir: &Path) -> Result<(), Failure> {
    let db = Db::open(dir, Options::default(), workload::env(), &ReplayProgress::default())?;
    db.maintain()?;
    for meta in db.block_metas() {
        println!(
            "{}\t{} h\t{} series\t{} samples",
            dir.join(meta.ulid.to_string()).display(),
            (meta.max_time - meta.min_time) / 3_600_000,
            meta.stats.num_series,
            meta.stats.num_samples
        );
    }
    db.close()?;
    Ok(())
}

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let number = |at: usize, default: usize| args.get(at).map_or(Ok(default), |n| n.parse());
    match (args.first().map(String::as_str), args.get(1)) {
        (Some("write"), Some(dir)) => write(Path::new(dir), number(2, 100)?, number(3, 0)? as u64),
        (Some("merge"), Some(dir)) => merge(Path::new(dir)),
        _ => {
            println!("compaction: nothing asked for, nothing measured");
            Ok(())
        }
    }
}
