//! Test scripts run against our engine: Prometheus's own and ours. Prints `passed/total` for every
//! file; `PROMQLTEST_SHOW=prefix` shows the failures of files whose name starts so.

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use promql::script::{Script, test_engine};

#[test]
fn scripts_of_prometheus_pass() -> Result<(), Box<dyn Error>> {
    match testdata::shared("conformance/promqltest") {
        Some(folder) => check(&folder),
        None => Ok(()),
    }
}

#[test]
fn own_scripts_pass() -> Result<(), Box<dyn Error>> {
    check(&testdata::own("promql"))
}

fn check(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut files: Vec<_> =
        fs::read_dir(folder)?.map(|f| Ok(f?.path())).collect::<Result<_, std::io::Error>>()?;
    files.retain(|f| f.extension().is_some_and(|e| e == "test"));
    files.sort();
    assert!(!files.is_empty());
    let engine = test_engine();
    let mut out = std::io::stderr().lock();
    let mut short = Vec::new();
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let script =
            Script::parse(&fs::read_to_string(&path)?).map_err(|e| format!("{name}: {e}"))?;
        let report = script.run(&engine);
        writeln!(out, "{name}: {}/{}", report.passed, report.total())?;
        let show = std::env::var("PROMQLTEST_SHOW").is_ok_and(|v| name.starts_with(&v));
        for failure in report.failures.iter().filter(|_| show) {
            writeln!(out, "  {name}:{}: {}", failure.line, failure.message)?;
        }
        if !report.failures.is_empty() {
            short.push(name);
        }
    }
    assert!(short.is_empty(), "these have evals that fail: {short:?}");
    Ok(())
}
