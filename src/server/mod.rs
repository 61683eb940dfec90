//! Server: the command line becomes a running server, and a running server stops in order.
//!
//! Start: flags, configuration (a broken one stops here), listeners, web (which answers 503), then
//! storage in the background, the first application of the configuration, ready. Stop is the other
//! way round: not ready, no more scrapes, maintenance, storage, web. An order to stop while storage
//! is still opening is obeyed at once, for opening changes nothing that a crash would not repeat.

mod lifecycle;
mod memory;
mod reload;
mod scraping;
mod source;
mod tsdb;
mod uploads;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::features::FeatureSet;
use crate::cli::{Options, Parsed, Refusal, UsageError, Values, help, options, parse};
use crate::gotext;
use crate::telemetry::log::Log;
use source::ConfigSource;

/// The name of the program when it does not know its own.
const PROGRAM: &str = "epimetheus";

/// Runs the server; `args` starts with the name of the program.
pub fn main(args: &[String]) -> ExitCode {
    let program = args
        .first()
        .and_then(|path| path.rsplit('/').next())
        .filter(|name| !name.is_empty())
        .unwrap_or(PROGRAM);
    let values = match parse(args.get(1..).unwrap_or_default()) {
        Ok(Parsed::Run(values)) => values,
        Ok(Parsed::Help) => return print(&help::help(program)),
        Ok(Parsed::Version) => return print(&help::version(program)),
        Err(UsageError::Syntax(e)) => {
            return refuse(&Refusal {
                code: 1,
                text: format!("Error parsing command line arguments: {e}\n{program}: error: {e}\n"),
            });
        }
        Err(UsageError::Value(e)) => {
            print(&help::help(program));
            return refuse(&Refusal {
                code: 2,
                text: format!("Error parsing command line arguments: {e}\n"),
            });
        }
    };
    let (level, format) = options::log_settings(&values);
    let log = Log::new(level, format);
    log.install();
    match start(&values, log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => refuse(&refusal),
    }
}

fn print(text: &str) -> ExitCode {
    // Nobody reads: there is nothing else to do for them.
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn refuse(refusal: &Refusal) -> ExitCode {
    let _ = std::io::stderr().write_all(refusal.text.as_bytes());
    ExitCode::from(refusal.code)
}

/// An error that has been logged already.
fn logged(code: u8) -> Refusal {
    Refusal { code, text: String::new() }
}

fn start(values: &Values, log: Log) -> Result<(), Refusal> {
    let features = FeatureSet::new(values.all("enable-feature"));
    let uname = rustix::system::uname();
    let hostname = uname.nodename().to_string_lossy().into_owned();
    let mut options = Options::new(values, &hostname)?;
    options.auto_reload |= features.has("auto-reload-config");
    if options.auto_reload {
        tracing::info!(
            interval = model::duration::format(
                i64::try_from(options.auto_reload_interval.as_millis()).unwrap_or(i64::MAX)
            ),
            "Automatic configuration file reloading enabled"
        );
    }
    let source = ConfigSource::of(&options);
    let defaults = tsdb::config_defaults(&options.tsdb, &features);
    let loaded = source.load(&defaults).map_err(|e| {
        let (text, file) = source.describe();
        tracing::error!(file, err = e, "Error loading config ({text})");
        logged(2)
    })?;
    if let Some(text) = source.built_in() {
        tracing::warn!(
            config = text,
            "No configuration file given and no prometheus.yml here: using the built-in \
             configuration, which scrapes this server itself"
        );
    }
    for flag in &options.moot {
        tracing::info!(flag, "This flag has no effect in this server");
    }
    tracing::info!(
        mode = "server",
        version = format!(
            "(version={}, branch=main, revision=epimetheus-{})",
            help::COMPATIBLE_VERSION,
            help::OWN_VERSION
        ),
        "Starting Prometheus Server"
    );
    tracing::info!(
        build_context = format!(
            "(rust={}, platform={}/{})",
            env!("CARGO_PKG_RUST_VERSION"),
            std::env::consts::OS,
            help::go_arch()
        ),
        host_details = format!(
            "({} {} {} {} {hostname})",
            uname.sysname().to_string_lossy(),
            uname.release().to_string_lossy(),
            uname.version().to_string_lossy(),
            uname.machine().to_string_lossy(),
        ),
        "operational information"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("io")
        .build()
        .map_err(|e| fatal(&format!("starting threads failed: {}", gotext::os_error(&e))))?;
    let outcome =
        runtime.block_on(lifecycle::run(Arc::new(options), features, source, loaded, log));
    // What still runs are answers nobody will read.
    runtime.shutdown_background();
    outcome
}

/// Logs what stops the server; exit code 1.
fn fatal(error: &str) -> Refusal {
    tracing::error!(err = error, "Fatal error");
    logged(1)
}
