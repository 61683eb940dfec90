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
    check(
        &["promql", "test", &path],
        0,
        &format!("{path}: 1 of 1 passed\n1 passed, 0 failed\n"),
        "",
    );
}

#[test]
fn explains_queries() {
    let instant = "\
instant query at 2026-01-01T00:00:00Z
selections:
  #1 x from 2025-12-31T23:55:00.001Z to 2026-01-01T00:00:00Z
plan:
  / [pair by pair]
    shared part 1 [evaluated once for 2]
      rate
        range selector #1[5m]
    +
      shared part 1 [as above]
      1
";
    check(
        &["promql", "explain", "--start=2026-01-01T00:00:00Z", "rate(x[5m]) / (rate(x[5m]) + 1)"],
        0,
        instant,
        "",
    );
    let join = "a{job=\"x\"} * on (job, instance) group_left (version) info or z @ 1767225600 > 1";
    let range = ["--start=1767225600", "--end=1767229200", "--step=1m"];
    let line = [&["promql", "explain"], &range[..], &["--lookback-delta=1m"]].concat();
    let pushed = "a * on (job, instance) group_left count by (job) (b{job=\"x\"})";
    check(
        &[&line[..], &[pushed]].concat(),
        0,
        "\
range query from 2026-01-01T00:00:00Z to 2026-01-01T01:00:00Z every 1m: 61 steps
selections:
  #1 b{job=\"x\"} from 2025-12-31T23:59:00.001Z to 2026-01-01T01:00:00Z
  #2 a from 2025-12-31T23:59:00.001Z to 2026-01-01T01:00:00Z, pushed across: job=\"x\"
plan:
  * on (job, instance) group_left [the side of ones is kept]
    selector #2
    count by (job) [folded as series come; groups, series or steps side by side]
      selector #1
",
        "",
    );
    let ratio = "sum by (job) (rate(x{code=\"500\"}[5m])) / sum by (job) (rate(x[5m]))";
    check(
        &[&line[..], &[ratio]].concat(),
        0,
        "\
range query from 2026-01-01T00:00:00Z to 2026-01-01T01:00:00Z every 1m: 61 steps
selections:
  #1 x{code=\"500\"} from 2025-12-31T23:55:00.001Z to 2026-01-01T01:00:00Z
  #2 x from 2025-12-31T23:55:00.001Z to 2026-01-01T01:00:00Z
plan:
  / [pair by pair]
    sum by (job) [folded as series come; groups, series or steps side by side] [pass 1 over #2: one for 2]
      rate
        range selector #1[5m]
    sum by (job) [folded as series come; groups, series or steps side by side] [pass 1 over #2: one for 2]
      rate
        range selector #2[5m]
",
        "",
    );
    check(
        &[&line[..], &[join]].concat(),
        0,
        "\
range query from 2026-01-01T00:00:00Z to 2026-01-01T01:00:00Z every 1m: 61 steps
selections:
  #1 a{job=\"x\"} from 2025-12-31T23:59:00.001Z to 2026-01-01T01:00:00Z
  #2 info from 2025-12-31T23:59:00.001Z to 2026-01-01T01:00:00Z
  #3 z from 2025-12-31T23:59:00.001Z to 2026-01-01T00:00:00Z
plan:
  or [which steps have a sample of the other side is kept]
    * on (job, instance) group_left (version) [the side of ones is kept]
      selector #1
      selector #2
    the same at every step [evaluated once]
      >
        selector #3 @ 2026-01-01T00:00:00Z
        1
",
        "",
    );
    check(&["promql", "explain", "--end=5", "x"], 1, "", "a range query needs --start\n");
    check(&["promql", "explain", "x("], 1, "", "1:3: parse error: unclosed left parenthesis\n");
}
