//! `promql …`: queries without data, and the scripts of the engine.

use promql::parser::{self, ParserOptions};
use promql::script::{Script, test_engine};

use super::Call;

/// `promql format`
pub fn format(call: &mut Call<'_>) -> std::io::Result<u8> {
    match parser::parse(call.args[0], &ParserOptions::ALL) {
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
    for file in &call.args {
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
