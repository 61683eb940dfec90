//! Governor: who may evaluate a query now, what is being evaluated, and what it cost.
//!
//! Every query gets a [`Ticket`] when it arrives, waits at the [`Gate`](gate::Gate) for a slot, and
//! is evaluated through [`Governor::evaluate`], which keeps the file of active queries, the query
//! log, the metrics and the list of heavy queries. What must hold: a query can be seen and stopped
//! from its arrival to the end of its evaluation, whatever its end is; rules have slots of their
//! own; queries known to be heavy leave slots for others.

pub mod active_file;
pub mod gate;
pub mod origin;
pub mod query_log;
pub mod running;
pub mod top;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use model::Queryable;
use promql::{Engine, EngineError, QueryMemory, QueryOptions, QueryResult, Statistics};

use crate::telemetry::metrics::{Counter, Gauge, HistogramVec, Registry, SummaryVec};
use active_file::ActiveFile;
use gate::{Gate, Lane, Slot};
use query_log::{Entry, QueryLog};
use running::{Asked, RunningTable, Ticket};
use top::{Cost, Top};

/// From this time of evaluation on a query is heavy.
pub const HEAVY: Duration = Duration::from_secs(1);

/// Parts of a query's time, as Prometheus names them.
const SLICES: [&str; 4] = ["inner_eval", "prepare_time", "queue_time", "result_sort"];

/// How long the parts of a query took. Sorting is part of the evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timings {
    pub queued: Duration,
    pub prepared: Duration,
    pub evaluated: Duration,
}

/// How a query ended.
#[derive(Debug)]
pub struct Outcome {
    pub result: Result<QueryResult, EngineError>,
    pub timings: Timings,
}

/// Why a query was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its time was up before there was a slot.
    TimedOut,
    /// Somebody told it to stop.
    Canceled,
}

impl Refused {
    /// Go's text.
    pub fn text(self) -> &'static str {
        match self {
            Refused::TimedOut => "context deadline exceeded",
            Refused::Canceled => "context canceled",
        }
    }
}

/// The governor of a server.
pub struct Governor {
    gate: Gate,
    running: Arc<RunningTable>,
    top: Mutex<Top>,
    file: OnceLock<Arc<ActiveFile>>,
    pub log: QueryLog,
    durations: Arc<SummaryVec<1>>,
    histogram: Arc<HistogramVec<1>>,
    samples: Arc<Counter>,
    samples_read: Arc<Counter>,
}

impl Governor {
    /// A governor that lets `max` queries of requests run at once, and as many of rules.
    pub fn new(max: usize, registry: &Registry) -> Governor {
        let most: Arc<Gauge> = registry.gauge(
            "prometheus_engine_queries_concurrent_max",
            "The max number of concurrent queries.",
        );
        most.set(max as f64);
        let durations = registry.summaries(
            "prometheus_engine_query_duration_seconds",
            "Query timings",
            ["slice"],
        );
        let histogram = registry.histograms(
            "prometheus_engine_query_duration_histogram_seconds",
            "The duration of various parts of PromQL query execution.",
            ["slice"],
            &[0.01, 0.1, 1.0, 10.0],
        );
        for slice in SLICES {
            durations.declare([slice]);
            histogram.declare([slice]);
        }
        Governor {
            gate: Gate::new(max),
            running: Arc::new(RunningTable::new(registry.gauge(
                "prometheus_engine_queries",
                "The current number of queries being executed or waiting.",
            ))),
            top: Mutex::default(),
            file: OnceLock::new(),
            log: QueryLog::new(registry),
            durations,
            histogram,
            samples: registry.counter(
                "prometheus_engine_query_samples_total",
                "The total number of samples loaded by all queries (full window per step for range-vector).",
            ),
            samples_read: registry.counter(
                "prometheus_engine_query_samples_read_total",
                "The total number of samples read by all queries (only new points per step for range-vector).",
            ),
        }
    }

    /// Writes down from now on in `file` what is being evaluated.
    pub fn set_file(&self, file: ActiveFile) {
        // Opened once; a second call would change nothing.
        let _ = self.file.set(Arc::new(file));
    }

    /// A query has arrived; it will count what it holds on `memory`.
    pub fn enter(&self, asked: Asked, memory: Arc<QueryMemory>) -> Ticket {
        self.running.enter(asked, memory)
    }

    /// Waits for a slot, `longest` at most.
    pub async fn admit(
        &self,
        ticket: &Ticket,
        lane: Lane,
        longest: Duration,
    ) -> Result<Slot, Refused> {
        let began = Instant::now();
        let outcome = tokio::select! {
            biased;
            slot = self.gate.enter(lane, &ticket.asked().query) => Ok(slot),
            () = ticket.canceled() => Err(Refused::Canceled),
            () = tokio::time::sleep(longest) => Err(Refused::TimedOut),
        };
        ticket.waited(began.elapsed());
        outcome
    }

    /// Writes to the query log that a query was not let in.
    pub fn log_refusal(&self, ticket: &Ticket, refused: Refused) {
        let timings = Timings { queued: ticket.queued(), ..Timings::default() };
        let error = Some(refused.text());
        let stats = &Statistics::default();
        self.log.write(&Entry { asked: ticket.asked(), error, timings, stats });
    }

    /// Parses and evaluates the query of `ticket`. Blocks; the slot is free again and the ticket
    /// gone when it returns.
    pub fn evaluate(
        &self,
        ticket: Ticket,
        slot: Slot,
        engine: &Engine,
        source: &dyn Queryable,
        mut options: QueryOptions,
    ) -> Outcome {
        // The log shows counts.
        options.uncounted &= !self.log.is_on();
        let asked = ticket.asked();
        let mut timings = Timings { queued: ticket.queued(), ..Timings::default() };
        self.observe("queue_time", timings.queued);
        let _written = self.file.get().map(|file| file.insert(slot.lane(), &asked.query));
        ticket.start();
        let began = Instant::now();
        let prepared = match engine.prepare(&asked.query, asked.at, options) {
            Ok(prepared) => prepared,
            Err(error) => return Outcome { result: Err(error), timings },
        };
        timings.prepared = began.elapsed();
        self.observe("prepare_time", timings.prepared);
        let began = Instant::now();
        let result = engine.run(&prepared, source, ticket.token(), ticket.memory());
        timings.evaluated = began.elapsed();
        self.observe("inner_eval", timings.evaluated);

        let memory = ticket.memory();
        let nothing = Statistics { peak_samples: memory.peak_samples(), ..Statistics::default() };
        let stats = result.as_ref().map_or(&nothing, |result| &result.stats);
        self.samples.add(stats.total_queryable_samples as f64);
        self.samples_read.add(stats.samples_read as f64);
        self.gate.learn(&asked.query, timings.evaluated >= HEAVY);
        self.top.lock().unwrap_or_else(PoisonError::into_inner).record(
            crate::gotime::now_ms(),
            prepared.normal_text(),
            Cost {
                seconds: (timings.prepared + timings.evaluated).as_secs_f64(),
                bytes: memory.peak_bytes(),
                samples: stats.samples_read,
                failed: result.is_err(),
            },
        );
        let error = result.as_ref().err().map(ToString::to_string);
        self.log.write(&Entry { asked, error: error.as_deref(), timings, stats });
        Outcome { result, timings }
    }

    fn observe(&self, slice: &str, took: Duration) {
        self.durations.observe([slice], took.as_secs_f64());
        self.histogram.observe([slice], took.as_secs_f64());
    }

    /// What is waiting or being evaluated.
    pub fn running(&self) -> &RunningTable {
        &self.running
    }

    /// The heaviest queries of late, `limit` of each kind of weight.
    pub fn top(&self, limit: usize) -> top::Heaviest {
        let mut top = self.top.lock().unwrap_or_else(PoisonError::into_inner);
        top.heaviest(crate::gotime::now_ms(), limit)
    }
}
