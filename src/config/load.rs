//! Reading configuration files: from a path to a checked [`Config`], and to all its jobs.

use std::collections::HashMap;
use std::io;

use model::number::go_quote;

use super::glob::glob;
use super::paths::{clean, dir_of};
use super::root::{Config, Defaults};
use super::scrape::{ScrapeConfig, ScrapeConfigFile};
use super::unsupported;
use super::yaml::{self, Decoder, Field, Tree};

/// Why a configuration file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("open {path}: {}", io_text(.source))]
    Read { path: String, source: io::Error },
    /// The file is not valid.
    #[error("parsing YAML file {path}: {source}")]
    Parse { path: String, source: yaml::Error },
    /// The file is valid and asks for something that cannot be had.
    #[error("{0}")]
    Refused(String),
}

/// What is loaded for whom.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadOptions {
    /// For an agent, which evaluates no rules and answers no queries.
    pub agent: bool,
    /// Accept sections whose part of the server is not built.
    pub accept_unsupported: bool,
}

/// An error of the operating system in Go's words.
pub fn io_text(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        _ => {
            let text = e.to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            let mut chars = text.chars();
            let first = chars.next().map(|c| c.to_ascii_lowercase()).unwrap_or_default();
            format!("{first}{}", chars.as_str())
        }
    }
}

fn read(path: &str) -> Result<Vec<u8>, LoadError> {
    std::fs::read(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })
}

impl Config {
    /// Loads a configuration file for the server: relative paths are resolved, the jobs of
    /// `scrape_config_files` are not read yet ([`Config::all_scrape_configs`]).
    ///
    /// The error says everything but the prefix `couldn't load configuration
    /// (--config.file="…"): `, which is the caller's.
    pub fn load(
        path: &str,
        options: LoadOptions,
        defaults: &Defaults,
    ) -> Result<Config, LoadError> {
        let bytes = read(path)?;
        let parse = |source| LoadError::Parse { path: path.to_owned(), source };
        let tree = Tree::parse_bytes(&bytes).map_err(parse)?;
        let mut warn = |name: &str| ::tracing::warn!(name, "Empty environment variable");
        let env = |name: &str| std::env::var(name).ok();
        let mut config = Config::from_tree(&tree, defaults, &env, &mut warn).map_err(parse)?;
        if options.agent {
            config.check_agent()?;
        }
        if !options.accept_unsupported {
            unsupported::check(&config, &tree, path).map_err(LoadError::Refused)?;
        }
        config.set_directory(&dir_of(path));
        Ok(config)
    }

    /// Checks a configuration file as a server with every part built would, and gives it back.
    pub fn check(path: &str, agent: bool) -> Result<Config, LoadError> {
        let options = LoadOptions { agent, accept_unsupported: true };
        Config::load(path, options, &Defaults::default())
    }

    /// Reads a configuration text that has no file, such as the built-in one.
    pub fn from_text(text: &str, defaults: &Defaults) -> Result<Config, yaml::Error> {
        let env = |name: &str| std::env::var(name).ok();
        Config::from_tree(&Tree::parse(text)?, defaults, &env, &mut |_| {})
    }

    fn check_agent(&self) -> Result<(), LoadError> {
        let alerting = &self.alerting;
        let field =
            if !alerting.alertmanagers.is_empty() || !alerting.alert_relabel_configs.is_empty() {
                "alerting"
            } else if !self.rule_files.is_empty() {
                "rule_files"
            } else if !self.remote_read.is_empty() {
                "remote_read"
            } else {
                return Ok(());
            };
        Err(LoadError::Refused(format!("field {field} is not allowed in agent mode")))
    }

    /// The jobs of this file and of the files `scrape_config_files` names, read anew.
    pub fn all_scrape_configs(&self, options: LoadOptions) -> Result<Vec<ScrapeConfig>, LoadError> {
        let mut all: Vec<ScrapeConfig> = self.scrape_configs.to_vec();
        let mut seen: HashMap<String, String> = self
            .scrape_configs
            .iter()
            .map(|job| (job.job_name.clone(), "main config file".to_owned()))
            .collect();
        for pattern in &self.scrape_config_files {
            let files = glob(pattern).map_err(|e| {
                LoadError::Refused(format!(
                    "error retrieving scrape config files for {}: {e}",
                    go_quote(pattern)
                ))
            })?;
            for path in files {
                let absolute = go_quote(&absolute(&path));
                let jobs = self
                    .scrape_config_file(&path, options)
                    .map_err(|e| LoadError::Refused(format!("{absolute}: {e}")))?;
                for job in jobs {
                    if let Some(first) = seen.get(&job.job_name) {
                        let name = go_quote(&job.job_name);
                        return Err(LoadError::Refused(format!(
                            "{absolute}: found multiple scrape configs with job name {name}, first found in {first}"
                        )));
                    }
                    seen.insert(job.job_name.clone(), absolute.clone());
                    all.push(job);
                }
            }
        }
        Ok(all)
    }

    fn scrape_config_file(
        &self,
        path: &str,
        options: LoadOptions,
    ) -> Result<Vec<ScrapeConfig>, String> {
        let bytes = read(path).map_err(|e| e.to_string())?;
        let tree = Tree::parse_bytes(&bytes).map_err(|e| e.to_string())?;
        let mut file = ScrapeConfigFile::default();
        Decoder::decode_tree(&tree, &mut file).map_err(|e| e.to_string())?;
        if !options.accept_unsupported {
            unsupported::check_jobs(&file.scrape_configs, &tree, path)?;
        }
        let dir = dir_of(path);
        for job in file.scrape_configs.iter_mut() {
            job.validate(&self.global)?;
            job.set_directory(&dir);
        }
        if file.scrape_configs.has_null() {
            return Err("empty or null scrape config section".to_owned());
        }
        Ok(file.scrape_configs.to_vec())
    }
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') {
        return clean(path);
    }
    match std::env::current_dir() {
        Ok(dir) => clean(&format!("{}/{path}", dir.display())),
        Err(_) => path.to_owned(),
    }
}
