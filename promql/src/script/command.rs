//! Commands: what a script consists of, and its parsing into them.

use model::number::go_quote;
use model::{Labels, duration};

use super::eval::{self, Eval};
use super::series::{SequenceValue, parse_series};
use super::start;
use crate::parser::ParseError;

/// Why a script cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ScriptError {
    /// From 1.
    pub line: usize,
    pub message: String,
}

impl ScriptError {
    /// An error about line `index`, counted from 0.
    pub(super) fn at(index: usize, message: impl Into<String>) -> ScriptError {
        ScriptError { line: index + 1, message: message.into() }
    }

    /// A parse error in line `index`, counted from 0; its position becomes one in the script.
    pub(super) fn parse(index: usize, error: ParseError) -> ScriptError {
        ScriptError::at(index, error.moved_down(index as u32).to_string())
    }
}

/// One command.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    Clear,
    Load(Load),
    Eval(Box<Eval>),
}

/// `load 5m` and its series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Load {
    /// Line of the command, from 1.
    pub line: usize,
    /// Time between two values, milliseconds.
    pub step_ms: i64,
    /// Also load classic histograms as native ones with custom buckets.
    pub with_nhcb: bool,
    /// In order of the script; labels are distinct.
    pub series: Vec<LoadedSeries>,
}

/// One series of a `load`.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedSeries {
    pub labels: Labels,
    pub values: Vec<SequenceValue>,
    /// Start times in milliseconds relative to their samples; empty, or as many as `values`.
    pub starts: Vec<Option<i64>>,
}

/// A parsed script.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    pub commands: Vec<Command>,
}

impl Script {
    /// Parses the text of a script.
    pub fn parse(text: &str) -> Result<Script, ScriptError> {
        let lines = clean_lines(text);
        let mut commands = Vec::new();
        let mut at = 0;
        while let Some(line) = lines.get(at) {
            if line.is_empty() {
                at += 1;
                continue;
            }
            let word = line.split([' ', '\t']).next().unwrap_or("").to_ascii_lowercase();
            if word == "clear" {
                commands.push(Command::Clear);
                at += 1;
            } else if word.starts_with("load") {
                commands.push(Command::Load(parse_load(&lines, &mut at)?));
            } else if word.starts_with("eval") {
                commands.push(Command::Eval(Box::new(eval::parse(&lines, &mut at)?)));
            } else {
                return Err(ScriptError::at(at, format!("invalid command {}", go_quote(line))));
            }
        }
        Ok(Script { commands })
    }
}

/// Lines without surrounding space; comments are empty.
fn clean_lines(text: &str) -> Vec<&str> {
    text.split('\n').map(str::trim).map(|l| if l.starts_with('#') { "" } else { l }).collect()
}

/// The lines of a command after its first one, up to an empty line.
pub(super) fn body<'a>(lines: &[&'a str], at: &mut usize) -> Option<(usize, &'a str)> {
    let index = *at;
    let line = lines.get(index).filter(|l| !l.is_empty())?;
    *at += 1;
    Some((index, line))
}

fn parse_load(lines: &[&str], at: &mut usize) -> Result<Load, ScriptError> {
    let index = *at;
    let line = lines.get(index).copied().unwrap_or("");
    *at += 1;
    let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let step = rest.trim();
    let with_nhcb = word == "load_with_nhcb";
    if step.is_empty() || !(with_nhcb || word == "load") {
        let message = "invalid load command. (load[_with_nhcb] <step:duration>)";
        return Err(ScriptError::at(index, message));
    }
    let step_ms = duration::parse(step).map_err(|e| {
        ScriptError::at(index, format!("invalid step definition {}: {e}", go_quote(step)))
    })?;
    let mut load = Load { line: index + 1, step_ms, with_nhcb, series: Vec::new() };
    // The start times that wait for their samples, and their line.
    let mut waiting: Option<(usize, Labels, Vec<Option<i64>>)> = None;
    let dangling = |index| ScriptError::at(index, "@st line has no following sample line");
    while let Some((index, line)) = body(lines, at) {
        if start::is_start_line(line) {
            if let Some((first, ..)) = waiting {
                return Err(dangling(first));
            }
            let (labels, starts) = start::parse(line, index)?;
            waiting = Some((index, labels, starts));
            continue;
        }
        let (labels, values) = parse_series(line).map_err(|e| ScriptError::parse(index, e))?;
        let mut starts = Vec::new();
        if let Some((first, expected, list)) = waiting.take() {
            check_starts(first, &expected, &list, &labels, &values)?;
            starts = list;
        }
        // The last line of a series wins.
        load.series.retain(|s| s.labels != labels);
        load.series.push(LoadedSeries { labels, values, starts });
    }
    match waiting {
        Some((first, ..)) => Err(dangling(first)),
        None => Ok(load),
    }
}

fn check_starts(
    index: usize,
    expected: &Labels,
    starts: &[Option<i64>],
    labels: &Labels,
    values: &[SequenceValue],
) -> Result<(), ScriptError> {
    if expected != labels {
        let message = "@st metric does not match the following sample line metric";
        return Err(ScriptError::at(index, message));
    }
    let (a, b) = (starts.len(), values.len());
    if a != b {
        let message = format!("@st line has {a} values but sample line has {b}");
        return Err(ScriptError::at(index, message));
    }
    Ok(())
}
