//! Reader: the characters of a YAML text, one by one, with their place.

use super::Error;

/// A place in a text, all counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Characters before it.
    pub index: usize,
    /// Line breaks before it.
    pub line: usize,
    /// Characters before it on its line.
    pub column: usize,
}

/// A text being read. What is past its end reads as NUL, which no text may contain.
#[derive(Debug)]
pub struct Reader {
    chars: Vec<char>,
    mark: Mark,
}

impl Reader {
    /// Reads `text`; control characters are errors.
    pub fn new(text: &str) -> Result<Reader, Error> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let chars: Vec<char> = text.chars().collect();
        if chars.iter().any(|c| !is_allowed(*c)) {
            return Err(Error::Fatal("yaml: control characters are not allowed".to_owned()));
        }
        Ok(Reader { chars, mark: Mark::default() })
    }

    /// Where the next character stands.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// The next character.
    pub fn peek(&self) -> char {
        self.peek_at(0)
    }

    /// The character `ahead` of the next one.
    pub fn peek_at(&self, ahead: usize) -> char {
        self.chars.get(self.mark.index + ahead).copied().unwrap_or('\0')
    }

    /// Takes a character that is no line break.
    pub fn take(&mut self) -> char {
        let c = self.peek();
        if c != '\0' {
            self.mark.index += 1;
            self.mark.column += 1;
        }
        c
    }

    /// Takes `count` characters that are no line breaks.
    pub fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.take();
        }
    }

    /// Takes a line break; what it reads as: all of them but two are `\n`.
    pub fn take_break(&mut self) -> Option<char> {
        let c = self.peek();
        if !is_break(c) {
            return None;
        }
        self.mark.index += if c == '\r' && self.peek_at(1) == '\n' { 2 } else { 1 };
        self.mark.line += 1;
        self.mark.column = 0;
        Some(if matches!(c, '\u{2028}' | '\u{2029}') { c } else { '\n' })
    }

    /// Takes blanks, and a comment after them up to its line break.
    pub fn skip_blanks_and_comment(&mut self) {
        while is_blank(self.peek()) {
            self.take();
        }
        self.skip_comment();
    }

    /// Takes a comment up to its line break, if there is one.
    pub fn skip_comment(&mut self) {
        if self.peek() == '#' {
            while !is_breakz(self.peek()) {
                self.take();
            }
        }
    }

    /// Takes the word that comes next: letters, digits, `_` and `-`.
    pub fn take_word(&mut self) -> String {
        let mut word = String::new();
        while is_word(self.peek()) {
            word.push(self.take());
        }
        word
    }

    /// Whether `---` or `...` stands here at the start of a line, followed by a blank.
    pub fn at_document_mark(&self, c: char) -> bool {
        self.mark.column == 0 && (0..3).all(|i| self.peek_at(i) == c) && is_blankz(self.peek_at(3))
    }

    /// Counts the unfinished last line as a line, as if a line break followed.
    pub fn finish_line(&mut self) {
        if self.mark.column != 0 {
            self.mark.column = 0;
            self.mark.line += 1;
        }
    }
}

/// Characters a YAML text may hold.
fn is_allowed(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' | '\u{85}' => true,
        ' '..='~' => true,
        '\u{a0}'..='\u{fffd}' => true,
        c => c >= '\u{10000}',
    }
}

/// A letter, digit, `_` or `-`.
pub fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// A line break.
pub fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// A line break or the end.
pub fn is_breakz(c: char) -> bool {
    c == '\0' || is_break(c)
}

/// A space or a tab.
pub fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

/// A blank, a line break or the end.
pub fn is_blankz(c: char) -> bool {
    is_blank(c) || is_breakz(c)
}

/// What is wrong with bytes that are not UTF-8, in go-yaml's words.
pub fn utf8_error(bytes: &[u8], e: std::str::Utf8Error) -> Error {
    let rest = &bytes[e.valid_up_to()..];
    let lead = rest.first().copied().unwrap_or(0);
    let width = match lead {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => 0,
    };
    let tail = rest.get(1..width).unwrap_or_default();
    let problem = if width == 0 {
        "invalid leading UTF-8 octet"
    } else if rest.len() < width {
        "incomplete UTF-8 octet sequence"
    } else if tail.iter().any(|b| b & 0xc0 != 0x80) {
        "invalid trailing UTF-8 octet"
    } else if lead == 0xed || lead > 0xf3 {
        "invalid Unicode character"
    } else {
        "invalid length of a UTF-8 sequence"
    };
    Error::Fatal(format!("yaml: {problem}"))
}
