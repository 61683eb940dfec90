//! Tool: what can be done without a running server. Commands and texts are promtool's; those it
//! does not have say so in their row.

mod check;
mod help;
mod line;
mod promql;
mod spec;
#[cfg(test)]
mod tests;
mod tsdb;

use std::io::Write;
use std::process::ExitCode;

use self::line::{Parsed, Values};
use self::spec::{Command, Kind, command, flag, group, required};
use crate::cli;

/// What a command gets.
struct Call<'a> {
    values: Values,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

impl Call<'_> {
    /// Exit code 0, or 1 behind a line that says why.
    fn finish(&mut self, done: Result<(), Failure>) -> std::io::Result<u8> {
        match done {
            Ok(()) => Ok(0),
            Err(Failure::Said(text)) => {
                writeln!(self.err, "{text}")?;
                Ok(1)
            }
            Err(Failure::Output(error)) => Err(error),
        }
    }
}

/// Why a command stopped.
enum Failure {
    /// For the user.
    Said(String),
    /// Nobody takes the output any more.
    Output(std::io::Error),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Output(error)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Failure {
        Failure::Said(text)
    }
}

/// All commands, in the order of the help.
const COMMANDS: &[Command] = &[
    group("check", "Check files before a server reads them."),
    command("check config", "Check if the config files are valid or not.", check::config)
        .flags(&[
            flag(
                "syntax-only",
                Kind::Bool,
                "Look at the syntax only, not at what the config refers to.",
            ),
            flag("agent", Kind::Bool, "Check as a server in agent mode would."),
        ])
        .args(&[required("config-files", Kind::Files, "The config files to check.")]),
    group("promql", "Work on queries without data."),
    command("promql format", "Print a PromQL query in its pretty form.", promql::format)
        .args(&[required("query", Kind::Text, "PromQL query.")])
        .experimental(),
    command(
        "promql explain",
        "Print how a query would be evaluated (not in promtool).",
        promql::explain,
    )
    .flags(&[
        flag("start", Kind::Text, "Start time (RFC3339 or Unix timestamp); alone, the time of an instant query. Default: now."),
        flag("end", Kind::Text, "End time (RFC3339 or Unix timestamp) of a range query."),
        flag("step", Kind::Duration, "Distance of the steps of a range query."),
        flag("lookback-delta", Kind::Duration, "How far a selector looks back for a sample.")
            .default("5m"),
        flag(
            "statistics",
            Kind::Bool,
            "Explain the query as evaluated where its statistics are asked for.",
        ),
    ])
    .args(&[required("query", Kind::Text, "PromQL query.")]),
    command(
        "promql test",
        "Run scripts of the .test language against the engine (not in promtool).",
        promql::test,
    )
    .args(&[required("test-files", Kind::Files, "The scripts.")]),
    tsdb::GROUP,
    tsdb::BENCH,
    tsdb::BENCH_WRITE,
    tsdb::ANALYZE,
    tsdb::LIST,
    tsdb::DUMP,
    tsdb::DUMP_OPENMETRICS,
    tsdb::CREATE_BLOCKS,
    tsdb::CREATE_BLOCKS_OPENMETRICS,
    tsdb::CREATE_BLOCKS_RULES,
    tsdb::VERIFY,
    tsdb::REPAIR,
    tsdb::DIFF,
];

/// Runs the tool; `args` starts with the name of the program.
pub fn main(args: &[String]) -> ExitCode {
    let program = args
        .first()
        .and_then(|path| path.rsplit('/').next())
        .filter(|name| !name.is_empty())
        .unwrap_or("epitool");
    // Dumps are long: lines are gathered, and what is left is written at the end.
    let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let mut err = std::io::stderr().lock();
    let code = dispatch(program, args.get(1..).unwrap_or_default(), &mut out, &mut err);
    let flushed = out.flush();
    // A reader that has gone wants no more, and no error either.
    ExitCode::from(code.and_then(|code| flushed.map(|()| code)).unwrap_or(1))
}

fn dispatch(
    program: &str,
    args: &[String],
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> std::io::Result<u8> {
    let (command, values) = match line::parse(COMMANDS, args) {
        Ok(Parsed::Run(command, values)) => (command, values),
        Ok(Parsed::Help(selected)) => {
            write!(out, "{}", help::help(program, COMMANDS, selected))?;
            return Ok(0);
        }
        Ok(Parsed::Version) => {
            write!(out, "{}", cli::help::version(program))?;
            return Ok(0);
        }
        Err(error) => {
            writeln!(err, "{program}: error: {error}, try --help")?;
            return Ok(1);
        }
    };
    if command.experimental && !values.is_on("experimental") {
        writeln!(
            err,
            "This command is experimental and requires the --experimental flag to be set."
        )?;
        return Ok(1);
    }
    for feature in values.flags("enable-feature").iter().flat_map(|f| f.split(',')) {
        if !promql::knows_feature(feature) {
            write!(out, "  WARNING: Unknown feature passed to --enable-feature: {feature}")?;
        }
    }
    match command.run {
        Some(run) => run(&mut Call { values, out, err }),
        None => Ok(1),
    }
}
