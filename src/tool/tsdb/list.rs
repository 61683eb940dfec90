//! `tsdb list`: the blocks of a data directory.

use storage::block::{Block, BlockMeta};

use super::tabs::align;
use super::{Call, Failure, open, said};
use crate::{gotext, gotime};

pub(super) fn run(call: &mut Call<'_>) -> std::io::Result<u8> {
    let done = list(call);
    call.finish(done)
}

fn list(call: &mut Call<'_>) -> Result<(), Failure> {
    let blocks = open(call, "")?.blocks().map_err(said)?;
    let rows: Vec<(&BlockMeta, u64)> =
        blocks.iter().map(|b: &std::sync::Arc<Block>| (b.meta(), b.size_bytes())).collect();
    write!(call.out, "{}", table(&rows, true, call.values.is_on("human-readable")))?;
    Ok(())
}

/// Blocks with their sizes, a line each.
pub(super) fn table(blocks: &[(&BlockMeta, u64)], header: bool, human: bool) -> String {
    let mut rows = Vec::with_capacity(blocks.len() + 1);
    if header {
        rows.push(
            [
                "BLOCK ULID",
                "MIN TIME",
                "MAX TIME",
                "DURATION",
                "NUM SAMPLES",
                "NUM CHUNKS",
                "NUM SERIES",
                "SIZE",
            ]
            .map(str::to_owned),
        );
    }
    for (meta, size) in blocks {
        let span = i128::from(meta.max_time) - i128::from(meta.min_time);
        rows.push([
            meta.ulid.to_string(),
            time(meta.min_time, human),
            time(meta.max_time, human),
            gotext::format_go_duration(span * 1_000_000),
            meta.stats.num_samples.to_string(),
            meta.stats.num_chunks.to_string(),
            meta.stats.num_series.to_string(),
            bytes(*size, human),
        ]);
    }
    align(&rows)
}

fn time(ms: i64, human: bool) -> String {
    if !human {
        return ms.to_string();
    }
    // Whole seconds, cut towards zero as Go divides.
    let text = gotime::rfc3339_nano(i128::from(ms / 1000) * 1_000_000_000);
    let text = text.trim_end_matches('Z').replacen('T', " ", 1);
    format!("{text} +0000 UTC")
}

fn bytes(size: u64, human: bool) -> String {
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    if human { gotext::format_bytes(size) } else { size.to_string() }
}
