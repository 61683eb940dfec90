//! Floats of the exposition formats: a fast path for plain decimals, `std` for the rest.
//!
//! Accepts what Go's `ParseFloat` accepts without hexadecimal forms and underscores.

use super::{ParseError, quote_bytes};

/// Powers of ten that a double holds exactly.
const EXACT_POW10: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Parses a decimal at the start of `bytes`; returns the value and how many bytes it took.
///
/// `None` means "not a number the fast path is exact for": more than 19 digits, a mantissa above
/// 2^53, an exponent beyond ±22, or no decimal at all. The byte after the number is not looked at.
#[inline]
pub fn parse_prefix(bytes: &[u8]) -> Option<(f64, usize)> {
    let mut i = usize::from(bytes.first() == Some(&b'-'));
    let negative = i == 1;
    let first_digit = i;
    let mut mantissa: u64 = 0;
    while let Some(digit) = digit_at(bytes, i) {
        mantissa = mantissa.wrapping_mul(10).wrapping_add(digit);
        i += 1;
    }
    let mut digits = i - first_digit;
    let mut exponent: i32 = 0;
    if bytes.get(i) == Some(&b'.') {
        i += 1;
        let fraction = i;
        while let Some(digit) = digit_at(bytes, i) {
            mantissa = mantissa.wrapping_mul(10).wrapping_add(digit);
            i += 1;
        }
        digits += i - fraction;
        exponent = -((i - fraction) as i32);
    }
    // 19 digits cannot wrap a u64; leading zeros count, which only costs the fast path.
    if digits == 0 || digits > 19 || mantissa > 1 << 53 {
        return None;
    }
    if matches!(bytes.get(i), Some(b'e' | b'E')) {
        let (value, len) = exponent_at(&bytes[i + 1..])?;
        exponent += value;
        i += 1 + len;
    }
    let magnitude = match exponent {
        0 => mantissa as f64,
        1..=22 => mantissa as f64 * EXACT_POW10[exponent as usize],
        -22..=-1 => mantissa as f64 / EXACT_POW10[-exponent as usize],
        _ => return None,
    };
    Some((if negative { -magnitude } else { magnitude }, i))
}

#[inline]
fn digit_at(bytes: &[u8], i: usize) -> Option<u64> {
    let digit = bytes.get(i)?.wrapping_sub(b'0');
    (digit < 10).then_some(u64::from(digit))
}

fn exponent_at(bytes: &[u8]) -> Option<(i32, usize)> {
    let sign = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let mut value = 0i32;
    let mut i = sign;
    while let Some(digit) = digit_at(bytes, i) {
        value = value * 10 + digit as i32;
        i += 1;
        if i - sign > 4 {
            return None;
        }
    }
    (i > sign).then(|| (if bytes[0] == b'-' { -value } else { value }, i))
}

/// Parses a whole token, with Go's error texts.
pub fn parse(token: &[u8]) -> Result<f64, ParseError> {
    if let Some((value, len)) = parse_prefix(token)
        && len == token.len()
    {
        return Ok(value);
    }
    if token.iter().any(|b| matches!(b, b'p' | b'P' | b'_')) {
        return Err(ParseError("unsupported character in float".to_owned()));
    }
    let text = String::from_utf8_lossy(token);
    let failed = |why: &str| {
        ParseError(format!("strconv.ParseFloat: parsing {}: {why}", quote_bytes(token)))
    };
    let unsigned = text.trim_start_matches(['+', '-']);
    let signed_nan = unsigned.len() < text.len() && unsigned.eq_ignore_ascii_case("nan");
    let value: f64 = match text.parse() {
        Ok(value) if !signed_nan => value,
        _ => return Err(failed("invalid syntax")),
    };
    if value.is_infinite() && unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(failed("value out of range"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accepts_what_go_accepts() {
        for (text, value) in [
            ("1", 1.0),
            ("-0", -0.0),
            (".5", 0.5),
            ("1.", 1.0),
            ("+3", 3.0),
            ("1e3", 1000.0),
            ("1.234567e+06", 1_234_567.0),
            ("4.9e-324", 4.9e-324),
            ("1e400e", f64::NAN),
            ("+Inf", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
            ("Infinity", f64::INFINITY),
            ("0.1234567890123456789012345", 0.123_456_789_012_345_68),
        ] {
            match parse(text.as_bytes()) {
                Ok(got) => assert_eq!(got.to_bits(), value.to_bits(), "{text}"),
                Err(_) => assert!(value.is_nan(), "{text}"),
            }
        }
        assert!(parse(b"NaN").unwrap().is_nan());
    }

    #[test]
    fn refuses_in_gos_words() {
        for (text, error) in [
            ("x", r#"strconv.ParseFloat: parsing "x": invalid syntax"#),
            ("", r#"strconv.ParseFloat: parsing "": invalid syntax"#),
            ("-nan", r#"strconv.ParseFloat: parsing "-nan": invalid syntax"#),
            ("1e999", r#"strconv.ParseFloat: parsing "1e999": value out of range"#),
            ("1_000", "unsupported character in float"),
            ("0x1p-2", "unsupported character in float"),
            ("1e", r#"strconv.ParseFloat: parsing "1e": invalid syntax"#),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().0, error, "{text}");
        }
    }

    proptest! {
        #[test]
        fn fast_path_is_exact(bits: u64, decimals in 0usize..12) {
            let v = f64::from_bits(bits);
            for text in [format!("{v}"), format!("{v:e}"), format!("{:.*}", decimals, (bits >> 30) as f64 / 1024.0)] {
                if let Some((got, len)) = parse_prefix(text.as_bytes()) {
                    prop_assert_eq!(len, text.len());
                    prop_assert_eq!(got.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{}", text);
                }
            }
        }
    }
}
