//! `tsdb analyze`: what fills a block.

use std::collections::BTreeMap;
use std::io::Write;

use model::columns::HistogramValue;
use model::{CancelToken, Columns, Matcher, TimeRange};
use promql::parser;
use storage::block::Block;
use storage::chunk::{self, Encoding};
use storage::source::{BlockReader, SeriesId};

use super::{Call, Failure, open, said};
use crate::gotext;

pub(super) fn run(call: &mut Call<'_>) -> std::io::Result<u8> {
    let done = analyze(call);
    call.finish(done)
}

/// Sums by what they are of.
type Sums = BTreeMap<String, u64>;

fn analyze(call: &mut Call<'_>) -> Result<(), Failure> {
    let selector = call.values.flag("match").to_owned();
    let matchers = match selector.as_str() {
        "" => Vec::new(),
        text => parser::parse_metric_selector(text).map_err(said)?,
    };
    let db = open(call, "")?;
    let id = match call.values.arg("block id") {
        "" => db.last_block_id().map_err(said)?,
        id => id.to_owned(),
    };
    let block = db.block(&id).map_err(said)?;
    let meta = block.meta();
    let span = meta.max_time.wrapping_sub(meta.min_time);
    let duration = gotext::format_go_duration(i128::from(span) * 1_000_000);
    let out = &mut *call.out;
    writeln!(out, "Block ID: {}\nDuration: {duration}", meta.ulid)?;
    writeln!(out, "Total Series: {}", meta.stats.num_series)?;
    if !selector.is_empty() {
        writeln!(out, "Matcher: {selector}")?;
    }
    let names = block.label_names(&matchers).map_err(said)?;
    writeln!(out, "Label names: {}", names.len())?;
    let ids = block.postings(&matchers, &CancelToken::default()).map_err(said)?;
    if !selector.is_empty() {
        writeln!(out, "Matched series: {}", ids.len())?;
    }

    let limit = gotext::parse_float(call.values.flag("limit")).unwrap_or_default();
    let pairs = Pairs::of(&block, &ids)?;
    let share = |sums: Sums| -> Sums {
        let part = |sum: u64| (sum as f64 / span as f64) as u64;
        sums.into_iter().map(|(key, sum)| (key, part(sum))).collect()
    };
    writeln!(call.out, "Postings (unique label pairs): {}", pairs.count.len())?;
    writeln!(call.out, "Postings entries (total label pairs): {}", pairs.entries)?;
    let out = &mut *call.out;
    show_on(out, limit, "Label pairs most involved in churning", share(pairs.uncovered))?;
    show_on(out, limit, "Label names most involved in churning", share(pairs.names_uncovered))?;
    show_on(out, limit, "Most common label pairs", pairs.count)?;
    let (mut lengths, mut counts) = (Sums::new(), Sums::new());
    for name in names {
        let values = block.label_values(&name, &matchers).map_err(said)?;
        lengths.insert(name.clone(), values.iter().map(|v| v.len() as u64).sum());
        counts.insert(name, values.len() as u64);
    }
    show_on(out, limit, "Label names with highest cumulative label value length", lengths)?;
    show_on(out, limit, "Highest cardinality labels", counts)?;
    show_on(out, limit, "Highest cardinality metric names", metric_names(&block, &matchers)?)?;
    if call.values.is_on("extended") {
        chunks(call, &block, &ids)?;
    }
    Ok(())
}

/// What of the block's span series do not cover, and how often labels are used.
#[derive(Default)]
struct Pairs {
    entries: u64,
    uncovered: Sums,
    names_uncovered: Sums,
    count: Sums,
}

impl Pairs {
    fn of(block: &Block, ids: &[SeriesId]) -> Result<Pairs, Failure> {
        let index = block.index();
        let meta = block.meta();
        let span = meta.max_time.wrapping_sub(meta.min_time) as u64;
        let mut pairs = Pairs::default();
        for id in ids {
            let (mut first, mut last) = (None, None);
            for one in index.chunks(*id).map_err(said)? {
                let one = one.map_err(|e| said(index.corruption(e)))?;
                first.get_or_insert(one.range.min);
                last = Some(one.range.max);
            }
            let covered = last.unwrap_or(0).wrapping_sub(first.unwrap_or(0)) as u64;
            let uncovered = span.wrapping_sub(covered);
            for (name, value) in index.labels(*id).map_err(said)?.iter() {
                let key = format!("{name}={value}");
                add(&mut pairs.names_uncovered, name, uncovered);
                add(&mut pairs.uncovered, &key, uncovered);
                add(&mut pairs.count, &key, 1);
                pairs.entries += 1;
            }
        }
        Ok(pairs)
    }
}

fn add(sums: &mut Sums, key: &str, more: u64) {
    match sums.get_mut(key) {
        Some(sum) => *sum = sum.wrapping_add(more),
        None => drop(sums.insert(key.to_owned(), more)),
    }
}

/// A list, largest first; promtool leaves the order of equal ones to chance, here it is by name.
fn show_on(out: &mut dyn Write, limit: f64, title: &str, sums: Sums) -> std::io::Result<()> {
    let mut sums: Vec<(String, u64)> = sums.into_iter().collect();
    sums.sort_by_key(|(_, sum)| std::cmp::Reverse(*sum));
    writeln!(out, "\n{title}:")?;
    for (key, sum) in sums.iter().take(limit.max(0.0) as usize) {
        writeln!(out, "{sum} {key}")?;
    }
    Ok(())
}

/// How many series each metric has, of those that match.
fn metric_names(block: &Block, matchers: &[Matcher]) -> Result<Sums, Failure> {
    let mut sums = Sums::new();
    for name in block.label_values("__name__", matchers).map_err(said)? {
        let mut all = vec![Matcher::equal("__name__", &name)];
        all.extend_from_slice(matchers);
        let found = block.postings(&all, &CancelToken::default()).map_err(said)?;
        sums.insert(name, found.len() as u64);
    }
    Ok(sums)
}

/// How often each size was seen.
type Sizes = BTreeMap<u64, u64>;

/// The part of `--extended`: how full chunks are.
fn chunks(call: &mut Call<'_>, block: &Block, ids: &[SeriesId]) -> Result<(), Failure> {
    let [mut samples, mut bytes] = [Sizes::new(), Sizes::new()];
    let [mut histogram_samples, mut histogram_bytes, mut buckets] =
        [Sizes::new(), Sizes::new(), Sizes::new()];
    let mut total = 0;
    for id in ids {
        for one in block.index().chunks(*id).map_err(said)? {
            let one = one.map_err(|e| said(block.index().corruption(e)))?;
            let stored = block.chunk_files().chunk(one.reference).map_err(said)?;
            let count = chunk::num_samples(stored.encoding, stored.data).map_err(said)? as u64;
            let size = stored.data.len() as u64;
            if Encoding::from_u8(stored.encoding).map_err(said)?.is_float() {
                *samples.entry(count).or_default() += 1;
                *bytes.entry(size).or_default() += 1;
            } else {
                *histogram_samples.entry(count).or_default() += 1;
                *histogram_bytes.entry(size).or_default() += 1;
                let count = bucket_count(stored.encoding, stored.data)?;
                *buckets.entry(count).or_default() += 1;
            }
            total += 1;
        }
    }
    writeln!(call.out, "\nCompaction analysis:\n")?;
    for (title, sizes) in [
        ("samples per float chunk", samples),
        ("bytes per float chunk", bytes),
        ("samples per histogram chunk", histogram_samples),
        ("bytes per histogram chunk", histogram_bytes),
        ("buckets per histogram chunk", buckets),
    ] {
        write!(call.out, "{}", spread(title, &sizes, total))?;
    }
    Ok(())
}

/// The buckets of all histograms of a chunk.
fn bucket_count(encoding: u8, data: &[u8]) -> Result<u64, Failure> {
    let mut columns = Columns::default();
    chunk::decode(encoding, data, TimeRange::ALL, &mut columns).map_err(said)?;
    let count = |h: &HistogramValue| match h {
        HistogramValue::Integer(h) => h.positive_buckets.len() + h.negative_buckets.len(),
        HistogramValue::Float(h) => h.positive_buckets.len() + h.negative_buckets.len(),
    };
    Ok(columns.histograms.iter().map(|h| count(&h.value) as u64).sum())
}

/// Sizes as a picture.
fn spread(title: &str, sizes: &Sizes, total: u64) -> String {
    let (Some((&least, _)), Some((&most, _))) = (sizes.first_key_value(), sizes.last_key_value())
    else {
        return format!("{title}: N/A\n\n");
    };
    let wanted = (most - least) / 10;
    let mut step = 10;
    while step < wanted && step <= 10_000 {
        step *= 10;
    }
    let (start, end) = (least - least % step, most - most % step + step);
    let mut buckets = vec![0u64; ((end - start) / step + 1) as usize];
    let (mut sum, mut count) = (0, 0);
    for (size, times) in sizes {
        buckets[((size - start) / step) as usize] += times;
        sum += size * times;
        count += times;
    }
    let mut text = format!("{title} (min/avg/max): {least}/{}/{most}\n", sum / count);
    let width = |n: u64| n.to_string().len();
    let highest = buckets.iter().copied().max().unwrap_or(0);
    for (i, times) in (0..).zip(&buckets) {
        let (from, to) = (i * step + start + 1, (i + 1) * step + start);
        let bar = "#".repeat((100 * times / total.max(1)) as usize);
        let (left, right, most) = (width(end), width(end + step), width(highest));
        text.push_str(&format!("[{from:left$}, {to:right$}]: {times:most$} {bar}\n"));
    }
    text + "\n"
}
