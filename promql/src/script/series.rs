//! Series descriptions: labels and a sequence of values, `up{job="a"} 1 2+3x4 _ stale {{…}}x2`.
//!
//! `axN` stands for N+1 times `a`, `a+bxN` for N+1 values rising by `b`, `_xN` for N gaps. Messages
//! follow Prometheus's parser of series descriptions.

use model::number::{go_quote, go_quote_char};
use model::value::STALE_NAN;
use model::{FloatHistogram, Labels};

use super::histogram::combine;
use super::literal;
use crate::parser::ParseError;
use crate::parser::ast::Span;
use crate::parser::number::{read_number, scan_series_number};
use crate::parser::token::{Kind, keyword};

/// Most values one line may describe.
const MAX_VALUES: u64 = 10_000_000;

/// One position of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub enum SequenceValue {
    /// `_`: no sample.
    Omitted,
    Float(f64),
    Histogram {
        histogram: Box<FloatHistogram>,
        /// Whether `counter_reset_hint` was given; else it is not compared.
        hint_given: bool,
    },
}

/// Parses a line; positions in errors are in that line.
pub fn parse_series(line: &str) -> Result<(Labels, Vec<SequenceValue>), ParseError> {
    let (labels, end) = crate::parser::parse_metric_prefix(line)?;
    let mut reader = Reader { text: line, pos: end };
    let mut values = Vec::new();
    while !reader.rest().is_empty() {
        if !reader.skip_spaces() {
            return Err(reader.unexpected());
        }
        if !reader.rest().is_empty() {
            item(&mut reader, &mut values)?;
        }
    }
    Ok((labels, values))
}

/// A cursor over a line.
pub(super) struct Reader<'a> {
    text: &'a str,
    pub pos: usize,
}

impl<'a> Reader<'a> {
    pub fn rest(&self) -> &'a str {
        self.text.get(self.pos..).unwrap_or("")
    }

    pub fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Takes `prefix` if it is next.
    pub fn accept(&mut self, prefix: &str) -> bool {
        let yes = self.rest().starts_with(prefix);
        self.pos += if yes { prefix.len() } else { 0 };
        yes
    }

    /// Takes spaces; whether there was one.
    pub fn skip_spaces(&mut self) -> bool {
        let rest = self.rest();
        let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.pos += rest.len() - trimmed.len();
        rest.len() != trimmed.len()
    }

    /// Takes a run of characters.
    pub fn run(&mut self, of: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let len = rest.find(|c| !of(c)).unwrap_or(rest.len());
        self.pos += len;
        rest.get(..len).unwrap_or("")
    }

    /// An error about the text from `start` to here.
    pub fn error_at(&self, start: usize, message: impl Into<String>) -> ParseError {
        let span = Span { start: start as u32, end: self.pos as u32 };
        ParseError::new(self.text, span, message)
    }

    /// The error about whatever is next.
    fn unexpected(&mut self) -> ParseError {
        let start = self.pos;
        let what = match self.peek() {
            None => "end of input".to_owned(),
            Some(c) if c.is_ascii_alphanumeric() || c == ':' => {
                let word = self.run(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
                let number = word.starts_with(|c: char| c.is_ascii_digit());
                let kind = if number { Kind::Number } else { word_kind(word) };
                kind.describe(word)
            }
            Some(c @ ('+' | '-')) => format!("<op:{c}>"),
            Some(c @ ('_' | ' ' | '\t')) => go_quote(&c.to_string()),
            Some(c) => {
                let c = go_quote_char(c);
                let message = format!("unexpected character in series sequence: {c}");
                return self.error_at(start, message);
            }
        };
        self.error_at(start, format!("unexpected {what} in series values"))
    }

    /// An unsigned number: digits, `Inf` or `NaN`.
    pub fn number(&mut self) -> Result<f64, ParseError> {
        let start = self.pos;
        if self.peek().is_some_and(|c| c.is_ascii_alphabetic()) {
            let word = self.run(|c| c.is_ascii_alphanumeric() || c == '_');
            if word_kind(word) == Kind::Number {
                return read_number(word).map_err(|e| self.error_at(start, e));
            }
            self.pos = start;
            return Err(self.unexpected());
        }
        let scan = scan_series_number(self.rest());
        if scan.len == 0 {
            return Err(self.unexpected());
        }
        self.pos += scan.len;
        let text = self.text.get(start..self.pos).unwrap_or("");
        if !scan.valid {
            return Err(self.error_at(start, format!("bad number syntax: {}", go_quote(text))));
        }
        read_number(text).map_err(|e| self.error_at(start, format!("error parsing number: {e}")))
    }

    /// A count after `x`.
    fn count(&mut self) -> Result<u64, ParseError> {
        let start = self.pos;
        let digits = self.run(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
        if digits.is_empty() {
            return Err(self.unexpected());
        }
        let n: u64 = digits.parse().map_err(|e: std::num::ParseIntError| {
            let reason = match e.kind() {
                std::num::IntErrorKind::PosOverflow => "value out of range",
                _ => "invalid syntax",
            };
            let cause = format!("strconv.ParseUint: parsing {}: {reason}", go_quote(digits));
            self.error_at(start, format!("invalid repetition in series values: {cause}"))
        })?;
        if n >= MAX_VALUES {
            return Err(self.error_at(start, "too many values in a series"));
        }
        Ok(n)
    }
}

/// The kind of a word among the values.
fn word_kind(word: &str) -> Kind {
    keyword(word).unwrap_or(match word.contains(':') {
        true => Kind::MetricIdentifier,
        false => Kind::Identifier,
    })
}

fn item(reader: &mut Reader<'_>, out: &mut Vec<SequenceValue>) -> Result<(), ParseError> {
    if reader.accept("_") {
        let n = if reader.accept("x") { reader.count()? } else { 1 };
        out.extend((0..n).map(|_| SequenceValue::Omitted));
        return Ok(());
    }
    if reader.rest().starts_with("{{") {
        return histogram_item(reader, out);
    }
    let start = reader.pos;
    let mut value = match reader.peek() {
        Some('+') => {
            reader.accept("+");
            reader.number()?
        }
        Some('-') => {
            reader.accept("-");
            -reader.number()?
        }
        Some(c) if c.is_ascii_alphabetic() => {
            let word = reader.run(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
            match word_kind(word) {
                Kind::Number => read_number(word).map_err(|e| reader.error_at(start, e))?,
                Kind::Identifier if word == "stale" => STALE_NAN,
                kind => {
                    let what = kind.describe(word);
                    let message =
                        format!("unexpected {what} in series values, expected number or \"stale\"");
                    return Err(reader.error_at(start, message));
                }
            }
        }
        _ => reader.number()?,
    };
    let step = match reader.peek() {
        Some('+') => Some(1.0),
        Some('-') => Some(-1.0),
        Some('x') => Some(0.0),
        _ => None,
    };
    let Some(sign) = step else {
        out.push(SequenceValue::Float(value));
        return Ok(());
    };
    let mut delta = 0.0;
    if sign != 0.0 {
        reader.pos += 1;
        delta = sign * reader.number()?;
    }
    if !reader.accept("x") {
        return Err(reader.unexpected());
    }
    for _ in 0..=reader.count()? {
        out.push(SequenceValue::Float(value));
        if sign != 0.0 {
            value += delta;
        }
    }
    Ok(())
}

fn histogram_item(reader: &mut Reader<'_>, out: &mut Vec<SequenceValue>) -> Result<(), ParseError> {
    let start = reader.pos;
    let (mut value, mut hint_given) = literal::parse(reader)?;
    let subtract = match reader.peek() {
        Some('+') => Some(false),
        Some('-') => Some(true),
        _ => None,
    };
    let mut delta = None;
    if let Some(subtract) = subtract {
        reader.pos += 1;
        let (histogram, hint) = literal::parse(reader)?;
        hint_given = hint;
        delta = Some((subtract, histogram));
    }
    let times = match reader.accept("x") {
        true => reader.count()?,
        false if delta.is_some() => return Err(reader.unexpected()),
        false => 0,
    };
    let mut push = |histogram: &FloatHistogram| {
        out.push(SequenceValue::Histogram { histogram: Box::new(histogram.clone()), hint_given });
    };
    push(&value);
    for _ in 0..times {
        if let Some((subtract, delta)) = &delta {
            value = combine(&value, delta, *subtract).map_err(|e| reader.error_at(start, e))?;
        }
        push(&value);
    }
    Ok(())
}
