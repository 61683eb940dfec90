//! Line: the command line, read as kingpin reads promtool's: words choose the command, flags stand
//! anywhere behind the word that brings them, `--f=v`, `--f v`, `--no-f`, `-f`, `-fv`, `--`, `@file`.

use std::collections::BTreeMap;

use model::number::go_quote;

use super::spec::{Arg, Command, Flag, Kind, flag};

/// Flags of every command.
pub(super) const GLOBAL: [Flag; 4] = [
    flag("help", Kind::Bool, "Show this help.").short('h'),
    flag("version", Kind::Bool, "Show the version."),
    flag("experimental", Kind::Bool, "Enable experimental commands."),
    flag(
        "enable-feature",
        Kind::Texts,
        "Names of features to enable, separated by commas: promql-experimental-functions, \
         promql-extended-range-selectors, promql-binop-fill-modifiers.",
    )
    .default(""),
];

/// Values of flags and arguments by name, defaults filled in.
#[derive(Debug, Default)]
pub(super) struct Values {
    flags: BTreeMap<&'static str, Vec<String>>,
    args: BTreeMap<&'static str, Vec<String>>,
}

impl Values {
    /// The last value of a flag; empty when it has none.
    pub(super) fn flag(&self, name: &str) -> &str {
        self.flags.get(name).and_then(|v| v.last()).map_or("", String::as_str)
    }

    /// All values of a flag.
    pub(super) fn flags(&self, name: &str) -> &[String] {
        self.flags.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether a flag without a value is on.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.flag(name) == "true"
    }

    /// The value of an argument; empty when it has none.
    pub(super) fn arg(&self, name: &str) -> &str {
        self.args.get(name).and_then(|v| v.last()).map_or("", String::as_str)
    }

    /// All values of an argument.
    pub(super) fn args(&self, name: &str) -> &[String] {
        self.args.get(name).map_or(&[], Vec::as_slice)
    }
}

/// What a line asks for.
pub(super) enum Parsed<'c> {
    Run(&'c Command, Values),
    /// The help of a command, a group, or everything.
    Help(Option<&'c Command>),
    Version,
}

/// What was found so far.
struct Context<'c> {
    commands: &'c [Command],
    queue: Vec<String>,
    only_arguments: bool,
    selected: Option<&'c Command>,
    flags: Vec<(Flag, String)>,
    args: Vec<(Arg, String)>,
    /// Words behind `help`.
    topic: Option<Vec<String>>,
}

/// Reads a line (without the program's name).
pub(super) fn parse<'c>(commands: &'c [Command], line: &[String]) -> Result<Parsed<'c>, String> {
    let mut context = Context {
        commands,
        queue: line.iter().rev().cloned().collect(),
        only_arguments: false,
        selected: None,
        flags: Vec::new(),
        args: Vec::new(),
        topic: None,
    };
    let read = context.read();
    let given = |name: &str| context.flags.iter().any(|(f, _)| f.name == name);
    if given("version") {
        // Printed while walking over what was understood.
        return Ok(Parsed::Version);
    }
    read?;
    if given("help") {
        return Ok(Parsed::Help(context.selected));
    }
    if let Some(topic) = context.topic {
        return help_on(commands, &topic);
    }
    context.fill()
}

/// `help tsdb dump`.
fn help_on<'c>(commands: &'c [Command], topic: &[String]) -> Result<Parsed<'c>, String> {
    let line: Vec<String> = topic.iter().cloned().chain(["--help".to_owned()]).collect();
    parse(commands, &line)
}

impl<'c> Context<'c> {
    fn read(&mut self) -> Result<(), String> {
        while let Some(word) = self.queue.pop() {
            if self.only_arguments {
                self.word(word)?;
            } else if word == "--" {
                self.only_arguments = true;
            } else if let Some(long) = word.strip_prefix("--") {
                self.long(long)?;
            } else if word.len() > 1 && word.starts_with('-') {
                self.short(&word[1..])?;
            } else if let Some(file) = word.strip_prefix('@') {
                self.queue.extend(expand(file)?.into_iter().rev());
            } else {
                self.word(word)?;
            }
        }
        Ok(())
    }

    /// The flags in force, inner ones first.
    fn known(&self) -> impl Iterator<Item = &'c Flag> + use<'c> {
        let selected = self.selected;
        let of =
            move |c: &&'c Command| selected.is_some_and(|s| std::ptr::eq(s, *c) || c.contains(s));
        self.commands.iter().filter(of).flat_map(|c| c.flags).chain(&GLOBAL)
    }

    fn long(&mut self, long: &str) -> Result<(), String> {
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        let unknown = || format!("unknown long flag '--{name}'");
        let (flag, on) = match self.known().find(|f| f.name == name) {
            Some(flag) => (*flag, true),
            None => {
                let positive = name.strip_prefix("no-").ok_or_else(unknown)?;
                let found = self.known().find(|f| f.name == positive && f.kind == Kind::Bool);
                (*found.ok_or_else(unknown)?, false)
            }
        };
        match value {
            Some(value) if flag.kind == Kind::Bool => Err(format!("unexpected {value}")),
            Some(value) => {
                self.flags.push((flag, value));
                Ok(())
            }
            None => self.take_value(flag, &format!("--{name}"), on),
        }
    }

    fn short(&mut self, letters: &str) -> Result<(), String> {
        let Some(letter) = letters.chars().next() else { return Ok(()) };
        let found = self.known().find(|f| f.short == Some(letter));
        let flag = *found.ok_or_else(|| format!("unknown short flag '-{letter}'"))?;
        let rest = &letters[letter.len_utf8()..];
        if flag.kind == Kind::Bool {
            // Further letters are further short flags.
            if !rest.is_empty() {
                self.queue.push(format!("-{rest}"));
            }
            self.flags.push((flag, "true".to_owned()));
            return Ok(());
        }
        if rest.is_empty() {
            return self.take_value(flag, &format!("-{letter}"), true);
        }
        self.flags.push((flag, rest.to_owned()));
        Ok(())
    }

    fn take_value(&mut self, flag: Flag, shown: &str, on: bool) -> Result<(), String> {
        if flag.kind == Kind::Bool {
            self.flags.push((flag, on.to_string()));
            return Ok(());
        }
        match self.queue.pop() {
            Some(next) if next == "-" || !next.starts_with('-') => {
                self.flags.push((flag, next));
                Ok(())
            }
            _ => Err(format!("expected argument for flag '{shown}'")),
        }
    }

    fn word(&mut self, word: String) -> Result<(), String> {
        if let Some(topic) = &mut self.topic {
            topic.push(word);
            return Ok(());
        }
        if self.selected.is_none_or(|c| c.run.is_none()) {
            let name = match self.selected {
                Some(group) => format!("{} {word}", group.name),
                None => word.clone(),
            };
            if name == "help" {
                self.topic = Some(Vec::new());
                return Ok(());
            }
            let found = self.commands.iter().find(|c| c.name == name);
            let missing = || format!("expected command but got {}", go_quote(&word));
            self.selected = Some(found.ok_or_else(missing)?);
            return Ok(());
        }
        let args = self.selected.map_or(&[][..], |c| c.args);
        let next = args.get(self.args.len()).or(args.last().filter(|a| a.kind.repeats()));
        let arg = next.ok_or_else(|| format!("unexpected {word}"))?;
        self.args.push((*arg, word));
        Ok(())
    }

    fn fill(self) -> Result<Parsed<'c>, String> {
        let mut values = Values::default();
        for (flag, value) in &self.flags {
            let given = values.flags.entry(flag.name).or_default();
            if !given.is_empty() && !flag.kind.repeats() {
                return Err(format!("flag '{}' cannot be repeated", flag.name));
            }
            flag.kind.check(value)?;
            given.push(value.clone());
        }
        for (arg, value) in &self.args {
            arg.kind.check(value)?;
            values.args.entry(arg.name).or_default().push(value.clone());
        }
        let Some(selected) = self.selected else { return Ok(Parsed::Help(None)) };
        if selected.run.is_none() {
            return Err(format!("must select a subcommand of '{}'", selected.name));
        }
        let missing: Vec<String> = self
            .known()
            .filter(|f| f.required && !values.flags.contains_key(f.name))
            .map(|f| format!("'--{}'", f.name))
            .collect();
        if !missing.is_empty() {
            return Err(format!("required flag(s) {} not provided", missing.join(", ")));
        }
        for flag in self.known() {
            if let (Some(default), false) = (flag.default, values.flags.contains_key(flag.name)) {
                values.flags.insert(flag.name, vec![default.to_owned()]);
            }
        }
        for arg in selected.args {
            if values.args.contains_key(arg.name) {
                continue;
            }
            if arg.required {
                return Err(format!("required argument '{}' not provided", arg.name));
            }
            if let Some(default) = arg.default {
                values.args.insert(arg.name, vec![default.to_owned()]);
            }
        }
        Ok(Parsed::Run(selected, values))
    }
}

/// The lines of an arguments file.
fn expand(file: &str) -> Result<Vec<String>, String> {
    if file.is_empty() {
        return Err("expected @ file to expand arguments from".to_owned());
    }
    let text = std::fs::read_to_string(file).map_err(|e| {
        let error = crate::gotext::os_error(&e);
        format!("failed to open arguments file {}: open {file}: {error}", go_quote(file))
    })?;
    let lines = text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}
