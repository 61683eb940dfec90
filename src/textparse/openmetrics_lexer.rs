//! Lexer of OpenMetrics text 1.0.
//!
//! States and rules after Prometheus's `openmetricslex.l`; error texts quote byte ranges, so it stops
//! at the same byte as the generated one does.

use super::token::Token;

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

/// Walks a body.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    pub(super) body: &'a [u8],
    /// Start of the current token.
    pub(super) start: usize,
    /// End of the current token, exclusive.
    pub(super) pos: usize,
    state: State,
}

fn is_name_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_'
}

fn is_metric_start(b: u8) -> bool {
    is_name_start(b) || b == b':'
}

impl<'a> Lexer<'a> {
    pub(super) fn new(body: &'a [u8]) -> Lexer<'a> {
        Lexer { body, start: 0, pos: 0, state: State::Init }
    }

    /// The bytes of the current token.
    pub(super) fn text(&self) -> &'a [u8] {
        &self.body[self.start..self.pos]
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
    pub(super) fn next(&mut self) -> Token {
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
