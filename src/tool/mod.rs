//! Tool: what can be done without a running server. Commands and texts are promtool's; those it
//! does not have say so in their row.

mod check;
mod promql;

use std::io::Write;
use std::process::ExitCode;

use crate::cli::help;

/// What a command gets: its arguments without the command's words.
struct Call<'a> {
    args: Vec<&'a str>,
    flags: Vec<&'a str>,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

/// One command.
struct Command {
    /// Its words.
    name: &'static str,
    /// How its arguments are shown; empty when it has none.
    usage: &'static str,
    /// Flags without a value that it knows.
    flags: &'static [&'static str],
    help: &'static str,
    /// Whether it wants `--experimental`.
    experimental: bool,
    /// Gives the exit code.
    run: fn(&mut Call<'_>) -> std::io::Result<u8>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "check config",
        usage: "<config-files>...",
        flags: &["syntax-only", "agent"],
        help: "Check if the config files are valid or not.",
        experimental: false,
        run: check::config,
    },
    Command {
        name: "promql format",
        usage: "<query>",
        flags: &[],
        help: "Print a PromQL query in its pretty form.",
        experimental: true,
        run: promql::format,
    },
    Command {
        name: "promql test",
        usage: "<test-files>...",
        flags: &[],
        help: "Run scripts of the .test language against the engine (not in promtool).",
        experimental: false,
        run: promql::test,
    },
];

/// Runs the tool; `args` starts with the name of the program.
pub fn main(args: &[String]) -> ExitCode {
    let program = args
        .first()
        .and_then(|path| path.rsplit('/').next())
        .filter(|name| !name.is_empty())
        .unwrap_or("epitool");
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    let code = dispatch(program, args.get(1..).unwrap_or_default(), &mut out, &mut err);
    // A reader that has gone wants no more, and no error either.
    ExitCode::from(code.unwrap_or(1))
}

fn dispatch(
    program: &str,
    args: &[String],
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> std::io::Result<u8> {
    let (flags, words): (Vec<&str>, Vec<&str>) =
        args.iter().map(String::as_str).partition(|a| a.len() > 1 && a.starts_with('-'));
    let flags: Vec<&str> = flags.into_iter().map(|f| f.trim_start_matches('-')).collect();
    if flags.contains(&"version") {
        write!(out, "{}", help::version(program))?;
        return Ok(0);
    }
    let found = COMMANDS
        .iter()
        .find(|c| c.name.split(' ').zip(&words).all(|(a, b)| a == *b) && words.len() >= 2);
    let Some(command) = found else {
        if words.is_empty()
            || flags.iter().any(|f| matches!(*f, "help" | "h"))
            || words[0] == "help"
        {
            write!(out, "{}", usage(program))?;
            return Ok(0);
        }
        let word = model::number::go_quote(words[0]);
        writeln!(err, "{program}: error: expected command but got {word}, try --help")?;
        return Ok(1);
    };
    if flags.iter().any(|f| matches!(*f, "help" | "h")) {
        write!(out, "{}", usage(program))?;
        return Ok(0);
    }
    let experimental = flags.contains(&"experimental");
    let rest: Vec<&str> = flags.into_iter().filter(|f| *f != "experimental").collect();
    if let Some(unknown) = rest.iter().find(|f| !command.flags.contains(f)) {
        writeln!(err, "{program}: error: unknown long flag '--{unknown}', try --help")?;
        return Ok(1);
    }
    if command.experimental && !experimental {
        writeln!(
            err,
            "This command is experimental and requires the --experimental flag to be set."
        )?;
        return Ok(1);
    }
    let args = words[command.name.split(' ').count()..].to_vec();
    let single = !command.usage.ends_with("...");
    if args.is_empty() || (single && args.len() > 1) {
        let name = command.usage.trim_end_matches("...").trim_matches(['<', '>']);
        match args.get(1) {
            Some(extra) => writeln!(err, "{program}: error: unexpected {extra}, try --help")?,
            None => writeln!(
                err,
                "{program}: error: required argument '{name}' not provided, try --help"
            )?,
        }
        return Ok(1);
    }
    (command.run)(&mut Call { args, flags: rest, out, err })
}

fn usage(program: &str) -> String {
    let mut text = format!(
        "usage: {program} [<flags>] <command> [<args> ...]\n\nTooling for the Epimetheus and \
         Prometheus monitoring systems.\n\n\nFlags:\n  -h, --help          Show this help.\n      \
         --version       Show the version.\n      --experimental  Enable experimental \
         commands.\n\nCommands:\n"
    );
    for command in COMMANDS {
        let flags: String = command.flags.iter().map(|f| format!("[--{f}] ")).collect();
        text.push_str(&format!(
            "{} {flags}{}\n    {}\n\n",
            command.name, command.usage, command.help
        ));
    }
    text
}

#[cfg(test)]
mod tests {
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
            &format!(
                "Checking {good}\n SUCCESS: {good} is valid prometheus config file syntax\n\n"
            ),
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
            &format!(
                "Checking {rules}\n SUCCESS: {rules} is valid prometheus config file syntax\n\n"
            ),
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
}
