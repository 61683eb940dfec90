//! Resolving scalars: which type a plain scalar has by its looks, by the rules of go-yaml v2
//! (YAML 1.1 without base-60 numbers).

use super::Error;
use super::tree::{Kind, NodeRef};

/// A scalar's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolved {
    /// `~`, `null`, nothing at all.
    Null,
    /// `yes`, `off`, `true` and their like.
    Bool(bool),
    /// An integer that fits 64 bits with a sign.
    Int(i64),
    /// A larger one.
    Uint(u64),
    /// A number with a point or an exponent, `.inf`, `.nan`.
    Float(f64),
    /// Looks like a date; decoded as text.
    Timestamp,
    /// The bytes of a `!!binary`.
    Binary(Vec<u8>),
    /// Any other text.
    Text,
}

impl Resolved {
    fn tag(&self) -> &'static str {
        match self {
            Resolved::Null => "null",
            Resolved::Bool(_) => "bool",
            Resolved::Int(_) | Resolved::Uint(_) => "int",
            Resolved::Float(_) => "float",
            Resolved::Timestamp => "timestamp",
            Resolved::Binary(_) => "binary",
            Resolved::Text => "str",
        }
    }
}

/// What all tags of YAML itself begin with.
const LONG_PREFIX: &str = "tag:yaml.org,2002:";

/// `!!str` for `tag:yaml.org,2002:str`.
pub fn short_tag(tag: &str) -> String {
    match tag.strip_prefix(LONG_PREFIX) {
        Some(rest) => format!("!!{rest}"),
        None => tag.to_owned(),
    }
}

/// The tag a scalar has by itself or by its looks, in long form.
pub fn tag_of(node: NodeRef<'_>) -> String {
    let tag = resolve(node).map(|r| r.tag()).unwrap_or("str");
    format!("{LONG_PREFIX}{tag}")
}

/// The value of a scalar node; anything that is not a scalar counts as text. An explicit tag the
/// text does not fit is an error.
pub fn resolve(node: NodeRef<'_>) -> Result<Resolved, Error> {
    let Kind::Scalar { value, implicit } = &node.node().kind else { return Ok(Resolved::Text) };
    let tag = node.node().tag.as_str();
    let Some(short) = tag.strip_prefix(LONG_PREFIX) else {
        return Ok(if tag.is_empty() && *implicit { resolve_plain(value) } else { Resolved::Text });
    };
    let found = match short {
        "str" => return Ok(Resolved::Text),
        "binary" => {
            return decode_base64(value).map(Resolved::Binary).ok_or_else(|| {
                Error::Fatal("yaml: !!binary value contains invalid base64 data".to_owned())
            });
        }
        "null" => return Ok(Resolved::Null),
        "bool" | "int" | "float" | "timestamp" => resolve_plain(value),
        _ => return Ok(Resolved::Text),
    };
    match found {
        Resolved::Int(n) if short == "float" => Ok(Resolved::Float(n as f64)),
        found if found.tag() == short => Ok(found),
        found => Err(Error::Fatal(format!(
            "yaml: cannot decode !!{} `{value}` as a !!{short}",
            found.tag()
        ))),
    }
}

/// The type an unquoted scalar has by its looks.
pub fn resolve_plain(text: &str) -> Resolved {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Resolved::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Resolved::Bool(false);
        }
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Resolved::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Resolved::Float(f64::NEG_INFINITY),
        _ => {}
    }
    match text.as_bytes()[0] {
        b'.' => parse_float(text).map_or(Resolved::Text, Resolved::Float),
        b'+' | b'-' | b'0'..=b'9' => resolve_number(text),
        _ => Resolved::Text,
    }
}

fn resolve_number(text: &str) -> Resolved {
    if is_timestamp(text) {
        return Resolved::Timestamp;
    }
    let plain = text.replace('_', "");
    if let Some(found) = parse_integer(&plain) {
        return found;
    }
    if is_decimal(&plain) {
        return parse_float(&plain).map_or(Resolved::Text, Resolved::Float);
    }
    Resolved::Text
}

/// A decimal number; one too large for a float is none.
fn parse_float(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|f| f.is_finite())
}

/// An integer as Go reads it with base 0: `0x`, `0o`, `0b` and a leading `0` choose the base.
fn parse_integer(text: &str) -> Option<Resolved> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let signed = digits.len() != text.len();
    let lower = digits.get(..2).map(str::to_ascii_lowercase).unwrap_or_default();
    let (base, digits) = match lower.as_str() {
        "0x" => (16, &digits[2..]),
        "0o" => (8, &digits[2..]),
        "0b" => (2, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let n = u64::from_str_radix(digits, base).ok()?;
    if negative {
        return 0i64.checked_sub_unsigned(n).map(Resolved::Int);
    }
    match i64::try_from(n) {
        Ok(n) => Some(Resolved::Int(n)),
        // Go's unsigned reader takes no sign.
        Err(_) => (!signed).then_some(Resolved::Uint(n)),
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_decimal(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    let mut rest = &text[whole..];
    let mut fraction = 0;
    if let Some(tail) = rest.strip_prefix('.') {
        fraction = digits(tail);
        rest = &tail[fraction..];
    }
    if whole == 0 && fraction == 0 {
        return false;
    }
    match rest.strip_prefix(['e', 'E']) {
        None => rest.is_empty(),
        Some(exponent) => {
            let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent) == exponent.len()
        }
    }
}

/// A number in base 60 (`12:30:45`): not read as a number, but quoted when written.
pub fn is_base60(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut parts = text.split(':');
    let number = |s: &str| {
        s.starts_with(|c: char| c.is_ascii_digit())
            && s.bytes().all(|b| b.is_ascii_digit() || b == b'_')
    };
    if !parts.next().is_some_and(number) {
        return false;
    }
    let rest: Vec<&str> = parts.collect();
    let Some((last, middle)) = rest.split_last() else { return false };
    let sixty = |s: &str| {
        let b = s.as_bytes();
        match b.len() {
            1 => b[0].is_ascii_digit(),
            2 => (b'0'..=b'5').contains(&b[0]) && b[1].is_ascii_digit(),
            _ => false,
        }
    };
    let (whole, fraction) = last.split_once('.').unwrap_or((last, ""));
    middle.iter().all(|s| sixty(s))
        && sixty(whole)
        && fraction.bytes().all(|b| b.is_ascii_digit() || b == b'_')
}

/// Whether a text reads as a date, or a date and a time, in the forms go-yaml accepts.
fn is_timestamp(text: &str) -> bool {
    let mut rest = text;
    let Some(year) = take_number(&mut rest, 4, 4) else { return false };
    let Some(month) = take(&mut rest, "-").and_then(|()| take_number(&mut rest, 1, 2)) else {
        return false;
    };
    let Some(day) = take(&mut rest, "-").and_then(|()| take_number(&mut rest, 1, 2)) else {
        return false;
    };
    if !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) {
        return false;
    }
    if rest.is_empty() {
        return true;
    }
    let spaced = rest.starts_with(' ');
    if !rest.starts_with([' ', 'T', 't']) {
        return false;
    }
    rest = &rest[1..];
    for (limit, separator) in [(23, ""), (59, ":"), (59, ":")] {
        let number = take(&mut rest, separator).and_then(|()| take_number(&mut rest, 1, 2));
        if number.is_none_or(|n| n > limit) {
            return false;
        }
    }
    if rest.starts_with('.') {
        let digits = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return false;
        }
        rest = &rest[1 + digits..];
    }
    if spaced { rest.is_empty() } else { is_zone(rest) }
}

fn is_zone(text: &str) -> bool {
    let bytes = text.as_bytes();
    text == "Z"
        || bytes.len() == 6
            && matches!(bytes[0], b'+' | b'-')
            && bytes[3] == b':'
            && [1, 2, 4, 5].iter().all(|i| bytes[*i].is_ascii_digit())
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn take(rest: &mut &str, prefix: &str) -> Option<()> {
    *rest = rest.strip_prefix(prefix)?;
    Some(())
}

fn take_number(rest: &mut &str, min: usize, max: usize) -> Option<u32> {
    let digits = rest.bytes().take(max).take_while(u8::is_ascii_digit).count();
    if digits < min {
        return None;
    }
    let number = rest[..digits].parse().ok();
    *rest = &rest[digits..];
    number
}

/// Standard base64 with padding; line breaks are skipped.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let symbols: Vec<u8> = text.bytes().filter(|b| !matches!(b, b'\n' | b'\r')).collect();
    if !symbols.len().is_multiple_of(4) {
        return None;
    }
    let padding = symbols.iter().rev().take_while(|b| **b == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut out = Vec::with_capacity(symbols.len() / 4 * 3);
    for group in symbols[..symbols.len() - padding].chunks(4) {
        let mut bits = 0u32;
        for symbol in group {
            let six = match symbol {
                b'A'..=b'Z' => symbol - b'A',
                b'a'..=b'z' => symbol - b'a' + 26,
                b'0'..=b'9' => symbol - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(six);
        }
        bits <<= 6 * (4 - group.len()) as u32;
        out.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(out)
}
