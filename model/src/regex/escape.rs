//! Escapes of Go's regular expressions that stand for one character.

use super::RegexError;
use super::syntax::error;

/// Reads the escape at the start of `text` (a backslash): its character and the rest.
pub fn parse(text: &str) -> Result<(char, &str), RegexError> {
    let rest = text.get(1..).unwrap_or("");
    let Some(c) = rest.chars().next() else {
        return Err(error("trailing backslash at end of expression", ""));
    };
    let after = &rest[c.len_utf8()..];
    let simple = match c {
        'a' => '\x07',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '0'..='7' => return octal(text, c, rest),
        'x' => return hex(text, after),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
        _ => return Err(invalid(text, after)),
    };
    Ok((simple, after))
}

/// The error about what lies between `text` and `rest`.
fn invalid(text: &str, rest: &str) -> RegexError {
    error("invalid escape sequence", &text[..text.len() - rest.len()])
}

/// Up to three octal digits; a single one that is not zero would be a reference to a group.
fn octal<'t>(text: &'t str, first: char, digits: &'t str) -> Result<(char, &'t str), RegexError> {
    let len = digits.bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
    let rest = &digits[len..];
    let value = u32::from_str_radix(&digits[..len], 8).ok().and_then(char::from_u32);
    match value {
        Some(c) if len > 1 || first == '0' => Ok((c, rest)),
        _ => Err(invalid(text, rest)),
    }
}

/// `7F` or `{10FFFF}`.
fn hex<'t>(text: &'t str, digits: &'t str) -> Result<(char, &'t str), RegexError> {
    let mut chars = digits.chars();
    let Some(first) = chars.next() else { return Err(invalid(text, digits)) };
    if first == '{' {
        let mut value = 0u32;
        let mut any = false;
        loop {
            let Some(c) = chars.next() else { return Err(invalid(text, "")) };
            if c == '}' && any {
                // Go matches surrogates to nothing; no text has them.
                let c = char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER);
                return Ok((c, chars.as_str()));
            }
            any = true;
            match c.to_digit(16) {
                Some(d) if value * 16 + d <= char::MAX as u32 => value = value * 16 + d,
                _ => return Err(invalid(text, chars.as_str())),
            }
        }
    }
    let Some(second) = chars.next() else { return Err(invalid(text, "")) };
    match (first.to_digit(16), second.to_digit(16)) {
        (Some(x), Some(y)) => {
            let c = char::from_u32(x * 16 + y).unwrap_or(char::REPLACEMENT_CHARACTER);
            Ok((c, chars.as_str()))
        }
        _ => Err(invalid(text, chars.as_str())),
    }
}
