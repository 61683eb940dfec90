//! OpenMetrics text 1.0, as far as importing samples needs it: every line is checked, samples come
//! out, metadata and exemplars are passed over.
//!
//! Grammar and error texts after Prometheus's `openmetricsparse.go` and its lexer.

use std::borrow::Cow;
use std::ops::Range;

use model::number::go_quote;
use model::value::NORMAL_NAN;
use model::{Labels, MetricType};

use super::series::Collector;
use super::{ParseError, number, quote_bytes};

/// What the lexer may read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Init,
    Meta1,
    Meta2,
    Labels,
    LabelValue,
    Value,
    Timestamp,
    Exemplar,
    ExemplarValue,
    ExemplarTimestamp,
}

/// One token. The names printed in errors are upstream's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Invalid,
    Eof,
    Linebreak,
    Help,
    Type,
    Unit,
    EofWord,
    Text,
    Comment,
    MetricName,
    QuotedString,
    BraceOpen,
    BraceClose,
    LabelName,
    LabelValue,
    Equal,
    Comma,
    Timestamp,
    Value,
}

impl Token {
    fn name(self) -> &'static str {
        match self {
            Token::Invalid => "INVALID",
            Token::Eof => "EOF",
            Token::Linebreak => "LINEBREAK",
            Token::Help => "HELP",
            Token::Type => "TYPE",
            Token::Unit => "UNIT",
            Token::EofWord => "EOFWORD",
            Token::Text => "TEXT",
            Token::Comment => "COMMENT",
            Token::MetricName => "MNAME",
            Token::QuotedString => "QSTRING",
            Token::BraceOpen => "BOPEN",
            Token::BraceClose => "BCLOSE",
            Token::LabelName => "LNAME",
            Token::LabelValue => "LVALUE",
            Token::Equal => "EQUAL",
            Token::Comma => "COMMA",
            Token::Timestamp => "TIMESTAMP",
            Token::Value => "VALUE",
        }
    }
}

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
    body: &'a [u8],
    /// Start of the current entry.
    entry: usize,
    /// Start and end of the current token.
    start: usize,
    pos: usize,
    state: State,
    metric_type: MetricType,
    name: Option<Range<usize>>,
    labels: Vec<(Range<usize>, Range<usize>)>,
}

fn is_name_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_'
}

fn is_metric_start(b: u8) -> bool {
    is_name_start(b) || b == b':'
}

impl<'a> OpenMetricsParser<'a> {
    /// A parser over `body`, which must end with `# EOF`.
    pub fn new(body: &'a [u8]) -> OpenMetricsParser<'a> {
        OpenMetricsParser {
            body,
            entry: 0,
            start: 0,
            pos: 0,
            state: State::Init,
            metric_type: MetricType::Unknown,
            name: None,
            labels: Vec::new(),
        }
    }

    /// The next sample, or `None` behind `# EOF`.
    #[allow(clippy::should_implement_trait, reason = "fallible")]
    pub fn next(&mut self) -> Result<Option<OmSample>, ParseError> {
        loop {
            self.entry = self.pos;
            self.name = None;
            self.labels.clear();
            match self.token() {
                Token::EofWord => {
                    return match self.token() {
                        Token::Eof => Ok(None),
                        _ => Err(ParseError("unexpected data after # EOF".to_owned())),
                    };
                }
                Token::Eof => return Err(no_end()),
                kind @ (Token::Help | Token::Type | Token::Unit) => self.metadata(kind)?,
                Token::BraceOpen => {
                    self.label_list(false)?;
                    let token = self.token();
                    return self.suffix(token).map(Some);
                }
                Token::MetricName => {
                    self.name = Some(self.start..self.pos);
                    let mut token = self.token();
                    if token == Token::BraceOpen {
                        self.label_list(false)?;
                        token = self.token();
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
        String::from_utf8_lossy(&self.body[range])
    }

    fn metadata(&mut self, kind: Token) -> Result<(), ParseError> {
        match self.token() {
            Token::MetricName => {}
            got => {
                let expected = format!("expected metric name after {}", kind.name());
                return Err(self.error(&expected, got));
            }
        }
        let mut name = &self.body[self.start..self.pos];
        if let [b'"', inner @ .., b'"'] = name {
            name = inner;
        }
        if self.token() != Token::Text {
            return Err(ParseError(format!("expected text in {}", kind.name())));
        }
        // Between the space and the line break.
        let text = self.body.get(self.start + 1..self.pos - 1).unwrap_or_default();
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
        let mut token = self.token();
        loop {
            let quoted = match token {
                Token::BraceClose => return Ok(()),
                Token::LabelName => false,
                Token::QuotedString => true,
                got => return Err(self.error("expected label name", got)),
            };
            let name = match quoted {
                true => self.start + 1..self.pos - 1,
                false => self.start..self.pos,
            };
            token = self.token();
            if quoted && matches!(token, Token::Comma | Token::BraceClose) {
                if exemplar {
                    return Err(self.error("expected label name", token));
                }
                if self.name.is_some() {
                    let shown = quote_bytes(&self.body[self.entry..self.pos]);
                    return Err(ParseError(format!(
                        "metric name already set while parsing: {shown}"
                    )));
                }
                self.name = Some(name);
                if token == Token::BraceClose {
                    return Ok(());
                }
                token = self.token();
                continue;
            }
            if token != Token::Equal {
                return Err(self.error("expected equal", token));
            }
            match self.token() {
                Token::LabelValue => {}
                got => return Err(self.error("expected label value", got)),
            }
            let value = &self.body[self.start..self.pos];
            if std::str::from_utf8(value).is_err() {
                let shown = quote_bytes(value);
                return Err(ParseError(format!("invalid UTF-8 label value: {shown}")));
            }
            if !exemplar {
                self.labels.push((name, self.start + 1..self.pos - 1));
            }
            token = self.token();
            if token == Token::Comma {
                token = self.token();
            } else if token != Token::BraceClose {
                return Err(self.error("expected comma or brace close", token));
            }
        }
    }

    /// Value, optional timestamp, optional exemplar and line break.
    fn suffix(&mut self, token: Token) -> Result<OmSample, ParseError> {
        if self.name.is_none() {
            let shown = quote_bytes(&self.body[self.entry..self.pos]);
            return Err(ParseError(format!("metric name not set while parsing: {shown}")));
        }
        let value = self.value(token, "metric")?;
        let mut timestamp_ms = None;
        match self.token() {
            Token::Eof => return Err(no_end()),
            Token::Comment => self.exemplar()?,
            Token::Timestamp => {
                timestamp_ms = Some(self.timestamp("timestamp")?);
                match self.token() {
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
        let token = self.token();
        self.value(token, "exemplar labels")?;
        match self.token() {
            Token::Eof => Err(no_end()),
            Token::Linebreak => Ok(()),
            Token::Timestamp => {
                self.timestamp("exemplar timestamp")?;
                match self.token() {
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
        let value = number::parse(&self.body[self.start + 1..self.pos]);
        let value = value.map_err(|e| self.while_parsing(&e.0))?;
        Ok(if value.is_nan() { NORMAL_NAN } else { value })
    }

    fn timestamp(&mut self, what: &str) -> Result<i64, ParseError> {
        let seconds = number::parse(&self.body[self.start + 1..self.pos]);
        let seconds = seconds.map_err(|e| self.while_parsing(&e.0))?;
        if !seconds.is_finite() {
            let shown = model::number::format_f(seconds);
            return Err(ParseError(format!("invalid {what} {shown}")));
        }
        Ok((seconds * 1000.0) as i64)
    }

    fn while_parsing(&self, error: &str) -> ParseError {
        let shown = quote_bytes(&self.body[self.entry..self.pos]);
        ParseError(format!("{error} while parsing: {shown}"))
    }

    fn error(&self, expected: &str, got: Token) -> ParseError {
        let end = self.body.len().min(self.pos + 1);
        ParseError(format!(
            "{expected}, got {} ({}) while parsing: {}",
            quote_bytes(&self.body[self.start.min(end)..end]),
            go_quote(got.name()),
            quote_bytes(&self.body[self.entry.min(end)..end]),
        ))
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.pos).copied()
    }

    /// Takes the next byte if it is `byte`.
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.pos += usize::from(found);
        found
    }

    fn skip_while(&mut self, accept: impl Fn(u8) -> bool) -> usize {
        let rest = self.body.get(self.pos..).unwrap_or_default();
        let len = rest.iter().take_while(|b| accept(**b)).count();
        self.pos += len;
        len
    }

    fn go(&mut self, token: Token, next: State) -> Token {
        self.state = next;
        token
    }

    /// The next token.
    fn token(&mut self) -> Token {
        self.start = self.pos;
        let Some(first) = self.peek() else { return Token::Eof };
        match self.state {
            State::Init if first == b'#' => {
                self.pos += 1;
                if !self.take(b' ') {
                    return Token::Invalid;
                }
                // The mark belongs to the token behind it.
                self.keyword()
            }
            State::Init if first == b'{' => {
                self.pos += 1;
                self.go(Token::BraceOpen, State::Labels)
            }
            State::Init => self.word(is_metric_start, Token::MetricName, State::Value),
            State::Meta1 if first == b'"' => self.quoted(true, Token::MetricName, State::Meta2),
            State::Meta1 => self.word(is_metric_start, Token::MetricName, State::Meta2),
            State::Meta2 => {
                if !self.take(b' ') {
                    return Token::Invalid;
                }
                self.skip_while(|b| b != b'\n');
                if self.take(b'\n') { self.go(Token::Text, State::Init) } else { Token::Invalid }
            }
            State::Labels | State::Exemplar => self.label_token(first),
            State::LabelValue => self.quoted(false, Token::LabelValue, State::Labels),
            State::ExemplarValue if first == b'"' => {
                self.quoted(false, Token::LabelValue, State::Exemplar)
            }
            State::ExemplarValue => self.field(Token::Value, State::ExemplarTimestamp),
            State::Value if first == b'{' => {
                self.pos += 1;
                self.go(Token::BraceOpen, State::Labels)
            }
            State::Value => self.field(Token::Value, State::Timestamp),
            State::Timestamp | State::ExemplarTimestamp if first == b'\n' => {
                self.pos += 1;
                self.go(Token::Linebreak, State::Init)
            }
            State::Timestamp if self.body[self.pos..].starts_with(b" # {") => {
                self.pos += 4;
                self.go(Token::Comment, State::Exemplar)
            }
            State::Timestamp => self.field(Token::Timestamp, State::Timestamp),
            State::ExemplarTimestamp => self.field(Token::Timestamp, State::ExemplarTimestamp),
        }
    }

    /// What stands behind `# `.
    fn keyword(&mut self) -> Token {
        let rest = &self.body[self.pos..];
        let mut longest = 0;
        for (word, token, next) in [
            (&b"HELP "[..], Token::Help, State::Meta1),
            (b"TYPE ", Token::Type, State::Meta1),
            (b"UNIT ", Token::Unit, State::Meta1),
            (b"EOF", Token::EofWord, State::Init),
        ] {
            let same = rest.iter().zip(word).take_while(|(a, b)| a == b).count();
            longest = longest.max(same);
            if same == word.len() {
                self.pos += same;
                if token == Token::EofWord {
                    self.take(b'\n');
                }
                return self.go(token, next);
            }
        }
        self.pos += longest;
        Token::Invalid
    }

    fn label_token(&mut self, first: u8) -> Token {
        let exemplar = self.state == State::Exemplar;
        let same = self.state;
        let one = |exemplar, of_exemplar, of_series| if exemplar { of_exemplar } else { of_series };
        match first {
            b'}' => {
                self.pos += 1;
                self.go(Token::BraceClose, one(exemplar, State::ExemplarValue, State::Value))
            }
            b'=' => {
                self.pos += 1;
                self.go(Token::Equal, one(exemplar, State::ExemplarValue, State::LabelValue))
            }
            b',' => {
                self.pos += 1;
                Token::Comma
            }
            b'"' => self.quoted(!exemplar, Token::QuotedString, same),
            _ => self.word(is_name_start, Token::LabelName, same),
        }
    }

    fn word(&mut self, starts: fn(u8) -> bool, token: Token, next: State) -> Token {
        if !self.peek().is_some_and(starts) {
            return Token::Invalid;
        }
        self.skip_while(|b| starts(b) || b.is_ascii_digit());
        self.go(token, next)
    }

    /// A string in double quotes; `lines` says whether it may have line breaks.
    fn quoted(&mut self, lines: bool, token: Token, next: State) -> Token {
        if !self.take(b'"') {
            return Token::Invalid;
        }
        loop {
            match self.peek() {
                None => return Token::Invalid,
                Some(b'\n') if !lines => return Token::Invalid,
                Some(b'\\') => {
                    self.pos += 1;
                    if self.peek().is_none_or(|b| b == b'\n') {
                        return Token::Invalid;
                    }
                }
                Some(b'"') => {
                    self.pos += 1;
                    return self.go(token, next);
                }
                Some(_) => {}
            }
            self.pos += 1;
        }
    }

    /// A space and what follows up to the next one.
    fn field(&mut self, token: Token, next: State) -> Token {
        if self.take(b' ') && self.skip_while(|b| b != b' ' && b != b'\n') > 0 {
            return self.go(token, next);
        }
        Token::Invalid
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
