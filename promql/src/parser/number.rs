//! Numbers and durations: where they end in a text, and what they are worth.
//!
//! Scanning accepts more than what is a number, as in Prometheus; reading then says why not.
//! Values are Go's: base prefixes and underscores as in Go source, leading-zero octal.

use model::number::go_quote;

/// What a scan took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Bytes looked at and taken, also of what is not valid.
    pub len: usize,
    pub valid: bool,
}

/// A cursor over the bytes of a text.
struct Cursor<'a> {
    bytes: &'a [u8],
    pos: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    fn is(&self, set: &[u8]) -> bool {
        self.peek().is_some_and(|b| set.contains(&b))
    }

    fn accept(&mut self, set: &[u8]) -> bool {
        let yes = self.is(set);
        self.pos += usize::from(yes);
        yes
    }

    fn accept_run(&mut self, set: &[u8]) {
        while self.accept(set) {}
    }

    fn at_word(&self) -> bool {
        self.peek().is_some_and(|b| b == b'_' || b.is_ascii_alphanumeric())
    }

    fn scan(&self, valid: bool) -> Scan {
        Scan { len: self.pos, valid }
    }
}

const DIGITS: &[u8] = b"0123456789";
const HEX_DIGITS: &[u8] = b"0123456789abcdefABCDEF";

/// Scans a number at the start of `text`: decimal, hexadecimal, octal or float, with `_` between
/// digits. It may not run into a word.
pub fn scan_number(text: &str) -> Scan {
    scan(text, false)
}

/// Scans a number of a series description, where `x` is not part of it but "times".
pub fn scan_series_number(text: &str) -> Scan {
    scan(text, true)
}

fn scan(text: &str, series: bool) -> Scan {
    let mut c = Cursor { bytes: text.as_bytes(), pos: 0 };
    let mut digits = DIGITS;
    if !series && c.accept(b"0") && c.accept(b"xX") {
        c.accept(b"_");
        digits = HEX_DIGITS;
    }
    let hex = digits.len() > DIGITS.len();
    let (mut dot, mut exponent) = (false, false);
    c.accept(b".");
    c.accept(digits);
    while c.is(digits) || c.is(b"._eE") {
        let repeated = (c.is(b".") && dot) || (c.is(b"eE") && exponent);
        if repeated {
            c.pos += 1;
            return c.scan(false);
        }
        if c.accept(b".") {
            dot = true;
            // A hexadecimal number has no fraction.
            if c.accept(b"_.") || hex {
                return c.scan(false);
            }
        } else if c.accept(b"eE") {
            exponent = true;
            c.accept(b"+-");
            if c.accept(b"._eE") || c.peek().is_none() {
                return c.scan(false);
            }
        } else if c.accept(b"_") {
            if c.accept(b"._eE") || c.peek().is_none() {
                return c.scan(false);
            }
        } else {
            c.accept_run(digits);
        }
    }
    let times = series && c.is(b"x");
    c.scan(c.pos > 0 && (times || !c.at_word()))
}

/// Scans what makes a duration of a number: a unit, then more numbers with units, then no word.
/// Whether the units make sense is found out when the duration is read.
pub fn scan_duration_rest(text: &str) -> Scan {
    let mut c = Cursor { bytes: text.as_bytes(), pos: 0 };
    if !c.accept(b"smhdwy") {
        return c.scan(false);
    }
    c.accept(b"s");
    while c.accept(DIGITS) {
        c.accept_run(DIGITS);
        if !c.accept(b"smhdw") {
            return c.scan(false);
        }
        c.accept(b"s");
    }
    if c.at_word() {
        c.pos += 1;
        return c.scan(false);
    }
    c.scan(true)
}

/// The value of a scanned number, or Go's words for why it has none.
pub fn read_number(text: &str) -> Result<f64, String> {
    if let Some(n) = read_int(text) {
        return Ok(n as f64);
    }
    let quoted = go_quote(text);
    let syntax = || format!("strconv.ParseFloat: parsing {quoted}: invalid syntax");
    if !underscores_fit(text) {
        return Err(syntax());
    }
    let plain = text.replace('_', "");
    if plain.starts_with("0x") || plain.starts_with("0X") {
        // Go reads hexadecimal floats only with an exponent, which the scan does not take.
        return Err(syntax());
    }
    match plain.parse::<f64>() {
        Ok(v) if v.is_infinite() && !plain.eq_ignore_ascii_case("inf") => {
            Err(format!("strconv.ParseFloat: parsing {quoted}: value out of range"))
        }
        Ok(v) => Ok(v),
        Err(_) => Err(syntax()),
    }
}

/// Go's `ParseInt` with base 0, without sign.
fn read_int(text: &str) -> Option<i64> {
    if !underscores_fit(text) {
        return None;
    }
    let plain = text.replace('_', "");
    let lower = plain.to_ascii_lowercase();
    match lower.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None if lower.len() > 1 && lower.starts_with('0') => i64::from_str_radix(&lower, 8).ok(),
        None => lower.parse().ok(),
    }
}

/// Whether every underscore stands between digits (or after a base prefix).
fn underscores_fit(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let hex = lower.starts_with("0x");
    // What came last: a digit (or prefix), an underscore, something else.
    let (mut last, body) = match hex {
        true => (b'0', lower.get(2..).unwrap_or("")),
        false => (b'^', lower.as_str()),
    };
    for b in body.bytes() {
        if b.is_ascii_digit() || (hex && (b'a'..=b'f').contains(&b)) {
            last = b'0';
        } else if b == b'_' {
            if last != b'0' {
                return false;
            }
            last = b'_';
        } else {
            if last == b'_' {
                return false;
            }
            last = b'!';
        }
    }
    last != b'_'
}
