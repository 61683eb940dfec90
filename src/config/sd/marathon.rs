//! MarathonSdConfig: targets from a Marathon cluster.

use crate::config::http_client::HttpClientConfig;
use crate::config::values::{Duration, Secret};
use crate::config::yaml::{Checked, section};

section! {
    /// One item of `marathon_sd_configs`.
    pub struct MarathonSdConfig("marathon.SDConfig", "marathon.plain") {
        servers: Vec<String> = omit "servers";
        refresh_interval: Duration = omit "refresh_interval";
        auth_token: Secret = omit "auth_token";
        auth_token_file: String = file "auth_token_file";
        http_client: HttpClientConfig = inline;
    }
}

impl Checked for MarathonSdConfig {
    fn begin(&mut self) {
        *self = MarathonSdConfig {
            refresh_interval: Duration::secs(30),
            http_client: HttpClientConfig::preset(),
            ..MarathonSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.servers.is_empty() {
            return Err("marathon_sd: must contain at least one Marathon server".to_owned());
        }
        let (token, file) = (!self.auth_token.is_empty(), !self.auth_token_file.is_empty());
        let http = &self.http_client;
        let problem = if token && file {
            "auth_token & auth_token_file"
        } else if !token && !file {
            return self.http_client.validate();
        } else if http.basic_auth.is_some() {
            "basic_auth, auth_token & auth_token_file"
        } else if !http.bearer_token.is_empty() || !http.bearer_token_file.is_empty() {
            "bearer_token, bearer_token_file, auth_token & auth_token_file"
        } else if http.authorization.is_some() {
            "auth_token, auth_token_file & authorization"
        } else {
            return self.http_client.validate();
        };
        Err(format!("marathon_sd: at most one of {problem} must be configured"))
    }
}
