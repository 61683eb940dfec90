//! Running: the queries that wait or are being evaluated, by id, each with the means to stop it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use model::CancelToken;
use model::cancel::CancelReason;
use promql::{EvalTime, QueryMemory};
use tokio::sync::Notify;

use super::origin::{Origin, Trace};
use crate::telemetry::metrics::Gauge;

/// What was asked, and by whom.
#[derive(Clone, Debug)]
pub struct Asked {
    pub query: String,
    pub at: EvalTime,
    pub origin: Origin,
    pub trace: Trace,
}

impl Asked {
    /// `instant`, `range` or `rule`.
    pub fn kind(&self) -> &'static str {
        match self.origin {
            Origin::Rule { .. } => "rule",
            Origin::Http { .. } if self.at.step_ms == 0 => "instant",
            Origin::Http { .. } => "range",
        }
    }
}

/// A query as others see it.
#[derive(Debug)]
struct Running {
    id: u64,
    asked: Asked,
    arrived: (Instant, SystemTime),
    /// Nanoseconds it waited for its slot.
    queued: AtomicU64,
    evaluated: AtomicBool,
    token: CancelToken,
    /// Wakes it while it waits.
    canceled: Notify,
    memory: Arc<QueryMemory>,
}

/// What others are told of a query.
#[derive(Clone, Debug)]
pub struct View {
    pub id: u64,
    pub query: String,
    pub kind: &'static str,
    pub client: String,
    /// Whether it has its slot.
    pub evaluated: bool,
    pub arrived: SystemTime,
    /// Since it arrived.
    pub age: Duration,
    /// Held now.
    pub bytes: u64,
    pub samples: u64,
}

/// The table of queries.
#[derive(Debug)]
pub struct RunningTable {
    queries: Mutex<BTreeMap<u64, Arc<Running>>>,
    next: AtomicU64,
    count: Arc<Gauge>,
}

impl RunningTable {
    /// An empty table that shows its size in `count`.
    pub fn new(count: Arc<Gauge>) -> RunningTable {
        RunningTable { queries: Mutex::default(), next: AtomicU64::new(1), count }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Running>>> {
        self.queries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a query.
    pub fn enter(self: &Arc<Self>, asked: Asked, memory: Arc<QueryMemory>) -> Ticket {
        let running = Arc::new(Running {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            asked,
            arrived: (Instant::now(), SystemTime::now()),
            queued: AtomicU64::new(0),
            evaluated: AtomicBool::new(false),
            token: CancelToken::default(),
            canceled: Notify::new(),
            memory,
        });
        self.lock().insert(running.id, Arc::clone(&running));
        self.count.add(1.0);
        Ticket { running, table: Arc::clone(self) }
    }

    /// All queries, the oldest first.
    pub fn views(&self) -> Vec<View> {
        let all: Vec<Arc<Running>> = self.lock().values().cloned().collect();
        let view = |running: Arc<Running>| View {
            id: running.id,
            query: running.asked.query.clone(),
            kind: running.asked.kind(),
            client: running.asked.origin.name(),
            evaluated: running.evaluated.load(Ordering::Relaxed),
            arrived: running.arrived.1,
            age: running.arrived.0.elapsed(),
            bytes: running.memory.bytes(),
            samples: running.memory.samples(),
        };
        all.into_iter().map(view).collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Stops a query; `false` when there is none with this id.
    pub fn cancel(&self, id: u64) -> bool {
        let found = self.lock().get(&id).cloned();
        found.is_some_and(|running| {
            running.cancel();
            true
        })
    }

    /// Stops them all.
    pub fn cancel_all(&self) {
        self.lock().values().for_each(|running| running.cancel());
    }
}

impl Running {
    fn cancel(&self) {
        self.token.cancel(CancelReason::Canceled);
        self.canceled.notify_one();
    }
}

/// A query's place in the table; dropped, it is gone.
#[derive(Debug)]
pub struct Ticket {
    running: Arc<Running>,
    table: Arc<RunningTable>,
}

impl Ticket {
    /// What was asked.
    pub fn asked(&self) -> &Asked {
        &self.running.asked
    }

    /// What stops it.
    pub fn token(&self) -> &CancelToken {
        &self.running.token
    }

    /// What it holds.
    pub fn memory(&self) -> &Arc<QueryMemory> {
        &self.running.memory
    }

    /// Done when somebody stops the query by its id.
    pub async fn canceled(&self) {
        self.running.canceled.notified().await;
    }

    /// Says how long it waited.
    pub fn waited(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.running.queued.store(nanos, Ordering::Relaxed);
    }

    /// How long it waited.
    pub fn queued(&self) -> Duration {
        Duration::from_nanos(self.running.queued.load(Ordering::Relaxed))
    }

    /// Says that evaluation begins.
    pub fn start(&self) {
        self.running.evaluated.store(true, Ordering::Relaxed);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.table.lock().remove(&self.running.id);
        self.table.count.add(-1.0);
    }
}
