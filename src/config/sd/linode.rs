//! LinodeSdConfig: targets from Linode instances.

use crate::config::http_client::HttpClientConfig;
use crate::config::values::Duration;
use crate::config::yaml::{Checked, section};

section! {
    /// One item of `linode_sd_configs`.
    pub struct LinodeSdConfig("linode.SDConfig", "linode.plain") {
        http_client: HttpClientConfig = inline;
        refresh_interval: Duration = keep "refresh_interval";
        port: isize = keep "port";
        tag_separator: String = omit "tag_separator";
        region: String = omit "region";
    }
}

impl Checked for LinodeSdConfig {
    fn begin(&mut self) {
        *self = LinodeSdConfig {
            tag_separator: ",".to_owned(),
            port: 80,
            refresh_interval: Duration::secs(60),
            http_client: HttpClientConfig::preset(),
            ..LinodeSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        self.http_client.validate()
    }
}
