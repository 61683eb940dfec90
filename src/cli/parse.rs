//! The command line, read as kingpin reads it: `--f=v`, `--f v`, `--no-f`, repeats, `-h`, `@file`.
//!
//! What must hold: the same line gives the same values, or the same error text and exit code, as
//! the real server. A line that cannot be taken apart exits with 1 after two lines on stderr; a
//! value that does not fit its flag exits with 2 after one line on stderr and the help on stdout.

use std::collections::BTreeMap;

use model::number::go_quote;

use super::flags::{FLAGS, Flag};
use super::value::Kind;

/// The values of all flags, defaults filled in.
#[derive(Clone, Debug, Default)]
pub struct Values {
    /// By name: every value given, or the default; checked and printed in normal form.
    values: BTreeMap<&'static str, Vec<String>>,
    /// Names given on the command line, in order.
    given: Vec<&'static str>,
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Parsed {
    Run(Values),
    Help,
    Version,
}

/// Why a command line was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageError {
    /// It cannot be taken apart.
    Syntax(String),
    /// A value does not fit its flag.
    Value(String),
}

/// A token: flag with the name it was found under and whether negated, with its text.
struct Element {
    flag: &'static Flag,
    text: String,
}

impl Values {
    /// The last value of `name`; the empty string when it has none.
    pub fn get(&self, name: &str) -> &str {
        self.values.get(name).and_then(|v| v.last()).map_or("", String::as_str)
    }

    /// All values of `name`.
    pub fn all(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether `name` stood on the command line.
    pub fn is_given(&self, name: &str) -> bool {
        self.given.contains(&name)
    }

    /// Names given on the command line, in order, repeats included.
    pub fn given(&self) -> &[&'static str] {
        &self.given
    }

    /// Every flag with its value, as the flags API shows them.
    pub fn shown(&self) -> BTreeMap<String, String> {
        FLAGS
            .iter()
            .map(|flag| {
                let values = self.all(flag.name);
                let text =
                    if values.is_empty() { flag.kind.zero().to_owned() } else { values.join(",") };
                (flag.name.to_owned(), text)
            })
            .collect()
    }
}

/// Reads a command line (without the program name).
pub fn parse(args: &[String]) -> Result<Parsed, UsageError> {
    let mut elements = Vec::new();
    let mut special = None;
    let split = split(args, &mut elements, &mut special);
    if let Some(Parsed::Version) = special {
        // The version is printed while walking over what was understood so far.
        return Ok(Parsed::Version);
    }
    split.map_err(UsageError::Syntax)?;
    if let Some(parsed) = special {
        return Ok(parsed);
    }
    fill(&elements).map(Parsed::Run).map_err(UsageError::Value)
}

fn split(
    args: &[String],
    elements: &mut Vec<Element>,
    special: &mut Option<Parsed>,
) -> Result<(), String> {
    let mut queue: Vec<String> = args.iter().rev().cloned().collect();
    let mut only_arguments = false;
    while let Some(arg) = queue.pop() {
        if only_arguments {
            return Err(format!("unexpected {arg}"));
        }
        if arg == "--" {
            only_arguments = true;
        } else if let Some(long) = arg.strip_prefix("--") {
            long_flag(long, &mut queue, elements, special)?;
        } else if arg.len() > 1 && arg.starts_with('-') {
            match arg.chars().nth(1) {
                Some('h') if arg.len() == 2 => *special = special.take().or(Some(Parsed::Help)),
                Some('h') => {
                    // Further letters are further short flags.
                    let rest: String = arg.chars().skip(2).collect();
                    *special = special.take().or(Some(Parsed::Help));
                    queue.push(format!("-{rest}"));
                }
                letter => {
                    let letter = letter.map(String::from).unwrap_or_default();
                    return Err(format!("unknown short flag '-{letter}'"));
                }
            }
        } else if let Some(file) = arg.strip_prefix('@') {
            expand(file, &mut queue)?;
        } else {
            return Err(format!("unexpected {arg}"));
        }
    }
    Ok(())
}

fn long_flag(
    long: &str,
    queue: &mut Vec<String>,
    elements: &mut Vec<Element>,
    special: &mut Option<Parsed>,
) -> Result<(), String> {
    let (name, text) = match long.split_once('=') {
        Some((name, text)) => (name, Some(text.to_owned())),
        None => (long, None),
    };
    let unknown = || format!("unknown long flag '--{name}'");
    match name {
        "help" | "help-long" => {
            *special = special.take().or(Some(Parsed::Help));
            return text.map_or(Ok(()), |text| Err(format!("unexpected {text}")));
        }
        "version" => {
            *special = special.take().or(Some(Parsed::Version));
            return text.map_or(Ok(()), |text| Err(format!("unexpected {text}")));
        }
        _ => {}
    }
    let (flag, on) = match FLAGS.iter().find(|f| f.name == name) {
        Some(flag) => (flag, true),
        None => {
            let positive = name.strip_prefix("no-").ok_or_else(unknown)?;
            let flag = FLAGS
                .iter()
                .find(|f| f.name == positive && f.kind == Kind::Bool)
                .ok_or_else(unknown)?;
            (flag, false)
        }
    };
    let text = match (flag.kind, text) {
        (Kind::Bool, Some(text)) => return Err(format!("unexpected {text}")),
        (Kind::Bool, None) => on.to_string(),
        (_, Some(text)) => text,
        (_, None) => match queue.pop() {
            Some(next) if next == "-" || !next.starts_with('-') => next,
            _ => return Err(format!("expected argument for flag '--{name}'")),
        },
    };
    elements.push(Element { flag, text });
    Ok(())
}

/// Puts the lines of an arguments file in front of what is left.
fn expand(file: &str, queue: &mut Vec<String>) -> Result<(), String> {
    let text = std::fs::read_to_string(file).map_err(|e| {
        format!(
            "failed to open arguments file {}: open {file}: {}",
            go_quote(file),
            crate::gotext::os_error(&e)
        )
    })?;
    queue.extend(
        text.lines().rev().filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned),
    );
    Ok(())
}

fn fill(elements: &[Element]) -> Result<Values, String> {
    let mut values = Values::default();
    for element in elements {
        let Element { flag, text } = element;
        let given = values.values.entry(flag.name).or_default();
        if !given.is_empty() && !flag.kind.repeats() {
            return Err(format!("flag '{}' cannot be repeated", flag.name));
        }
        let value = flag.kind.normalize(text)?;
        if flag.kind == Kind::Messages && given.contains(&value) {
            return Err(format!("duplicated {value} flag value, got {} already", given.join(", ")));
        }
        given.push(value);
        values.given.push(flag.name);
    }
    for flag in FLAGS {
        let Some(default) = flag.default else { continue };
        if values.values.contains_key(flag.name) {
            continue;
        }
        let parts: Vec<&str> = match flag.kind {
            Kind::Messages => default.split(',').collect(),
            _ => vec![default],
        };
        let parts =
            parts.into_iter().map(|p| flag.kind.normalize(p)).collect::<Result<Vec<_>, _>>()?;
        values.values.insert(flag.name, parts);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Result<Parsed, UsageError> {
        parse(&line.split(' ').filter(|a| !a.is_empty()).map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn takes_every_form() {
        let Ok(Parsed::Run(v)) = run(
            "--config.file=a.yml --query.timeout 90s --web.enable-lifecycle --no-auto-gomaxprocs \
             --web.listen-address :1 --web.listen-address=:2 --storage.tsdb.retention.size 512MB",
        ) else {
            panic!("refused");
        };
        assert_eq!(v.get("config.file"), "a.yml");
        assert_eq!(v.get("query.timeout"), "1m30s");
        assert_eq!(v.get("web.enable-lifecycle"), "true");
        assert_eq!(v.get("auto-gomaxprocs"), "false");
        assert_eq!(v.all("web.listen-address"), [":1", ":2"]);
        assert_eq!(v.get("query.max-samples"), "50000000");
        let shown = v.shown();
        assert_eq!(shown["storage.tsdb.retention.size"], "512MiB");
        assert_eq!(shown["storage.tsdb.wal-segment-size"], "0B");
        assert_eq!(shown["storage.remote.read-sample-limit"], "50000000");
        assert_eq!(
            shown["web.remote-write-receiver.accepted-protobuf-messages"],
            "prometheus.WriteRequest,io.prometheus.write.v2.Request"
        );
        assert!(v.is_given("auto-gomaxprocs") && !v.is_given("agent"));
    }

    #[test]
    fn refuses_in_the_words_of_the_real_one() {
        let syntax = |s: &str| UsageError::Syntax(s.to_owned());
        let value = |s: &str| UsageError::Value(s.to_owned());
        for (line, error) in [
            ("--foo", syntax("unknown long flag '--foo'")),
            ("--no-query.timeout", syntax("unknown long flag '--no-query.timeout'")),
            ("-x", syntax("unknown short flag '-x'")),
            ("foo", syntax("unexpected foo")),
            ("-- x", syntax("unexpected x")),
            ("--web.enable-lifecycle=true", syntax("unexpected true")),
            ("--agent=", syntax("unexpected ")),
            ("--config.file", syntax("expected argument for flag '--config.file'")),
            ("--config.file --agent", syntax("expected argument for flag '--config.file'")),
            ("--help --foo", syntax("unknown long flag '--foo'")),
            ("--agent --agent", value("flag 'agent' cannot be repeated")),
            ("--query.timeout=1x", value(r#"unknown unit "x" in duration "1x""#)),
            ("--query.max-samples=x", value(r#"strconv.ParseFloat: parsing "x": invalid syntax"#)),
            ("--log.level=xx", value("unrecognized log level xx")),
            (
                "--storage.tsdb.wal-compression-type=x",
                value("enum value must be one of snappy,zstd, got 'x'"),
            ),
        ] {
            match run(line) {
                Err(found) => assert_eq!(found, error, "{line}"),
                Ok(parsed) => panic!("{line} gave {parsed:?}"),
            }
        }
        assert!(matches!(run("--help --query.timeout=x"), Ok(Parsed::Help)));
        assert!(matches!(run("-h"), Ok(Parsed::Help)));
        assert!(matches!(run("--version --foo"), Ok(Parsed::Version)));
    }
}
