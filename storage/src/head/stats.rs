//! Stats: what `/api/v1/status/tsdb` shows of the head.

use model::labels::METRIC_NAME;

use super::{Head, lock};

/// A name with a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameCount {
    pub name: String,
    pub count: u64,
}

/// Cardinality of the head. Lists are sorted by count, highest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeadStats {
    pub series: u64,
    /// Distinct (name, value) pairs.
    pub label_pairs: u64,
    pub chunks: u64,
    /// First and last time of samples in the head, in milliseconds.
    pub min_time: i64,
    pub max_time: i64,
    /// Series by metric name.
    pub series_by_metric_name: Vec<NameCount>,
    /// Distinct values by label name.
    pub values_by_label_name: Vec<NameCount>,
    /// Bytes by label name that names and values take in Prometheus, where every series has its own.
    pub memory_by_label_name: Vec<NameCount>,
    /// Series by `name=value`.
    pub series_by_label_pair: Vec<NameCount>,
}

/// What the head has right now, beside its counters. Names without their prefix
/// `prometheus_tsdb_`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadGauges {
    /// `isolation_low_watermark`
    pub low_watermark: u64,
    /// `isolation_high_watermark`
    pub high_watermark: u64,
    /// `exemplar_exemplars_in_storage`
    pub exemplars: u64,
    /// `exemplar_series_with_exemplars_in_storage`
    pub series_with_exemplars: u64,
    /// `exemplar_max_exemplars`
    pub max_exemplars: u64,
    /// `exemplar_last_exemplars_timestamp_seconds`, in milliseconds: of the one that goes next.
    pub last_exemplar_ms: i64,
    /// `head_chunks_storage_size_bytes`
    pub chunks_bytes: u64,
    /// Bytes of label strings held, and of those in use. An addition.
    pub symbol_bytes: (u64, u64),
}

/// Bytes of a string in Prometheus's label sets: behind its length, which takes one byte or four.
fn stored_len(text: &str) -> u64 {
    text.len() as u64 + if text.len() < 255 { 1 } else { 4 }
}

/// The `limit` highest counts.
fn top(mut all: Vec<NameCount>, limit: usize) -> Vec<NameCount> {
    all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    all.truncate(limit);
    all
}

impl Head {
    /// Gauges.
    pub(crate) fn gauges(&self) -> HeadGauges {
        let ((exemplars, series), (max_exemplars, last_exemplar_ms)) = {
            let exemplars = lock(&self.exemplars);
            (exemplars.len(), exemplars.bounds())
        };
        let (held, used) = self.index().symbols.string_bytes();
        HeadGauges {
            low_watermark: self.isolation.low_watermark(),
            high_watermark: self.isolation.published(),
            exemplars: exemplars as u64,
            series_with_exemplars: series as u64,
            max_exemplars: max_exemplars as u64,
            last_exemplar_ms,
            chunks_bytes: self.chunks.files().size_bytes(),
            symbol_bytes: (held as u64, used as u64),
        }
    }

    /// Forgets what matchers found before.
    pub(crate) fn forget_postings(&self) {
        self.postings_cache.clear();
    }

    /// The chunks there are, counted one by one.
    #[cfg(test)]
    pub(crate) fn count_chunks(&self) -> u64 {
        let chunks = |records: &super::series::Records, at: usize| {
            let late = records.cold[at].ooo().map_or(0, super::ooo::OooSeries::chunk_count);
            super::evict::chunks_of(records, at) + late
        };
        let of_page = |page: &super::series::Page| {
            let records = page.lock();
            (0..records.cold.len()).map(|at| chunks(&records, at)).sum::<u64>()
        };
        self.pages.iter().map(|(_, page)| of_page(page)).sum()
    }

    /// Counts; `limit` entries a list.
    pub(crate) fn stats(&self, limit: usize) -> HeadStats {
        let index = self.index();
        let symbols = &index.symbols;
        let mut stats = HeadStats {
            series: index.all().len(),
            chunks: self.metrics.chunks.get(),
            min_time: self.times.min(),
            max_time: self.times.max(),
            ..HeadStats::default()
        };
        let (mut values, mut memory, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
        for name in symbols.names() {
            let (mut distinct, mut bytes) = (0, 0);
            for &pair in symbols.pairs_of(name) {
                let series = index.list_len(pair) as u64;
                if series == 0 {
                    continue;
                }
                let value = symbols.pair(pair).1;
                distinct += 1;
                bytes += series * (stored_len(symbols.name(name)) + stored_len(value));
                pairs.push((series, pair));
                if symbols.name(name) == METRIC_NAME {
                    let name = value.to_owned();
                    stats.series_by_metric_name.push(NameCount { name, count: series });
                }
            }
            if distinct > 0 {
                let name = symbols.name(name).to_owned();
                values.push(NameCount { name: name.clone(), count: distinct });
                memory.push(NameCount { name, count: bytes });
            }
            stats.label_pairs += distinct;
        }
        pairs.sort_unstable_by_key(|(series, _)| std::cmp::Reverse(*series));
        pairs.truncate(limit);
        let pair_text = |(count, pair): (u64, u32)| {
            let (name, value) = symbols.pair(pair);
            NameCount { name: format!("{name}={value}"), count }
        };
        stats.series_by_label_pair = top(pairs.into_iter().map(pair_text).collect(), limit);
        stats.series_by_metric_name = top(stats.series_by_metric_name, limit);
        stats.values_by_label_name = top(values, limit);
        stats.memory_by_label_name = top(memory, limit);
        stats
    }
}
