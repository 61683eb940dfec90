//! DockerSdConfig, DockerSwarmSdConfig: targets from Docker containers and Swarm clusters.

use crate::config::http_client::HttpClientConfig;
use crate::config::url::Url;
use crate::config::values::Duration;
use crate::config::yaml::{Checked, section, unchecked};

section! {
    /// A filter of the Docker API.
    pub struct Filter("moby.Filter", "moby.Filter") {
        name: String = keep "name";
        values: Vec<String> = keep "values";
    }
}

unchecked!(Filter);

section! {
    /// One item of `docker_sd_configs`.
    pub struct DockerSdConfig("moby.DockerSDConfig", "moby.plain") {
        http_client: HttpClientConfig = inline;
        host: String = keep "host";
        port: isize = keep "port";
        filters: Vec<Filter> = keep "filters";
        host_networking_host: String = keep "host_networking_host";
        refresh_interval: Duration = keep "refresh_interval";
        match_first_network: bool = keep "match_first_network";
    }
}

impl Checked for DockerSdConfig {
    fn begin(&mut self) {
        *self = DockerSdConfig {
            refresh_interval: Duration::secs(60),
            port: 80,
            host_networking_host: "localhost".to_owned(),
            http_client: HttpClientConfig::preset(),
            match_first_network: true,
            ..DockerSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.host.is_empty() {
            return Err("host missing".to_owned());
        }
        Url::parse(&self.host)?;
        self.http_client.validate()
    }
}

section! {
    /// One item of `dockerswarm_sd_configs`.
    pub struct DockerSwarmSdConfig("moby.DockerSwarmSDConfig", "moby.plain") {
        http_client: HttpClientConfig = inline;
        host: String = keep "host";
        role: String = keep "role";
        port: isize = keep "port";
        filters: Vec<Filter> = keep "filters";
        refresh_interval: Duration = keep "refresh_interval";
    }
}

impl Checked for DockerSwarmSdConfig {
    fn begin(&mut self) {
        *self = DockerSwarmSdConfig {
            refresh_interval: Duration::secs(60),
            port: 80,
            http_client: HttpClientConfig::preset(),
            ..DockerSwarmSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.host.is_empty() {
            return Err("host missing".to_owned());
        }
        Url::parse(&self.host)?;
        match self.role.as_str() {
            "services" | "nodes" | "tasks" => self.http_client.validate(),
            "" => Err("role missing (one of: tasks, services, nodes)".to_owned()),
            role => Err(format!("invalid role {role}, expected tasks, services, or nodes")),
        }
    }
}
