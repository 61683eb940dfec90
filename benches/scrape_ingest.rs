//! What ingest costs a line, without store and network: the first body of a target (everything
//! parsed), the same lines again (everything predicted), and a body in which every fiftieth line
//! is new. Run with `cargo bench --bench scrape_ingest`; prints medians of eleven rounds.

#![allow(clippy::print_stdout, reason = "the result of a benchmark is its output")]

use std::fmt::Write as _;
use std::time::Instant;

use epimetheus::scrape::cache::ScrapeCache;
use epimetheus::scrape::ingest::{Ingest, SampleRules};
use epimetheus::scrape::metadata::MetadataStore;
use epimetheus::scrape::metrics::ScrapeMetrics;
use epimetheus::scrape::mutate::LabelLimits;
use epimetheus::telemetry::metrics::Registry;
use model::{AppendError, AppendOptions, Appender, Exemplar, Labels, Metadata, SeriesRef, Value};

/// Takes everything and keeps nothing.
struct Sink {
    next: u64,
    sum: f64,
}

impl Appender for Sink {
    fn set_options(&mut self, _: AppendOptions) {}

    fn series(&mut self, _: &Labels) -> Result<SeriesRef, AppendError> {
        self.next += 1;
        Ok(SeriesRef(self.next))
    }

    fn append(
        &mut self,
        _: SeriesRef,
        _: i64,
        _: i64,
        value: Value<'_>,
    ) -> Result<(), AppendError> {
        if let Value::Float(v) = value {
            self.sum += v;
        }
        Ok(())
    }

    fn append_exemplar(&mut self, _: SeriesRef, _: &Exemplar) -> Result<(), AppendError> {
        Ok(())
    }

    fn update_metadata(&mut self, _: SeriesRef, _: &Metadata) -> Result<(), AppendError> {
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), AppendError> {
        Ok(())
    }

    fn rollback(self: Box<Self>) {}
}

const LINES: usize = 1000;

/// A thousand series of counters and floats in exponent notation, like those of a busy service.
fn body(round: usize, renamed_every: usize) -> Vec<u8> {
    let mut text = String::new();
    for i in 0..LINES {
        let version = if renamed_every > 0 && i % renamed_every == 0 { round } else { 0 };
        if i % 50 == 0 {
            let _ = writeln!(text, "# TYPE http_requests_{}_total counter", i / 50);
        }
        let value = ((i * 7919 + round * 13) % 100_000) as f64 * 1234.567;
        let _ = writeln!(
            text,
            "http_requests_{}_total{{handler=\"/api/v1/resource{}\",method=\"GET\",code=\"200\",pod=\"web-{i:06}-{version}\"}} {value:e}",
            i / 50,
            i % 10,
        );
    }
    text.into_bytes()
}

fn main() {
    let rules = SampleRules {
        target: Labels::from_pairs([("job", "web"), ("instance", "10.0.0.1:9090")]),
        metric_relabel: Vec::new(),
        honor_labels: false,
        honor_timestamps: true,
        track_timestamps_staleness: false,
        legacy_names: false,
        label_limits: LabelLimits::default(),
        sample_limit: 0,
        synthesize_start_times: false,
    };
    let metrics = ScrapeMetrics::new(&Registry::default());
    for (name, renamed_every, fresh) in
        [("first body", 0, true), ("same lines", 0, false), ("2% new lines", 50, false)]
    {
        let mut sink = Sink { next: 0, sum: 0.0 };
        // A hundred targets, so that the caches do not all stay in the processor's.
        let mut targets: Vec<(ScrapeCache, MetadataStore)> =
            (0..100).map(|_| Default::default()).collect();
        let mut rounds = Vec::new();
        for round in 0..12 {
            let body = body(round, renamed_every);
            if fresh {
                targets.iter_mut().for_each(|t| *t = Default::default());
            }
            let started = Instant::now();
            for (cache, metadata) in &mut targets {
                let mut ingest = Ingest {
                    rules: &rules,
                    cache,
                    metadata,
                    metrics: &metrics,
                    app: &mut sink,
                    time_ms: round as i64 * 15_000,
                    max_time_ms: i64::MAX,
                };
                let (_, _, result) = ingest.body(&body);
                assert_eq!(result, Ok(()));
            }
            rounds.push(started.elapsed().as_nanos() as f64 / (targets.len() * LINES) as f64);
        }
        rounds.remove(0);
        rounds.sort_by(f64::total_cmp);
        println!("{name}: {:.1} ns a line (sum {:e})", rounds[rounds.len() / 2], sink.sum);
    }
}
