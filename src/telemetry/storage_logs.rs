//! Metrics of the logs of the storage, under Prometheus's names.

use std::sync::atomic::{AtomicU64, Ordering};

use storage::db::Db;
use storage::wal::Wal;

use super::metrics::{Gathered, Kind, Value};

/// What the logs of an open database count. A log of late samples shows while there is one.
pub fn collect(db: &Db, out: &mut Gathered) {
    for (log, prefix) in
        [(db.wal(), "prometheus_tsdb_wal_"), (db.wbl(), "prometheus_tsdb_out_of_order_wbl_")]
    {
        if let Some(log) = log {
            log_metrics(&log, prefix, out);
        }
    }
    let failed = db.head_metrics().wbl_writes_failed.get();
    out.counter(
        "epimetheus_wbl_commits_failed_total",
        "Commits whose out-of-order samples could not be logged.",
        failed as f64,
    );
}

fn log_metrics(log: &Wal, prefix: &str, out: &mut Gathered) {
    let m = log.metrics();
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
    for (name, help, counter) in [
        ("page_flushes_total", "Writes to the log.", &m.page_flushes),
        ("completed_pages_total", "Pages of the log that are full.", &m.completed_pages),
        ("truncations_total", "Truncations of the log.", &m.truncations),
        ("truncations_failed_total", "Truncations of the log that failed.", &m.truncations_failed),
        ("writes_failed_total", "Writes to the log that failed.", &m.writes_failed),
        ("record_part_writes_total", "Parts of records written.", &m.record_part_writes),
        ("record_parts_bytes_written_total", "Bytes of those parts.", &m.record_part_bytes),
    ] {
        out.counter(&format!("{prefix}{name}"), help, load(counter));
    }
    out.counter(
        &format!("{}syncs_failed_total", prefix.replace("prometheus_tsdb", "epimetheus")),
        "Syncs of the log that failed.",
        load(&m.syncs_failed),
    );
    let help = "Segment that the log is writing.";
    out.gauge(&format!("{prefix}segment_current"), help, load(&m.current_segment));
    // A directory that cannot be read has no size.
    let size = log.size().unwrap_or(0) as f64;
    out.gauge(&format!("{prefix}storage_size_bytes"), "Size of the log's directory.", size);
    saved_bytes(log, prefix, out);
    let (count, sum) = m.syncs.total();
    let ranks = [0.5, 0.9, 0.99];
    let quantiles = match m.syncs.quantiles(ranks) {
        Some(times) => times.map(|t| t.as_secs_f64()),
        None => [f64::NAN; 3],
    };
    let quantiles = ranks.into_iter().zip(quantiles).collect();
    let value = Value::Summary { quantiles, sum: sum.as_secs_f64(), count };
    let help = "Duration of syncs of the log.";
    out.push(&format!("{prefix}fsync_duration_seconds"), help, Kind::Summary, &[], value);
}

fn saved_bytes(log: &Wal, prefix: &str, out: &mut Gathered) {
    let name = match log.options().compression {
        storage::wal::Compression::None => return,
        storage::wal::Compression::Snappy => "snappy",
        storage::wal::Compression::Zstd => "zstd",
    };
    let saved = log.metrics().record_bytes_saved.load(Ordering::Relaxed) as f64;
    if saved > 0.0 {
        let help = "Bytes that compressing records saved.";
        let labels = [("compression", name)];
        let name = format!("{prefix}record_bytes_saved_total");
        out.push(&name, help, Kind::Counter, &labels, Value::Number(saved));
    }
}
