//! Metrics of the storage, which counts in plain atomics, under Prometheus's names.

use std::sync::Arc;

use storage::db::{Db, DbMetrics, Distribution, HeadMetrics};

use super::metrics::{Gathered, Kind, Registry, Value};
use super::storage_logs as logs;

const PREFIX: &str = "prometheus_tsdb_";

/// Registers what an open database counts.
pub fn register(registry: &Registry, db: &Arc<Db>) {
    let db = Arc::clone(db);
    registry.add(Arc::new(move |out: &mut Gathered| {
        database(&db, db.metrics(), out);
        let head = db.head_metrics();
        head_counters(head, out);
        head_by_type(head, out);
        head_gauges(&db, head, out);
        head_limits(&db, out);
        logs::collect(&db, out);
    }));
}

fn counters(out: &mut Gathered, rows: &[(&str, &str, u64)]) {
    for (name, help, value) in rows {
        out.counter(&format!("{PREFIX}{name}"), help, *value as f64);
    }
}

fn gauges(out: &mut Gathered, rows: &[(&str, &str, f64)]) {
    for (name, help, value) in rows {
        out.gauge(&format!("{PREFIX}{name}"), help, *value);
    }
}

/// A summary of which only count and sum are known.
fn duration(out: &mut Gathered, name: &str, help: &str, runs: u64, ms: u64) {
    let value = Value::Summary { quantiles: Vec::new(), sum: ms as f64 / 1000.0, count: runs };
    out.push(&format!("{PREFIX}{name}"), help, Kind::Summary, &[], value);
}

fn database(db: &Db, m: &DbMetrics, out: &mut Gathered) {
    counters(
        out,
        &[
            ("reloads_total", "Number of times the blocks were looked for.", m.reloads.get()),
            ("reloads_failures_total", "Number of times that failed.", m.reloads_failed.get()),
            ("compactions_total", "Number of compactions.", m.compactions.get()),
            (
                "compactions_triggered_total",
                "Number of compactions begun.",
                m.compactions_triggered.get(),
            ),
            (
                "compactions_failed_total",
                "Number of compactions that failed.",
                m.compactions_failed.get(),
            ),
            // Compaction cannot be switched off here.
            ("compactions_skipped_total", "Number of compactions left out as switched off.", 0),
            (
                "vertical_compactions_total",
                "Number of compactions of overlapping blocks.",
                m.vertical_compactions.get(),
            ),
            (
                "time_retentions_total",
                "Number of times blocks were deleted because of their age.",
                m.time_retentions.get(),
            ),
            (
                "size_retentions_total",
                "Number of times blocks were deleted because of their size.",
                m.size_retentions.get(),
            ),
            (
                "stale_series_compactions_triggered_total",
                "Number of compactions of stale series begun.",
                m.stale_compactions.get(),
            ),
            (
                "stale_series_compactions_failed_total",
                "Number of compactions of stale series that failed.",
                m.stale_compactions_failed.get(),
            ),
            // As in Prometheus's server, nobody asks for these.
            (
                "selected_series_compactions_triggered_total",
                "Number of compactions of series given in a list begun.",
                0,
            ),
            (
                "selected_series_compactions_failed_total",
                "Number of compactions of series given in a list that failed.",
                0,
            ),
        ],
    );
    let lowest = db.start_time().unwrap_or(i64::MAX);
    gauges(
        out,
        &[
            ("blocks_loaded", "Number of loaded blocks.", m.blocks_loaded.get() as f64),
            ("storage_blocks_bytes", "Bytes of all blocks.", db.blocks_bytes() as f64),
            (
                "symbol_table_size_bytes",
                "Bytes of symbol tables in memory.",
                m.symbol_table_bytes.get() as f64,
            ),
            ("lowest_timestamp", "Lowest time of a stored sample, milliseconds.", lowest as f64),
            ("lowest_timestamp_seconds", "Lowest time of a stored sample.", (lowest / 1000) as f64),
            (
                "clean_start",
                "-1: no lock file used, 0: one was left behind, 1: clean.",
                m.clean_start.get() as f64,
            ),
        ],
    );
    let (time_ms, bytes, percentage) = db.retention_limits();
    gauges(
        out,
        &[
            (
                "compaction_populating_block",
                "Whether a block is being written.",
                m.populating_block.get() as f64,
            ),
            ("retention_limit_seconds", "How long to keep blocks.", time_ms as f64 / 1000.0),
            ("retention_limit_bytes", "Most bytes of blocks to keep.", bytes as f64),
            (
                "retention_limit_percentage",
                "Most of the file system that blocks may take, percent.",
                percentage,
            ),
        ],
    );
    for (name, help, d) in [
        (
            "tombstone_cleanup_seconds",
            "The time taken to rewrite blocks without deleted samples.",
            &m.tombstone_cleanup_seconds,
        ),
        ("compaction_duration_seconds", "Duration of compactions.", &m.compaction_seconds),
        ("compaction_chunk_size_bytes", "Size of chunks when they leave the head.", &m.chunk_bytes),
        (
            "compaction_chunk_samples",
            "Samples of chunks when they leave the head.",
            &m.chunk_samples,
        ),
        (
            "compaction_chunk_range_seconds",
            "Time span of chunks when they leave the head.",
            &m.chunk_range,
        ),
        (
            "stale_series_compaction_duration_seconds",
            "Duration of compactions of stale series.",
            &m.stale_compaction_seconds,
        ),
        (
            "selected_series_compaction_duration_seconds",
            "Duration of compactions of series given in a list.",
            &Distribution::exponential(1.0, 2.0, 14),
        ),
    ] {
        distribution(out, name, help, d);
    }
}

fn distribution(out: &mut Gathered, name: &str, help: &str, from: &Distribution) {
    let (buckets, sum, count) = from.get();
    let value = Value::Histogram { buckets, sum, count };
    out.push(&format!("{PREFIX}{name}"), help, Kind::Histogram, &[], value);
}

fn head_counters(m: &HeadMetrics, out: &mut Gathered) {
    counters(
        out,
        &[
            ("head_series_created_total", "Series created in the head.", m.series_created.get()),
            ("head_series_removed_total", "Series removed from the head.", m.series_removed.get()),
            (
                "head_series_not_found_total",
                "Requests for series that were not there.",
                m.series_not_found.get(),
            ),
            ("head_chunks_created_total", "Chunks created in the head.", m.chunks_created.get()),
            ("head_chunks_removed_total", "Chunks removed from the head.", m.chunks_removed.get()),
            ("mmap_chunks_total", "Chunks written to be memory-mapped.", m.mmap_chunks.get()),
            (
                "mmap_chunk_corruptions_total",
                "Corruptions of memory-mapped chunks.",
                m.mmap_chunk_corruptions.get(),
            ),
            ("head_appenders_created_total", "Appenders created.", m.appenders_created.get()),
            ("head_truncations_total", "Truncations of the head.", m.truncations.get()),
            (
                "head_truncations_failed_total",
                "Truncations of the head that failed.",
                m.truncations_failed.get(),
            ),
            ("wal_corruptions_total", "Corruptions found in the WAL.", m.wal_corruptions.get()),
            (
                "snapshot_replay_error_total",
                "Snapshots of the head that could not be used.",
                m.snapshot_errors.get(),
            ),
            ("checkpoint_creations_total", "Checkpoints created.", m.checkpoint_creations.get()),
            (
                "checkpoint_creations_failed_total",
                "Checkpoints that failed.",
                m.checkpoint_creations_failed.get(),
            ),
            ("checkpoint_deletions_total", "Checkpoints deleted.", m.checkpoint_deletions.get()),
            (
                "checkpoint_deletions_failed_total",
                "Deletions of checkpoints that failed.",
                m.checkpoint_deletions_failed.get(),
            ),
            (
                "exemplar_exemplars_appended_total",
                "Exemplars appended.",
                m.exemplars_appended.get(),
            ),
            (
                "exemplar_out_of_order_exemplars_total",
                "Exemplars out of order.",
                m.exemplars_out_of_order.get(),
            ),
        ],
    );
    duration(
        out,
        "head_gc_duration_seconds",
        "Time of head garbage collection.",
        m.gc_runs.get(),
        m.gc_ms.get(),
    );
    let (runs, ms) = (m.wal_truncate_runs.get(), m.wal_truncate_ms.get());
    duration(out, "wal_truncate_duration_seconds", "Time of WAL truncation.", runs, ms);
    for (kind, count) in [
        ("series", &m.unknown_series_refs),
        ("samples", &m.unknown_sample_refs),
        ("histograms", &m.unknown_histogram_refs),
        ("exemplars", &m.unknown_exemplar_refs),
        ("metadata", &m.unknown_metadata_refs),
        ("tombstones", &m.unknown_tombstone_refs),
    ] {
        if count.get() > 0 {
            let name = format!("{PREFIX}wal_replay_unknown_refs_total");
            let help = "Records of unknown series found while replaying.";
            let value = Value::Number(count.get() as f64);
            out.push(&name, help, Kind::Counter, &[("type", kind)], value);
        }
    }
}

fn head_by_type(m: &HeadMetrics, out: &mut Gathered) {
    for (name, help, counts) in [
        ("head_samples_appended_total", "Samples appended.", &m.samples_appended),
        (
            "head_out_of_order_samples_appended_total",
            "Out-of-order samples appended.",
            &m.out_of_order_appended,
        ),
        ("out_of_order_samples_total", "Out-of-order samples refused.", &m.out_of_order),
        ("out_of_bound_samples_total", "Out-of-bound samples refused.", &m.out_of_bound),
        ("too_old_samples_total", "Samples refused as too old.", &m.too_old),
    ] {
        for (kind, count) in [("float", &counts.float), ("histogram", &counts.histogram)] {
            let value = Value::Number(count.get() as f64);
            out.push(&format!("{PREFIX}{name}"), help, Kind::Counter, &[("type", kind)], value);
        }
    }
}

fn head_gauges(db: &Db, m: &HeadMetrics, out: &mut Gathered) {
    let help = "How many seconds out-of-order samples were behind the newest one.";
    distribution(out, "sample_ooo_delta", help, &m.late_by.0);
    let now = db.head_gauges();
    let (min, max) = db.head_range().map_or((i64::MAX, i64::MIN), |r| (r.min, r.max));
    gauges(
        out,
        &[
            ("head_series", "Series in the head.", m.series.get() as f64),
            ("head_stale_series", "Stale series in the head.", m.stale_series.get() as f64),
            (
                "head_native_histogram_series",
                "Series whose last sample is a native histogram.",
                m.histogram_series.get() as f64,
            ),
            (
                "head_native_histogram_buckets",
                "Buckets of the last native histograms.",
                m.histogram_buckets.get() as f64,
            ),
            ("head_chunks", "Chunks in the head.", m.chunks.get() as f64),
            ("head_active_appenders", "Appenders at work.", m.active_appenders.get() as f64),
            ("head_min_time", "Lowest time of the head, milliseconds.", min as f64),
            ("head_max_time", "Highest time of the head, milliseconds.", max as f64),
            ("head_min_time_seconds", "Lowest time of the head.", (min / 1000) as f64),
            ("head_max_time_seconds", "Highest time of the head.", (max / 1000) as f64),
            ("head_chunks_storage_size_bytes", "Bytes of chunks_head.", now.chunks_bytes as f64),
            (
                "data_replay_duration_seconds",
                "Time of the replay at start.",
                m.replay_ms.get() as f64 / 1000.0,
            ),
            (
                "isolation_low_watermark",
                "The lowest append that is still open.",
                now.low_watermark as f64,
            ),
            (
                "isolation_high_watermark",
                "The highest append given out.",
                now.high_watermark as f64,
            ),
            ("exemplar_exemplars_in_storage", "Exemplars held.", now.exemplars as f64),
            ("exemplar_max_exemplars", "Most exemplars kept.", now.max_exemplars as f64),
            (
                "exemplar_last_exemplars_timestamp_seconds",
                "Time of the oldest exemplar kept, which goes next.",
                now.last_exemplar_ms as f64 / 1000.0,
            ),
            (
                "exemplar_series_with_exemplars_in_storage",
                "Series with exemplars.",
                now.series_with_exemplars as f64,
            ),
        ],
    );
}

/// The limits of the head. Prometheus has none, so the names are our own.
fn head_limits(db: &Db, out: &mut Gathered) {
    let limits = db.head_limits(usize::MAX);
    for (name, help, value) in [
        (
            "epimetheus_head_limit_series",
            "Most series in the head before new ones are refused, 0 without a limit.",
            limits.max_series,
        ),
        (
            "epimetheus_head_limit_bytes",
            "Most bytes that series of the head take before new ones are refused, 0 without a limit.",
            limits.max_bytes,
        ),
        (
            "epimetheus_head_estimated_bytes",
            "Bytes that series of the head take, 0 without a limit.",
            limits.bytes,
        ),
        (
            "epimetheus_head_refusing",
            "Whether the last new series that asked was refused.",
            u64::from(limits.refusing),
        ),
    ] {
        out.gauge(name, help, value as f64);
    }
    for refused in &limits.refused {
        let name = "epimetheus_head_refused_series_total";
        let help = "Times a new series was refused because of a limit of the head.";
        let labels = [("job", refused.job.as_str()), ("metric", refused.metric.as_str())];
        out.push(name, help, Kind::Counter, &labels, Value::Number(refused.count as f64));
    }
}
