//! String literals: where an escape ends, and what a literal says. Escapes are Go's; the
//! back-quoted form has none.

/// What the scan of an escape gave.
pub enum StringScan {
    /// The escape goes on for this many bytes after the backslash.
    Taken(usize),
    /// Why it is none.
    Wrong(String),
}

/// Scans the escape sequence after a backslash in a string quoted with `quote`.
pub fn scan_escape(text: &str, quote: char) -> StringScan {
    let Some(c) = text.chars().next() else {
        return StringScan::Wrong("escape sequence not terminated".to_owned());
    };
    let (prefix, digits, radix, max) = match c {
        'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' => return StringScan::Taken(1),
        c if c == quote => return StringScan::Taken(1),
        '0'..='7' => (0, 3, 8, 255),
        'x' => (1, 2, 16, 255),
        'u' => (1, 4, 16, char::MAX as u32),
        'U' => (1, 8, 16, char::MAX as u32),
        c => return StringScan::Wrong(format!("unknown escape sequence {}", unicode_name(c))),
    };
    let mut value: u32 = 0;
    let mut rest = text.chars().skip(prefix);
    for _ in 0..digits {
        let Some(c) = rest.next() else {
            return StringScan::Wrong("escape sequence not terminated".to_owned());
        };
        let Some(digit) = c.to_digit(radix) else {
            return StringScan::Wrong(format!(
                "illegal character {} in escape sequence",
                unicode_name(c)
            ));
        };
        value = value.wrapping_mul(radix).wrapping_add(digit);
    }
    if value > max || (0xd800..0xe000).contains(&value) {
        let message = "escape sequence is an invalid Unicode code point";
        return StringScan::Wrong(message.to_owned());
    }
    StringScan::Taken(prefix + digits)
}

/// A character as Go's `%#U` prints it: `U+0041 'A'`.
fn unicode_name(c: char) -> String {
    let quoted = model::number::go_quote_char(c);
    let printable = c == '\\' || c == '\'' || !quoted.contains('\\');
    match printable {
        true => format!("U+{:04X} '{c}'", c as u32),
        false => format!("U+{:04X}", c as u32),
    }
}

/// The text of a scanned literal, quotes included in `literal`. Byte escapes that are not UTF-8
/// together become replacement characters.
pub fn unquote(literal: &str) -> String {
    String::from_utf8(unquote_bytes(literal))
        .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// The bytes a scanned literal stands for.
pub fn unquote_bytes(literal: &str) -> Vec<u8> {
    let quote = literal.chars().next().unwrap_or('"');
    let inner = literal.get(1..literal.len().saturating_sub(1)).unwrap_or("");
    if quote == '`' || !inner.contains('\\') {
        return inner.as_bytes().to_vec();
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        let taken = unescape(rest, &mut out);
        rest = rest.get(taken..).unwrap_or("");
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

/// Appends what the escape at the start of `text` stands for; returns its length.
fn unescape(text: &str, out: &mut Vec<u8>) -> usize {
    let digits = |from: usize, to: usize, radix| {
        text.get(from..to).and_then(|t| u32::from_str_radix(t, radix).ok()).unwrap_or(0)
    };
    let Some(first) = text.bytes().next() else { return 0 };
    let (byte, len) = match first {
        b'a' => (0x07, 1),
        b'b' => (0x08, 1),
        b'f' => (0x0c, 1),
        b'n' => (b'\n', 1),
        b'r' => (b'\r', 1),
        b't' => (b'\t', 1),
        b'v' => (0x0b, 1),
        b'0'..=b'7' => (digits(0, 3, 8) as u8, 3),
        b'x' => (digits(1, 3, 16) as u8, 3),
        b'u' | b'U' => {
            let len = if first == b'u' { 5 } else { 9 };
            let c = char::from_u32(digits(1, len, 16)).unwrap_or(char::REPLACEMENT_CHARACTER);
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return len;
        }
        other => (other, 1),
    };
    out.push(byte);
    len
}
