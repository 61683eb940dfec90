//! Scanning what goes with nodes and documents: anchors, aliases, tags, directives.

use super::Error;
use super::reader::{is_blank, is_blankz, is_breakz, is_word};
use super::scanner::Scanner;
use super::token::{Token, TokenKind};

impl Scanner {
    /// `&name` or `*name`.
    pub(super) fn scan_anchor(&mut self) -> Result<Token, Error> {
        let start = self.reader.mark();
        let alias = self.reader.take() == '*';
        let name = self.reader.take_word();
        let end = self.reader.peek();
        if name.is_empty() || !is_blankz(end) && !"?:,]}%@`".contains(end) {
            return self.error("did not find expected alphabetic or numeric character");
        }
        let kind = if alias { TokenKind::Alias(name) } else { TokenKind::Anchor(name) };
        Ok(Token { kind, start, end_line: start.line })
    }

    /// `!<uri>`, `!handle!suffix` or `!suffix`.
    pub(super) fn scan_tag(&mut self) -> Result<Token, Error> {
        let start = self.reader.mark();
        let (handle, suffix);
        if self.reader.peek_at(1) == '<' {
            self.reader.skip(2);
            handle = String::new();
            suffix = self.scan_uri(String::new(), false)?;
            if self.reader.peek() != '>' {
                return self.error("did not find the expected '>'");
            }
            self.reader.take();
        } else {
            let head = self.scan_handle(false)?;
            if head.len() > 1 && head.ends_with('!') {
                suffix = self.scan_uri(String::new(), false)?;
                handle = head;
            } else {
                let rest = self.scan_uri(head[1..].to_owned(), true)?;
                // A lone `!` is a tag of its own.
                (handle, suffix) = if rest.is_empty() {
                    (String::new(), "!".to_owned())
                } else {
                    ("!".to_owned(), rest)
                };
            }
        }
        if !is_blankz(self.reader.peek()) {
            return self.error("did not find expected whitespace or line break");
        }
        Ok(Token { kind: TokenKind::Tag { handle, suffix }, start, end_line: start.line })
    }

    /// `!`, `!name!`, or the beginning of a tag that has no handle.
    fn scan_handle(&mut self, directive: bool) -> Result<String, Error> {
        if self.reader.peek() != '!' {
            return self.error("did not find expected '!'");
        }
        let mut handle = String::from(self.reader.take());
        handle.push_str(&self.reader.take_word());
        if self.reader.peek() == '!' {
            handle.push(self.reader.take());
        } else if directive && handle != "!" {
            return self.error("did not find expected '!'");
        }
        Ok(handle)
    }

    /// The characters of a URI after `head`; must not be empty unless there is a head already.
    fn scan_uri(&mut self, head: String, may_be_empty: bool) -> Result<String, Error> {
        let mut bytes = head.into_bytes();
        let mut any = may_be_empty;
        loop {
            let c = self.reader.peek();
            if c == '%' {
                self.scan_uri_escape(&mut bytes)?;
            } else if is_word(c) || ";/?:@&=+$,.!~*'()[]".contains(c) {
                bytes.push(self.reader.take() as u8);
            } else {
                break;
            }
            any = true;
        }
        if !any {
            return self.error("did not find expected tag URI");
        }
        String::from_utf8(bytes).or_else(|_| self.error("found an incorrect trailing UTF-8 octet"))
    }

    /// `%xx` for each byte of a character.
    fn scan_uri_escape(&mut self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        let hex = |c: char| c.to_digit(16);
        let digits = hex(self.reader.peek_at(1)).zip(hex(self.reader.peek_at(2)));
        let Some((high, low)) = digits else {
            return self.error("did not find URI escaped octet");
        };
        bytes.push((high << 4 | low) as u8);
        self.reader.skip(3);
        Ok(())
    }

    /// `%YAML 1.1` or `%TAG ! prefix`, with the rest of the line.
    pub(super) fn scan_directive(&mut self) -> Result<Token, Error> {
        let start = self.reader.mark();
        self.reader.take();
        let name = self.reader.take_word();
        if name.is_empty() {
            return self.error("could not find expected directive name");
        }
        if !is_blankz(self.reader.peek()) {
            return self.error("found unexpected non-alphabetical character");
        }
        let kind = match name.as_str() {
            "YAML" => self.scan_version()?,
            "TAG" => self.scan_tag_directive()?,
            _ => return self.error("found unknown directive name"),
        };
        self.reader.skip_blanks_and_comment();
        if !is_breakz(self.reader.peek()) {
            return self.error("did not find expected comment or line break");
        }
        self.reader.take_break();
        Ok(Token { kind, start, end_line: start.line })
    }

    fn skip_blanks(&mut self) {
        while is_blank(self.reader.peek()) {
            self.reader.take();
        }
    }

    fn scan_version(&mut self) -> Result<TokenKind, Error> {
        self.skip_blanks();
        let major = self.scan_version_number()?;
        if self.reader.peek() != '.' {
            return self.error("did not find expected digit or '.' character");
        }
        self.reader.take();
        let minor = self.scan_version_number()?;
        Ok(TokenKind::Version { major, minor })
    }

    /// One or two digits.
    fn scan_version_number(&mut self) -> Result<u8, Error> {
        let (mut number, mut len) = (0, 0);
        while let Some(digit) = self.reader.peek().to_digit(10) {
            len += 1;
            if len > 2 {
                return self.error("found extremely long version number");
            }
            number = number * 10 + digit as u8;
            self.reader.take();
        }
        if len == 0 {
            return self.error("did not find expected version number");
        }
        Ok(number)
    }

    fn scan_tag_directive(&mut self) -> Result<TokenKind, Error> {
        self.skip_blanks();
        let handle = self.scan_handle(true)?;
        if !is_blank(self.reader.peek()) {
            return self.error("did not find expected whitespace");
        }
        self.skip_blanks();
        let prefix = self.scan_uri(String::new(), false)?;
        if !is_blankz(self.reader.peek()) {
            return self.error("did not find expected whitespace or line break");
        }
        Ok(TokenKind::TagDirective { handle, prefix })
    }
}
