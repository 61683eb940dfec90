//! Scanner: from characters to tokens, by the rules of libyaml (YAML 1.1).
//!
//! A key without `?` is only known to be one when its `:` comes. Places where one may begin are
//! remembered, one for each nesting of `[` and `{`; when the `:` comes, a key token is put in front
//! of what was read since. Such a key must end on its line and within 1024 characters.

use std::collections::VecDeque;

use super::Error;
use super::reader::{Mark, Reader, is_blank, is_blankz, is_break};
use super::token::{Token, TokenKind, scanner_error};

/// Longest distance from the start of a key to its `:`.
const MAX_SIMPLE_KEY: usize = 1024;

/// A place where a key may have begun.
#[derive(Clone, Copy, Debug, Default)]
struct SimpleKey {
    possible: bool,
    /// Nothing else than a key can stand there.
    required: bool,
    /// Number of the token it begins with.
    token: usize,
    mark: Mark,
}

/// Reads tokens from a text.
#[derive(Debug)]
pub struct Scanner {
    pub(super) reader: Reader,
    tokens: VecDeque<Token>,
    /// Tokens handed out so far.
    parsed: usize,
    /// Column of the innermost block collection.
    indent: Option<usize>,
    indents: Vec<Option<usize>>,
    /// One for the block context and one for each open `[` or `{`.
    keys: Vec<SimpleKey>,
    /// Whether a key may begin here.
    pub(super) key_allowed: bool,
    ended: bool,
}

impl Scanner {
    /// A scanner of `text`.
    pub fn new(text: &str) -> Result<Scanner, Error> {
        Ok(Scanner {
            reader: Reader::new(text)?,
            tokens: VecDeque::new(),
            parsed: 0,
            indent: None,
            indents: Vec::new(),
            keys: vec![SimpleKey::default()],
            key_allowed: true,
            ended: false,
        })
    }

    /// The next token; stays there until [`Scanner::advance`].
    pub fn peek(&mut self) -> Result<&Token, Error> {
        self.fill()?;
        match self.tokens.front() {
            Some(token) => Ok(token),
            None => Err(Error::Fatal(
                "yaml: attempted to go past the end of stream; corrupted value?".to_owned(),
            )),
        }
    }

    /// Takes the next token.
    pub fn advance(&mut self) -> Result<Token, Error> {
        let token = self.peek()?.clone();
        self.tokens.pop_front();
        self.parsed += 1;
        Ok(token)
    }

    /// Whether inside of `[` or `{`.
    pub(super) fn in_flow(&self) -> bool {
        self.keys.len() > 1
    }

    /// The least column of text that continues in this block.
    pub(super) fn content_column(&self) -> usize {
        self.indent.map_or(0, |column| column + 1)
    }

    /// The column of the innermost block collection.
    pub(super) fn block_column(&self) -> Option<usize> {
        self.indent
    }

    pub(super) fn error<T>(&self, problem: &str) -> Result<T, Error> {
        Err(scanner_error(self.reader.mark().line, problem))
    }

    /// Reads tokens until the first one is certain: no key can turn up before it any more.
    fn fill(&mut self) -> Result<(), Error> {
        loop {
            if !self.tokens.is_empty() {
                let first = self.parsed;
                let found = self.keys.iter().rposition(|k| k.possible && k.token == first);
                let Some(at) = found else { return Ok(()) };
                if !self.key_is_valid(at)? {
                    return Ok(());
                }
            }
            if self.ended {
                return Ok(());
            }
            self.fetch()?;
        }
    }

    fn fetch(&mut self) -> Result<(), Error> {
        self.skip_to_token();
        self.unroll(Some(self.reader.mark().column));
        let (c, next) = (self.reader.peek(), self.reader.peek_at(1));
        let at_line_start = self.reader.mark().column == 0;
        let flow = self.in_flow();
        match c {
            '\0' => self.fetch_end(),
            '%' if at_line_start => self.fetch_directive(),
            _ if self.reader.at_document_mark('-') => self.fetch_mark(TokenKind::DocumentStart),
            _ if self.reader.at_document_mark('.') => self.fetch_mark(TokenKind::DocumentEnd),
            '[' => self.fetch_flow_start(TokenKind::FlowSequenceStart),
            '{' => self.fetch_flow_start(TokenKind::FlowMappingStart),
            ']' => self.fetch_flow_end(TokenKind::FlowSequenceEnd),
            '}' => self.fetch_flow_end(TokenKind::FlowMappingEnd),
            ',' => {
                self.drop_key()?;
                self.key_allowed = true;
                self.push_indicator(TokenKind::FlowEntry);
                Ok(())
            }
            '-' if is_blankz(next) => self.fetch_entry(),
            '?' if flow || is_blankz(next) => self.fetch_key(),
            ':' if flow || is_blankz(next) => self.fetch_value(),
            '*' | '&' => {
                self.begin_content()?;
                let token = self.scan_anchor()?;
                self.push(token);
                Ok(())
            }
            '!' => {
                self.begin_content()?;
                let token = self.scan_tag()?;
                self.push(token);
                Ok(())
            }
            '|' | '>' if !flow => {
                self.drop_key()?;
                self.key_allowed = true;
                let token = self.scan_block(c == '|')?;
                self.push(token);
                Ok(())
            }
            '\'' | '"' => {
                self.begin_content()?;
                let token = self.scan_quoted(c)?;
                self.push(token);
                Ok(())
            }
            _ if begins_plain(c, next, flow) => {
                self.begin_content()?;
                let token = self.scan_plain()?;
                self.push(token);
                Ok(())
            }
            _ => self.error("found character that cannot start any token"),
        }
    }

    /// Takes blanks, comments and line breaks. Tabs only where no key may begin.
    fn skip_to_token(&mut self) {
        loop {
            while self.reader.peek() == ' '
                || self.reader.peek() == '\t' && (self.in_flow() || !self.key_allowed)
            {
                self.reader.take();
            }
            self.reader.skip_comment();
            if !is_break(self.reader.peek()) {
                return;
            }
            self.reader.take_break();
            if !self.in_flow() {
                self.key_allowed = true;
            }
        }
    }

    /// Whether the key that may have begun at `keys[at]` still can be one; an error when it had to.
    fn key_is_valid(&mut self, at: usize) -> Result<bool, Error> {
        let key = self.keys[at];
        if !key.possible {
            return Ok(false);
        }
        let here = self.reader.mark();
        if key.mark.line < here.line || key.mark.index + MAX_SIMPLE_KEY < here.index {
            if key.required {
                return self.error("could not find expected ':'");
            }
            self.keys[at].possible = false;
            return Ok(false);
        }
        Ok(true)
    }

    /// Remembers that a key may begin here, then none may.
    fn begin_content(&mut self) -> Result<(), Error> {
        self.save_key()?;
        self.key_allowed = false;
        Ok(())
    }

    fn save_key(&mut self) -> Result<(), Error> {
        if !self.key_allowed {
            return Ok(());
        }
        let mark = self.reader.mark();
        let required = !self.in_flow() && self.indent == Some(mark.column);
        let token = self.parsed + self.tokens.len();
        self.drop_key()?;
        if let Some(key) = self.keys.last_mut() {
            *key = SimpleKey { possible: true, required, token, mark };
        }
        Ok(())
    }

    /// Forgets where a key may have begun at this nesting; an error when it had to.
    fn drop_key(&mut self) -> Result<(), Error> {
        let Some(key) = self.keys.last_mut() else { return Ok(()) };
        if key.possible && key.required {
            return self.error("could not find expected ':'");
        }
        key.possible = false;
        Ok(())
    }

    /// Begins a block collection when `column` is deeper than the innermost one. `at` is the number
    /// of the token to put the start in front of; `None` puts it last.
    fn roll(&mut self, column: usize, at: Option<usize>, kind: TokenKind, start: Mark) {
        if self.in_flow() || self.indent.is_some_and(|indent| indent >= column) {
            return;
        }
        self.indents.push(self.indent);
        self.indent = Some(column);
        let token = Token { kind, start, end_line: start.line };
        match at {
            None => self.tokens.push_back(token),
            Some(number) => self.insert(number, token),
        }
    }

    /// Ends the block collections deeper than `column`; all of them for `None`.
    fn unroll(&mut self, column: Option<usize>) {
        if self.in_flow() {
            return;
        }
        while self.indent > column {
            let start = self.reader.mark();
            self.push(Token { kind: TokenKind::BlockEnd, start, end_line: start.line });
            self.indent = self.indents.pop().flatten();
        }
    }

    fn push(&mut self, token: Token) {
        self.tokens.push_back(token);
    }

    /// Puts a token in front of the one with this number.
    fn insert(&mut self, number: usize, token: Token) {
        let at = number.saturating_sub(self.parsed).min(self.tokens.len());
        self.tokens.insert(at, token);
    }

    /// Takes one character as a token.
    fn push_indicator(&mut self, kind: TokenKind) {
        let start = self.reader.mark();
        self.reader.take();
        self.push(Token { kind, start, end_line: start.line });
    }

    fn fetch_end(&mut self) -> Result<(), Error> {
        self.reader.finish_line();
        self.unroll(None);
        self.drop_key()?;
        self.key_allowed = false;
        let start = self.reader.mark();
        self.push(Token { kind: TokenKind::StreamEnd, start, end_line: start.line });
        self.ended = true;
        Ok(())
    }

    fn fetch_directive(&mut self) -> Result<(), Error> {
        self.unroll(None);
        self.drop_key()?;
        self.key_allowed = false;
        let token = self.scan_directive()?;
        self.push(token);
        Ok(())
    }

    fn fetch_mark(&mut self, kind: TokenKind) -> Result<(), Error> {
        self.unroll(None);
        self.drop_key()?;
        self.key_allowed = false;
        let start = self.reader.mark();
        self.reader.skip(3);
        self.push(Token { kind, start, end_line: start.line });
        Ok(())
    }

    fn fetch_flow_start(&mut self, kind: TokenKind) -> Result<(), Error> {
        self.save_key()?;
        self.keys.push(SimpleKey::default());
        self.key_allowed = true;
        self.push_indicator(kind);
        Ok(())
    }

    fn fetch_flow_end(&mut self, kind: TokenKind) -> Result<(), Error> {
        self.drop_key()?;
        if self.in_flow() {
            self.keys.pop();
        }
        self.key_allowed = false;
        self.push_indicator(kind);
        Ok(())
    }

    fn fetch_entry(&mut self) -> Result<(), Error> {
        // In a flow collection the parser says what is wrong.
        if !self.in_flow() {
            if !self.key_allowed {
                return self.error("block sequence entries are not allowed in this context");
            }
            let mark = self.reader.mark();
            self.roll(mark.column, None, TokenKind::BlockSequenceStart, mark);
        }
        self.drop_key()?;
        self.key_allowed = true;
        self.push_indicator(TokenKind::BlockEntry);
        Ok(())
    }

    fn fetch_key(&mut self) -> Result<(), Error> {
        if !self.in_flow() {
            if !self.key_allowed {
                return self.error("mapping keys are not allowed in this context");
            }
            let mark = self.reader.mark();
            self.roll(mark.column, None, TokenKind::BlockMappingStart, mark);
        }
        self.drop_key()?;
        self.key_allowed = !self.in_flow();
        self.push_indicator(TokenKind::Key);
        Ok(())
    }

    fn fetch_value(&mut self) -> Result<(), Error> {
        let at = self.keys.len() - 1;
        if self.key_is_valid(at)? {
            let SimpleKey { token: number, mark, .. } = self.keys[at];
            let key = Token { kind: TokenKind::Key, start: mark, end_line: mark.line };
            self.insert(number, key);
            self.roll(mark.column, Some(number), TokenKind::BlockMappingStart, mark);
            self.keys[at].possible = false;
            self.key_allowed = false;
        } else {
            if !self.in_flow() {
                if !self.key_allowed {
                    return self.error("mapping values are not allowed in this context");
                }
                let mark = self.reader.mark();
                self.roll(mark.column, None, TokenKind::BlockMappingStart, mark);
            }
            self.key_allowed = !self.in_flow();
        }
        self.push_indicator(TokenKind::Value);
        Ok(())
    }
}

/// Whether an unquoted text can begin with `c`.
fn begins_plain(c: char, next: char, flow: bool) -> bool {
    match c {
        '-' => !is_blank(next),
        '?' | ':' => !flow && !is_blankz(next),
        ',' | '[' | ']' | '{' | '}' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
        | '@' | '`' => false,
        c => !is_blankz(c),
    }
}
