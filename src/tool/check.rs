//! `check config`: whether the server would take a configuration.

use model::number::go_quote;

use super::Call;
use crate::config::{Config, Defaults, LoadOptions};

/// `check config`
pub fn config(call: &mut Call<'_>) -> std::io::Result<u8> {
    let syntax_only = call.values.is_on("syntax-only");
    let agent = call.values.is_on("agent");
    let mut code = 0;
    for file in call.values.args("config-files") {
        writeln!(call.out, "Checking {file}")?;
        match check(file, agent, syntax_only) {
            Ok(()) => {
                writeln!(call.out, " SUCCESS: {file} is valid prometheus config file syntax")?;
                // What Prometheus takes and this server does not take yet.
                let strict = LoadOptions { agent, accept_unsupported: false };
                if let Err(e) = Config::load(file, strict, &Defaults::default()) {
                    writeln!(call.err, "  WARNING: not yet in this server: {e}")?;
                }
            }
            Err(e) => {
                writeln!(call.err, "  FAILED: {e}")?;
                code = 1;
            }
        }
        writeln!(call.out)?;
    }
    Ok(code)
}

fn check(file: &str, agent: bool, syntax_only: bool) -> Result<(), String> {
    let config = Config::check(file, agent).map_err(|e| e.to_string())?;
    if syntax_only {
        return Ok(());
    }
    for pattern in &config.rule_files {
        let found = crate::config::glob::glob(pattern).map_err(|e| e.to_string())?;
        if found.is_empty() && !pattern.contains(['*', '?', '[']) {
            return Err(format!("{} does not point to an existing file", go_quote(pattern)));
        }
    }
    let options = LoadOptions { agent, accept_unsupported: true };
    config.all_scrape_configs(options).map(drop).map_err(|e| e.to_string())
}
