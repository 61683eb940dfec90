//! `promql …`: queries without data, and the scripts of the engine.

use promql::parser::{self, ParserOptions};
use promql::script::{Script, test_engine};

use super::Call;
use super::line::Values;

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

/// What queries may use.
pub fn options(values: &Values) -> ParserOptions {
    let on = |name| values.flags("enable-feature").iter().any(|f| f.split(',').any(|f| f == name));
    ParserOptions {
        experimental_functions: on(FEATURES[0]),
        extended_range_selectors: on(FEATURES[1]),
        binop_fill_modifiers: on(FEATURES[2]),
    }
}

/// `promql format`
pub fn format(call: &mut Call<'_>) -> std::io::Result<u8> {
    match parser::parse(call.values.arg("query"), &options(&call.values)) {
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
    let mut code = 0;
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
    }
    Ok(code)
}
