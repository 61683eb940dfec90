//! Go's number and string text: what `strconv` prints, so that answers are equal byte for byte.

/// Shortest digits that read back as `v`, and the decimal exponent: `0.d1d2… × 10^exponent`. Of two
/// that are equally near, the even one, as in Go (Rust's own formatting takes the upper one).
fn shortest(v: f64) -> (Vec<u8>, i32) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(v.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits: Vec<u8> = whole.bytes().chain(part.bytes()).collect();
    let zeros = digits.iter().take_while(|d| **d == b'0').count().min(digits.len() - 1);
    let point = whole.len() as i32 - zeros as i32 + exponent.parse::<i32>().unwrap_or(0);
    digits.drain(..zeros);
    while digits.len() > 1 && digits.last() == Some(&b'0') {
        digits.pop();
    }
    (digits, point)
}

fn special(v: f64) -> Option<&'static str> {
    if v.is_nan() {
        Some("NaN")
    } else if v == f64::INFINITY {
        Some("+Inf")
    } else if v == f64::NEG_INFINITY {
        Some("-Inf")
    } else {
        None
    }
}

/// `strconv.FormatFloat(v, 'f', -1, 64)`.
pub fn format_f(v: f64) -> String {
    if let Some(text) = special(v) {
        return text.to_owned();
    }
    let sign = if v.is_sign_negative() { "-" } else { "" };
    if v == 0.0 {
        return format!("{sign}0");
    }
    let (digits, point) = shortest(v);
    let mut out = String::with_capacity(digits.len() + point.unsigned_abs() as usize + 3);
    out.push_str(sign);
    let whole = usize::try_from(point).unwrap_or(0);
    if whole == 0 {
        out.push('0');
    }
    for at in 0..whole.max(digits.len()) {
        if at == whole {
            out.push('.');
            (point..0).for_each(|_| out.push('0'));
        }
        out.push(digits.get(at).map_or('0', |d| *d as char));
    }
    out
}

/// `strconv.FormatFloat(v, 'e', -1, 64)`: `1e+06`, `1.5e-07`.
pub fn format_e(v: f64) -> String {
    if let Some(text) = special(v) {
        return text.to_owned();
    }
    let (digits, point) = shortest(v);
    let exponent = if v == 0.0 { 0 } else { point - 1 };
    let mut out = String::with_capacity(digits.len() + 8);
    if v.is_sign_negative() {
        out.push('-');
    }
    out.push(digits[0] as char);
    if digits.len() > 1 {
        out.push('.');
        out.extend(digits[1..].iter().map(|d| *d as char));
    }
    out.push('e');
    out.push(if exponent < 0 { '-' } else { '+' });
    out.push_str(&format!("{:02}", exponent.abs()));
    out
}

/// `strconv.FormatFloat(v, 'g', -1, 64)`: exponent form below 1e-4 and from 1e6 on, the
/// threshold Go uses for shortest output.
pub fn format_g(v: f64) -> String {
    if let Some(text) = special(v) {
        return text.to_owned();
    }
    let (_, point) = shortest(v);
    let exponent = point - 1;
    if v != 0.0 && !(-4..6).contains(&exponent) { format_e(v) } else { format_f(v) }
}

/// A sample value in the HTTP API: 'f' form, 'e' form below 1e-6 and from 1e21 on.
pub fn format_json(v: f64) -> String {
    let abs = v.abs();
    if abs != 0.0 && !(1e-6..1e21).contains(&abs) { format_e(v) } else { format_f(v) }
}

/// `strconv.Quote`: double quotes, Go escapes, printable Unicode as it is.
pub fn go_quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    text.chars().for_each(|c| push_quoted(&mut out, c, '"'));
    out.push('"');
    out
}

/// `strconv.Quote` of bytes that may not be UTF-8: what is not comes out as `\\xff`.
pub fn go_quote_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_quoted(&mut out, c, '"'));
        chunk.invalid().iter().for_each(|b| out.push_str(&format!("\\x{b:02x}")));
    }
    out.push('"');
    out
}

/// `strconv.QuoteRune`: the same for one character in single quotes.
pub fn go_quote_char(c: char) -> String {
    let mut out = String::with_capacity(8);
    out.push('\'');
    push_quoted(&mut out, c, '\'');
    out.push('\'');
    out
}

fn push_quoted(out: &mut String, c: char, quote: char) {
    match c {
        '\\' => out.push_str("\\\\"),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        c if c == quote => out.extend(['\\', c]),
        c if (c as u32) < 0x20 || c as u32 == 0x7f => {
            out.push_str(&format!("\\x{:02x}", c as u32));
        }
        c if is_go_printable(c) => out.push(c),
        c if (c as u32) < 0x10000 => out.push_str(&format!("\\u{:04x}", c as u32)),
        c => out.push_str(&format!("\\U{:08x}", c as u32)),
    }
}

/// Close to `strconv.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
fn is_go_printable(c: char) -> bool {
    if c.is_ascii() {
        return true;
    }
    // `escape_debug` escapes what is not printable; grapheme extenders are printable in Go.
    let mut escaped = c.escape_debug();
    c.is_alphanumeric()
        || (!c.is_control() && !c.is_whitespace() && escaped.next() == Some(c))
        || is_combining(c)
}

fn is_combining(c: char) -> bool {
    matches!(c as u32, 0x300..=0x36f | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x20d0..=0x20ff | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_go_prints_them() {
        for (v, f, e, g, json) in [
            (0.0, "0", "0e+00", "0", "0"),
            (-0.0, "-0", "-0e+00", "-0", "-0"),
            (1.0, "1", "1e+00", "1", "1"),
            (1e6, "1000000", "1e+06", "1e+06", "1000000"),
            (1234567.0, "1234567", "1.234567e+06", "1.234567e+06", "1234567"),
            (123456.7, "123456.7", "1.234567e+05", "123456.7", "123456.7"),
            (1e21, "1000000000000000000000", "1e+21", "1e+21", "1e+21"),
            (1.5e-7, "0.00000015", "1.5e-07", "1.5e-07", "1.5e-07"),
            (
                // 1000000000051941.25 lies between two that are equally short.
                f64::from_bits(0x430c_6bf5_263a_572a),
                "1000000000051941.2",
                "1.0000000000519412e+15",
                "1.0000000000519412e+15",
                "1000000000051941.2",
            ),
            (0.00012, "0.00012", "1.2e-04", "0.00012", "0.00012"),
            (-2.5, "-2.5", "-2.5e+00", "-2.5", "-2.5"),
        ] {
            assert_eq!(format_f(v), f);
            assert_eq!(format_e(v), e);
            assert_eq!(format_g(v), g);
            assert_eq!(format_json(v), json);
        }
        assert_eq!(format_f(f64::INFINITY), "+Inf");
        assert_eq!(format_json(f64::NAN), "NaN");
    }

    #[test]
    fn quotes_as_go_does() {
        assert_eq!(go_quote("a\"b\\\n\u{1}é\u{200b}"), r#""a\"b\\\n\x01é\u200b""#);
    }
}
