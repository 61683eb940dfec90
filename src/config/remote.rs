//! RemoteWriteConfig and RemoteReadConfig: where samples are sent to and read from.

use crate::relabel::RelabelConfig;

use super::azuread::AzureAdConfig;
use super::http_client::HttpClientConfig;
use super::labels::LabelSet;
use super::names::ValidationScheme;
use super::sigv4::SigV4Config;
use super::url::Url;
use super::values::{Duration, text_type};
use super::yaml::{Checked, Items, Map, section, unchecked};

/// Full name of the message of remote write 1.0.
pub const WRITE_V1: &str = "prometheus.WriteRequest";
/// Full name of the message of remote write 2.0.
pub const WRITE_V2: &str = "io.prometheus.write.v2.Request";

text_type! {
    /// `protobuf_message`
    pub struct WriteMessage("remote.WriteMessageType", "remote.WriteMessageType");
}

section! {
    /// `google_iam`
    pub struct GoogleIamConfig("googleiam.Config", "googleiam.Config") {
        credentials_file: String = omit "credentials_file";
    }
}

section! {
    /// `queue_config`: how samples wait and are sent.
    pub struct QueueConfig("config.QueueConfig", "config.QueueConfig") {
        capacity: isize = omit "capacity";
        max_shards: isize = omit "max_shards";
        min_shards: isize = omit "min_shards";
        max_samples_per_send: isize = omit "max_samples_per_send";
        batch_send_deadline: Duration = omit "batch_send_deadline";
        min_backoff: Duration = omit "min_backoff";
        max_backoff: Duration = omit "max_backoff";
        retry_on_http_429: bool = omit "retry_on_http_429";
        /// Older samples are dropped; 0 for no limit.
        sample_age_limit: Duration = omit "sample_age_limit";
    }
}

section! {
    /// `metadata_config`: how metric metadata is sent (remote write 1.0 only).
    pub struct MetadataConfig("config.MetadataConfig", "config.MetadataConfig") {
        send: bool = keep "send";
        send_interval: Duration = keep "send_interval";
        max_samples_per_send: isize = omit "max_samples_per_send";
    }
}

section! {
    /// One item of `remote_write`.
    pub struct RemoteWriteConfig("config.RemoteWriteConfig", "config.plain") {
        url: Option<Url> = keep "url";
        remote_timeout: Duration = omit "remote_timeout";
        headers: Map<String> = omit "headers";
        write_relabel_configs: Items<RelabelConfig> = omit "write_relabel_configs";
        /// Shown in metrics and logs; made from the rest when empty.
        name: String = omit "name";
        send_exemplars: bool = omit "send_exemplars";
        send_native_histograms: bool = omit "send_native_histograms";
        round_robin_dns: bool = omit "round_robin_dns";
        protobuf_message: WriteMessage = omit "protobuf_message";
        failed_request_logging: bool = omit "failed_request_logging";
        http_client: HttpClientConfig = inline;
        queue_config: QueueConfig = omit "queue_config";
        metadata_config: MetadataConfig = omit "metadata_config";
        sigv4: Option<SigV4Config> = omit "sigv4";
        azuread: Option<AzureAdConfig> = omit "azuread";
        google_iam: Option<GoogleIamConfig> = omit "google_iam";
    }
}

section! {
    /// One item of `remote_read`.
    pub struct RemoteReadConfig("config.RemoteReadConfig", "config.plain") {
        url: Option<Url> = keep "url";
        remote_timeout: Duration = omit "remote_timeout";
        /// Largest frame of a streamed answer, in bytes.
        chunked_read_limit: u64 = omit "chunked_read_limit";
        headers: Map<String> = omit "headers";
        read_recent: bool = omit "read_recent";
        name: String = omit "name";
        http_client: HttpClientConfig = inline;
        /// Only queries with these equality matchers are sent there.
        required_matchers: LabelSet = omit "required_matchers";
        filter_external_labels: bool = omit "filter_external_labels";
    }
}

unchecked!(GoogleIamConfig, QueueConfig, MetadataConfig);

/// Headers a user may not set, in lower case.
const RESERVED: [&str; 16] = [
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
];

/// Refuses reserved headers; `authorization` with words of its own.
pub(super) fn validate_headers(headers: &Map<String>, authorization: &str) -> Result<(), String> {
    for name in headers.keys() {
        let lower = name.to_lowercase();
        if lower == "authorization" {
            return Err(authorization.to_owned());
        }
        if RESERVED.contains(&lower.as_str()) {
            return Err(format!("{name} is a reserved header. It must not be changed"));
        }
    }
    Ok(())
}

const USE_AUTH: &str = "authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, azuread or google_iam parameter";

impl QueueConfig {
    /// The defaults.
    pub fn preset() -> QueueConfig {
        QueueConfig {
            max_shards: 50,
            min_shards: 1,
            max_samples_per_send: 2000,
            capacity: 10_000,
            batch_send_deadline: Duration::secs(5),
            min_backoff: Duration(30),
            max_backoff: Duration::secs(5),
            ..QueueConfig::default()
        }
    }

    fn validate(&self) -> Result<(), String> {
        let problem = if self.max_shards <= 0 {
            "max_shards must be positive"
        } else if self.min_shards <= 0 {
            "min_shards must be positive"
        } else if self.min_shards > self.max_shards {
            "min_shards must not be greater than max_shards"
        } else if self.max_samples_per_send <= 0 {
            "max_samples_per_send must be positive"
        } else if self.capacity <= 0 {
            "capacity must be positive"
        } else if self.max_backoff < self.min_backoff {
            "max_backoff must not be less than min_backoff"
        } else {
            return Ok(());
        };
        Err(format!("remote write queue {problem}"))
    }
}

impl RemoteWriteConfig {
    /// Checks the rules, whose label names follow `scheme`.
    pub fn validate(&mut self, scheme: ValidationScheme) -> Result<(), String> {
        self.write_relabel_configs.iter_mut().try_for_each(|rule| rule.validate(scheme))
    }

    fn validate_auth(&self) -> Result<(), String> {
        let http = &self.http_client;
        let given: Vec<&str> = [
            ("basic_auth", http.basic_auth.is_some()),
            ("authorization", http.authorization.is_some()),
            ("oauth2", http.oauth2.is_some()),
            ("sigv4", self.sigv4.is_some()),
            ("azuread", self.azuread.is_some()),
            ("google_iam", self.google_iam.is_some()),
        ]
        .iter()
        .filter(|(_, given)| *given)
        .map(|(name, _)| *name)
        .collect();
        if given.len() > 1 {
            return Err(format!(
                "at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must be configured. Currently configured: [{}]",
                given.join(" ")
            ));
        }
        Ok(())
    }
}

impl Checked for RemoteWriteConfig {
    fn begin(&mut self) {
        *self = RemoteWriteConfig {
            remote_timeout: Duration::secs(30),
            protobuf_message: WriteMessage(WRITE_V1.to_owned()),
            queue_config: QueueConfig::preset(),
            metadata_config: MetadataConfig {
                send: true,
                send_interval: Duration::secs(60),
                max_samples_per_send: 2000,
            },
            http_client: HttpClientConfig { follow_redirects: true, ..HttpClientConfig::default() },
            ..RemoteWriteConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.url.is_none() {
            return Err("url for remote_write is empty".to_owned());
        }
        if self.write_relabel_configs.has_null() {
            return Err("empty or null relabeling rule in remote write config".to_owned());
        }
        validate_headers(&self.headers, USE_AUTH)?;
        let message = &self.protobuf_message.0;
        if message != WRITE_V1 && message != WRITE_V2 {
            return Err(format!(
                "invalid protobuf_message value: unknown type for remote write protobuf message {message}, supported: {WRITE_V1}, {WRITE_V2}"
            ));
        }
        self.http_client.validate()?;
        self.queue_config.validate()?;
        self.validate_auth()
    }
}

impl Checked for RemoteReadConfig {
    fn begin(&mut self) {
        *self = RemoteReadConfig {
            remote_timeout: Duration::secs(60),
            chunked_read_limit: 50_000_000,
            http_client: HttpClientConfig::preset(),
            filter_external_labels: true,
            ..RemoteReadConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.url.is_none() {
            return Err("url for remote_read is empty".to_owned());
        }
        validate_headers(&self.headers, USE_AUTH)?;
        self.http_client.validate()
    }
}
