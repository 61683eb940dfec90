//! Worker: the loop of one target. Wait, fetch, ingest, report; and mark the end when the target
//! goes away.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::{AppendOptions, Appendable};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::body::{self, LIMIT_ERROR};
use super::cache::ScrapeCache;
use super::client::Clients;
use super::fetch::{Fetched, Fetcher};
use super::ingest::{Ingest, Refused, SampleRules, Totals};
use super::metadata::MetadataStore;
use super::metrics::ScrapeMetrics;
use super::report::{Report, Reporter};
use super::schedule::{Grid, offset};
use super::status::TargetStatus;
use super::target::Target;
use crate::textparse::content_type;

/// Samples further in the future than this are out of bounds.
const MAX_AHEAD: Duration = Duration::from_secs(600);

/// What a loop is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Go on.
    Run,
    /// Finish the running scrape, then give the state to a successor.
    HandOver,
    /// Finish the running scrape, then mark the end of the series once it is clear that the target
    /// stays away.
    Retire,
    /// The server stops: drop everything, mark nothing.
    Shutdown,
}

/// What all loops share.
#[derive(Clone)]
pub struct Shared {
    pub store: Arc<dyn Appendable>,
    pub metrics: Arc<ScrapeMetrics>,
    pub clients: Arc<Clients>,
    /// How many bodies are parsed and stored at once.
    pub ingest_slots: Arc<Semaphore>,
    /// Keeps two servers from scraping at the same moment.
    pub offset_seed: u64,
    /// Cumulative series get start times.
    pub synthesize_start_times: bool,
}

/// What one loop works by; replaced on reload.
#[derive(Clone)]
pub struct Settings {
    pub target: Arc<Target>,
    pub rules: Arc<SampleRules>,
    pub fetcher: Arc<Fetcher>,
    /// Largest body, uncompressed, in bytes.
    pub body_limit: usize,
    /// Media type to assume when a target names none.
    pub fallback_media_type: String,
    pub extra_metrics: bool,
    /// Why this target must not be scraped (target_limit), if so.
    pub forced_error: Option<String>,
}

/// What a loop remembers from scrape to scrape.
#[derive(Debug, Default)]
pub struct State {
    cache: ScrapeCache,
    reporter: Reporter,
}

/// A running loop.
pub struct Worker {
    pub settings: watch::Sender<Arc<Settings>>,
    command: watch::Sender<Command>,
    task: tokio::task::JoinHandle<Option<Box<State>>>,
}

impl Worker {
    /// Starts the loop of a target with a new or inherited state.
    pub fn start(
        shared: Shared,
        settings: Settings,
        status: Arc<TargetStatus>,
        metadata: Arc<MetadataStore>,
        state: Box<State>,
    ) -> Worker {
        let (command, commands) = watch::channel(Command::Run);
        let (settings, current) = watch::channel(Arc::new(settings));
        let run = Run { shared, settings: current, commands, status, metadata };
        Worker { settings, command, task: tokio::spawn(run.run(state)) }
    }

    /// Stops the loop and takes its state over. Waits for a running scrape.
    pub async fn hand_over(self) -> Box<State> {
        let _ = self.command.send(Command::HandOver);
        self.task.await.ok().flatten().unwrap_or_default()
    }

    /// Stops the loop for good; it marks the end of its series by itself, later.
    pub fn retire(self) {
        let _ = self.command.send(Command::Retire);
    }

    /// Stops the loop because the server stops.
    pub async fn shut_down(self) {
        let _ = self.command.send(Command::Shutdown);
        let _ = self.task.await;
    }
}

/// The running loop's own view of itself.
struct Run {
    shared: Shared,
    settings: watch::Receiver<Arc<Settings>>,
    commands: watch::Receiver<Command>,
    status: Arc<TargetStatus>,
    metadata: Arc<MetadataStore>,
}

fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
}

impl Run {
    fn command(&self) -> Command {
        *self.commands.borrow()
    }

    /// Waits until told to stop, or for ever.
    async fn told_to_stop(commands: &mut watch::Receiver<Command>) -> Command {
        match commands.wait_for(|c| *c != Command::Run).await {
            Ok(command) => *command,
            // The manager is gone, and with it the server.
            Err(_) => Command::Shutdown,
        }
    }

    async fn run(mut self, mut state: Box<State>) -> Option<Box<State>> {
        let interval = {
            let settings = self.settings.borrow();
            Duration::from_millis(settings.target.interval_ms.unsigned_abs())
        };
        let wait = {
            let hash = self.settings.borrow().target.hash;
            offset(now_ns(), interval, hash, self.shared.offset_seed)
        };
        tokio::select! {
            () = sleep(wait) => {}
            command = Run::told_to_stop(&mut self.commands) => {
                // Nothing was scraped by this loop, so there is nothing of its own to mark.
                return (command == Command::HandOver).then_some(state);
            }
        }
        let mut ticker = interval_at(Instant::now(), interval);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut grid = Grid::new(now_ns(), interval);
        let mut last: Option<Instant> = None;
        loop {
            tokio::select! {
                _ = ticker.tick() => {}
                _ = Run::told_to_stop(&mut self.commands) => break,
            }
            if let Some(last) = last {
                self.shared.metrics.interval_length(interval, last.elapsed());
            }
            last = Some(Instant::now());
            let time_ms = grid.timestamp_ms(now_ns());
            state = self.scrape(state, time_ms).await?;
            if self.command() != Command::Run {
                break;
            }
        }
        match self.command() {
            Command::HandOver => Some(state),
            Command::Retire => {
                self.mark_end(state, &mut ticker, interval).await;
                None
            }
            Command::Run | Command::Shutdown => None,
        }
    }

    /// One scrape. `None` when the server stops in the middle of it.
    async fn scrape(&mut self, state: Box<State>, time_ms: i64) -> Option<Box<State>> {
        let settings = Arc::clone(&self.settings.borrow());
        let started = Instant::now();
        let started_at = SystemTime::now();
        let fetched = match &settings.forced_error {
            Some(error) => Err(error.clone()),
            None => tokio::select! {
                fetched = settings.fetcher.fetch(&settings.target, settings.body_limit) => fetched,
                _ = self.commands.wait_for(|c| *c == Command::Shutdown) => return None,
            },
        };
        let permit = Arc::clone(&self.shared.ingest_slots).acquire_owned().await.ok()?;
        let work = Work {
            shared: self.shared.clone(),
            settings,
            metadata: Arc::clone(&self.metadata),
            status: Arc::clone(&self.status),
            started,
            started_at,
            time_ms,
        };
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut state = state;
            work.ingest(&mut state, fetched);
            state
        });
        // A panic in there would lose the state, never the server.
        Some(done.await.unwrap_or_default())
    }

    /// Marks the end of all series of a target that stays away for two intervals.
    async fn mark_end(
        &mut self,
        mut state: Box<State>,
        ticker: &mut tokio::time::Interval,
        interval: Duration,
    ) {
        let commands = &mut self.commands;
        let wait = async {
            ticker.tick().await;
            let time_ms = (now_ns() / 1_000_000) as i64;
            ticker.tick().await;
            sleep(interval / 10).await;
            time_ms
        };
        let time_ms = tokio::select! {
            time_ms = wait => time_ms,
            _ = commands.wait_for(|c| *c == Command::Shutdown) => return,
        };
        let settings = Arc::clone(&self.settings.borrow());
        let shared = self.shared.clone();
        let metadata = Arc::clone(&self.metadata);
        let _ = tokio::task::spawn_blocking(move || {
            let mut app = shared.store.appender(AppendOptions::default());
            let mut ingest =
                shared.ingest(&settings.rules, &mut state.cache, &metadata, &mut *app, time_ms);
            let staged = ingest.empty().and_then(|()| {
                state.reporter.stale(&mut *app, time_ms).map_err(|e| e.to_string())
            });
            let stored = staged.and_then(|()| app.commit().map_err(|e| e.to_string()));
            if let Err(err) = stored {
                tracing::warn!(target: "scrape", url = settings.target.url, err, "Stale commit failed");
            }
        })
        .await;
    }
}

impl Shared {
    fn ingest<'a>(
        &'a self,
        rules: &'a SampleRules,
        cache: &'a mut ScrapeCache,
        metadata: &'a MetadataStore,
        app: &'a mut dyn model::Appender,
        time_ms: i64,
    ) -> Ingest<'a> {
        let max_time_ms = (now_ns() / 1_000_000) as i64 + MAX_AHEAD.as_millis() as i64;
        Ingest { rules, cache, metadata, metrics: &self.metrics, app, time_ms, max_time_ms }
    }
}

/// One fetched body on its way into the store; runs off the async workers.
struct Work {
    shared: Shared,
    settings: Arc<Settings>,
    metadata: Arc<MetadataStore>,
    status: Arc<TargetStatus>,
    started: Instant,
    started_at: SystemTime,
    time_ms: i64,
}

impl Work {
    fn ingest(&self, state: &mut State, fetched: Result<Fetched, String>) {
        let body = fetched.and_then(|f| self.unpack(f));
        let mut app = self.shared.store.appender(AppendOptions::default());
        let mut body_size = match &body {
            Ok(body) => body.len().saturating_sub(1) as f64,
            Err(_) => 0.0,
        };
        let mut totals = Totals::default();
        let mut failure = None;
        let mut warning = String::new();
        match &body {
            Ok(body) if body.len() > 1 => {
                let (counted, refused, result) = self.ingester(state, &mut *app).body(body);
                totals = counted;
                self.log_refused(&refused);
                if refused.limit > 0 {
                    warning =
                        format!("{} new series refused: {}", refused.limit, refused.limit_text);
                }
                if let Err(e) = result {
                    failure = Some(e);
                    app.rollback();
                    app = self.shared.store.appender(AppendOptions::default());
                    self.mark_all(state, &mut *app);
                }
            }
            Ok(_) => self.mark_all(state, &mut *app),
            Err(e) => {
                if e == LIMIT_ERROR {
                    body_size = -1.0;
                    self.shared.metrics.exceeded_body_size_limit.inc();
                }
                tracing::debug!(target: "scrape", url = self.settings.target.url, err = e, "Scrape failed");
                failure = Some(e.clone());
                self.mark_all(state, &mut *app);
            }
        }
        let duration = self.started.elapsed();
        self.status.report(self.started_at, duration, failure.clone(), warning);
        let report = Report {
            up: failure.is_none(),
            duration_seconds: duration.as_secs_f64(),
            scraped: totals.scraped,
            added: totals.added,
            series_added: totals.series_added,
            extra: self.settings.extra_metrics.then(|| {
                let timeout = self.settings.target.timeout_ms as f64 / 1000.0;
                [timeout, self.settings.rules.sample_limit as f64, body_size]
            }),
        };
        let target = &self.settings.rules.target;
        if let Err(e) = state.reporter.report(&mut *app, target, self.time_ms, &report) {
            tracing::warn!(target: "scrape", err = %e, "Appending scrape report failed");
            app.rollback();
        } else if let Err(e) = app.commit() {
            tracing::error!(target: "scrape", err = %e, "Scrape commit failed");
        }
    }

    fn ingester<'a>(
        &'a self,
        state: &'a mut State,
        app: &'a mut dyn model::Appender,
    ) -> Ingest<'a> {
        let rules = &self.settings.rules;
        self.shared.ingest(rules, &mut state.cache, &self.metadata, app, self.time_ms)
    }

    /// A scrape without samples: everything the last one had has ended.
    fn mark_all(&self, state: &mut State, app: &mut dyn model::Appender) {
        if let Err(err) = self.ingester(state, app).empty() {
            tracing::warn!(target: "scrape", url = self.settings.target.url, err, "Append failed");
        }
    }

    /// Checks the format and undoes compression; the result ends with a line break of its own.
    fn unpack(&self, fetched: Fetched) -> Result<Vec<u8>, String> {
        let fallback = &self.settings.fallback_media_type;
        let limit = self.settings.body_limit;
        let mut body = match fetched.gzip {
            true => body::gunzip(&fetched.body, limit)?,
            false => fetched.body,
        };
        // An empty body says nothing in any format.
        if !body.is_empty() {
            content_type::format_of(&fetched.content_type, fallback)?;
        }
        body.push(b'\n');
        Ok(body)
    }

    fn log_refused(&self, refused: &Refused) {
        let url = &self.settings.target.url;
        for (count, what) in [
            (refused.out_of_order, "Error on ingesting out-of-order samples"),
            (
                refused.duplicate,
                "Error on ingesting samples with different value but same timestamp",
            ),
            (
                refused.out_of_bounds,
                "Error on ingesting samples that are too old or are too far into the future",
            ),
            (refused.limit, "Error on ingesting samples above a limit"),
        ] {
            if count > 0 {
                tracing::warn!(target: "scrape", url, num_dropped = count, "{what}");
            }
        }
    }
}
