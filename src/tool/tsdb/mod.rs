//! `tsdb …`: data directories without a server.

mod analyze;
mod bench;
mod create_blocks;
mod diff;
mod dump;
mod list;
#[cfg(test)]
mod own_tests;
mod repair;
mod tabs;
#[cfg(test)]
mod tests;
mod verify;

use std::path::Path;
use std::sync::Arc;

use storage::db::{Env, ReadOnlyDb};
use storage::fs::RealFs;

use super::spec::{Command, Kind, command, flag, group, optional, required};
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

pub(super) const BENCH: Command = group("tsdb bench", "Measure.");

pub(super) const BENCH_WRITE: Command =
    command("tsdb bench write", "Measure how fast samples are written.", bench::write)
        .flags(&[
            flag("out", Kind::Text, "Directory to write to; what is in it is removed first.")
                .default("benchout"),
            flag("metrics", Kind::Int, "How many series of the file are used.").default("10000"),
            flag("scrapes", Kind::Int, "How many scrapes are simulated.").default("3000"),
        ])
        .args(&[optional(
            "file",
            "../../tsdb/testdata/20kseries.json",
            "File of label sets, one a line (default is ../../tsdb/testdata/20kseries.json).",
        )]);

pub(super) const CREATE_BLOCKS: Command =
    group("tsdb create-blocks-from", "[Experimental] Make blocks of samples from elsewhere.")
        .flags(&[
            flag("human-readable", Kind::Bool, "Print times and sizes for humans.").short('r'),
            flag("quiet", Kind::Bool, "Do not print the blocks.").short('q'),
            flag("max-block-duration", Kind::Duration, "Longest span of a block; at least 2h.")
                .placeholder("<duration>")
                .hidden(),
        ]);

pub(super) const CREATE_BLOCKS_OPENMETRICS: Command = command(
    "tsdb create-blocks-from openmetrics",
    "Make blocks of the samples of an OpenMetrics file.",
    create_blocks::openmetrics,
)
.flags(&[flag(
    "label",
    Kind::Map,
    "Label that all series get. Can be specified multiple times. Example: \
     --label=label_name=label_value",
)])
.args(&[
    required("input file", Kind::Text, "The OpenMetrics file."),
    optional("output directory", DEFAULT_DIR, "Where the blocks go (default is data/)."),
]);

pub(super) const CREATE_BLOCKS_RULES: Command = command(
    "tsdb create-blocks-from rules",
    "Make blocks of what recording rules would have recorded (not in this version).",
    create_blocks::rules,
)
.flags(&[
    flag("http.config.file", Kind::Text, "Configuration of the HTTP client.")
        .placeholder("<filename>"),
    flag("url", Kind::Text, "The server to ask.").default("http://localhost:9090"),
    flag("start", Kind::Text, "First time, RFC3339 or Unix timestamp.").required(),
    flag("end", Kind::Text, "Last time, RFC3339 or Unix timestamp (default is 3 hours ago)."),
    flag("output-dir", Kind::Text, "Where the blocks go.").default(DEFAULT_DIR),
    flag("eval-interval", Kind::Duration, "Interval of groups that have none.").default("60s"),
])
.args(&[required("rule-files", Kind::Files, "Files of recording rules.")]);

pub(super) const VERIFY: Command = command(
    "tsdb verify",
    "Check every checksum, order and reference of a data directory that no server has open (not in \
     promtool).",
    verify::run,
)
.flags(&[flag("quiet", Kind::Bool, "Print faults only, no notes.").short('q')])
.args(&[optional("db path", DEFAULT_DIR, DIR_HELP)]);

pub(super) const REPAIR: Command = command(
    "tsdb repair",
    "Write what can be saved of a data directory to a new one, and say what was lost (not in \
     promtool).",
    repair::run,
)
.flags(&[flag("output", Kind::Text, "The new directory.").placeholder("<directory>").required()])
.args(&[optional("db path", DEFAULT_DIR, DIR_HELP)]);

pub(super) const DIFF: Command = command(
    "tsdb diff",
    "Compare two data directories series by series, sample by sample (not in promtool).",
    diff::run,
)
.flags(&[
    flag("sandbox-dir-root", Kind::Text, SANDBOX_HELP),
    flag("min-time", Kind::Int64, "First time, in milliseconds since the epoch.")
        .default("-9223372036854775808"),
    flag("max-time", Kind::Int64, "Last time, in milliseconds since the epoch.")
        .default("9223372036854775807"),
    flag("match", Kind::Text, "Only the series of this selector.").default(EVERYTHING),
    flag("limit", Kind::Int, "How many differing samples of a series are printed.").default("5"),
])
.args(&[
    required("first db path", Kind::Text, "A data directory."),
    required("second db path", Kind::Text, "What it is compared with."),
]);

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
    missing(dir)?;
    let sandbox_root = (!sandbox_root.is_empty()).then_some(Path::new(sandbox_root));
    ReadOnlyDb::open(dir, sandbox_root, env()).map_err(said)
}

/// Stops when `dir` is not there.
fn missing(dir: &Path) -> Result<(), Failure> {
    let found = std::fs::metadata(dir).map(drop);
    found.map_err(|error| {
        let error = crate::gotext::os_error(&error);
        Failure::Said(format!("opening the db dir: stat {}: {error}", dir.display()))
    })
}

/// An error for the user.
fn said(error: impl std::fmt::Display) -> Failure {
    Failure::Said(error.to_string())
}
