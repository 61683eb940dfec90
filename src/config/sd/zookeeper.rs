//! NerveSdConfig, ServersetSdConfig: targets from trees in Zookeeper.

use crate::config::values::Duration;
use crate::config::yaml::{Checked, section};

section! {
    /// One item of `nerve_sd_configs`.
    pub struct NerveSdConfig("zookeeper.NerveSDConfig", "zookeeper.plain") {
        servers: Vec<String> = keep "servers";
        paths: Vec<String> = keep "paths";
        timeout: Duration = omit "timeout";
    }
}

impl Checked for NerveSdConfig {
    fn begin(&mut self) {
        *self = NerveSdConfig { timeout: Duration::secs(10), ..NerveSdConfig::default() };
    }

    fn finish(&mut self) -> Result<(), String> {
        check("nerve", &self.servers, &self.paths)
    }
}

section! {
    /// One item of `serverset_sd_configs`.
    pub struct ServersetSdConfig("zookeeper.ServersetSDConfig", "zookeeper.plain") {
        servers: Vec<String> = keep "servers";
        paths: Vec<String> = keep "paths";
        timeout: Duration = omit "timeout";
    }
}

impl Checked for ServersetSdConfig {
    fn begin(&mut self) {
        *self = ServersetSdConfig { timeout: Duration::secs(10), ..ServersetSdConfig::default() };
    }

    fn finish(&mut self) -> Result<(), String> {
        check("serverset", &self.servers, &self.paths)
    }
}

fn check(kind: &str, servers: &[String], paths: &[String]) -> Result<(), String> {
    if servers.is_empty() {
        return Err(format!("{kind} SD config must contain at least one Zookeeper server"));
    }
    if paths.is_empty() {
        return Err(format!("{kind} SD config must contain at least one path"));
    }
    match paths.iter().find(|path| !path.starts_with('/')) {
        Some(path) => Err(format!("{kind} SD config paths must begin with '/': {path}")),
        None => Ok(()),
    }
}
