//! OpenMetrics text 1.0, as far as importing samples needs it: every line is checked, samples come
//! out, metadata and exemplars are passed over.
//!
//! Grammar and error texts after Prometheus's `openmetricsparse.go` and its lexer.

use std::borrow::Cow;
use std::ops::Range;

use model::number::go_quote;
use model::value::NORMAL_NAN;
use model::{Labels, MetricType};

use super::openmetrics_lexer::Lexer;
use super::series::Collector;
use super::token::Token;
use super::{ParseError, number, quote_bytes};

/// A sample line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OmSample {
    pub value: f64,
    /// Milliseconds since the epoch, if the line has a timestamp.
    pub timestamp_ms: Option<i64>,
}

/// Parser over a body.
#[derive(Debug)]
pub struct OpenMetricsParser<'a> {
    lexer: Lexer<'a>,
    /// Start of the current entry.
    entry: usize,
    metric_type: MetricType,
    name: Option<Range<usize>>,
    labels: Vec<(Range<usize>, Range<usize>)>,
}

impl<'a> OpenMetricsParser<'a> {
    /// A parser over `body`, which must end with `# EOF`.
    pub fn new(body: &'a [u8]) -> OpenMetricsParser<'a> {
        OpenMetricsParser {
            lexer: Lexer::new(body),
            entry: 0,
            metric_type: MetricType::Unknown,
            name: None,
            labels: Vec::new(),
        }
    }

    /// The next sample, or `None` behind `# EOF`.
    #[allow(clippy::should_implement_trait, reason = "fallible")]
    pub fn next(&mut self) -> Result<Option<OmSample>, ParseError> {
        loop {
            self.entry = self.lexer.pos;
            self.name = None;
            self.labels.clear();
            match self.lexer.next() {
                Token::EofWord => {
                    return match self.lexer.next() {
                        Token::Eof => Ok(None),
                        _ => Err(ParseError("unexpected data after # EOF".to_owned())),
                    };
                }
                Token::Eof => return Err(no_end()),
                kind @ (Token::Help | Token::Type | Token::Unit) => self.metadata(kind)?,
                Token::BraceOpen => {
                    self.label_list(false)?;
                    let token = self.lexer.next();
                    return self.suffix(token).map(Some);
                }
                Token::MetricName => {
                    self.name = Some(self.lexer.start..self.lexer.pos);
                    let mut token = self.lexer.next();
                    if token == Token::BraceOpen {
                        self.label_list(false)?;
                        token = self.lexer.next();
                    }
                    return self.suffix(token).map(Some);
                }
                got => return Err(self.error("expected a valid start token", got)),
            }
        }
    }

    /// The labels of the sample that `next` returned last.
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

    fn metadata(&mut self, kind: Token) -> Result<(), ParseError> {
        match self.lexer.next() {
            Token::MetricName => {}
            got => {
                let expected = format!("expected metric name after {}", kind.name());
                return Err(self.error(&expected, got));
            }
        }
        let mut name = self.lexer.text();
        if let [b'"', inner @ .., b'"'] = name {
            name = inner;
        }
        if self.lexer.next() != Token::Text {
            return Err(ParseError(format!("expected text in {}", kind.name())));
        }
        // Between the space and the line break.
        let text =
            self.lexer.body.get(self.lexer.start + 1..self.lexer.pos - 1).unwrap_or_default();
        match kind {
            Token::Type => self.metric_type = metric_type(text)?,
            Token::Help if std::str::from_utf8(text).is_err() => {
                let shown = quote_bytes(text);
                return Err(ParseError(format!("help text {shown} is not a valid utf8 string")));
            }
            Token::Unit if !text.is_empty() => {
                let stem = name.strip_suffix(text).filter(|stem| stem.ends_with(b"_"));
                if stem.is_none() {
                    let (unit, name) = (quote_bytes(text), quote_bytes(name));
                    return Err(ParseError(format!("unit {unit} not a suffix of metric {name}")));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What stands inside the braces; an exemplar's is only checked.
    fn label_list(&mut self, exemplar: bool) -> Result<(), ParseError> {
        let mut token = self.lexer.next();
        loop {
            let quoted = match token {
                Token::BraceClose => return Ok(()),
                Token::LabelName => false,
                Token::QuotedString => true,
                got => return Err(self.error("expected label name", got)),
            };
            let name = match quoted {
                true => self.lexer.start + 1..self.lexer.pos - 1,
                false => self.lexer.start..self.lexer.pos,
            };
            token = self.lexer.next();
            if quoted && matches!(token, Token::Comma | Token::BraceClose) {
                if exemplar {
                    return Err(self.error("expected label name", token));
                }
                if self.name.is_some() {
                    let shown = quote_bytes(&self.lexer.body[self.entry..self.lexer.pos]);
                    return Err(ParseError(format!(
                        "metric name already set while parsing: {shown}"
                    )));
                }
                self.name = Some(name);
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
            let value = self.lexer.text();
            if std::str::from_utf8(value).is_err() {
                let shown = quote_bytes(value);
                return Err(ParseError(format!("invalid UTF-8 label value: {shown}")));
            }
            if !exemplar {
                self.labels.push((name, self.lexer.start + 1..self.lexer.pos - 1));
            }
            token = self.lexer.next();
            if token == Token::Comma {
                token = self.lexer.next();
            } else if token != Token::BraceClose {
                return Err(self.error("expected comma or brace close", token));
            }
        }
    }

    /// Value, optional timestamp, optional exemplar and line break.
    fn suffix(&mut self, token: Token) -> Result<OmSample, ParseError> {
        if self.name.is_none() {
            let shown = quote_bytes(&self.lexer.body[self.entry..self.lexer.pos]);
            return Err(ParseError(format!("metric name not set while parsing: {shown}")));
        }
        let value = self.value(token, "metric")?;
        let mut timestamp_ms = None;
        match self.lexer.next() {
            Token::Eof => return Err(no_end()),
            Token::Comment => self.exemplar()?,
            Token::Timestamp => {
                timestamp_ms = Some(self.timestamp("timestamp")?);
                match self.lexer.next() {
                    Token::Linebreak => {}
                    Token::Comment => self.exemplar()?,
                    got => return Err(self.error("expected next entry after timestamp", got)),
                }
            }
            // What does not go on like one of these shows as the start of the next entry.
            _ => {}
        }
        Ok(OmSample { value, timestamp_ms })
    }

    fn exemplar(&mut self) -> Result<(), ParseError> {
        self.label_list(true)?;
        let token = self.lexer.next();
        self.value(token, "exemplar labels")?;
        match self.lexer.next() {
            Token::Eof => Err(no_end()),
            Token::Linebreak => Ok(()),
            Token::Timestamp => {
                self.timestamp("exemplar timestamp")?;
                match self.lexer.next() {
                    Token::Linebreak => Ok(()),
                    got => Err(self.error("expected next entry after exemplar timestamp", got)),
                }
            }
            got => Err(self.error("expected timestamp or comment", got)),
        }
    }

    fn value(&mut self, token: Token, after: &str) -> Result<f64, ParseError> {
        if token != Token::Value {
            return Err(self.error(&format!("expected value after {after}"), token));
        }
        let value = number::parse(&self.lexer.body[self.lexer.start + 1..self.lexer.pos]);
        let value = value.map_err(|e| self.while_parsing(&e.0))?;
        Ok(if value.is_nan() { NORMAL_NAN } else { value })
    }

    fn timestamp(&mut self, what: &str) -> Result<i64, ParseError> {
        let seconds = number::parse(&self.lexer.body[self.lexer.start + 1..self.lexer.pos]);
        let seconds = seconds.map_err(|e| self.while_parsing(&e.0))?;
        if !seconds.is_finite() {
            let shown = model::number::format_f(seconds);
            return Err(ParseError(format!("invalid {what} {shown}")));
        }
        Ok((seconds * 1000.0) as i64)
    }

    fn while_parsing(&self, error: &str) -> ParseError {
        let shown = quote_bytes(&self.lexer.body[self.entry..self.lexer.pos]);
        ParseError(format!("{error} while parsing: {shown}"))
    }

    fn error(&self, expected: &str, got: Token) -> ParseError {
        let end = self.lexer.body.len().min(self.lexer.pos + 1);
        ParseError(format!(
            "{expected}, got {} ({}) while parsing: {}",
            quote_bytes(&self.lexer.body[self.lexer.start.min(end)..end]),
            go_quote(got.name()),
            quote_bytes(&self.lexer.body[self.entry.min(end)..end]),
        ))
    }
}

fn no_end() -> ParseError {
    ParseError("data does not end with # EOF".to_owned())
}

fn metric_type(text: &[u8]) -> Result<MetricType, ParseError> {
    Ok(match text {
        b"counter" => MetricType::Counter,
        b"gauge" => MetricType::Gauge,
        b"histogram" => MetricType::Histogram,
        b"gaugehistogram" => MetricType::GaugeHistogram,
        b"summary" => MetricType::Summary,
        b"info" => MetricType::Info,
        b"stateset" => MetricType::StateSet,
        b"unknown" => MetricType::Unknown,
        other => return Err(ParseError(format!("invalid metric type {}", quote_bytes(other)))),
    })
}
