//! ConfigSource: the file the configuration comes from, or the built-in one for a server that was
//! started without any.

use std::path::Path;

use crate::cli::Options;
use crate::cli::url::split_host_port;
use crate::config::{Config, Defaults, LoadOptions, ScrapeConfig};

/// Where the configuration comes from.
#[derive(Clone, Debug)]
pub enum ConfigSource {
    /// A file, by its path as given.
    File(String),
    /// Text of ours.
    BuiltIn(String),
}

/// A loaded configuration with the jobs of all its files.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    pub jobs: Vec<ScrapeConfig>,
}

const LOAD: LoadOptions = LoadOptions { agent: false, accept_unsupported: false };

impl ConfigSource {
    /// The file of the flags, unless none was given and there is none.
    pub fn of(options: &Options) -> ConfigSource {
        if options.config_file_given || options.config_file.exists() {
            return ConfigSource::File(options.config_file.to_string_lossy().into_owned());
        }
        ConfigSource::BuiltIn(built_in(options))
    }

    /// The text of the built-in configuration, when that is what is used.
    pub fn built_in(&self) -> Option<&str> {
        match self {
            ConfigSource::File(_) => None,
            ConfigSource::BuiltIn(text) => Some(text),
        }
    }

    /// The path, when there is a file.
    pub fn path(&self) -> Option<&str> {
        match self {
            ConfigSource::File(path) => Some(path),
            ConfigSource::BuiltIn(_) => None,
        }
    }

    /// The flag as given, and the absolute path of the file.
    pub fn describe(&self) -> (String, String) {
        let path = self.path().unwrap_or_default();
        let absolute = match std::env::current_dir() {
            Ok(dir) => dir.join(path),
            Err(_) => Path::new(path).to_owned(),
        };
        let absolute = absolute.to_string_lossy();
        (format!("--config.file={path}"), absolute.trim_end_matches('/').to_owned())
    }

    /// Reads and checks the configuration and the files it names.
    pub fn load(&self, defaults: &Defaults) -> Result<Loaded, String> {
        let config = match self {
            ConfigSource::File(path) => {
                Config::load(path, LOAD, defaults).map_err(|e| e.to_string())?
            }
            ConfigSource::BuiltIn(text) => {
                Config::from_text(text, defaults).map_err(|e| e.to_string())?
            }
        };
        let jobs = config.all_scrape_configs(LOAD).map_err(|e| e.to_string())?;
        Ok(Loaded { config, jobs })
    }

    /// A number that changes when the files of the configuration do; `None` when one of them
    /// cannot be read.
    pub fn checksum(&self, config: &Config) -> Option<u64> {
        let mut text = match self {
            ConfigSource::File(path) => std::fs::read(path).ok()?,
            ConfigSource::BuiltIn(_) => return Some(0),
        };
        for pattern in &config.scrape_config_files {
            for path in crate::config::glob::glob(pattern).ok()? {
                text.extend_from_slice(path.as_bytes());
                text.extend(std::fs::read(path).ok()?);
            }
        }
        Some(xxhash_rust::xxh3::xxh3_64(&text))
    }
}

/// A configuration that scrapes the server itself where it listens.
fn built_in(options: &Options) -> String {
    let listen = options.web.listen_addresses.first().map_or("", String::as_str);
    let (host, port) = split_host_port(listen).unwrap_or(("", ""));
    let host = match host {
        "" | "0.0.0.0" | "::" => "localhost",
        host => host,
    };
    let target =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    format!(
        "global:\n  scrape_interval: 15s\nscrape_configs:\n  - job_name: prometheus\n    \
         metrics_path: {}/metrics\n    static_configs:\n      - targets: ['{target}']\n",
        options.web.route_prefix
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Parsed, parse};

    #[test]
    fn the_built_in_configuration_loads() {
        let args = ["--web.listen-address=0.0.0.0:1234", "--web.external-url=http://x/p"];
        let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        let Ok(Parsed::Run(values)) = parse(&args) else { panic!("refused") };
        let text = built_in(&Options::new(&values, "vm").unwrap());
        assert!(text.contains("metrics_path: /p/metrics") && text.contains("'localhost:1234'"));
        let loaded = ConfigSource::BuiltIn(text).load(&Defaults::default()).unwrap();
        assert_eq!(loaded.jobs.len(), 1);
        assert_eq!(loaded.jobs[0].job_name, "prometheus");
    }
}
