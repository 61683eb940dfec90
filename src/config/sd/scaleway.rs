//! ScalewaySdConfig: targets from Scaleway servers.

use crate::config::http_client::HttpClientConfig;
use crate::config::values::{Duration, Secret};
use crate::config::yaml::{Checked, section};

use super::choice;

choice! {
    /// What is looked for.
    pub struct Role("scaleway.role"), ["instance", "baremetal"], "unknown role";
}

section! {
    /// One item of `scaleway_sd_configs`.
    pub struct ScalewaySdConfig("scaleway.SDConfig", "scaleway.plain") {
        project_id: String = keep "project_id";
        api_url: String = omit "api_url";
        zone: String = keep "zone";
        access_key: String = keep "access_key";
        secret_key: Secret = keep "secret_key";
        secret_key_file: String = keep_file "secret_key_file";
        name_filter: String = omit "name_filter";
        tags_filter: Vec<String> = omit "tags_filter";
        http_client: HttpClientConfig = inline;
        refresh_interval: Duration = keep "refresh_interval";
        port: isize = keep "port";
        role: Role = keep "role";
    }
}

impl Checked for ScalewaySdConfig {
    fn begin(&mut self) {
        *self = ScalewaySdConfig {
            port: 80,
            refresh_interval: Duration::secs(60),
            http_client: HttpClientConfig::preset(),
            zone: "fr-par-1".to_owned(),
            api_url: "https://api.scaleway.com".to_owned(),
            ..ScalewaySdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.role.0.is_empty() {
            return Err("role missing (one of: instance, baremetal)".to_owned());
        }
        if self.project_id.is_empty() {
            return Err("project_id is mandatory".to_owned());
        }
        if self.secret_key.is_empty() && self.secret_key_file.is_empty() {
            return Err("one of secret_key & secret_key_file must be configured".to_owned());
        }
        if !self.secret_key.is_empty() && !self.secret_key_file.is_empty() {
            return Err("at most one of secret_key & secret_key_file must be configured".to_owned());
        }
        if self.access_key.is_empty() {
            return Err("access_key is mandatory".to_owned());
        }
        self.http_client.validate()
    }
}
