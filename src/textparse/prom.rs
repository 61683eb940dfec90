//! Prometheus text format 0.0.4, and 1.0.0, which only adds quoted metric and label names.
//!
//! Grammar, quirks and error texts after Prometheus's `promparse.go`. The parser never copies the
//! body; label strings are built only when a series is asked for its labels.

use std::borrow::Cow;
use std::ops::Range;

use model::number::go_quote;
use model::value::NORMAL_NAN;
use model::{Labels, MetricType};

use super::lexer::Lexer;
use super::series::{Collector, unescape};
use super::token::Token;
use super::{ParseError, number, quote_bytes};

/// One entry of a body.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry<'a> {
    /// A sample.
    Sample(Sample<'a>),
    /// `# TYPE name type`
    Type { family: Cow<'a, str>, metric_type: MetricType },
    /// `# HELP name text`
    Help { family: Cow<'a, str>, help: Cow<'a, str> },
    /// Any other comment.
    Comment,
}

/// A sample line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    /// Name and braces as written: what identifies the series within one target.
    pub series: &'a [u8],
    /// From the start of the line to the first byte of the value.
    pub prefix: &'a [u8],
    pub value: f64,
    /// Milliseconds since the epoch, if the line has a timestamp.
    pub timestamp_ms: Option<i64>,
}

/// Parser over a body that ends with a line break.
#[derive(Debug)]
pub struct PromParser<'a> {
    lexer: Lexer<'a>,
    /// Start of the current entry.
    start: usize,
    metric_type: MetricType,
    /// Name of the current series.
    name: Option<Range<usize>>,
    /// Label names and values of the current series, without quotes.
    labels: Vec<(Range<usize>, Range<usize>)>,
}

impl<'a> PromParser<'a> {
    /// A parser over `body`, whose last byte must be a line break.
    pub fn new(body: &'a [u8]) -> PromParser<'a> {
        PromParser {
            lexer: Lexer::new(body),
            start: 0,
            metric_type: MetricType::Unknown,
            name: None,
            labels: Vec::new(),
        }
    }

    /// Offset of the next entry.
    pub fn position(&self) -> usize {
        self.lexer.pos
    }

    /// Continues at `position`, the start of a line. `metric_type` is that of the last `# TYPE`
    /// entry before it.
    pub fn seek(&mut self, position: usize, metric_type: MetricType) {
        self.lexer.seek(position);
        self.metric_type = metric_type;
    }

    /// The type that the last `# TYPE` entry named.
    pub fn metric_type(&self) -> MetricType {
        self.metric_type
    }

    /// The next entry, or `None` at the end of the body.
    #[allow(clippy::should_implement_trait, reason = "fallible and lending")]
    pub fn next(&mut self) -> Result<Option<Entry<'a>>, ParseError> {
        loop {
            self.start = self.lexer.pos;
            return match self.lexer.next() {
                Token::Eof => Ok(None),
                Token::Linebreak => continue,
                token @ (Token::Help | Token::Type) => self.metadata(token).map(Some),
                Token::Comment => match self.lexer.next() {
                    Token::Linebreak => Ok(Some(Entry::Comment)),
                    got => Err(self.error("linebreak expected after comment", got)),
                },
                Token::BraceOpen => {
                    self.name = None;
                    self.labels.clear();
                    self.label_list()?;
                    let series = self.start..self.lexer.pos;
                    let token = self.lexer.next();
                    self.suffix(series, token).map(Some)
                }
                Token::MetricName => {
                    // The name starts where the entry starts: leading white space belongs to it,
                    // as in Prometheus.
                    self.name = Some(self.start..self.lexer.pos);
                    self.labels.clear();
                    let mut series = self.start..self.lexer.pos;
                    let mut token = self.lexer.next();
                    if token == Token::BraceOpen {
                        self.label_list()?;
                        series.end = self.lexer.pos;
                        token = self.lexer.next();
                    }
                    self.suffix(series, token).map(Some)
                }
                got => Err(self.error("expected a valid start token", got)),
            };
        }
    }

    /// The labels of the sample that `next` returned last; the metric name is among them.
    /// An error names the label that stands twice.
    pub fn labels(&self) -> Result<Labels, ParseError> {
        let name = self.name.clone().map_or(Cow::default(), |range| self.text(range));
        let mut collector = Collector::new(name, self.labels.len());
        for (name, value) in &self.labels {
            let (name, value) = (self.text(name.clone()), self.text(value.clone()));
            collector.label(self.metric_type, name, value);
        }
        collector.finish().map_err(|name| {
            ParseError(format!("label name \"{name}\" is not unique: invalid sample"))
        })
    }

    fn text(&self, range: Range<usize>) -> Cow<'a, str> {
        String::from_utf8_lossy(&self.lexer.body[range])
    }

    fn metadata(&mut self, kind: Token) -> Result<Entry<'a>, ParseError> {
        match self.lexer.next() {
            Token::MetricName => {}
            got => {
                let expected = format!("expected metric name after {}", kind.name());
                return Err(self.error(&expected, got));
            }
        }
        let mut name = self.lexer.start..self.lexer.pos;
        if self.lexer.body[name.start] == b'"' {
            name = name.start + 1..name.end - 1;
        }
        let family = self.text(name);
        self.lexer.next();
        // The first byte separates name and text.
        let text = self.lexer.text().get(1..).unwrap_or_default();
        let entry = if kind == Token::Type {
            self.metric_type = metric_type(text)?;
            Entry::Type { family, metric_type: self.metric_type }
        } else {
            let Ok(help) = std::str::from_utf8(text) else {
                let shown = quote_bytes(text);
                return Err(ParseError(format!("help text {shown} is not a valid utf8 string")));
            };
            Entry::Help { family, help: unescape(Cow::Borrowed(help), false) }
        };
        match self.lexer.next() {
            Token::Linebreak => Ok(entry),
            got => Err(self.error("linebreak expected after metadata", got)),
        }
    }

    /// What stands inside the braces.
    fn label_list(&mut self) -> Result<(), ParseError> {
        let mut token = self.lexer.next();
        loop {
            let (quoted, mut name) = match token {
                Token::BraceClose => return Ok(()),
                Token::LabelName => (false, self.lexer.start..self.lexer.pos),
                Token::QuotedString => (true, self.lexer.start + 1..self.lexer.pos - 1),
                got => return Err(self.error("expected label name", got)),
            };
            token = self.lexer.next();
            if quoted && matches!(token, Token::Comma | Token::BraceClose) {
                if self.name.is_some() {
                    let shown = quote_bytes(&self.lexer.body[self.start..self.lexer.pos]);
                    return Err(ParseError(format!(
                        "metric name already set while parsing: {shown}"
                    )));
                }
                self.name = Some(std::mem::take(&mut name));
                if token == Token::BraceClose {
                    return Ok(());
                }
                token = self.lexer.next();
                continue;
            }
            if token != Token::Equal {
                return Err(self.error("expected equal", token));
            }
            match self.lexer.next() {
                Token::LabelValue => {}
                got => return Err(self.error("expected label value", got)),
            }
            if std::str::from_utf8(self.lexer.text()).is_err() {
                let shown = quote_bytes(self.lexer.text());
                return Err(ParseError(format!("invalid UTF-8 label value: {shown}")));
            }
            self.labels.push((name, self.lexer.start + 1..self.lexer.pos - 1));
            token = self.lexer.next();
            if token == Token::Comma {
                token = self.lexer.next();
            }
        }
    }

    /// Value, optional timestamp and line break.
    fn suffix(&mut self, series: Range<usize>, token: Token) -> Result<Entry<'a>, ParseError> {
        let body = self.lexer.body;
        if self.name.is_none() {
            let shown = quote_bytes(&body[self.start..self.lexer.pos]);
            return Err(ParseError(format!("metric name not set while parsing: {shown}")));
        }
        if token != Token::Value {
            return Err(self.error("expected value after metric", token));
        }
        let prefix = &body[self.start..self.lexer.start];
        let mut value = number::parse(self.lexer.text()).map_err(|e| self.while_parsing(&e.0))?;
        if value.is_nan() {
            value = NORMAL_NAN;
        }
        let timestamp_ms = match self.lexer.next() {
            Token::Linebreak => None,
            Token::Timestamp => {
                let t = timestamp(self.lexer.text()).map_err(|e| self.while_parsing(&e))?;
                match self.lexer.next() {
                    Token::Linebreak => Some(t),
                    got => return Err(self.error("expected next entry after timestamp", got)),
                }
            }
            got => return Err(self.error("expected timestamp or new record", got)),
        };
        Ok(Entry::Sample(Sample { series: &body[series], prefix, value, timestamp_ms }))
    }

    fn while_parsing(&self, error: &str) -> ParseError {
        let shown = quote_bytes(&self.lexer.body[self.start..self.lexer.pos]);
        ParseError(format!("{error} while parsing: {shown}"))
    }

    fn error(&self, expected: &str, got: Token) -> ParseError {
        let end = self.lexer.body.len().min(self.lexer.pos + 1);
        ParseError(format!(
            "{expected}, got {} ({}) while parsing: {}",
            quote_bytes(&self.lexer.body[self.lexer.start.min(end)..end]),
            go_quote(got.name()),
            quote_bytes(&self.lexer.body[self.start..end]),
        ))
    }
}

fn metric_type(text: &[u8]) -> Result<MetricType, ParseError> {
    Ok(match text {
        b"counter" => MetricType::Counter,
        b"gauge" => MetricType::Gauge,
        b"histogram" => MetricType::Histogram,
        b"summary" => MetricType::Summary,
        b"untyped" => MetricType::Unknown,
        other => return Err(ParseError(format!("invalid metric type {}", quote_bytes(other)))),
    })
}

/// Digits only; the lexer lets nothing else through.
fn timestamp(digits: &[u8]) -> Result<i64, String> {
    let text = String::from_utf8_lossy(digits);
    text.parse()
        .map_err(|_| format!("strconv.ParseInt: parsing {}: value out of range", go_quote(&text)))
}
