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
        self.check_formats()?;
        self.http_client.validate()
    }
}

impl ScalewaySdConfig {
    /// Checks the forms of key and project, as the original's library does.
    fn check_formats(&self) -> Result<(), String> {
        let uuid = "a UUID: xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
        let key = &self.access_key;
        let valid_key = key.strip_prefix("SCW").is_some_and(|rest| {
            rest.len() == 17 && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        });
        let secret = self.secret_key.expose();
        let (what, value, form) = if !valid_key {
            ("access key", key.as_str(), "SCWXXXXXXXXXXXXXXXXX format")
        } else if !secret.is_empty() && !is_uuid(secret) {
            ("secret key", secret, uuid)
        } else if !is_uuid(&self.project_id) {
            ("project ID", self.project_id.as_str(), uuid)
        } else {
            return Ok(());
        };
        Err(format!("scaleway-sdk-go: invalid {what} format '{value}', expected {form}"))
    }
}

/// Five groups of hexadecimal digits with dashes.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}
