//! The flags of the server: one row each, Prometheus's names and defaults, our own words.
//!
//! A row also says what becomes of a flag whose part is not built: `Unbuilt` is accepted at its
//! default and refused by name otherwise, `Moot` is accepted with a line in the log because there
//! is nothing here that it could tune.

use super::value::Kind::{self, *};

/// In which mode of the server a flag may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Both,
    Server,
    Agent,
}

/// Whether a flag does something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Works.
    Built,
    /// Its part is not built: only the default is accepted.
    Unbuilt,
    /// Tunes a mechanism this server does not have; accepted and logged.
    Moot,
}

/// One flag.
#[derive(Debug)]
pub struct Flag {
    /// Name without the dashes.
    pub name: &'static str,
    pub kind: Kind,
    /// Default as text; `None` = not set.
    pub default: Option<&'static str>,
    /// Shown instead of the default in the help text.
    pub placeholder: &'static str,
    /// Left out of the help text.
    pub hidden: bool,
    pub mode: Mode,
    pub standing: Standing,
    pub help: &'static str,
}

const fn flag(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
    Flag {
        name,
        kind,
        default: Some(default),
        placeholder: "",
        hidden: false,
        mode: Mode::Both,
        standing: Standing::Built,
        help,
    }
}

/// A flag without a default.
const fn unset(
    name: &'static str,
    kind: Kind,
    placeholder: &'static str,
    help: &'static str,
) -> Flag {
    Flag { default: None, placeholder, ..flag(name, kind, "", help) }
}

impl Flag {
    const fn server(self) -> Flag {
        Flag { mode: Mode::Server, ..self }
    }

    const fn agent(self) -> Flag {
        Flag { mode: Mode::Agent, standing: Standing::Unbuilt, ..self }
    }

    const fn hidden(self) -> Flag {
        Flag { hidden: true, ..self }
    }

    const fn shown_as(self, placeholder: &'static str) -> Flag {
        Flag { placeholder, ..self }
    }

    const fn unbuilt(self) -> Flag {
        Flag { standing: Standing::Unbuilt, ..self }
    }

    const fn moot(self) -> Flag {
        Flag { standing: Standing::Moot, ..self }
    }
}

/// Protobuf messages a remote write receiver can be told to accept.
pub const WRITE_MESSAGES: [&str; 2] = ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"];

/// Every flag, in the order of the help text.
pub const FLAGS: &[Flag] = &[
    flag("config.file", Text, "prometheus.yml", "Path of the configuration file."),
    flag("config.auto-reload", Bool, "false", "Reload the configuration when its file changes."),
    flag(
        "config.auto-reload-interval",
        Duration,
        "30s",
        "How often to look for changes of the configuration; at least 1s.",
    ),
    flag(
        "web.listen-address",
        List,
        "0.0.0.0:9090",
        "Address to serve the page, the API and /metrics on.",
    ),
    flag("auto-gomaxprocs", Bool, "true", "Go runtime setting, without effect here.").moot(),
    flag("auto-gomemlimit", Bool, "true", "Go runtime setting, without effect here.").moot(),
    flag("auto-gomemlimit.ratio", Float, "0.9", "Go runtime setting, without effect here.").moot(),
    flag(
        "auto-gomemlimit.refresh-interval",
        Duration,
        "0s",
        "Go runtime setting, without effect here.",
    )
    .moot(),
    flag("web.config.file", Text, "", "File with TLS and authentication settings.").unbuilt(),
    flag(
        "web.read-timeout",
        Duration,
        "5m",
        "Longest time to read a request, and to keep an idle connection.",
    ),
    flag("web.max-connections", Int, "512", "Most connections at once, over all addresses."),
    flag(
        "web.max-notifications-subscribers",
        Int,
        "16",
        "Most subscribers of live notifications at once.",
    )
    .unbuilt(),
    unset(
        "web.external-url",
        Text,
        "<URL>",
        "URL under which users reach this server, for links back to it. Its path prefixes every \
         HTTP endpoint.",
    ),
    unset(
        "web.route-prefix",
        Text,
        "<path>",
        "Prefix of the HTTP endpoints. Defaults to the path of --web.external-url.",
    ),
    unset("web.user-assets", Text, "<path>", "Folder of static files to serve at /user.").unbuilt(),
    flag("web.enable-lifecycle", Bool, "false", "Allow reload and shutdown over HTTP."),
    flag("web.enable-admin-api", Bool, "false", "Allow the administrative API."),
    flag("web.enable-remote-write-receiver", Bool, "false", "Accept remote write requests."),
    flag(
        "web.remote-write-receiver.accepted-protobuf-messages",
        Messages,
        "prometheus.WriteRequest,io.prometheus.write.v2.Request",
        "Protobuf messages that the remote write receiver accepts: prometheus.WriteRequest, \
         io.prometheus.write.v2.Request",
    ),
    flag("web.enable-otlp-receiver", Bool, "false", "Accept OTLP write requests.").unbuilt(),
    flag("web.console.templates", Text, "consoles", "Folder of console templates.").moot(),
    flag("web.console.libraries", Text, "console_libraries", "Folder of console libraries.").moot(),
    flag(
        "web.page-title",
        Text,
        "Prometheus Time Series Collection and Processing Server",
        "Title of the page.",
    ),
    flag(
        "web.cors.origin",
        Text,
        ".*",
        r"Fully anchored regular expression of allowed CORS origins. Example: 'https?://(domain1|domain2)\.com'",
    ),
    flag("storage.tsdb.path", Text, "data/", "Data directory.").server(),
    flag(
        "storage.tsdb.min-block-duration",
        Duration,
        "2h",
        "Length of the blocks that the head is cut into. For tests.",
    )
    .hidden()
    .server(),
    unset(
        "storage.tsdb.max-block-duration",
        Duration,
        "<duration>",
        "Longest block that compaction makes. For tests. Defaults to a tenth of the retention time.",
    )
    .hidden()
    .server(),
    unset(
        "storage.tsdb.max-block-chunk-segment-size",
        Bytes,
        "<bytes>",
        "Largest chunk segment file of a block. Example: 512MB",
    )
    .hidden()
    .server(),
    unset(
        "storage.tsdb.wal-segment-size",
        Bytes,
        "<bytes>",
        "Size at which a WAL segment file is finished. Example: 100MB",
    )
    .hidden()
    .server(),
    unset(
        "storage.tsdb.retention.time",
        Duration,
        "",
        "[DEPRECATED] How long to keep samples; 15d when neither this nor \
         --storage.tsdb.retention.size is set. Units: y, w, d, h, m, s, ms. Prefer \
         storage.tsdb.retention.time in the configuration file.",
    )
    .server(),
    unset(
        "storage.tsdb.retention.size",
        Bytes,
        "",
        "[DEPRECATED] Most bytes of blocks to keep. Units: B, KB, MB, GB, TB, PB, EB, in powers \
         of 1024. Prefer storage.tsdb.retention.size in the configuration file.",
    )
    .server(),
    flag("storage.tsdb.no-lockfile", Bool, "false", "Do not lock the data directory.").server(),
    flag(
        "storage.tsdb.allow-overlapping-compaction",
        Bool,
        "true",
        "Merge overlapping blocks; when false they are left to somebody else.",
    )
    .hidden()
    .server(),
    flag("storage.tsdb.wal-compression", Bool, "true", "Compress the WAL.").hidden().server(),
    flag(
        "storage.tsdb.wal-compression-type",
        Enum(&["snappy", "zstd"]),
        "snappy",
        "How to compress the WAL.",
    )
    .hidden()
    .server(),
    flag(
        "storage.tsdb.wal-fsync-interval",
        Text,
        "1s",
        "Most that a power cut may take from the WAL: a duration, 0s to sync before each \
         acknowledgement, off to leave it to the operating system. Not a flag of Prometheus.",
    )
    .server(),
    flag(
        "storage.head.max-series",
        Int64,
        "0",
        "Most series in the head: above it, existing series go on and new ones are refused. 0 for \
         no limit. Not a flag of Prometheus.",
    )
    .server(),
    unset(
        "storage.head.max-bytes",
        Text,
        "<bytes>",
        "Most memory of the series in the head: above it, existing series go on and new ones are \
         refused. Defaults to 60% of the memory of the cgroup or machine; 0 for no limit. Example: \
         2GB. Not a flag of Prometheus.",
    )
    .server(),
    flag(
        "storage.tsdb.head-chunks-write-queue-size",
        Int,
        "0",
        "Prometheus's queue for head chunks, which this server does without.",
    )
    .server()
    .moot(),
    flag("storage.tsdb.samples-per-chunk", Int, "120", "Samples of one chunk.").hidden().server(),
    flag(
        "storage.tsdb.delayed-compaction.max-percent",
        Int,
        "10",
        "Longest random delay of a compaction, in percent of a block.",
    )
    .hidden()
    .server()
    .unbuilt(),
    flag(
        "storage.tsdb.delay-compact-file.path",
        Text,
        "",
        "JSON file with the blocks that have been uploaded, as Thanos's shipper writes it. Blocks of \
         level 1 that it does not name are not compacted; none is while it cannot be read.",
    )
    .server(),
    flag(
        "storage.tsdb.block-reload-interval",
        Duration,
        "1m",
        "How often to look for blocks that somebody else added or removed.",
    )
    .hidden()
    .server(),
    flag("storage.agent.path", Text, "data-agent/", "Data directory of agent mode.").agent(),
    unset("storage.agent.wal-segment-size", Bytes, "<bytes>", "WAL segment size of agent mode.")
        .hidden()
        .agent(),
    flag("storage.agent.wal-compression", Bool, "true", "Compress the WAL of agent mode.").agent(),
    flag(
        "storage.agent.wal-compression-type",
        Enum(&["snappy", "zstd"]),
        "snappy",
        "How to compress the WAL of agent mode.",
    )
    .hidden()
    .agent(),
    unset(
        "storage.agent.wal-truncate-frequency",
        Duration,
        "<duration>",
        "How often agent mode cuts its WAL.",
    )
    .hidden()
    .agent(),
    flag(
        "storage.agent.retention.min-time",
        Duration,
        "5m",
        "Youngest samples that agent mode may drop when it cuts its WAL.",
    )
    .agent(),
    flag(
        "storage.agent.retention.max-time",
        Duration,
        "4h",
        "Oldest samples that agent mode keeps when it cuts its WAL.",
    )
    .agent(),
    flag(
        "storage.agent.checkpoint-from-in-memory-series",
        Bool,
        "false",
        "Write agent checkpoints from memory.",
    )
    .agent(),
    flag(
        "storage.agent.checkpoint-batch-size",
        Int,
        "1000",
        "Records of one write of an agent checkpoint.",
    )
    .agent(),
    flag("storage.agent.no-lockfile", Bool, "false", "Do not lock the agent's data directory.")
        .agent(),
    flag(
        "storage.remote.flush-deadline",
        Duration,
        "1m",
        "How long to flush remote write queues at shutdown or reload.",
    )
    .shown_as("<duration>")
    .unbuilt(),
    flag(
        "storage.remote.read-sample-limit",
        Int,
        "5e7",
        "Most samples of one remote read answer; 0 = no limit.",
    )
    .server()
    .unbuilt(),
    flag(
        "storage.remote.read-concurrent-limit",
        Int,
        "10",
        "Most remote read requests at once; 0 = no limit.",
    )
    .server()
    .unbuilt(),
    flag(
        "storage.remote.read-max-bytes-in-frame",
        Int,
        "1048576",
        "Most bytes of one frame of a streamed remote read answer.",
    )
    .server()
    .unbuilt(),
    flag("web.search.max-limit", Int, "10000", "Highest limit of a search; 0 = no cap.")
        .server()
        .unbuilt(),
    flag(
        "rules.alert.for-outage-tolerance",
        Duration,
        "1h",
        "Longest outage over which the pending time of alerts is restored.",
    )
    .server()
    .unbuilt(),
    flag(
        "rules.alert.for-grace-period",
        Duration,
        "10m",
        "Least time between a restored pending alert and its firing.",
    )
    .server()
    .unbuilt(),
    flag(
        "rules.alert.resend-delay",
        Duration,
        "1m",
        "Least time before an alert is sent to Alertmanager again.",
    )
    .server()
    .unbuilt(),
    flag("rules.max-concurrent-evals", Int64, "4", "Most independent rules evaluated at once.")
        .server()
        .unbuilt(),
    flag(
        "scrape.adjust-timestamps",
        Bool,
        "true",
        "Move scrape timestamps by up to scrape.timestamp-tolerance onto their schedule.",
    )
    .hidden(),
    flag("scrape.timestamp-tolerance", GoDuration, "2ms", "See scrape.adjust-timestamps.").hidden(),
    flag(
        "alertmanager.notification-queue-capacity",
        Int,
        "10000",
        "Most alerts waiting for Alertmanager.",
    )
    .server()
    .unbuilt(),
    flag(
        "alertmanager.notification-batch-size",
        Int,
        "256",
        "Most alerts of one request to Alertmanager.",
    )
    .server()
    .unbuilt(),
    flag(
        "alertmanager.drain-notification-queue-on-shutdown",
        Bool,
        "true",
        "Send waiting alerts before stopping.",
    )
    .server()
    .unbuilt(),
    flag("query.lookback-delta", Duration, "5m", "How far an instant selector looks back.")
        .server(),
    flag("query.timeout", Duration, "2m", "Longest time of one query.").server(),
    flag("query.max-concurrency", Int, "20", "Most queries at once.").server(),
    flag(
        "query.max-samples",
        Int,
        "50000000",
        "Most samples one query may hold at once; it fails when it needs more.",
    )
    .server(),
    unset(
        "query.max-bytes",
        Text,
        "<bytes>",
        "Most memory one query may hold at once; it fails when it needs more. Defaults to 10% of \
         the memory of the cgroup or machine; 0 for no limit. Example: 2GB. Not a flag of \
         Prometheus.",
    )
    .server(),
    unset(
        "query.total-max-bytes",
        Text,
        "<bytes>",
        "Most memory all queries may hold together; the one that needs more fails. Defaults to \
         20% of the memory of the cgroup or machine; 0 for no limit. Not a flag of Prometheus.",
    )
    .server(),
    flag(
        "scrape.discovery-reload-interval",
        Duration,
        "5s",
        "Least time between two updates of the scrape targets.",
    )
    .hidden(),
    unset("enable-feature", List, "", "Feature names to enable, separated by commas."),
    flag("agent", Bool, "false", "Run in agent mode.").unbuilt(),
    flag(
        "log.level",
        Level,
        "info",
        "Least severity of log lines. One of: [debug, info, warn, error]",
    ),
    flag("log.format", Format, "logfmt", "Format of log lines. One of: [logfmt, json]"),
    flag("write-documentation", Bool, "false", "Print this table as Markdown.").hidden().unbuilt(),
];
