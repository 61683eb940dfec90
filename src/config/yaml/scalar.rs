//! Scanning scalars: quoted, plain and block text.

use super::Error;
use super::reader::{is_blank, is_blankz, is_break, is_breakz};
use super::scanner::Scanner;
use super::token::{Token, TokenKind};

/// White space between two parts of a quoted or plain text: blanks on one line, or line breaks,
/// which fold: one into a space, each further one stays.
#[derive(Default)]
struct Gap {
    blanks: String,
    first_break: Option<char>,
    more_breaks: String,
}

impl Gap {
    fn broken(&self) -> bool {
        self.first_break.is_some()
    }

    fn is_empty(&self) -> bool {
        self.blanks.is_empty() && !self.broken()
    }

    fn add_break(&mut self, c: char) {
        if self.broken() {
            self.more_breaks.push(c);
        } else {
            self.blanks.clear();
            self.first_break = Some(c);
        }
    }

    /// Appends what it folds to, and is empty again.
    fn fold_into(&mut self, out: &mut String) {
        match self.first_break.take() {
            None => out.push_str(&self.blanks),
            Some('\n') if self.more_breaks.is_empty() => out.push(' '),
            Some('\n') => out.push_str(&self.more_breaks),
            Some(c) => {
                out.push(c);
                out.push_str(&self.more_breaks);
            }
        }
        self.blanks.clear();
        self.more_breaks.clear();
    }
}

impl Scanner {
    /// A text in single or double quotes.
    pub(super) fn scan_quoted(&mut self, quote: char) -> Result<Token, Error> {
        let start = self.reader.mark();
        self.reader.take();
        let mut value = String::new();
        let mut gap = Gap::default();
        loop {
            if self.reader.at_document_mark('-') || self.reader.at_document_mark('.') {
                return self.error("found unexpected document indicator");
            }
            if self.reader.peek() == '\0' {
                return self.error("found unexpected end of stream");
            }
            // A line break after a backslash is gone, with the blanks that follow.
            let mut escaped_break = false;
            while !is_blankz(self.reader.peek()) && !escaped_break {
                match (quote, self.reader.peek()) {
                    ('\'', '\'') if self.reader.peek_at(1) == '\'' => {
                        value.push('\'');
                        self.reader.skip(2);
                    }
                    (quote, c) if c == quote => break,
                    ('"', '\\') if is_break(self.reader.peek_at(1)) => {
                        self.reader.take();
                        self.reader.take_break();
                        escaped_break = true;
                    }
                    ('"', '\\') => value.push(self.scan_escape()?),
                    _ => value.push(self.reader.take()),
                }
            }
            if self.reader.peek() == quote {
                break;
            }
            self.scan_gap(&mut gap, escaped_break);
            if escaped_break {
                gap.first_break = None;
                value.push_str(&std::mem::take(&mut gap.more_breaks));
            } else {
                gap.fold_into(&mut value);
            }
        }
        self.reader.take();
        let end_line = self.reader.mark().line;
        Ok(Token { kind: TokenKind::Scalar { value, plain: false }, start, end_line })
    }

    /// Takes blanks and line breaks inside quotes. After an escaped line break, further ones all
    /// count as following ones, and blanks do not count.
    fn scan_gap(&mut self, gap: &mut Gap, escaped_break: bool) {
        let mut broken = escaped_break;
        loop {
            let c = self.reader.peek();
            if is_blank(c) {
                self.reader.take();
                if !broken {
                    gap.blanks.push(c);
                }
            } else if let Some(c) = self.reader.take_break() {
                if escaped_break {
                    gap.more_breaks.push(c);
                } else {
                    gap.add_break(c);
                }
                broken = true;
            } else {
                return;
            }
        }
    }

    /// A backslash and what it stands for.
    fn scan_escape(&mut self) -> Result<char, Error> {
        let c = match self.reader.peek_at(1) {
            '0' => '\0',
            'a' => '\u{7}',
            'b' => '\u{8}',
            't' | '\t' => '\t',
            'n' => '\n',
            'v' => '\u{b}',
            'f' => '\u{c}',
            'r' => '\r',
            'e' => '\u{1b}',
            ' ' => ' ',
            '"' => '"',
            '\'' => '\'',
            '\\' => '\\',
            'N' => '\u{85}',
            '_' => '\u{a0}',
            'L' => '\u{2028}',
            'P' => '\u{2029}',
            'x' => return self.scan_code(2),
            'u' => return self.scan_code(4),
            'U' => return self.scan_code(8),
            _ => return self.error("found unknown escape character"),
        };
        self.reader.skip(2);
        Ok(c)
    }

    /// A character by its code in `digits` hexadecimal digits.
    fn scan_code(&mut self, digits: usize) -> Result<char, Error> {
        self.reader.skip(2);
        let mut code: u32 = 0;
        for i in 0..digits {
            let Some(digit) = self.reader.peek_at(i).to_digit(16) else {
                return self.error("did not find expected hexdecimal number");
            };
            code = code << 4 | digit;
        }
        let Some(c) = char::from_u32(code) else {
            return self.error("found invalid Unicode character escape code");
        };
        self.reader.skip(digits);
        Ok(c)
    }

    /// A text without quotes: ends before `: `, ` #`, in flow collections before `,?[]{}`, and at a
    /// line that is not deeper than the block.
    pub(super) fn scan_plain(&mut self) -> Result<Token, Error> {
        let start = self.reader.mark();
        let mut end_line = start.line;
        let column = self.content_column();
        let mut value = String::new();
        let mut gap = Gap::default();
        loop {
            if self.reader.at_document_mark('-') || self.reader.at_document_mark('.') {
                break;
            }
            if self.reader.peek() == '#' {
                break;
            }
            while !is_blankz(self.reader.peek()) && !self.ends_plain() {
                if !gap.is_empty() {
                    gap.fold_into(&mut value);
                }
                value.push(self.reader.take());
                end_line = self.reader.mark().line;
            }
            let c = self.reader.peek();
            if !is_blank(c) && !is_break(c) {
                break;
            }
            self.scan_plain_gap(&mut gap, column)?;
            if !self.in_flow() && self.reader.mark().column < column {
                break;
            }
        }
        if gap.broken() {
            self.key_allowed = true;
        }
        Ok(Token { kind: TokenKind::Scalar { value, plain: true }, start, end_line })
    }

    fn ends_plain(&self) -> bool {
        match self.reader.peek() {
            ':' => is_blankz(self.reader.peek_at(1)),
            ',' | '?' | '[' | ']' | '{' | '}' => self.in_flow(),
            _ => false,
        }
    }

    fn scan_plain_gap(&mut self, gap: &mut Gap, column: usize) -> Result<(), Error> {
        loop {
            let c = self.reader.peek();
            if is_blank(c) {
                if gap.broken() && self.reader.mark().column < column && c == '\t' {
                    return self.error("found a tab character that violates indentation");
                }
                self.reader.take();
                if !gap.broken() {
                    gap.blanks.push(c);
                }
            } else if let Some(c) = self.reader.take_break() {
                gap.add_break(c);
            } else {
                return Ok(());
            }
        }
    }

    /// A block text after `|` (line breaks stay) or `>` (they fold).
    pub(super) fn scan_block(&mut self, literal: bool) -> Result<Token, Error> {
        let start = self.reader.mark();
        self.reader.take();
        let (keep, increment) = self.scan_block_header()?;
        self.reader.skip_blanks_and_comment();
        if !is_breakz(self.reader.peek()) {
            return self.error("did not find expected comment or line break");
        }
        self.reader.take_break();
        let mut end_line = self.reader.mark().line;
        let mut indent = match increment {
            0 => 0,
            n => self.block_column().unwrap_or(0) + n,
        };
        let mut value = String::new();
        let mut first_break: Option<char> = None;
        let mut more_breaks = String::new();
        self.scan_block_breaks(&mut indent, &mut more_breaks, &mut end_line)?;
        let mut after_blank = false;
        while self.reader.mark().column == indent && self.reader.peek() != '\0' {
            let blank = is_blank(self.reader.peek());
            let folds = !literal && !after_blank && !blank && first_break == Some('\n');
            match first_break.take() {
                Some(_) if folds && more_breaks.is_empty() => value.push(' '),
                Some(c) if !folds => value.push(c),
                _ => {}
            }
            value.push_str(&std::mem::take(&mut more_breaks));
            after_blank = blank;
            while !is_breakz(self.reader.peek()) {
                value.push(self.reader.take());
            }
            first_break = self.reader.take_break();
            self.scan_block_breaks(&mut indent, &mut more_breaks, &mut end_line)?;
        }
        if keep != Some(false) {
            value.extend(first_break);
        }
        if keep == Some(true) {
            value.push_str(&more_breaks);
        }
        Ok(Token { kind: TokenKind::Scalar { value, plain: false }, start, end_line })
    }

    /// What follows `|` or `>`: `+` (all line breaks at the end stay), `-` (none does), and how much
    /// deeper the text stands, 0 for not said.
    fn scan_block_header(&mut self) -> Result<(Option<bool>, usize), Error> {
        let (mut keep, mut increment) = (None, 0);
        for _ in 0..2 {
            match self.reader.peek() {
                c @ ('+' | '-') if keep.is_none() => keep = Some(c == '+'),
                '0' if increment == 0 => {
                    return self.error("found an indentation indicator equal to 0");
                }
                c if c.is_ascii_digit() && increment == 0 => {
                    increment = c.to_digit(10).map_or(0, |d| d as usize);
                }
                _ => break,
            }
            self.reader.take();
        }
        Ok((keep, increment))
    }

    /// Takes empty lines and the indent of the next one that is not; finds out `indent` when it is
    /// still 0.
    fn scan_block_breaks(
        &mut self,
        indent: &mut usize,
        breaks: &mut String,
        end_line: &mut usize,
    ) -> Result<(), Error> {
        *end_line = self.reader.mark().line;
        let mut deepest = 0;
        loop {
            while (*indent == 0 || self.reader.mark().column < *indent) && self.reader.peek() == ' '
            {
                self.reader.take();
            }
            let column = self.reader.mark().column;
            deepest = deepest.max(column);
            if (*indent == 0 || column < *indent) && self.reader.peek() == '\t' {
                return self.error("found a tab character where an indentation space is expected");
            }
            let Some(c) = self.reader.take_break() else { break };
            breaks.push(c);
            *end_line = self.reader.mark().line;
        }
        if *indent == 0 {
            *indent = deepest.max(self.content_column()).max(1);
        }
        Ok(())
    }
}
