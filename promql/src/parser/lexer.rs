//! Lexer: query text to tokens, one at a time, because what a character means depends on the
//! brackets around it: keywords are plain names inside braces, and only durations stand in square
//! brackets. Short scans are nom parsers; the states are Prometheus's, so that it stops at the same
//! character with the same message.

use model::number::{go_quote, go_quote_char};
use nom::branch::alt;
use nom::bytes::complete::{tag, take_while};
use nom::combinator::value;
use nom::{IResult, Parser as _};

use super::ast::{BinaryOp, Span};
use super::error::ParseError;
use super::number::{scan_duration_rest, scan_number};
use super::text::{StringScan, scan_escape};
use super::token::{Keyword, Kind, Token, duration_keyword, keyword};

/// Which characters mean what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Statements,
    Braces,
    /// Inside `[…]`, except directly after a number.
    Duration,
}

/// Cuts a text into tokens.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    text: &'a str,
    state: State,
    /// Start of the token being scanned.
    start: usize,
    /// End of what has been scanned.
    pos: usize,
    paren_depth: usize,
    bracket_open: bool,
    got_colon: bool,
    /// Whether a number was ever seen inside square brackets.
    got_duration: bool,
}

type Lexed = Result<Token, ParseError>;

impl<'a> Lexer<'a> {
    /// A lexer at the start of `text`, which must be shorter than 4 GiB.
    pub fn new(text: &'a str) -> Lexer<'a> {
        Lexer {
            text,
            state: State::Statements,
            start: 0,
            pos: 0,
            paren_depth: 0,
            bracket_open: false,
            got_colon: false,
            got_duration: false,
        }
    }

    /// The whole text.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The next token that is not a comment; `Eof` for ever at the end.
    pub fn next_token(&mut self) -> Lexed {
        loop {
            let token = match self.state {
                State::Statements => self.statements(),
                State::Braces => self.braces(),
                State::Duration => self.duration(),
            }?;
            if token.kind != Kind::Comment {
                return Ok(token);
            }
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.pos..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    /// Takes what `scan` takes of the rest.
    fn run<T>(&mut self, mut scan: impl FnMut(&'a str) -> IResult<&'a str, T>) -> Option<T> {
        let (rest, out) = scan(self.rest()).ok()?;
        self.pos = self.text.len() - rest.len();
        Some(out)
    }

    fn skip_spaces(&mut self) {
        self.run(take_while(is_space));
        self.start = self.pos;
    }

    fn emit(&mut self, kind: Kind) -> Lexed {
        let span = Span { start: self.start as u32, end: self.pos as u32 };
        self.start = self.pos;
        Ok(Token { kind, span })
    }

    fn error(&self, message: impl Into<String>) -> Lexed {
        let span = Span { start: self.start as u32, end: self.text.len() as u32 };
        Err(ParseError::new(self.text, span, message))
    }

    /// Outside braces; inside square brackets only directly after a number.
    fn statements(&mut self) -> Lexed {
        self.skip_spaces();
        if self.peek() == Some('#') {
            return self.comment();
        }
        if let Some(kind) = self.run(operator) {
            return self.emit(kind);
        }
        let Some(c) = self.peek() else {
            return match (self.paren_depth, self.bracket_open) {
                (0, false) => self.emit(Kind::Eof),
                (0, true) => self.error("unclosed left bracket"),
                _ => self.error("unclosed left parenthesis"),
            };
        };
        match c {
            '(' | ')' => self.paren(c),
            '{' => {
                self.bump();
                self.state = State::Braces;
                self.emit(Kind::LeftBrace)
            }
            '[' | ']' => self.bracket(c),
            '=' | '!' => self.half_operator(),
            '"' | '\'' | '`' => self.string(c),
            c if self.at_number(c) => self.number_or_duration(),
            c if is_alpha(c) || c == ':' => match self.bracket_open {
                true => self.word_in_bracket(c),
                false => self.word(),
            },
            c => self.error(format!("unexpected character: {}", go_quote_char(c))),
        }
    }

    fn at_number(&self, c: char) -> bool {
        let second = self.rest().as_bytes().get(1);
        c.is_ascii_digit() || (c == '.' && second.is_some_and(u8::is_ascii_digit))
    }

    fn comment(&mut self) -> Lexed {
        self.run(take_while(|c| c != '\n' && c != '\r'));
        self.emit(Kind::Comment)
    }

    fn paren(&mut self, c: char) -> Lexed {
        self.bump();
        if c == '(' {
            self.paren_depth += 1;
            return self.emit(Kind::LeftParen);
        }
        let token = self.emit(Kind::RightParen);
        match self.paren_depth.checked_sub(1) {
            Some(depth) => self.paren_depth = depth,
            None => return self.error("unexpected right parenthesis ')'"),
        }
        token
    }

    fn bracket(&mut self, c: char) -> Lexed {
        let open = c == '[';
        if open == self.bracket_open {
            let side = if open { "left" } else { "right" };
            self.bump();
            return self.error(format!("unexpected {side} bracket {}", go_quote_char(c)));
        }
        self.bump();
        self.bracket_open = open;
        if !open {
            return self.emit(Kind::RightBracket);
        }
        self.got_colon = false;
        let token = self.emit(Kind::LeftBracket);
        self.skip_spaces();
        self.state = State::Duration;
        token
    }

    /// `=` alone, and what is wrong with `=~` and with `!`.
    fn half_operator(&mut self) -> Lexed {
        let first = self.bump();
        let next = self.peek();
        match (first, next) {
            (Some('='), Some('~')) => self.error("unexpected character after '=': '~'"),
            (Some('='), _) => self.emit(Kind::Equal),
            _ => self.error(format!("unexpected character after '!': {}", quote_or_end(next))),
        }
    }

    /// A name or keyword outside brackets.
    fn word(&mut self) -> Lexed {
        let word = self.run(take_while(is_name)).unwrap_or("");
        let kind = match keyword(word) {
            // Metrics may have these names, so they are keywords only where they can be one.
            Some(Kind::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight))
                if !self.rest().trim_start_matches(is_space).starts_with('(') =>
            {
                Kind::Identifier
            }
            Some(kind) => kind,
            None if word.contains(':') => Kind::MetricIdentifier,
            None => Kind::Identifier,
        };
        self.emit(kind)
    }

    /// A colon or one of the duration functions, after a number inside square brackets.
    fn word_in_bracket(&mut self, first: char) -> Lexed {
        if first == ':' {
            self.bump();
            if self.got_colon {
                return self.error("unexpected colon ':'");
            }
            self.got_colon = true;
            return self.emit(Kind::Colon);
        }
        if let Some(kind) = self.duration_word() {
            return self.emit(kind);
        }
        self.error(format!("unexpected character: {}, expected ':'", go_quote_char(first)))
    }

    fn duration_word(&mut self) -> Option<Kind> {
        let word = self.run(take_while(is_alpha))?;
        duration_keyword(&word.to_ascii_lowercase())
    }

    /// Inside square brackets.
    fn duration(&mut self) -> Lexed {
        self.skip_spaces();
        let Some(c) = self.peek() else {
            return self.error("unexpected end of input in duration expression");
        };
        if self.at_number(c) {
            self.got_duration = true;
            self.state = State::Statements;
            return self.number_or_duration();
        }
        match c {
            ']' => {
                self.got_colon = false;
                self.state = State::Statements;
                self.bracket(c)
            }
            ':' => self.duration_colon(),
            '(' | ')' => self.paren(c),
            '+' | '-' | '*' | '/' | '%' | '^' | ',' => {
                self.bump();
                let kind = match c {
                    '+' => Kind::Op(BinaryOp::Add),
                    '-' => Kind::Op(BinaryOp::Sub),
                    '*' => Kind::Op(BinaryOp::Mul),
                    '/' => Kind::Op(BinaryOp::Div),
                    '%' => Kind::Op(BinaryOp::Mod),
                    '^' => Kind::Op(BinaryOp::Pow),
                    _ => Kind::Comma,
                };
                self.emit(kind)
            }
            c => match self.duration_word() {
                Some(kind) => self.emit(kind),
                None => self.error(format!(
                    "unexpected character in duration expression: {}",
                    go_quote_char(c)
                )),
            },
        }
    }

    fn duration_colon(&mut self) -> Lexed {
        self.bump();
        let token = self.emit(Kind::Colon);
        if !self.got_duration {
            return self.error("unexpected colon before duration in duration expression");
        }
        if self.got_colon {
            return self.error("unexpected repeated colon in duration expression");
        }
        self.got_colon = true;
        token
    }

    fn number_or_duration(&mut self) -> Lexed {
        let number = scan_number(self.rest());
        self.pos += number.len;
        if number.valid {
            return self.emit(Kind::Number);
        }
        let duration = scan_duration_rest(self.rest());
        self.pos += duration.len;
        if duration.valid {
            return self.emit(Kind::Duration);
        }
        let read = self.text.get(self.start..self.pos).unwrap_or("");
        self.error(format!("bad number or duration syntax: {}", go_quote(read)))
    }

    /// Inside braces, where keywords are names.
    fn braces(&mut self) -> Lexed {
        self.skip_spaces();
        let Some(c) = self.peek() else {
            return self.error("unexpected end of input inside braces");
        };
        match c {
            '#' => self.comment(),
            ',' => {
                self.bump();
                self.emit(Kind::Comma)
            }
            '}' => {
                self.bump();
                self.state = State::Statements;
                self.emit(Kind::RightBrace)
            }
            '{' => self.error("unexpected left brace '{'"),
            '"' | '\'' | '`' => self.string(c),
            '=' | '!' => match self.run(match_operator) {
                Some(kind) => self.emit(kind),
                None => {
                    self.bump();
                    let next = quote_or_end(self.peek());
                    self.error(format!("unexpected character after '!' inside braces: {next}"))
                }
            },
            c if is_alpha(c) => {
                self.run(take_while(|c| is_alpha(c) || c.is_ascii_digit()));
                self.emit(Kind::Identifier)
            }
            c => self.error(format!("unexpected character inside braces: {}", go_quote_char(c))),
        }
    }

    /// A string from its opening quote to its closing one.
    fn string(&mut self, quote: char) -> Lexed {
        self.bump();
        let raw = quote == '`';
        loop {
            match self.bump() {
                Some(c) if c == quote => return self.emit(Kind::String),
                Some('\\') if !raw => match scan_escape(self.rest(), quote) {
                    StringScan::Taken(len) => self.pos += len,
                    StringScan::Wrong(message) => return self.error(message),
                },
                // Go cannot tell a written replacement character from broken UTF-8.
                Some(char::REPLACEMENT_CHARACTER) => return self.error("invalid UTF-8 rune"),
                None if raw => return self.error("unterminated raw string"),
                None => return self.error("unterminated quoted string"),
                Some('\n') if !raw => return self.error("unterminated quoted string"),
                Some(_) => {}
            }
        }
    }
}

/// Operators and separators outside braces, longest first; a lone `=` is not one of them.
fn operator(text: &str) -> IResult<&str, Kind> {
    use BinaryOp::*;
    let op = |op: BinaryOp, text: &'static str| value(Kind::Op(op), tag(text));
    alt((
        alt((op(Eql, "=="), op(Neq, "!="), op(Lte, "<="), op(TrimUpper, "</"), op(Lss, "<"))),
        alt((op(Gte, ">="), op(TrimLower, ">/"), op(Gtr, ">"), op(Add, "+"), op(Sub, "-"))),
        alt((op(Mul, "*"), op(Div, "/"), op(Mod, "%"), op(Pow, "^"))),
        value(Kind::Comma, tag(",")),
        value(Kind::At, tag("@")),
    ))
    .parse(text)
}

/// Matching operators inside braces.
fn match_operator(text: &str) -> IResult<&str, Kind> {
    alt((
        value(Kind::EqualRegex, tag("=~")),
        value(Kind::Equal, tag("=")),
        value(Kind::NotEqualRegex, tag("!~")),
        value(Kind::Op(BinaryOp::Neq), tag("!=")),
    ))
    .parse(text)
}

fn quote_or_end(c: Option<char>) -> String {
    go_quote_char(c.unwrap_or(char::REPLACEMENT_CHARACTER))
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_alpha(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_name(c: char) -> bool {
    is_alpha(c) || c.is_ascii_digit() || c == ':'
}
