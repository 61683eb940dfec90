//! The tool from its command line on: what it prints and how it exits.

use super::*;

fn check(line: &[&str], code: u8, stdout: &str, stderr: &str) {
    let args: Vec<String> = line.iter().map(|a| (*a).to_owned()).collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let found = dispatch("epitool", &args, &mut out, &mut err).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), stdout, "{line:?}");
    assert_eq!(String::from_utf8(err).unwrap(), stderr, "{line:?}");
    assert_eq!(found, code, "{line:?}");
}

#[test]
fn commands_and_errors() {
    check(&["--experimental", "promql", "format", "sum by(a)(x)"], 0, "sum by (a) (x)\n", "");
    check(
        &["promql", "format", "x"],
        1,
        "",
        "This command is experimental and requires the --experimental flag to be set.\n",
    );
    check(
        &["--experimental", "promql", "format", "x("],
        1,
        "",
        "1:3: parse error: unclosed left parenthesis\n",
    );
    check(&["foo"], 1, "", "epitool: error: expected command but got \"foo\", try --help\n");
    check(
        &["check", "config"],
        1,
        "",
        "epitool: error: required argument 'config-files' not provided, try --help\n",
    );
    check(
        &["check", "config", "/nowhere.yml"],
        1,
        "",
        "epitool: error: path '/nowhere.yml' does not exist, try --help\n",
    );
}

#[test]
fn checks_configurations() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    let good = path("good.yml", "global: {scrape_interval: 15s}\n");
    check(
        &["check", "config", &good],
        0,
        &format!("Checking {good}\n SUCCESS: {good} is valid prometheus config file syntax\n\n"),
        "",
    );
    let bad = path("bad.yml", "global: {x: 1}\n");
    check(
        &["check", "config", &bad],
        1,
        &format!("Checking {bad}\n\n"),
        &format!(
            "  FAILED: parsing YAML file {bad}: yaml: unmarshal errors:\n  line 1: field x not \
             found in type config.plain\n"
        ),
    );
    let rules = path("rules.yml", "rule_files: [r.yml]\n");
    let missing = dir.path().join("r.yml");
    check(
        &["check", "config", &rules],
        1,
        &format!("Checking {rules}\n\n"),
        &format!("  FAILED: \"{}\" does not point to an existing file\n", missing.display()),
    );
    check(
        &["check", "config", "--syntax-only", &rules],
        0,
        &format!("Checking {rules}\n SUCCESS: {rules} is valid prometheus config file syntax\n\n"),
        &format!(
            "  WARNING: not yet in this server: rule_files is not supported by this version of \
             epimetheus: {rules} line 1\n"
        ),
    );
}

#[test]
fn runs_scripts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.test");
    std::fs::write(&path, "load 1m\n  a 1 2 3\n\neval instant at 2m a\n  a 3\n").unwrap();
    let path = path.to_string_lossy().into_owned();
    check(&["promql", "test", &path], 0, &format!("{path}: 1 of 1 passed\n"), "");
}
