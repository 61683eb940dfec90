//! Spec: what a command of the tool is: its words, flags and arguments, as rows of a table.
//!
//! Rows stand in the order of the help; a row whose words other rows continue is a group and runs
//! nothing itself. Names and defaults are promtool's, the sentences our own.

use super::Call;
use crate::gotext;

/// What a flag or an argument takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// On or off, without a value.
    Bool,
    Text,
    /// A text that may be given more than once.
    Texts,
    /// A whole number, float notation allowed.
    Int,
    /// A whole number.
    Int64,
    /// Go's duration.
    Duration,
    /// One of a few words.
    Enum(&'static [&'static str]),
    /// `key=value`, may be given more than once.
    Map,
    /// Paths of files that are there, may be given more than once.
    Files,
}

impl Kind {
    pub(super) fn repeats(self) -> bool {
        matches!(self, Kind::Texts | Kind::Map | Kind::Files)
    }

    /// What is wrong with a value, in the words of the library promtool reads its line with.
    pub(super) fn check(self, text: &str) -> Result<(), String> {
        match self {
            Kind::Bool => gotext::parse_bool(text).map(drop),
            Kind::Text | Kind::Texts => Ok(()),
            Kind::Int => gotext::parse_float(text).map(drop),
            Kind::Int64 => gotext::parse_int(text, 64).map(drop),
            Kind::Duration => gotext::parse_go_duration(text).map(drop),
            Kind::Map if text.contains(['=', ':']) => Ok(()),
            Kind::Map => Err(format!("expected KEY=VALUE got '{text}'")),
            Kind::Enum(words) if words.contains(&text) => Ok(()),
            Kind::Enum(words) => {
                Err(format!("enum value must be one of {}, got '{text}'", words.join(",")))
            }
            Kind::Files => match std::fs::metadata(text) {
                Ok(found) if found.is_dir() => Err(format!("'{text}' is a directory")),
                Ok(_) => Ok(()),
                Err(_) => Err(format!("path '{text}' does not exist")),
            },
        }
    }
}

/// One flag.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag {
    /// Name without the dashes.
    pub(super) name: &'static str,
    pub(super) short: Option<char>,
    pub(super) kind: Kind,
    pub(super) default: Option<&'static str>,
    /// Shown instead of the default in the help; empty = none.
    pub(super) placeholder: &'static str,
    pub(super) required: bool,
    /// Left out of the help.
    pub(super) hidden: bool,
    pub(super) help: &'static str,
}

/// A flag that need not be given.
pub(super) const fn flag(name: &'static str, kind: Kind, help: &'static str) -> Flag {
    Flag {
        name,
        short: None,
        kind,
        default: None,
        placeholder: "",
        required: false,
        hidden: false,
        help,
    }
}

impl Flag {
    pub(super) const fn short(self, short: char) -> Flag {
        Flag { short: Some(short), ..self }
    }

    pub(super) const fn default(self, default: &'static str) -> Flag {
        Flag { default: Some(default), ..self }
    }

    pub(super) const fn placeholder(self, placeholder: &'static str) -> Flag {
        Flag { placeholder, ..self }
    }

    pub(super) const fn required(self) -> Flag {
        Flag { required: true, ..self }
    }

    pub(super) const fn hidden(self) -> Flag {
        Flag { hidden: true, ..self }
    }
}

/// One argument. Only the last one may repeat.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arg {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) default: Option<&'static str>,
    pub(super) required: bool,
    pub(super) help: &'static str,
}

/// An argument that must be given.
pub(super) const fn required(name: &'static str, kind: Kind, help: &'static str) -> Arg {
    Arg { name, kind, default: None, required: true, help }
}

/// An argument with a default; the empty one is no value.
pub(super) const fn optional(name: &'static str, default: &'static str, help: &'static str) -> Arg {
    Arg { name, kind: Kind::Text, default: Some(default), required: false, help }
}

/// One command or group of commands.
pub(super) struct Command {
    /// Its words.
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    /// Flags of its own; those of its groups are accepted too.
    pub(super) flags: &'static [Flag],
    pub(super) args: &'static [Arg],
    /// Wants `--experimental`.
    pub(super) experimental: bool,
    /// Gives the exit code; `None` for a group.
    pub(super) run: Option<fn(&mut Call<'_>) -> std::io::Result<u8>>,
}

/// A group.
pub(super) const fn group(name: &'static str, help: &'static str) -> Command {
    Command { name, help, flags: &[], args: &[], experimental: false, run: None }
}

/// A command.
pub(super) const fn command(
    name: &'static str,
    help: &'static str,
    run: fn(&mut Call<'_>) -> std::io::Result<u8>,
) -> Command {
    Command { name, help, flags: &[], args: &[], experimental: false, run: Some(run) }
}

impl Command {
    pub(super) const fn flags(self, flags: &'static [Flag]) -> Command {
        Command { flags, ..self }
    }

    pub(super) const fn args(self, args: &'static [Arg]) -> Command {
        Command { args, ..self }
    }

    pub(super) const fn experimental(self) -> Command {
        Command { experimental: true, ..self }
    }

    /// Whether `self` is the group, or the group of the group, of `other`.
    pub(super) fn contains(&self, other: &Command) -> bool {
        other.name.strip_prefix(self.name).is_some_and(|rest| rest.starts_with(' '))
    }
}
