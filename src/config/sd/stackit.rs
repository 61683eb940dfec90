//! StackitSdConfig: targets from STACKIT servers.

use model::number::go_quote;

use crate::config::http_client::HttpClientConfig;
use crate::config::url::Url;
use crate::config::values::{Duration, Secret};
use crate::config::yaml::{Checked, section};

section! {
    /// One item of `stackit_sd_configs`.
    pub struct StackitSdConfig("stackit.SDConfig", "stackit.plain") {
        http_client: HttpClientConfig = inline;
        project: String = keep "project";
        refresh_interval: Duration = omit "refresh_interval";
        port: isize = omit "port";
        region: String = omit "region";
        endpoint: String = omit "endpoint";
        service_account_key: Secret = omit "service_account_key";
        private_key: Secret = omit "private_key";
        service_account_key_path: String = omit "service_account_key_path";
        private_key_path: String = omit "private_key_path";
        credentials_file_path: String = omit "credentials_file_path";
    }
}

impl Checked for StackitSdConfig {
    fn begin(&mut self) {
        *self = StackitSdConfig {
            region: "eu01".to_owned(),
            port: 80,
            refresh_interval: Duration::secs(60),
            http_client: HttpClientConfig::preset(),
            ..StackitSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.endpoint.is_empty() && self.region.is_empty() {
            return Err("stackit_sd: endpoint and region missing".to_owned());
        }
        Url::parse(&self.endpoint).map_err(|e| {
            format!("stackit_sd: invalid endpoint {}: {e}", go_quote(&self.endpoint))
        })?;
        self.http_client.validate()
    }
}
