//! The help of the tool, of a group and of a command, laid out like promtool's.

use super::line::GLOBAL;
use super::spec::{Command, Flag, Kind};
use crate::cli::help::{rows, wrap};

const WIDTH: usize = 80;
const ABOUT: &str = "Tooling for the Epimetheus and Prometheus monitoring systems.";

/// The help of `selected`, or of everything.
pub(super) fn help(program: &str, commands: &[Command], selected: Option<&Command>) -> String {
    let Some(command) = selected else {
        let head = format!("usage: {program} [<flags>] <command> [<args> ...]\n\n{ABOUT}\n\n\n");
        let list = "help [<command>...]\n    Show help.\n\n".to_owned()
            + &commands.iter().filter(|c| c.run.is_some()).map(summary).collect::<String>();
        return format!("{head}Flags:\n{}\nCommands:\n{list}\n", flags(GLOBAL.iter()));
    };
    let is_group = command.run.is_none();
    let more = if is_group { " <command> [<args> ...]" } else { "" };
    let mut text = format!("usage: {program} {}{}{more}\n\n", command.name, line(command));
    for l in wrap(command.help, WIDTH) {
        text.push_str(&l);
        text.push('\n');
    }
    let groups = commands.iter().filter(|c| std::ptr::eq(*c, command) || c.contains(command));
    let all = GLOBAL.iter().chain(groups.flat_map(|c| c.flags));
    text.push_str(&format!("\n\nFlags:\n{}\n", flags(all)));
    if !command.args.is_empty() {
        let args: Vec<(String, &str)> = command
            .args
            .iter()
            .map(|a| {
                let name = format!("<{}>", a.name);
                (if a.required { name } else { format!("[{name}]") }, a.help)
            })
            .collect();
        text.push_str(&format!("Args:\n{}\n", rows(&args)));
    }
    if is_group {
        let inner = commands.iter().filter(|c| c.run.is_some() && command.contains(c));
        text.push_str(&format!("Subcommands:\n{}\n", inner.map(summary).collect::<String>()));
    }
    text
}

/// A command in a list of commands.
fn summary(command: &Command) -> String {
    let mut text = format!("{}{}\n", command.name, line(command));
    for l in wrap(command.help, WIDTH - 4) {
        text.push_str(&format!("    {l}\n"));
    }
    text + "\n"
}

/// What stands behind a command's words.
fn line(command: &Command) -> String {
    let mut text = String::new();
    let required: Vec<&Flag> = command.flags.iter().filter(|f| f.required).collect();
    for flag in &required {
        text.push_str(&format!(" --{}={}", flag.name, value(flag)));
    }
    if required.len() < command.flags.len() {
        text.push_str(" [<flags>]");
    }
    for arg in command.args {
        let more = if arg.kind.repeats() { "..." } else { "" };
        let name = format!("<{}>{more}", arg.name);
        text.push(' ');
        text.push_str(&if arg.required { name } else { format!("[{name}]") });
    }
    text
}

fn flags<'f>(flags: impl Iterator<Item = &'f Flag>) -> String {
    let shown: Vec<(String, &str)> =
        flags.filter(|f| !f.hidden).map(|f| (left(f), f.help)).collect();
    rows(&shown)
}

fn left(flag: &Flag) -> String {
    let short = flag.short.map_or("    ".to_owned(), |s| format!("-{s}, "));
    if flag.kind == Kind::Bool {
        return format!("{short}--[no-]{}", flag.name);
    }
    let more = if flag.kind.repeats() { " ..." } else { "" };
    format!("{short}--{}={}{more}", flag.name, value(flag))
}

fn value(flag: &Flag) -> String {
    match (flag.placeholder, flag.default) {
        ("", Some(default)) if flag.kind == Kind::Text => format!("\"{default}\""),
        ("", Some(default)) => default.to_owned(),
        ("", None) => flag.name.to_uppercase(),
        (placeholder, _) => placeholder.to_owned(),
    }
}
