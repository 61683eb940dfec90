//! Eval: a query of a script, when it runs and what is expected of it.

use model::number::go_quote;
use model::{Labels, duration};

use super::command::{ScriptError, body};
use super::expect::{Expectations, Match};
use super::series::{SequenceValue, parse_series};
use crate::engine::EvalTime;
use crate::parser::number::read_number;
use crate::parser::text::unquote;
use crate::parser::{ParserOptions, parse as parse_query};

/// What a query should give.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// One number.
    Scalar(f64),
    String(String),
    /// Labels and their values in order of the script; labels are distinct.
    Series(Vec<(Labels, Vec<SequenceValue>)>),
}

/// `eval instant at 5m up` or `eval range from 0 to 1h step 5m up`.
#[derive(Clone, Debug, PartialEq)]
pub struct Eval {
    /// Line of the command, from 1.
    pub line: usize,
    pub query: String,
    pub is_range: bool,
    /// When the query runs.
    pub time: EvalTime,
    /// When the expected points are; differs from `time` for instant queries that give a range
    /// vector.
    pub points: EvalTime,
    pub expectations: Expectations,
    pub expected: Expected,
    /// Whether an instant query gives something a range query cannot.
    pub instant_only: bool,
}

impl Eval {
    /// Whether the query should fail.
    pub fn fails(&self) -> bool {
        self.expectations.fail.is_some()
    }
}

const INVALID: &str = "invalid evaluation command. Must be either \
                       'eval[_fail|_warn|_ordered] instant [at <offset:duration>] <query>' or \
                       'eval[_fail|_warn] range from <from> to <to> step <step> <query>'";

/// Parses the command at line `at` (from 0) and moves behind it.
pub fn parse(lines: &[&str], at: &mut usize) -> Result<Eval, ScriptError> {
    let index = *at;
    let line = lines.get(index).copied().unwrap_or("");
    *at += 1;
    let invalid = || ScriptError::at(index, INVALID);
    let mut words = Words(line);
    let (command, mode) = (words.next(), words.next());
    let is_range = match mode {
        "instant" => false,
        "range" => true,
        _ => return Err(invalid()),
    };
    let mut times = Vec::new();
    for keyword in if is_range { &["from", "to", "step"][..] } else { &["at"] } {
        if words.next() != *keyword {
            return Err(invalid());
        }
        times.push(words.next());
    }
    let query = words.0;
    if query.is_empty() {
        return Err(invalid());
    }
    parse_query(query, &ParserOptions::ALL).map_err(|mut e| {
        let before = (line.len() - query.len()) as u32;
        e.span.start += before;
        e.span.end += before;
        ScriptError::parse(index, crate::parser::ParseError::new(line, e.span, e.message))
    })?;
    let in_eval = |message: String| {
        let text = format!("error in eval {query} (line {}): {message}", index + 1);
        ScriptError::at(index, text)
    };
    let time = eval_time(&times).map_err(in_eval)?;
    let mut eval = Eval {
        line: index + 1,
        query: query.to_owned(),
        is_range,
        time,
        points: time,
        expectations: Expectations::default(),
        expected: Expected::Series(Vec::new()),
        instant_only: false,
    };
    match (command, is_range) {
        ("eval", _) => {}
        ("eval_ordered", false) => eval.expectations.ordered = true,
        ("eval_fail", _) => eval.expectations.fail = Some(Match::Any),
        ("eval_warn", _) => eval.expectations.warn.push(Match::Any),
        ("eval_info", _) => eval.expectations.info.push(Match::Any),
        _ => return Err(invalid()),
    }
    let legacy_fail = command == "eval_fail";
    while let Some((index, line)) = body(lines, at) {
        let step = eval.body_line(line, legacy_fail).map_err(|e| match e {
            LineError::Eval(message) => in_eval(message),
            LineError::Parse(e) => ScriptError::parse(index, e),
        })?;
        if step == Step::Last {
            break;
        }
    }
    Ok(eval)
}

/// Splits words off the front of a line.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn next(&mut self) -> &'a str {
        let (word, rest) = self.0.split_once([' ', '\t']).unwrap_or((self.0, ""));
        self.0 = rest.trim_start();
        word
    }
}

fn eval_time(times: &[&str]) -> Result<EvalTime, String> {
    let parse = |name: &str, text: &str| {
        duration::parse(text)
            .map_err(|e| format!("invalid {name} definition {}: {e}", go_quote(text)))
    };
    match times {
        [at] => {
            let t = parse("timestamp", at)?;
            Ok(EvalTime { start_ms: t, end_ms: t, step_ms: 0 })
        }
        [from, to, step] => {
            let start_ms = parse("start timestamp", from)?;
            let end_ms = parse("end timestamp", to)?;
            if end_ms < start_ms {
                return Err(format!(
                    "invalid test definition, end timestamp ({to}) is before start timestamp \
                     ({from})"
                ));
            }
            Ok(EvalTime { start_ms, end_ms, step_ms: parse("step", step)? })
        }
        _ => Err(INVALID.to_owned()),
    }
}

enum LineError {
    Eval(String),
    Parse(crate::parser::ParseError),
}

#[derive(PartialEq)]
enum Step {
    More,
    /// The line ends the command.
    Last,
}

impl Eval {
    fn body_line(&mut self, line: &str, legacy_fail: bool) -> Result<Step, LineError> {
        if legacy_fail {
            if let Some(message) = line.strip_prefix("expected_fail_message") {
                self.expectations.fail = Some(Match::Message(message.trim().to_owned()));
                return Ok(Step::Last);
            }
            if let Some(pattern) = line.strip_prefix("expected_fail_regexp") {
                let pattern = pattern.trim();
                let wanted = Match::pattern(pattern).ok_or_else(|| {
                    let message = format!("invalid regexp '{pattern}' for expected_fail_regexp");
                    LineError::Eval(message)
                })?;
                self.expectations.fail = Some(wanted);
                return Ok(Step::Last);
            }
        }
        if let Some(rest) = line.strip_prefix("expect range vector") {
            self.range_vector(rest.trim()).map_err(LineError::Eval)?;
            return Ok(Step::More);
        }
        if let Some(rest) = line.strip_prefix("expect string") {
            self.expected = Expected::String(string_literal(rest).map_err(LineError::Eval)?);
            self.instant_only = true;
            return Ok(Step::More);
        }
        if line.split(' ').next() == Some("expect") {
            self.expectations.add(line).map_err(LineError::Eval)?;
            return Ok(Step::More);
        }
        if let Some(value) = number(line) {
            self.expected = Expected::Scalar(value);
            return Ok(Step::Last);
        }
        let (labels, values) = parse_series(line).map_err(LineError::Parse)?;
        if values.len() > 1 && !self.is_range && self.points == self.time {
            let message = "expecting multiple values in instant evaluation not allowed. consider \
                           using 'expect range vector' directive to enable a range vector result \
                           for an instant query";
            return Err(LineError::Eval(message.to_owned()));
        }
        match &mut self.expected {
            Expected::Series(series) => {
                series.retain(|(l, _)| *l != labels);
                series.push((labels, values));
            }
            other => *other = Expected::Series(vec![(labels, values)]),
        }
        Ok(Step::More)
    }

    /// `from 10s to 1m step 10s`: when the points of the expected range vector are. The query runs
    /// at the last one.
    fn range_vector(&mut self, text: &str) -> Result<(), String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let ["from", from, "to", to, "step", step] = words[..] else {
            let line = go_quote(&format!("expect range vector {text}"));
            return Err(format!("invalid range vector definition {line}"));
        };
        self.points = eval_time(&[from, to, step])?;
        let end = self.points.end_ms;
        self.time = EvalTime { start_ms: end, end_ms: end, step_ms: 0 };
        self.instant_only = true;
        Ok(())
    }
}

/// A line that is nothing but a number.
fn number(line: &str) -> Option<f64> {
    let unsigned = line.strip_prefix(['+', '-']).unwrap_or(line);
    let value = read_number(unsigned).ok()?;
    Some(if line.starts_with('-') { -value } else { value })
}

fn string_literal(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        let message = "expected string literal not valid - a quoted string literal is required";
        return Err(message.to_owned());
    }
    let quote = text.chars().next().filter(|c| *c == '"' || *c == '`');
    match quote {
        Some(q) if text.len() > 1 && text.ends_with(q) => Ok(unquote(text)),
        _ => Err("expected string literal not valid - check that the string is correctly quoted"
            .to_owned()),
    }
}
