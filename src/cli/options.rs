//! Options: the flags as typed values, checked as far as they can be without the configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use model::number::go_quote;
use model::regex::FastRegex;

use super::flags::{FLAGS, Mode, Standing};
use super::parse::Values;
use super::url::ExternalUrl;
use super::value::Kind;
use crate::gotext;
use crate::telemetry::log::{Format, Level};

/// Why the server will not start, and the exit code that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: u8,
    /// For stderr, line end included where Prometheus writes one.
    pub text: String,
}

/// How the WAL is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalCompression {
    None,
    Snappy,
    Zstd,
}

/// When the WAL is synced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalFsync {
    /// Left to segment ends and the operating system, as in Prometheus.
    Off,
    /// Before each acknowledgement.
    Always,
    /// At least this often while there is something to sync.
    Every(Duration),
}

#[derive(Clone, Debug)]
pub struct WebOptions {
    pub listen_addresses: Vec<String>,
    pub read_timeout: Duration,
    pub max_connections: usize,
    pub external_url: ExternalUrl,
    /// Without a trailing slash; empty for the root.
    pub route_prefix: String,
    pub page_title: String,
    pub cors_origin: FastRegex,
    /// The expression of `cors_origin` as given.
    pub cors_pattern: String,
    pub enable_lifecycle: bool,
    pub enable_admin: bool,
    pub enable_remote_write: bool,
    pub accepted_messages: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct TsdbOptions {
    pub path: PathBuf,
    pub min_block_ms: i64,
    /// `None`: derived from the retention.
    pub max_block_ms: Option<i64>,
    pub max_chunk_segment_bytes: Option<u64>,
    pub wal_segment_bytes: Option<u64>,
    pub retention_time_ms: Option<i64>,
    pub retention_bytes: Option<u64>,
    pub lock: bool,
    pub overlapping_compaction: bool,
    pub wal_compression: WalCompression,
    pub wal_fsync: WalFsync,
    pub samples_per_chunk: u32,
    /// 0: no limit.
    pub max_head_series: u64,
    /// `None`: a part of the machine's memory; 0: no limit.
    pub max_head_bytes: Option<u64>,
    pub block_reload_interval: Duration,
    /// Blocks that are not named there are not compacted.
    pub delay_compact_file: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub struct QueryLimits {
    pub lookback_ms: i64,
    pub timeout: Duration,
    pub max_concurrency: usize,
    pub max_samples: u64,
    /// Most bytes one query may hold, 0 for no limit; a share of memory unless given.
    pub max_bytes: Option<u64>,
    /// Most bytes all queries may hold together, 0 for no limit; a share of memory unless given.
    pub total_max_bytes: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct ScrapeOptions {
    pub adjust_timestamps: bool,
    pub timestamp_tolerance: Duration,
    pub discovery_reload_interval: Duration,
}

/// Everything the command line decides.
#[derive(Clone, Debug)]
pub struct Options {
    pub config_file: PathBuf,
    /// Whether `--config.file` stood on the command line.
    pub config_file_given: bool,
    pub auto_reload: bool,
    pub auto_reload_interval: Duration,
    pub web: WebOptions,
    pub tsdb: TsdbOptions,
    pub query: QueryLimits,
    pub scrape: ScrapeOptions,
    /// For the flags API.
    pub shown: BTreeMap<String, String>,
    /// Flags given that change nothing here.
    pub moot: Vec<String>,
}

/// Level and format of the log, needed before anything else.
pub fn log_settings(values: &Values) -> (Level, Format) {
    let level = match values.get("log.level") {
        "debug" => Level::Debug,
        "warn" => Level::Warn,
        "error" => Level::Error,
        _ => Level::Info,
    };
    let format = if values.get("log.format") == "json" { Format::Json } else { Format::Logfmt };
    (level, format)
}

impl Options {
    /// Checks `values` and makes them typed.
    pub fn new(values: &Values, hostname: &str) -> Result<Options, Refusal> {
        let moot = check_standing(values)?;
        let number = |name: &str| values.get(name).parse::<i64>().unwrap_or_default();
        let duration = |name: &str| Duration::from_millis(millis(values, name).unsigned_abs());
        let on = |name: &str| values.get(name) == "true";
        let web = web_options(values, hostname)?;
        let mut shown = values.shown();
        shown.insert(
            "web.route-prefix".to_owned(),
            if web.route_prefix.is_empty() { "/".to_owned() } else { web.route_prefix.clone() },
        );
        Ok(Options {
            config_file: values.get("config.file").into(),
            config_file_given: values.is_given("config.file"),
            auto_reload: on("config.auto-reload"),
            auto_reload_interval: duration("config.auto-reload-interval")
                .max(Duration::from_secs(1)),
            web,
            tsdb: tsdb_options(values)?,
            query: QueryLimits {
                lookback_ms: millis(values, "query.lookback-delta"),
                timeout: duration("query.timeout"),
                max_concurrency: usize::try_from(number("query.max-concurrency"))
                    .unwrap_or(0)
                    .max(1),
                max_samples: u64::try_from(number("query.max-samples")).unwrap_or(0),
                max_bytes: bytes(values, "query.max-bytes")?,
                total_max_bytes: bytes(values, "query.total-max-bytes")?,
            },
            scrape: ScrapeOptions {
                adjust_timestamps: on("scrape.adjust-timestamps"),
                timestamp_tolerance: Duration::from_nanos(
                    gotext::parse_go_duration(values.get("scrape.timestamp-tolerance"))
                        .unwrap_or_default()
                        .unsigned_abs(),
                ),
                discovery_reload_interval: duration("scrape.discovery-reload-interval"),
            },
            shown,
            moot,
        })
    }
}

/// Milliseconds of a duration flag; its text was checked when it was parsed.
fn millis(values: &Values, name: &str) -> i64 {
    model::duration::parse(values.get(name)).unwrap_or_default()
}

fn check_standing(values: &Values) -> Result<Vec<String>, Refusal> {
    let mut agent_only = Vec::new();
    let mut moot = Vec::new();
    if values.get("agent") == "true" {
        return Err(Refusal { code: 2, text: unbuilt("--agent (agent mode)") });
    }
    for name in values.given() {
        let Some(flag) = FLAGS.iter().find(|f| f.name == *name) else { continue };
        if flag.mode == Mode::Agent {
            agent_only.push(go_quote(&format!("--{name}")));
            continue;
        }
        let default = flag.default.and_then(|d| flag.kind.normalize(d).ok()).unwrap_or_default();
        let changed = match flag.kind {
            Kind::List => values.all(name).iter().any(|v| *v != default),
            _ => values.get(name) != default,
        };
        match flag.standing {
            Standing::Built => {}
            Standing::Moot => moot.push(format!("--{name}")),
            Standing::Unbuilt if changed => {
                return Err(Refusal { code: 2, text: unbuilt(&format!("--{name}")) });
            }
            Standing::Unbuilt => {}
        }
    }
    if !agent_only.is_empty() {
        let list = agent_only.join(" ");
        return Err(Refusal {
            code: 3,
            text: format!("The following flag(s) can only be used in agent mode: [{list}]"),
        });
    }
    let ratio: f64 = values.get("auto-gomemlimit.ratio").parse().unwrap_or_default();
    if ratio <= 0.0 || ratio > 1.0 {
        let text = "--auto-gomemlimit.ratio must be greater than 0 and less than or equal to 1.";
        return Err(Refusal { code: 1, text: text.to_owned() });
    }
    Ok(moot)
}

fn unbuilt(what: &str) -> String {
    format!("{what} is not built in this server yet; only its default is accepted.\n")
}

fn web_options(values: &Values, hostname: &str) -> Result<WebOptions, Refusal> {
    let listen_addresses = values.all("web.listen-address").to_vec();
    let first = listen_addresses.first().map_or("", String::as_str);
    let raw = values.get("web.external-url");
    let external_url = ExternalUrl::new(raw, first, hostname).map_err(|e| Refusal {
        code: 2,
        text: format!("parse external URL {}: {e}\n", go_quote(raw)),
    })?;
    let pattern = values.get("web.cors.origin");
    let cors_origin = FastRegex::new(pattern).map_err(|e| Refusal {
        code: 2,
        text: format!("could not compile CORS regex string {}: {e}\n", go_quote(pattern)),
    })?;
    let prefix = match values.get("web.route-prefix") {
        "" => external_url.path.as_str(),
        given => given,
    };
    let prefix = prefix.trim_matches('/');
    let max_connections = values.get("web.max-connections").parse::<i64>().unwrap_or_default();
    Ok(WebOptions {
        listen_addresses,
        read_timeout: Duration::from_millis(millis(values, "web.read-timeout").unsigned_abs()),
        max_connections: usize::try_from(max_connections).unwrap_or(0).max(1),
        route_prefix: if prefix.is_empty() { String::new() } else { format!("/{prefix}") },
        external_url,
        page_title: values.get("web.page-title").to_owned(),
        cors_origin,
        cors_pattern: pattern.to_owned(),
        enable_lifecycle: values.get("web.enable-lifecycle") == "true",
        enable_admin: values.get("web.enable-admin-api") == "true",
        enable_remote_write: values.get("web.enable-remote-write-receiver") == "true",
        accepted_messages: values
            .all("web.remote-write-receiver.accepted-protobuf-messages")
            .to_vec(),
    })
}

fn tsdb_options(values: &Values) -> Result<TsdbOptions, Refusal> {
    let size = |name: &str| {
        let bytes = gotext::parse_bytes(values.get(name)).unwrap_or_default();
        u64::try_from(bytes).ok().filter(|b| *b > 0)
    };
    let time = |name: &str| values.is_given(name).then(|| millis(values, name)).filter(|t| *t > 0);
    let wal_fsync = match values.get("storage.tsdb.wal-fsync-interval") {
        "off" => WalFsync::Off,
        text => match model::duration::parse(text) {
            Ok(0) => WalFsync::Always,
            Ok(ms) => WalFsync::Every(Duration::from_millis(ms.unsigned_abs())),
            Err(e) => {
                let text = format!("--storage.tsdb.wal-fsync-interval: {e}\n");
                return Err(Refusal { code: 2, text });
            }
        },
    };
    let max_head_series = match values.get("storage.head.max-series").parse::<i64>() {
        Ok(n) if n < 0 => {
            let text = "--storage.head.max-series must not be negative\n".to_owned();
            return Err(Refusal { code: 2, text });
        }
        n => n.unwrap_or(0).unsigned_abs(),
    };
    let compression = match values.get("storage.tsdb.wal-compression-type") {
        _ if values.get("storage.tsdb.wal-compression") != "true" => WalCompression::None,
        "zstd" => WalCompression::Zstd,
        _ => WalCompression::Snappy,
    };
    Ok(TsdbOptions {
        path: values.get("storage.tsdb.path").into(),
        min_block_ms: millis(values, "storage.tsdb.min-block-duration"),
        max_block_ms: time("storage.tsdb.max-block-duration"),
        max_chunk_segment_bytes: size("storage.tsdb.max-block-chunk-segment-size"),
        wal_segment_bytes: size("storage.tsdb.wal-segment-size"),
        retention_time_ms: time("storage.tsdb.retention.time"),
        retention_bytes: size("storage.tsdb.retention.size"),
        lock: values.get("storage.tsdb.no-lockfile") != "true",
        overlapping_compaction: values.get("storage.tsdb.allow-overlapping-compaction") == "true",
        wal_compression: compression,
        wal_fsync,
        max_head_series,
        max_head_bytes: bytes(values, "storage.head.max-bytes")?,
        samples_per_chunk: values.get("storage.tsdb.samples-per-chunk").parse().unwrap_or(120),
        delay_compact_file: Some(values.get("storage.tsdb.delay-compact-file.path"))
            .filter(|path| !path.is_empty())
            .map(PathBuf::from),
        block_reload_interval: Duration::from_millis(
            millis(values, "storage.tsdb.block-reload-interval").unsigned_abs(),
        )
        .max(Duration::from_secs(1)),
    })
}

/// A number of bytes, or a size with its unit.
fn bytes(values: &Values, flag: &str) -> Result<Option<u64>, Refusal> {
    let text = values.get(flag);
    if text.is_empty() {
        return Ok(None);
    }
    if let Ok(bytes) = text.parse() {
        return Ok(Some(bytes));
    }
    let bytes = gotext::parse_bytes(text)
        .and_then(|bytes| u64::try_from(bytes).map_err(|_| "must not be negative".to_owned()));
    let refuse = |e| Refusal { code: 2, text: format!("--{flag}: {e}\n") };
    bytes.map(Some).map_err(refuse)
}

#[cfg(test)]
mod tests {
    use super::super::parse::{Parsed, parse};
    use super::*;

    fn options(line: &str) -> Result<Options, Refusal> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match parse(&args) {
            Ok(Parsed::Run(values)) => Options::new(&values, "vm"),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn defaults() {
        let o = options("").unwrap();
        assert_eq!(o.web.external_url.host, "vm:9090");
        assert_eq!((o.web.route_prefix.as_str(), o.query.lookback_ms), ("", 300_000));
        assert_eq!(o.tsdb.wal_fsync, WalFsync::Every(Duration::from_secs(1)));
        assert_eq!(o.tsdb.wal_compression, WalCompression::Snappy);
        assert_eq!(o.shown["web.route-prefix"], "/");
        assert!(o.moot.is_empty() && !o.config_file_given);
        assert_eq!((o.tsdb.max_head_series, o.tsdb.max_head_bytes), (0, None));
        let query = options("--query.max-bytes=0 --query.total-max-bytes=2KB").unwrap().query;
        assert_eq!((query.max_bytes, query.total_max_bytes), (Some(0), Some(2048)));
        assert_eq!((o.query.max_bytes, o.query.total_max_bytes), (None, None));
        let head_bytes = |line| options(line).unwrap().tsdb.max_head_bytes;
        assert_eq!(head_bytes("--storage.head.max-bytes=0"), Some(0));
        assert_eq!(head_bytes("--storage.head.max-bytes=4096"), Some(4096));
        assert_eq!(head_bytes("--storage.head.max-bytes=2KB"), Some(2048));
    }

    #[test]
    fn prefixes() {
        assert_eq!(options("--web.external-url=http://x/p/").unwrap().web.route_prefix, "/p");
        let o = options("--web.external-url=http://x/p/ --web.route-prefix=/").unwrap();
        assert_eq!(o.web.route_prefix, "");
    }

    #[test]
    fn refusals() {
        for (line, code, text) in [
            ("--agent", 2, "--agent (agent mode) is not built"),
            (
                "--storage.agent.path=x",
                3,
                r#"can only be used in agent mode: ["--storage.agent.path"]"#,
            ),
            ("--storage.head.max-series=-1", 2, "--storage.head.max-series must not be negative"),
            ("--query.max-bytes=1XB", 2, "--query.max-bytes: units: unknown unit XB"),
            ("--storage.head.max-bytes=1XB", 2, "--storage.head.max-bytes: units: unknown unit XB"),
            ("--web.config.file=x", 2, "--web.config.file is not built"),
            ("--auto-gomemlimit.ratio=2", 1, "must be greater than 0"),
            (
                "--web.cors.origin=(",
                2,
                r#"could not compile CORS regex string "(": error parsing regexp: "#,
            ),
            (
                "--web.external-url='x'",
                2,
                r#"parse external URL "'x'": URL must not begin or end with quotes"#,
            ),
        ] {
            let refusal = options(line).unwrap_err();
            assert_eq!(refusal.code, code, "{line}");
            assert!(refusal.text.contains(text), "{line}: {}", refusal.text);
        }
        assert!(options("--rules.alert.resend-delay=60s --web.console.templates=x").is_ok());
    }
}
