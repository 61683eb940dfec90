//! Configuration: the file, its sections as typed structs, its defaults and its checks.
//!
//! What must hold: a file Prometheus accepts is accepted with the same meaning, a file it refuses
//! is refused in the same words, and the text of the loaded configuration is the same.

pub mod any;
pub mod global;
pub mod http_client;
pub mod labels;
pub mod names;
pub mod paths;
pub mod scrape;
pub mod sd;
pub mod storage;
pub mod tls;
pub mod url;
pub mod values;
pub mod yaml;

pub use global::{GlobalConfig, RuntimeConfig};
pub use http_client::HttpClientConfig;
pub use names::ValidationScheme;
pub use scrape::{ScrapeConfig, ScrapeProtocol};
pub use sd::{DiscoveryConfig, DiscoveryConfigs};
pub use storage::StorageConfig;
pub use tls::TlsConfig;
pub use url::Url;
pub use values::{Bytes, Duration, Secret};

use yaml::{Checked, Items, section};

section! {
    /// A whole configuration file.
    pub struct Config("config.Config", "config.plain") {
        global: GlobalConfig = keep "global";
        runtime: RuntimeConfig = omit "runtime";
        rule_files: Vec<String> = file "rule_files";
        scrape_config_files: Vec<String> = file "scrape_config_files";
        scrape_configs: Items<ScrapeConfig> = omit "scrape_configs";
        storage: StorageConfig = omit "storage";
    }
}

impl Checked for Config {}
