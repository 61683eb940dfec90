//! `tsdb create-blocks-from …`: blocks of samples that were kept elsewhere.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use model::labels::LabelsBuilder;
use model::{AppendOptions, Appendable, Value};
use storage::block::Block;
use storage::db::{BlockWriter, DEFAULT_BLOCK_RANGE_MS};
use storage::fs::{Fs, Mapped, RealFs};

use super::list::table;
use super::{Call, Failure, env};
use crate::gotext;
use crate::textparse::openmetrics::OpenMetricsParser;

/// Samples of one commit.
const BATCH: usize = 5000;

/// `tsdb create-blocks-from rules`
pub(super) fn rules(call: &mut Call<'_>) -> std::io::Result<u8> {
    let text = "tsdb create-blocks-from rules is not supported by this version of epitool";
    call.finish(Err(text.to_owned().into()))
}

/// `tsdb create-blocks-from openmetrics`
pub(super) fn openmetrics(call: &mut Call<'_>) -> std::io::Result<u8> {
    let done = import(call);
    call.finish(done)
}

fn import(call: &mut Call<'_>) -> Result<(), Failure> {
    let path = Path::new(call.values.arg("input file"));
    let input = read(path)?;
    let input = (*input).as_ref();
    let dir = PathBuf::from(call.values.arg("output directory"));
    std::fs::create_dir_all(&dir).map_err(|e| {
        let error = gotext::os_error(&e);
        format!("create output dir: mkdir {}: {error}", dir.display())
    })?;
    let (min, max) =
        bounds(input).map_err(|e| format!("getting min and max timestamp: {e}"))?.unwrap_or((0, 0));
    let longest = gotext::parse_go_duration(call.values.flag("max-block-duration")).unwrap_or(0);
    let span = block_span(longest / 1_000_000);
    let mut header = true;
    let mut next_sample = i64::MAX;
    let mut from = span * (min / span);
    while from <= max {
        let Some(to) = from.checked_add(span) else { break };
        // Nothing to parse for when the next sample lies behind.
        if next_sample == i64::MAX || next_sample < to {
            let failed = |e: String| format!("block creation: process blocks: {e}");
            let (written, next) = one_block(call, input, &dir, (from, to)).map_err(failed)?;
            next_sample = next;
            if let Some(block) = written.filter(|_| !call.values.is_on("quiet")) {
                let human = call.values.is_on("human-readable");
                let row = [(block.meta(), block.size_bytes())];
                write!(call.out, "{}", table(&row, header, human))?;
                header = false;
            }
        }
        from = to;
    }
    Ok(())
}

/// The bytes of a file; of a pipe, what comes out of it.
fn read(path: &Path) -> Result<Mapped, Failure> {
    let failed = |what: &str, e: std::io::Error| {
        Failure::Said(format!("{what} {}: {}", path.display(), gotext::os_error(&e)))
    };
    let kind = std::fs::metadata(path).map_err(|e| failed("stat", e))?;
    if kind.file_type().is_fifo() || kind.file_type().is_char_device() {
        let bytes = std::fs::read(path).map_err(|e| failed("read", e))?;
        return Ok(std::sync::Arc::new(bytes));
    }
    RealFs.map(path).map_err(|e| failed("open", e))
}

/// First and last time of the file's samples.
fn bounds(input: &[u8]) -> Result<Option<(i64, i64)>, String> {
    let mut parser = OpenMetricsParser::new(input);
    let mut found: Option<(i64, i64)> = None;
    while let Some(sample) = parser.next().map_err(|e| format!("next: {e}"))? {
        let t = sample.timestamp_ms.ok_or("expected timestamp for series got none")?;
        let (min, max) = found.unwrap_or((t, t));
        found = Some((min.min(t), max.max(t)));
    }
    Ok(found)
}

/// The longest span that merging would give a block, up to `longest_ms`: two hours times a power of
/// three.
fn block_span(longest_ms: i64) -> i64 {
    let mut span = DEFAULT_BLOCK_RANGE_MS;
    for _ in 1..10 {
        if span * 3 > longest_ms {
            break;
        }
        span *= 3;
    }
    span
}

/// Writes the block of the samples inside `from..to`; also the time of the first sample behind.
fn one_block(
    call: &Call<'_>,
    input: &[u8],
    dir: &Path,
    (from, to): (i64, i64),
) -> Result<(Option<Block>, i64), String> {
    // The writer refuses samples half its range older than the newest one. With twice the range a
    // file may have them in any order of series.
    let range = (to - from).saturating_mul(2);
    let writer = BlockWriter::new(dir, &std::env::temp_dir(), range, env())
        .map_err(|e| format!("block writer: {e}"))?;
    let more: Vec<(&str, &str)> = call
        .values
        .flags("label")
        .iter()
        .filter_map(|pair| pair.find(['=', ':']).map(|at| (&pair[..at], &pair[at + 1..])))
        .collect();
    let mut next = i64::MAX;
    let mut parser = OpenMetricsParser::new(input);
    let mut batch = writer.appender(AppendOptions::default());
    let mut samples = 0;
    while let Some(sample) = parser.next().map_err(|e| format!("parse: {e}"))? {
        let Some(t) = sample.timestamp_ms else {
            let labels = parser.labels().map_err(|e| e.to_string())?;
            return Err(format!("expected timestamp for series {labels}, got none"));
        };
        if t < from {
            continue;
        }
        if t >= to {
            next = next.min(t);
            continue;
        }
        let mut labels =
            LabelsBuilder::new(&parser.labels().map_err(|e| format!("add sample: {e}"))?);
        for (name, value) in &more {
            labels.set(name, value);
        }
        let added = batch
            .series(&labels.labels())
            .and_then(|series| batch.append(series, t, 0, Value::Float(sample.value)));
        added.map_err(|e| format!("add sample: {e}"))?;
        samples += 1;
        if samples == BATCH {
            batch.commit().map_err(|e| format!("commit: {e}"))?;
            batch = writer.appender(AppendOptions::default());
            samples = 0;
        }
    }
    batch.commit().map_err(|e| format!("commit: {e}"))?;
    let written = writer.flush().map_err(|e| format!("flush: {e}"))?;
    let open = |meta: storage::block::BlockMeta| {
        Block::open(&RealFs, &dir.join(meta.ulid.to_string()))
            .map_err(|e| format!("get blocks: {e}"))
    };
    Ok((written.map(open).transpose()?, next))
}
