//! Lexer of the text format 0.0.4.
//!
//! States and rules after Prometheus's `promlex.l`; error texts quote token names and byte ranges,
//! so the lexer stops at the same byte as the generated one does.

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
}

/// Walks a body that ends with a line break.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    pub(super) body: &'a [u8],
    /// Start of the current token.
    pub(super) start: usize,
    /// End of the current token, exclusive.
    pub(super) pos: usize,
    state: State,
}

fn is_space(b: u8) -> bool {
    b == b' ' || b == b'\t'
}

fn is_name_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || b == b'_' || b == b':'
}

impl<'a> Lexer<'a> {
    pub(super) fn new(body: &'a [u8]) -> Lexer<'a> {
        Lexer { body, start: 0, pos: 0, state: State::Init }
    }

    /// Continues at `pos`, the start of a line.
    pub(super) fn seek(&mut self, pos: usize) {
        self.start = pos;
        self.pos = pos;
        self.state = State::Init;
    }

    /// The bytes of the current token.
    pub(super) fn text(&self) -> &'a [u8] {
        &self.body[self.start..self.pos]
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.pos).copied()
    }

    fn skip_while(&mut self, accept: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&accept) {
            self.pos += 1;
        }
    }

    fn single(&mut self, token: Token, next: State) -> Token {
        self.pos += 1;
        self.state = next;
        token
    }

    /// The next token that is not white space.
    pub(super) fn next(&mut self) -> Token {
        if self.state == State::Meta2 {
            return self.meta_text();
        }
        self.skip_while(is_space);
        self.start = self.pos;
        let Some(b) = self.peek() else { return Token::Eof };
        match self.state {
            State::Init => self.init(b),
            State::Meta1 => match b {
                b'"' => self.quoted(Token::MetricName, State::Meta2),
                b if is_name_start(b) => self.name(Token::MetricName, State::Meta2),
                _ => Token::Invalid,
            },
            State::Meta2 => self.meta_text(),
            State::Labels => match b {
                b'"' => self.quoted(Token::QuotedString, State::Labels),
                b'}' => self.single(Token::BraceClose, State::Value),
                b'=' => self.single(Token::Equal, State::LabelValue),
                b',' => self.single(Token::Comma, State::Labels),
                b if b.is_ascii_alphabetic() || b == b'_' => {
                    self.skip_while(|b| b.is_ascii_alphanumeric() || b == b'_');
                    Token::LabelName
                }
                _ => Token::Invalid,
            },
            State::LabelValue if b == b'"' => self.quoted(Token::LabelValue, State::Labels),
            State::LabelValue => Token::Invalid,
            State::Value if b == b'{' => self.single(Token::BraceOpen, State::Labels),
            State::Value if b == b'\n' => Token::Invalid,
            State::Value => {
                self.skip_while(|b| b != b'{' && !is_space(b) && b != b'\n');
                self.state = State::Timestamp;
                Token::Value
            }
            State::Timestamp if b == b'\n' => self.single(Token::Linebreak, State::Init),
            State::Timestamp if b.is_ascii_digit() => {
                self.skip_while(|b| b.is_ascii_digit());
                Token::Timestamp
            }
            State::Timestamp => Token::Invalid,
        }
    }

    fn init(&mut self, b: u8) -> Token {
        match b {
            0 => Token::Eof,
            b'\n' => self.single(Token::Linebreak, State::Init),
            b'{' => self.single(Token::BraceOpen, State::Labels),
            b'#' => self.hash(),
            b if is_name_start(b) => self.name(Token::MetricName, State::Value),
            _ => Token::Invalid,
        }
    }

    fn name(&mut self, token: Token, next: State) -> Token {
        self.skip_while(|b| is_name_start(b) || b.is_ascii_digit());
        self.state = next;
        token
    }

    /// `# HELP `, `# TYPE ` or a comment up to the line break.
    fn hash(&mut self) -> Token {
        self.pos += 1;
        if self.peek().is_some_and(is_space) {
            self.skip_while(is_space);
            let rest = &self.body[self.pos..];
            for (word, token) in [(b"HELP", Token::Help), (b"TYPE", Token::Type)] {
                if rest.starts_with(word) && rest.get(4).copied().is_some_and(is_space) {
                    self.pos += 4;
                    self.skip_while(is_space);
                    self.state = State::Meta1;
                    return token;
                }
            }
        }
        match memchr::memchr(b'\n', &self.body[self.pos..]) {
            Some(len) => self.pos += len,
            None => self.pos = self.body.len(),
        }
        Token::Comment
    }

    /// The rest of the line, white space included; nothing if that is all there is.
    fn meta_text(&mut self) -> Token {
        self.start = self.pos;
        self.skip_while(|b| b != b'\n');
        if self.text().iter().copied().all(is_space) {
            self.start = self.pos;
        }
        self.state = State::Init;
        Token::Text
    }

    /// A double-quoted string with backslash escapes; may span lines.
    fn quoted(&mut self, token: Token, next: State) -> Token {
        let mut i = self.pos + 1;
        loop {
            match memchr::memchr2(b'"', b'\\', self.body.get(i..).unwrap_or_default()) {
                Some(at) if self.body[i + at] == b'"' => {
                    self.pos = i + at + 1;
                    self.state = next;
                    return token;
                }
                Some(at) => i += at + 2,
                None => {
                    self.pos = self.body.len();
                    return Token::Invalid;
                }
            }
        }
    }
}
