//! `tsdb …`: data directories without a server.

mod analyze;
mod dump;
mod list;
mod tabs;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use storage::db::{Env, ReadOnlyDb};
use storage::fs::RealFs;

use super::spec::{Command, Kind, command, flag, group, optional};
use super::{Call, Failure};

const DEFAULT_DIR: &str = "data/";
const DIR_HELP: &str = "The data directory (default is data/).";

pub(super) const GROUP: Command = group("tsdb", "Look at data directories and make blocks.");

pub(super) const ANALYZE: Command = command(
    "tsdb analyze",
    "Say what fills a block: churn, cardinality, and how full its chunks are.",
    analyze::run,
)
.flags(&[
    flag("limit", Kind::Int, "How many items each list shows.").default("20"),
    flag("extended", Kind::Bool, "Look at the chunks too."),
    flag("match", Kind::Text, "Only the series of this selector."),
])
.args(&[
    optional("db path", DEFAULT_DIR, DIR_HELP),
    optional("block id", "", "The block (default is the newest one)."),
]);

pub(super) const LIST: Command = command("tsdb list", "List the blocks.", list::run)
    .flags(&[flag("human-readable", Kind::Bool, "Print times and sizes for humans.").short('r')])
    .args(&[optional("db path", DEFAULT_DIR, DIR_HELP)]);

const SANDBOX_HELP: &str = "Directory in which a sandbox directory is made that replaying the log \
                            may need (default is the data directory). It is removed at the end.";
const MATCH_HELP: &str = "Series selector. Can be specified multiple times.";
const EVERYTHING: &str = "{__name__=~'(?s:.*)'}";

pub(super) const DUMP: Command =
    command("tsdb dump", "Print all samples, or all series, of a data directory.", dump::samples)
        .flags(&[
            flag("sandbox-dir-root", Kind::Text, SANDBOX_HELP),
            flag("min-time", Kind::Int64, "First time, in milliseconds since the epoch.")
                .default("-9223372036854775808"),
            flag("max-time", Kind::Int64, "Last time, in milliseconds since the epoch.")
                .default("9223372036854775807"),
            flag("match", Kind::Texts, MATCH_HELP).default(EVERYTHING),
            flag(
                "format",
                Kind::Enum(&["prom", "seriesjson"]),
                "What to print: samples (prom) or series (seriesjson).",
            )
            .default("prom"),
        ])
        .args(&[optional("db path", DEFAULT_DIR, DIR_HELP)]);

pub(super) const DUMP_OPENMETRICS: Command = command(
    "tsdb dump-openmetrics",
    "[Experimental] Print the float samples of a data directory as OpenMetrics text.",
    dump::openmetrics,
)
.flags(&[
    flag("sandbox-dir-root", Kind::Text, SANDBOX_HELP),
    flag("min-time", Kind::Int64, "First time, in milliseconds since the epoch.")
        .default("-9223372036854775808"),
    flag("max-time", Kind::Int64, "Last time, in milliseconds since the epoch.")
        .default("9223372036854775807"),
    flag("match", Kind::Texts, MATCH_HELP).default(EVERYTHING),
])
.args(&[optional("db path", DEFAULT_DIR, DIR_HELP)]);

/// The world as it is, without a log: what goes wrong is in the errors.
fn env() -> Env {
    Env {
        fs: Arc::new(RealFs),
        clock: Arc::new(crate::gotime::now_ms),
        random: Arc::new(crate::random::bits),
        spawn: Arc::new(|name, job| {
            let thread = std::thread::Builder::new().name(name.to_owned());
            // Without a thread nothing is synced in the background; closing syncs everything.
            let _ = thread.spawn(job);
        }),
        log: Arc::new(|_, _, _| {}),
    }
}

/// The data directory a command names.
fn open(call: &Call<'_>, sandbox_root: &str) -> Result<ReadOnlyDb, Failure> {
    let dir = Path::new(call.values.arg("db path"));
    if let Err(error) = std::fs::metadata(dir) {
        let error = crate::gotext::os_error(&error);
        let text = format!("opening the db dir: stat {}: {error}", dir.display());
        return Err(Failure::Said(text));
    }
    let sandbox_root = (!sandbox_root.is_empty()).then_some(Path::new(sandbox_root));
    ReadOnlyDb::open(dir, sandbox_root, env()).map_err(said)
}

/// An error for the user.
fn said(error: impl std::fmt::Display) -> Failure {
    Failure::Said(error.to_string())
}
