//! What a database or its blocks hold, as text.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use model::columns::HistogramValue;
use model::{
    CancelToken, Columns, MatchOp, Matcher, Querier, Queryable, SelectHints, Selection, TimeRange,
};
use storage::block::{self, Block, CHUNKS_DIR};
use storage::chunk;
use storage::chunkfile;
use storage::db::Db;
use storage::fs::RealFs;
use storage::source::BlockReader;

use crate::Failure;
use crate::text::{float_histogram_line, hex, histogram_line};

fn everything() -> Result<Matcher, Failure> {
    Ok(Matcher::new(MatchOp::Regex, "__name__", ".*")?)
}

/// The series of a selection by position, in label order.
fn sorted(
    db: &Db,
    range: TimeRange,
    matchers: &[Matcher],
) -> Result<(Arc<dyn Selection>, Vec<usize>), Failure> {
    let querier = db.querier(range)?;
    let selection = querier.select(matchers, &SelectHints::default(), &CancelToken::default())?;
    let mut order: Vec<usize> = (0..selection.len()).collect();
    order.sort_by_cached_key(|i| selection.labels(*i));
    Ok((selection, order))
}

/// Every sample, series in label order.
pub(crate) fn samples(out: &mut impl Write, db: &Db, range: TimeRange) -> Result<(), Failure> {
    let (selection, order) = sorted(db, range, &[everything()?])?;
    let mut columns = Columns::default();
    for i in order {
        columns.clear();
        selection.read(i, range, &mut columns)?;
        let labels = selection.labels(i).to_string();
        for (at, t) in columns.timestamps.iter().enumerate() {
            let start = columns.start_timestamps.get(at).copied().unwrap_or(0);
            let text = match columns.histogram(at) {
                None => hex(columns.floats[at]),
                Some(HistogramValue::Integer(h)) => histogram_line(h),
                Some(HistogramValue::Float(h)) => float_histogram_line(h),
            };
            writeln!(out, "{labels} {t} {start} {text}")?;
        }
    }
    Ok(())
}

/// Every exemplar.
pub(crate) fn exemplars(out: &mut impl Write, db: &Db) -> Result<(), Failure> {
    for (labels, exemplars) in db.exemplars(TimeRange::ALL, &[vec![everything()?]])? {
        for e in exemplars {
            writeln!(out, "{labels} {} {} {}", e.timestamp_ms, hex(e.value), e.labels)?;
        }
    }
    Ok(())
}

/// Every label name with its values.
pub(crate) fn names(out: &mut impl Write, db: &Db) -> Result<(), Failure> {
    let querier: Arc<dyn Querier> = db.querier(TimeRange::ALL)?;
    for name in querier.label_names(&[], 0)? {
        writeln!(out, "{name}: {}", querier.label_values(&name, &[], 0)?.join(" | "))?;
    }
    Ok(())
}

/// The labels of the series that satisfy the matchers.
pub(crate) fn series(out: &mut impl Write, db: &Db, matchers: &[Matcher]) -> Result<(), Failure> {
    let (selection, order) = sorted(db, TimeRange::ALL, matchers)?;
    for i in order {
        writeln!(out, "{}", selection.labels(i))?;
    }
    Ok(())
}

/// The blocks of a directory that nobody has open: meta, series, chunks, tombstones.
pub(crate) fn blocks(out: &mut impl Write, dir: &Path) -> Result<(), Failure> {
    let mut open = Vec::new();
    for path in block::list(&RealFs, dir)? {
        if path.join(block::META_FILENAME).exists() {
            open.push(Block::open(&RealFs, &path)?);
        }
    }
    open.sort_by(|a, b| a.dir().cmp(b.dir()));
    open.sort_by_key(|b| b.meta().min_time);
    for block in &open {
        print_block(out, block).map_err(|e| format!("{}: {e}", block.dir().display()))?;
    }
    Ok(())
}

fn print_block(out: &mut impl Write, block: &Block) -> Result<(), Failure> {
    let m = block.meta();
    let (s, c) = (&m.stats, &m.compaction);
    writeln!(
        out,
        "block {} {} level {} samples {} floats {} histograms {} series {} chunks {} \
         tombstones {} sources {} parents {} hints [{}] failed {} deletable {} version {} size {}",
        m.min_time,
        m.max_time,
        c.level,
        s.num_samples,
        s.num_float_samples,
        s.num_histogram_samples,
        s.num_series,
        s.num_chunks,
        s.num_tombstones,
        c.sources.len(),
        c.parents.len(),
        c.hints.join(" "),
        c.failed,
        c.deletable,
        m.version,
        block.size_bytes()
    )?;
    let chunks = chunkfile::Reader::open(&RealFs, &block.dir().join(CHUNKS_DIR))?;
    for &id in block.postings(&[], &CancelToken::default())?.iter() {
        writeln!(out, "series {id} {}", block.index().labels(id)?)?;
        for meta in block.index().chunks(id)? {
            let meta = meta.map_err(|e| block.index().corruption(e))?;
            let stored = chunks.chunk(meta.reference)?;
            let count = chunk::num_samples(stored.encoding, stored.data)?;
            write!(
                out,
                "  chunk {} {} {} {} {count} ",
                meta.reference.0, meta.range.min, meta.range.max, stored.encoding
            )?;
            stored.data.iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
            writeln!(out)?;
        }
    }
    for (id, intervals) in block.tombstones().iter() {
        for interval in intervals.as_slice() {
            writeln!(out, "tombstone {id} {} {}", interval.min, interval.max)?;
        }
    }
    Ok(())
}
