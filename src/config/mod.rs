//! Configuration: the file, its sections as typed structs, its defaults and its checks.
//!
//! What must hold: a file Prometheus accepts is accepted with the same meaning, a file it refuses
//! is refused in the same words, and the text of the loaded configuration is the same.

pub mod alerting;
pub mod any;
pub mod azuread;
pub mod expand;
pub mod glob;
pub mod global;
pub mod http_client;
pub mod labels;
pub mod load;
pub mod names;
pub mod otlp;
pub mod paths;
pub mod remote;
pub mod root;
pub mod scrape;
pub mod sd;
pub mod sigv4;
pub mod storage;
pub mod tls;
pub mod tracing;
pub mod unsupported;
pub mod url;
pub mod values;
pub mod yaml;

pub use global::{GlobalConfig, RuntimeConfig};
pub use http_client::HttpClientConfig;
pub use load::{LoadError, LoadOptions};
pub use names::ValidationScheme;
pub use root::{Config, Defaults};
pub use scrape::{ScrapeConfig, ScrapeProtocol};
pub use sd::{DiscoveryConfig, DiscoveryConfigs};
pub use storage::StorageConfig;
pub use tls::TlsConfig;
pub use url::Url;
pub use values::{Bytes, Duration, Secret};

#[cfg(test)]
mod tests;
