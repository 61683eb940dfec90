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

/// `000` to `999`.
static THREE_DIGITS: [[u8; 3]; 1000] = {
    let mut digits = [[0; 3]; 1000];
    let mut n = 0;
    while n < 1000 {
        digits[n] = [b'0' + (n / 100) as u8, b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    digits
};

/// Bytes of a point with a whole number, at most.
const POINT_BYTES: usize = 48;

/// Writes points `[time,"value"]`. Times that follow each other have most of their digits in common,
/// which are kept.
#[derive(Debug, Default)]
pub struct Points {
    /// The time in thousands of seconds, and its digits.
    high: u64,
    text: [u8; 16],
    len: usize,
}

impl Points {
    /// Appends a point.
    pub fn push(&mut self, out: &mut Vec<u8>, t: i64, v: f64) {
        let high = t.unsigned_abs() / 1_000_000;
        if t < 0 || high == 0 {
            out.push(b'[');
            push_timestamp(out, t);
            out.extend_from_slice(b",\"");
            push_float(out, v);
            out.extend_from_slice(b"\"]");
            return;
        }
        if high != self.high {
            self.high = high;
            self.len = put_digits(&mut self.text, 0, high);
        }
        // One piece of fixed length, cut afterwards: cheaper than pieces of the right length.
        let mut text = [0; POINT_BYTES];
        text[0] = b'[';
        text[1..17].copy_from_slice(&self.text);
        let mut at = 1 + self.len;
        let below = t.unsigned_abs() % 1_000_000;
        let three = |n: u64| THREE_DIGITS[(n % 1000) as usize];
        text[at..at + 3].copy_from_slice(&three(below / 1000));
        at += 3;
        if !below.is_multiple_of(1000) {
            text[at] = b'.';
            text[at + 1..at + 4].copy_from_slice(&three(below));
            at += 4;
        }
        text[at..at + 2].copy_from_slice(b",\"");
        at += 2;
        let whole = whole(v);
        if let Some(v) = whole {
            text[at] = b'-';
            at = put_digits(&mut text, at + usize::from(v < 0), v.unsigned_abs());
            text[at..at + 2].copy_from_slice(b"\"]");
            at += 2;
        }
        let end = out.len() + at;
        out.extend_from_slice(&text);
        out.truncate(end);
        if whole.is_none() {
            push_float(out, v);
            out.extend_from_slice(b"\"]");
        }
    }
}

/// Writes the digits of `v` from `at` on; where they end. There must be room for them.
#[inline]
fn put_digits(text: &mut [u8], at: usize, mut v: u64) -> usize {
    let len = v.checked_ilog10().map_or(1, |log| log as usize + 1);
    let digits = &mut text[at..at + len];
    let mut left = len;
    while left > 3 {
        digits[left - 3..left].copy_from_slice(&THREE_DIGITS[(v % 1000) as usize]);
        left -= 3;
        v /= 1000;
    }
    digits[..left].copy_from_slice(&THREE_DIGITS[(v % 1000) as usize][3 - left..]);
    at + len
}

/// Appends a sample value: a string, plain decimal, exponent form below 1e-6 and from 1e21 on.
pub fn push_value(out: &mut Vec<u8>, v: f64) {
    out.push(b'"');
    push_float(out, v);
    out.push(b'"');
}

/// Whole numbers below this are exact, and most sample values are such.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The whole number that a value is, if it is one without a sign of zero.
#[inline]
fn whole(v: f64) -> Option<i64> {
    // What does not fit, or is not a number, becomes something else here.
    let whole = v as i64;
    let exact = whole as f64 == v && v.abs() < EXACT && (whole != 0 || v.to_bits() == 0);
    exact.then_some(whole)
}

fn push_float(out: &mut Vec<u8>, v: f64) {
    if let Some(v) = whole(v) {
        push_int(out, v);
        return;
    }
    let abs = v.abs();
    if !(1e-5..1e16).contains(&abs) {
        out.extend_from_slice(model::number::format_json(v).as_bytes());
        return;
    }
    // In this range zmij prints a plain decimal with at least one digit behind the point.
    let mut buffer = zmij::Buffer::new();
    match buffer.format_finite(v).as_bytes() {
        [whole @ .., b'.', b'0'] => out.extend_from_slice(whole),
        text => out.extend_from_slice(text),
    }
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

    proptest! {
        #[test]
        fn points(
            times in proptest::collection::vec(
                prop_oneof![any::<i64>(), -5_000_000..5_000_000i64, 1_700_000_000_000..1_700_100_000_000i64],
                1..20,
            ),
            v in prop_oneof![any::<f64>(), any::<i32>().prop_map(f64::from), Just(-0.0)],
        ) {
            let mut points = Points::default();
            for t in times {
                let want = text(|o| {
                    o.push(b'[');
                    push_timestamp(o, t);
                    o.push(b',');
                    push_value(o, v);
                    o.push(b']');
                });
                prop_assert_eq!(text(|o| points.push(o, t, v)), want);
            }
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
