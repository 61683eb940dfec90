//! Metrics of the storage, which counts in plain atomics, under Prometheus's names.

use std::sync::Arc;

use storage::db::Db;

use super::metrics::{Gathered, Registry};

/// Registers what an open database counts.
pub fn register(registry: &Registry, db: &Arc<Db>) {
    let db = Arc::clone(db);
    registry.add(Arc::new(move |out: &mut Gathered| collect(&db, out)));
}

fn collect(db: &Db, out: &mut Gathered) {
    let metrics = db.metrics();
    for (name, help, value) in [
        ("reloads_total", "Number of times the blocks were looked for.", &metrics.reloads),
        ("reloads_failures_total", "Number of times that failed.", &metrics.reloads_failed),
        ("compactions_total", "Number of compactions that wrote a block.", &metrics.compactions),
        (
            "compactions_triggered_total",
            "Number of compactions begun.",
            &metrics.compactions_triggered,
        ),
        (
            "compactions_failed_total",
            "Number of compactions that failed.",
            &metrics.compactions_failed,
        ),
        (
            "vertical_compactions_total",
            "Number of compactions of overlapping blocks.",
            &metrics.vertical_compactions,
        ),
        (
            "time_retentions_total",
            "Number of blocks deleted because of their age.",
            &metrics.time_retentions,
        ),
        (
            "size_retentions_total",
            "Number of times blocks were deleted because of their size.",
            &metrics.size_retentions,
        ),
    ] {
        out.counter(&format!("prometheus_tsdb_{name}"), help, value.get() as f64);
    }
    for (name, help, value) in [
        ("blocks_loaded", "Number of loaded blocks.", metrics.blocks_loaded.get() as f64),
        ("storage_blocks_bytes", "Bytes of all blocks.", metrics.blocks_bytes.get() as f64),
        (
            "symbol_table_size_bytes",
            "Bytes of symbol tables held in memory.",
            metrics.symbol_table_bytes.get() as f64,
        ),
        (
            "lowest_timestamp",
            "Lowest time of a stored sample, milliseconds.",
            metrics.lowest_timestamp.get() as f64,
        ),
        (
            "lowest_timestamp_seconds",
            "Lowest time of a stored sample.",
            (metrics.lowest_timestamp.get() / 1000) as f64,
        ),
        (
            "clean_start",
            "-1: no lock file, 0: a lock file was left behind, 1: clean.",
            metrics.clean_start.get() as f64,
        ),
    ] {
        out.gauge(&format!("prometheus_tsdb_{name}"), help, value);
    }
}
