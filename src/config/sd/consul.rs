//! ConsulSdConfig: targets from a Consul catalog.

use crate::config::http_client::{BasicAuth, HttpClientConfig};
use crate::config::values::{Duration, Secret};
use crate::config::yaml::{Checked, Map, section};

section! {
    /// One item of `consul_sd_configs`.
    pub struct ConsulSdConfig("consul.SDConfig", "consul.plain") {
        server: String = omit "server";
        path_prefix: String = omit "path_prefix";
        token: Secret = omit "token";
        datacenter: String = omit "datacenter";
        namespace: String = omit "namespace";
        partition: String = omit "partition";
        tag_separator: String = omit "tag_separator";
        scheme: String = omit "scheme";
        username: String = omit "username";
        password: Secret = omit "password";
        allow_stale: bool = keep "allow_stale";
        refresh_interval: Duration = omit "refresh_interval";
        services: Vec<String> = omit "services";
        service_tags: Vec<String> = omit "tags";
        node_meta: Map<String> = omit "node_meta";
        filter: String = omit "filter";
        health_filter: String = omit "health_filter";
        http_client: HttpClientConfig = inline;
    }
}

impl Checked for ConsulSdConfig {
    fn begin(&mut self) {
        *self = ConsulSdConfig {
            tag_separator: ",".to_owned(),
            scheme: "http".to_owned(),
            server: "localhost:8500".to_owned(),
            allow_stale: true,
            refresh_interval: Duration::secs(30),
            http_client: HttpClientConfig::preset(),
            ..ConsulSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.server.trim().is_empty() {
            return Err("consul SD configuration requires a server address".to_owned());
        }
        if !self.username.is_empty() || !self.password.is_empty() {
            if self.http_client.basic_auth.is_some() {
                return Err("at most one of consul SD configuration username and password and basic auth can be configured".to_owned());
            }
            self.http_client.basic_auth = Some(BasicAuth {
                username: self.username.clone(),
                password: self.password.clone(),
                ..BasicAuth::default()
            });
        }
        let http = &self.http_client;
        if !self.token.is_empty() && (http.authorization.is_some() || http.oauth2.is_some()) {
            return Err(
                "at most one of consul SD token, authorization, or oauth2 can be configured"
                    .to_owned(),
            );
        }
        self.http_client.validate()
    }
}
