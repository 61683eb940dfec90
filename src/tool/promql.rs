//! `promql …`: queries without data, and the scripts of the engine.

use model::number::go_quote;
use promql::parser::{self, ParserOptions};
use promql::script::{Script, test_engine};
use promql::{Engine, EngineOptions, EvalTime, Features, QueryOptions};

use super::line::Values;
use super::{Call, Failure};
use crate::{gotext, gotime};

const FEATURES: [&str; 5] = [
    "promql-experimental-functions",
    "promql-extended-range-selectors",
    "promql-binop-fill-modifiers",
    // On for good, or without a meaning in a tool that evaluates nothing but scripts.
    "promql-duration-expr",
    "promql-delayed-name-removal",
];

/// Whether `--enable-feature` may name it.
pub fn knows_feature(feature: &str) -> bool {
    feature.is_empty() || FEATURES.contains(&feature)
}

fn enabled(values: &Values, name: &str) -> bool {
    values.flags("enable-feature").iter().any(|f| f.split(',').any(|f| f == name))
}

/// What queries may use.
fn features(values: &Values) -> Features {
    Features {
        experimental_functions: enabled(values, FEATURES[0]),
        extended_range_selectors: enabled(values, FEATURES[1]),
        binop_fill_modifiers: enabled(values, FEATURES[2]),
        ..Features::default()
    }
}

/// `promql format`
pub fn format(call: &mut Call<'_>) -> std::io::Result<u8> {
    match parser::parse(call.values.arg("query"), &ParserOptions::from(features(&call.values))) {
        Ok(expr) => {
            writeln!(call.out, "{}", parser::prettify(&expr))?;
            Ok(0)
        }
        Err(e) => {
            writeln!(call.err, "{e}")?;
            Ok(1)
        }
    }
}

/// `promql test`
pub fn test(call: &mut Call<'_>) -> std::io::Result<u8> {
    let engine = test_engine();
    let (mut code, mut passed, mut failed) = (0, 0, 0);
    for file in call.values.args("test-files") {
        let script = std::fs::read_to_string(file)
            .map_err(|e| format!("open {file}: {}", crate::gotext::os_error(&e)))
            .and_then(|text| Script::parse(&text).map_err(|e| format!("{file}: {e}")));
        let report = match script {
            Ok(script) => script.run(&engine),
            Err(e) => {
                writeln!(call.err, "{e}")?;
                code = 1;
                continue;
            }
        };
        for failure in &report.failures {
            writeln!(call.err, "{file}:{}: {}", failure.line, failure.message)?;
            code = 1;
        }
        writeln!(call.out, "{file}: {} of {} passed", report.passed, report.total())?;
        passed += report.passed;
        failed += report.total() - report.passed;
    }
    writeln!(call.out, "{passed} passed, {failed} failed")?;
    Ok(code)
}

/// `promql explain`
pub fn explain(call: &mut Call<'_>) -> std::io::Result<u8> {
    let text = asked(&call.values).and_then(|(at, options)| {
        let features = features(&call.values);
        let engine = Engine::new(EngineOptions { features, ..EngineOptions::default() });
        engine.explain(call.values.arg("query"), at, options).map_err(|e| e.to_string())
    });
    let done = match text {
        Ok(text) => write!(call.out, "{text}").map_err(Failure::from),
        Err(e) => Err(Failure::Said(e)),
    };
    call.finish(done)
}

/// When the query would be evaluated, and how.
fn asked(values: &Values) -> Result<(EvalTime, QueryOptions), String> {
    let (start, end, step) = (values.flag("start"), values.flag("end"), values.flag("step"));
    let start_ms = match start {
        "" if end.is_empty() => gotime::now_ms(),
        "" => return Err("a range query needs --start".to_owned()),
        text => time(text)?,
    };
    let (end_ms, step_ms) = match (end, step) {
        ("", "") => (start_ms, 0),
        ("", _) => return Err("a range query needs --end".to_owned()),
        (_, "") => return Err("a range query needs --step".to_owned()),
        (end, step) => (time(end)?, millis(step)?),
    };
    if end_ms < start_ms {
        return Err("end time is before start time".to_owned());
    }
    if step_ms <= 0 && !step.is_empty() {
        return Err("the step of a range query must be at least a millisecond".to_owned());
    }
    let lookback_ms = Some(millis(values.flag("lookback-delta"))?);
    let uncounted = !values.is_on("statistics");
    let options = QueryOptions { lookback_ms, per_step_stats: false, uncounted };
    Ok((EvalTime { start_ms, end_ms, step_ms }, options))
}

/// A Unix timestamp in seconds or RFC 3339, as milliseconds.
fn time(text: &str) -> Result<i64, String> {
    let seconds = gotext::parse_float(text).ok().filter(|s| s.abs() < 1e15);
    seconds
        .map(|s| (s * 1000.0).round() as i64)
        .or_else(|| gotime::parse_rfc3339(text))
        .ok_or_else(|| format!("cannot parse {} to a valid timestamp", go_quote(text)))
}

fn millis(text: &str) -> Result<i64, String> {
    Ok(gotext::parse_go_duration(text)? / 1_000_000)
}
