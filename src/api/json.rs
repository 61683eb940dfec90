//! JSON text, written straight into a buffer: strings as Prometheus escapes them, sample values and
//! timestamps as it prints them. No value tree in between.

use model::Labels;

/// Appends a JSON string; `<`, `>`, `&` and the two line separators are escaped, as Go's encoder
/// does by default.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    push_escaped(out, text, true);
}

/// Appends a label name or value: only what JSON requires is escaped.
pub fn push_label(out: &mut Vec<u8>, text: &str) {
    push_escaped(out, text, false);
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn push_escaped(out: &mut Vec<u8>, text: &str, html: bool) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let separator = html && byte == 0xe2 && is_line_separator(&bytes[at..]);
        let plain = match byte {
            b'"' | b'\\' => false,
            b'<' | b'>' | b'&' => !html,
            _ => byte >= 0x20 && !separator,
        };
        if plain || at < done {
            continue;
        }
        out.extend_from_slice(&bytes[done..at]);
        done = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ if separator => {
                out.extend_from_slice(b"\\u202");
                out.push(HEX[usize::from(bytes[at + 2] & 0xf)]);
                done = at + 3;
            }
            _ => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 0xf)]);
            }
        }
    }
    out.extend_from_slice(&bytes[done..]);
    out.push(b'"');
}

/// U+2028 or U+2029.
fn is_line_separator(bytes: &[u8]) -> bool {
    matches!(bytes, [0xe2, 0x80, 0xa8 | 0xa9, ..])
}

/// Appends a list of strings.
pub fn push_strings<S: AsRef<str>>(out: &mut Vec<u8>, list: impl IntoIterator<Item = S>) {
    out.push(b'[');
    for (i, text) in list.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        push_string(out, text.as_ref());
    }
    out.push(b']');
}

/// Appends a label set as an object.
pub fn push_labels(out: &mut Vec<u8>, labels: &Labels) {
    out.push(b'{');
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        push_label(out, name);
        out.push(b':');
        push_label(out, value);
    }
    out.push(b'}');
}

/// Appends a whole number.
pub fn push_int(out: &mut Vec<u8>, v: i64) {
    if v < 0 {
        out.push(b'-');
    }
    push_uint(out, v.unsigned_abs());
}

/// Appends a whole number.
pub fn push_uint(out: &mut Vec<u8>, mut v: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (v % 10) as u8;
        v /= 10;
        if v == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a timestamp in milliseconds as seconds with up to three decimals, none when whole.
pub fn push_timestamp(out: &mut Vec<u8>, ms: i64) {
    if ms < 0 {
        out.push(b'-');
    }
    let abs = ms.unsigned_abs();
    push_uint(out, abs / 1000);
    let fraction = abs % 1000;
    if fraction != 0 {
        out.push(b'.');
        out.extend([100, 10, 1].map(|unit| b'0' + (fraction / unit % 10) as u8));
    }
}

/// Appends a sample value: a string, plain decimal, exponent form below 1e-6 and from 1e21 on.
pub fn push_value(out: &mut Vec<u8>, v: f64) {
    out.push(b'"');
    push_float(out, v);
    out.push(b'"');
}

/// Whole numbers below this are exact, and most sample values are such.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn push_float(out: &mut Vec<u8>, v: f64) {
    let abs = v.abs();
    if abs < EXACT && v.trunc() == v && v.to_bits() != (-0.0f64).to_bits() {
        // In range by the test above.
        push_int(out, v as i64);
        return;
    }
    if !(1e-5..1e16).contains(&abs) {
        out.extend_from_slice(model::number::format_json(v).as_bytes());
        return;
    }
    // In this range ryu prints a plain decimal with at least one digit behind the point.
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(v);
    out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
}

/// Appends a float as Go's JSON encoder writes numbers (timings and durations in seconds).
pub fn push_number(out: &mut Vec<u8>, v: f64) {
    if v.is_finite() {
        push_float(out, v);
    } else {
        out.push(b'0');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings() {
        let raw = "a\"\\\n\r\t\u{8}\u{1f}<&>\u{2028}\u{2029}ü\u{7f}€";
        assert_eq!(
            text(|o| push_string(o, raw)),
            "\"a\\\"\\\\\\n\\r\\t\\u0008\\u001f\\u003c\\u0026\\u003e\\u2028\\u2029ü\u{7f}€\""
        );
        assert_eq!(
            text(|o| push_label(o, raw)),
            "\"a\\\"\\\\\\n\\r\\t\\u0008\\u001f<&>\u{2028}\u{2029}ü\u{7f}€\""
        );
    }

    #[test]
    fn timestamps() {
        for (ms, printed) in [
            (0, "0"),
            (1_435_781_451_781, "1435781451.781"),
            (5_010, "5.010"),
            (-1_001, "-1.001"),
            (i64::MAX, "9223372036854775.807"),
            (i64::MIN, "-9223372036854775.808"),
        ] {
            assert_eq!(text(|o| push_timestamp(o, ms)), printed);
        }
    }

    #[test]
    fn values() {
        for v in [
            0.0,
            -0.0,
            1.0,
            -17.0,
            0.1,
            1e-5,
            9.9e-6,
            1e-6,
            9.99e-7,
            1e15,
            1e16,
            123456789.125,
            9007199254740992.0,
            9007199254740993.0,
            1e20,
            1e21,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MIN_POSITIVE,
            f64::MAX,
            5e-324,
            1.0000000000000002,
        ] {
            let expected = format!("\"{}\"", model::number::format_json(v));
            assert_eq!(text(|o| push_value(o, v)), expected);
        }
    }

    proptest! {
        #[test]
        fn any_value_prints_as_go_does(bits in any::<u64>(), scaled in any::<i32>()) {
            for v in [f64::from_bits(bits), f64::from(scaled) / 1e4] {
                let expected = format!("\"{}\"", model::number::format_json(v));
                prop_assert_eq!(text(|o| push_value(o, v)), expected);
            }
        }

        #[test]
        fn any_string_reads_back(raw in any::<String>()) {
            let json = text(|o| push_string(o, &raw));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), raw.clone());
            let json = text(|o| push_label(o, &raw));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), raw);
        }
    }
}
