//! Metrics of the HTTP side, under Prometheus's names.

use std::sync::Arc;
use std::time::Duration;

use crate::telemetry::metrics::{CounterVec, Gauge, HistogramVec, Registry};

/// Counts requests by handler.
pub struct HttpMetrics {
    requests: Arc<CounterVec<2>>,
    durations: Arc<HistogramVec<1>>,
    sizes: Arc<HistogramVec<1>>,
    /// 1 when the server is ready.
    pub ready: Arc<Gauge>,
}

const DURATIONS: [f64; 9] = [0.1, 0.2, 0.4, 1.0, 3.0, 8.0, 20.0, 60.0, 120.0];
const SIZES: [f64; 8] = [1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

impl HttpMetrics {
    /// Registers them.
    pub fn new(registry: &Registry) -> HttpMetrics {
        HttpMetrics {
            requests: registry.counters(
                "prometheus_http_requests_total",
                "Counter of HTTP requests.",
                ["handler", "code"],
            ),
            durations: registry.histograms(
                "prometheus_http_request_duration_seconds",
                "Histogram of latencies for HTTP requests.",
                ["handler"],
                &DURATIONS,
            ),
            sizes: registry.histograms(
                "prometheus_http_response_size_bytes",
                "Histogram of response size for HTTP requests.",
                ["handler"],
                &SIZES,
            ),
            ready: registry.gauge(
                "prometheus_ready",
                "Whether startup is complete and the server answers everything.",
            ),
        }
    }

    /// Makes a handler appear before its first request.
    pub fn declare(&self, handler: &str) {
        self.requests.add([handler, "200"], 0.0);
    }

    /// Counts one request. `size` is known for whole bodies; a streamed one is counted when its
    /// head is sent and only in the other two.
    pub fn observe(&self, handler: &str, code: u16, took: Duration, size: Option<u64>) {
        self.requests.add([handler, &code.to_string()], 1.0);
        self.durations.observe([handler], took.as_secs_f64());
        if let Some(size) = size {
            self.sizes.observe([handler], size as f64);
        }
    }
}
