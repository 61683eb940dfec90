//! Lifecycle: the running server, from its listeners to its last log line.

use std::sync::Arc;
use std::time::Duration;

use promql::MemoryPool;
use storage::db::Db;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior};

use super::reload::{Reloader, engine, now_seconds};
use super::scraping::Scraping;
use super::source::{ConfigSource, Loaded};
use super::tsdb::{self, Housekeeping, Retention};
use super::{fatal, logged, memory};
use crate::api::Api;
use crate::api::state::{SHUTTING_DOWN, STARTING_UP};
use crate::cli::features::FeatureSet;
use crate::cli::{Options, Refusal};
use crate::gotext;
use crate::governor::active_file::ActiveFile;
use crate::remote::write::WriteHandler;
use crate::telemetry::log::Log;
use crate::telemetry::metrics::Registry;
use crate::telemetry::{process, storage as storage_metrics};
use crate::web::app::{App, Readiness, ReloadRequest};
use crate::web::listen::{self, Limits};

/// How often, and how long each time, the end of canceled queries is waited for.
const STOP_POLLS: u32 = 200;
const STOP_POLL: Duration = Duration::from_millis(5);

/// Orders to stop.
struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    fn new() -> std::io::Result<Stops> {
        Ok(Stops {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for one, from the operating system or over HTTP, and says so.
    async fn wait(&mut self, app: &App) {
        let name = tokio::select! {
            _ = self.terminate.recv() => "terminated",
            _ = self.interrupt.recv() => "interrupt",
            () = app.quit.notified() => {
                tracing::warn!(
                    "Received termination request via web service, exiting gracefully..."
                );
                return;
            }
        };
        tracing::warn!(signal = name, "Received an OS signal, exiting gracefully...");
    }
}

/// Runs until told to stop.
pub async fn run(
    options: Arc<Options>,
    features: FeatureSet,
    source: ConfigSource,
    loaded: Loaded,
    log: Log,
) -> Result<(), Refusal> {
    let no_signals = |e: std::io::Error| fatal(&format!("installing signal handlers: {e}"));
    let mut stops = Stops::new().map_err(no_signals)?;
    // From here on a hang-up before the server is ready waits instead of killing it.
    let mut hang_ups = signal(SignalKind::hangup()).map_err(no_signals)?;
    let registry = Arc::new(Registry::default());
    process::register(&registry);
    let most = options.query.total_max_bytes.unwrap_or_else(memory::queries_limit);
    let engine = engine(&options, &features, &loaded.config, &Arc::new(MemoryPool::new(most)));
    tracing::info!(
        max_bytes = shown_bytes(engine.options().max_bytes),
        total_max_bytes = shown_bytes(most),
        "Limits of queries (0: none)"
    );
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let api = Arc::new(Api::new(Arc::clone(&options), Arc::clone(&registry), engine, hostname));
    // The configuration is known to be good, so nobody should be alerted while storage opens.
    api.config_metrics.successful.set(1.0);
    api.config_metrics.success_time.set(now_seconds());
    api.notify(STARTING_UP);

    let write = options.web.enable_remote_write.then(|| {
        let seed = crate::random::bits() as u64;
        Arc::new(WriteHandler::new(&options.web.accepted_messages, seed, &registry))
    });
    let (reload_sender, mut reload_requests) = mpsc::channel(1);
    let app = Arc::new(App::new(Arc::clone(&api), write, reload_sender));
    let listeners = bind(&options).await?;
    let (stop_web, web) = serve(&app, listeners, &options);

    let db = tokio::select! {
        opened = open(&api, &features, loaded, log) => opened?,
        () = stops.wait(&app) => return Ok(()),
    };
    // Only now: whoever holds the directory writes the file.
    write_down_queries(&api).await?;
    api.set_db(Arc::clone(&db));
    storage_metrics::register(&registry, &db);
    tracing::info!("TSDB started");
    let housekeeping = Housekeeping::start(&db, &options.tsdb)
        .map_err(|e| fatal(&format!("starting threads failed: {}", gotext::os_error(&e))))?;

    let scraping = Scraping::start(&api, &db, &features);
    let mut reloader = Reloader::new(Arc::clone(&api), source, features, scraping);
    let outcome = match reloader.reload(&db).await {
        Ok(()) => {
            app.set_readiness(Readiness::Ready);
            api.forget(STARTING_UP);
            tracing::info!("Server is ready to receive web requests.");
            let mut orders = Orders { hang_ups: &mut hang_ups, requests: &mut reload_requests };
            attend(&mut reloader, &db, &mut stops, &mut orders, &app).await;
            Ok(())
        }
        Err(e) => {
            let (flag, _) = reloader.source.describe();
            tracing::error!(err = e, "error loading config from {flag}");
            Err(logged(1))
        }
    };

    app.set_readiness(Readiness::Stopping);
    api.notify(SHUTTING_DOWN);
    reloader.stop().await;
    tracing::info!("Stopping storage...");
    let closed = tokio::task::spawn_blocking(move || {
        housekeeping.stop();
        db.close()
    });
    match closed.await {
        Ok(Ok(())) => tracing::info!("TSDB stopped"),
        Ok(Err(e)) => tracing::error!(err = %e, "Error stopping storage"),
        Err(e) => tracing::error!(err = %e, "Error stopping storage"),
    }
    tracing::info!("Stopping web handler...");
    // The receiver is the web task, which may have ended.
    let _ = stop_web.send(());
    let _ = web.await;
    stop_queries(&api).await;
    if outcome.is_ok() {
        tracing::info!("See you next time!");
    }
    outcome
}

/// Opens the file of active queries, and names those that an earlier run did not finish.
async fn write_down_queries(api: &Arc<Api>) -> Result<(), Refusal> {
    let options = Arc::clone(&api.options);
    let opened = tokio::task::spawn_blocking(move || {
        ActiveFile::open(&options.tsdb.path, options.query.max_concurrency)
    });
    let outcome = match opened.await {
        Ok(opened) => opened.map_err(|e| gotext::os_error(&e)),
        Err(e) => Err(e.to_string()),
    };
    let (file, unfinished) = outcome.map_err(|err| {
        tracing::error!(err, "failed to initialize active query tracker");
        logged(1)
    })?;
    if let Some(queries) = unfinished {
        tracing::info!(
            component = "activeQueryTracker",
            queries,
            "These queries didn't finish in prometheus' last run:"
        );
    }
    api.governor.set_file(file);
    Ok(())
}

/// Stops the queries that outlasted the listeners, so that the next start does not take them for
/// those of a crash.
async fn stop_queries(api: &Api) {
    let running = api.governor.running();
    running.cancel_all();
    for _ in 0..STOP_POLLS {
        if running.is_empty() {
            return;
        }
        tokio::time::sleep(STOP_POLL).await;
    }
}

fn shown_bytes(bytes: u64) -> String {
    gotext::format_bytes(i64::try_from(bytes).unwrap_or(i64::MAX))
}

async fn bind(options: &Options) -> Result<Vec<TcpListener>, Refusal> {
    let mut listeners = Vec::new();
    for address in &options.web.listen_addresses {
        tracing::info!(component = "web", address, "Start listening for connections");
        match listen::bind(address).await {
            Ok(listener) => {
                let bound = listener.local_addr().map(|a| a.to_string()).unwrap_or_default();
                tracing::info!(component = "web", address = bound, "Listening on");
                listeners.push(listener);
            }
            Err(e) => {
                tracing::error!(err = e, "Unable to start web listener");
                return Err(logged(1));
            }
        }
    }
    Ok(listeners)
}

fn serve(
    app: &Arc<App>,
    listeners: Vec<TcpListener>,
    options: &Options,
) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let limits = Limits {
        max_connections: options.web.max_connections,
        read_timeout: options.web.read_timeout,
    };
    let app = Arc::clone(app);
    let handler = Arc::new(move |request| {
        let app = Arc::clone(&app);
        async move { app.handle(request).await }
    });
    let web = tokio::spawn(listen::serve(listeners, limits, handler, async {
        // A sender that is gone means stop as well.
        let _ = stopped.await;
    }));
    (stop, web)
}

/// Opens the storage on a thread of its own.
async fn open(
    api: &Arc<Api>,
    features: &FeatureSet,
    loaded: Loaded,
    log: Log,
) -> Result<Arc<Db>, Refusal> {
    tracing::info!("Starting TSDB ...");
    let flags = &api.options.tsdb;
    let retention = Retention::of(&loaded.config);
    let runtime = tsdb::runtime_options(&retention, &loaded.config, features)
        .map_err(|e| fatal(&format!("opening storage failed: {e}")))?;
    let options = tsdb::db_options(flags, &retention, runtime, features).map_err(|e| fatal(&e))?;
    tracing::info!(
        max_series = options.max_head_series,
        max_bytes = shown_bytes(options.max_head_bytes),
        "Limits of the head (0: none)"
    );
    let api = Arc::clone(api);
    let opened = tokio::task::spawn_blocking(move || {
        Db::open(&api.options.tsdb.path, options, tsdb::env(log), &api.replay)
    });
    match opened.await {
        Ok(Ok(db)) => Ok(db),
        Ok(Err(e)) => Err(fatal(&format!("opening storage failed: {e}"))),
        Err(e) => Err(fatal(&format!("opening storage failed: {e}"))),
    }
}

/// Where orders to reload come from.
struct Orders<'a> {
    hang_ups: &'a mut Signal,
    requests: &'a mut mpsc::Receiver<ReloadRequest>,
}

/// Serves reloads until told to stop.
async fn attend(
    reloader: &mut Reloader,
    db: &Db,
    stops: &mut Stops,
    orders: &mut Orders<'_>,
    app: &App,
) {
    let options = &app.api.options;
    let mut tick: Interval = tokio::time::interval(options.auto_reload_interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick.reset();
    loop {
        tokio::select! {
            () = stops.wait(app) => return,
            _ = orders.hang_ups.recv() => {
                // The error is logged where it happens.
                let _ = reloader.reload(db).await;
            }
            Some(answer) = orders.requests.recv() => {
                let outcome = reloader.reload(db).await;
                // Whoever asked may have gone.
                let _ = answer.send(outcome);
            }
            _ = tick.tick(), if options.auto_reload => reloader.reload_if_changed(db).await,
        }
    }
}
