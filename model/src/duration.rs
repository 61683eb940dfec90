//! Durations as Prometheus writes them: `1h30m`, units y w d h m s ms in descending order, each at
//! most once, or a bare `0`. After `common/model/time.go`.

/// Milliseconds of one unit.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Why a text is not a duration, in Prometheus's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    #[error("empty duration string")]
    Empty,
    #[error("not a valid duration string: {}", crate::number::go_quote(.0))]
    Invalid(String),
    #[error("unknown unit {} in duration {}", crate::number::go_quote(.unit), crate::number::go_quote(.text))]
    UnknownUnit { unit: String, text: String },
    #[error("duration out of range")]
    OutOfRange,
}

/// Largest duration Go's nanosecond type holds, in milliseconds.
const MAX_MS: i64 = i64::MAX / 1_000_000;

/// Parses a duration into milliseconds.
pub fn parse(text: &str) -> Result<i64, DurationError> {
    match text {
        "0" => return Ok(0),
        "" => return Err(DurationError::Empty),
        _ => {}
    }
    let invalid = || DurationError::Invalid(text.to_owned());
    let mut rest = text;
    let mut next_unit = 0;
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count());
        let n: u64 = number.parse().map_err(|_| invalid())?;
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        if unit_end == 0 {
            return Err(invalid());
        }
        let (unit, tail) = tail.split_at(unit_end);
        let at = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(|| {
            DurationError::UnknownUnit { unit: unit.to_owned(), text: text.to_owned() }
        })?;
        if at < next_unit {
            return Err(invalid());
        }
        next_unit = at + 1;
        total = i64::try_from(n)
            .ok()
            .and_then(|n| n.checked_mul(UNITS[at].1))
            .and_then(|ms| total.checked_add(ms))
            .filter(|ms| *ms <= MAX_MS)
            .ok_or(DurationError::OutOfRange)?;
        rest = tail;
    }
    Ok(total)
}

/// Prints milliseconds as Prometheus does: `1h30m`, `0s`; years and weeks only when nothing smaller
/// is left (`90d`, not `12w6d`).
pub fn format(ms: i64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    let mut rest = ms.unsigned_abs();
    if ms < 0 {
        out.push('-');
    }
    for (i, (unit, size)) in UNITS.iter().enumerate() {
        let size = *size as u64;
        let exact_only = i < 2;
        if exact_only && !rest.is_multiple_of(size) {
            continue;
        }
        if rest / size > 0 {
            out.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints() {
        for (text, ms, printed) in [
            ("0", 0, "0s"),
            ("1h30m", 5_400_000, "1h30m"),
            ("15d", 1_296_000_000, "15d"),
            ("14d", 1_209_600_000, "2w"),
            ("1y", 31_536_000_000, "1y"),
            ("25h", 90_000_000, "1d1h"),
            ("84h", 302_400_000, "3d12h"),
            ("90s", 90_000, "1m30s"),
            ("4s200ms", 4_200, "4s200ms"),
        ] {
            assert_eq!(parse(text), Ok(ms), "{text}");
            assert_eq!(format(ms), printed, "{text}");
        }
    }

    #[test]
    fn refuses() {
        for (bad, reason) in [
            ("1", "not a valid duration string: \"1\""),
            ("1m1h", "not a valid duration string: \"1m1h\""),
            ("1h1h", "not a valid duration string: \"1h1h\""),
            ("-1s", "not a valid duration string: \"-1s\""),
            ("s", "not a valid duration string: \"s\""),
            ("1x", "unknown unit \"x\" in duration \"1x\""),
            ("1.5h", "unknown unit \".\" in duration \"1.5h\""),
            ("1s ", "unknown unit \"s \" in duration \"1s \""),
            ("99999999999999999999s", "not a valid duration string: \"99999999999999999999s\""),
        ] {
            assert_eq!(parse(bad).unwrap_err().to_string(), reason);
        }
        assert_eq!(parse("").unwrap_err().to_string(), "empty duration string");
        assert_eq!(parse("400y").unwrap_err().to_string(), "duration out of range");
    }
}
