//! Go's number, boolean, size and time texts, read as `strconv`, `units` and `time` read them, with
//! their error texts: flags, API parameters and configuration quote them to users.

use model::number::go_quote;

/// `strconv.ParseFloat(text, 64)`.
pub fn parse_float(text: &str) -> Result<f64, String> {
    let fail = |why: &str| Err(format!("strconv.ParseFloat: parsing {}: {why}", go_quote(text)));
    match text.parse::<f64>() {
        // Rust saturates where Go reports a range error.
        Ok(v) if v.is_infinite() && text.bytes().any(|b| b.is_ascii_digit()) => {
            fail("value out of range")
        }
        Ok(v) => Ok(v),
        Err(_) => fail("invalid syntax"),
    }
}

/// `strconv.Atoi(text)`.
pub fn atoi(text: &str) -> Result<i64, String> {
    parse_integer(text, "Atoi", 64)
}

/// `strconv.ParseInt(text, 10, bits)`.
pub fn parse_int(text: &str, bits: u32) -> Result<i64, String> {
    parse_integer(text, "ParseInt", bits)
}

fn parse_integer(text: &str, function: &str, bits: u32) -> Result<i64, String> {
    let fail = |why: &str| format!("strconv.{function}: parsing {}: {why}", go_quote(text));
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(fail("invalid syntax"));
    }
    let limit = 1i128 << (bits - 1);
    text.parse::<i128>()
        .ok()
        .filter(|v| (-limit..limit).contains(v))
        .and_then(|v| i64::try_from(v).ok())
        .ok_or_else(|| fail("value out of range"))
}

/// `strconv.ParseBool(text)`.
pub fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {}: invalid syntax", go_quote(text))),
    }
}

/// Powers of 1024, smallest first.
const SIZE_UNITS: [&str; 7] = ["", "K", "M", "G", "T", "P", "E"];

/// A size in powers of 1024 (`512MB`, `1GiB`, `1.5KB`), as `units.ParseBase2Bytes` reads it.
pub fn parse_bytes(text: &str) -> Result<i64, String> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(format!("units: invalid {text}"));
    }
    let mut total = 0f64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, tail) = rest.split_at(digits);
        let number: f64 = number.parse().map_err(|_| format!("units: invalid {text}"))?;
        let letters = tail.bytes().take_while(|b| !b.is_ascii_digit() && *b != b'.').count();
        let (unit, tail) = tail.split_at(letters);
        if unit.is_empty() {
            return Err(format!("units: missing unit in {text}"));
        }
        let scale = SIZE_UNITS
            .iter()
            .position(|u| unit == format!("{u}B") || (!u.is_empty() && unit == format!("{u}iB")))
            .ok_or_else(|| format!("units: unknown unit {unit} in {text}"))?;
        total += number * 1024f64.powi(i32::try_from(scale).unwrap_or(0));
        rest = tail;
    }
    if total >= 9.2e18 {
        return Err(format!("units: invalid {text}"));
    }
    // Below 2^63 by the check above; sizes are whole bytes.
    let bytes = total as i64;
    Ok(if negative { -bytes } else { bytes })
}

/// Prints a size as `units.Base2Bytes` does: `0B`, `512MiB`, `1GiB512MiB`.
pub fn format_bytes(bytes: i64) -> String {
    if bytes == 0 {
        return "0B".to_owned();
    }
    let mut out = String::new();
    if bytes < 0 {
        out.push('-');
    }
    let mut rest = bytes.unsigned_abs();
    for (i, unit) in SIZE_UNITS.iter().enumerate().rev() {
        let size = 1u64 << (10 * i);
        if rest / size > 0 {
            let suffix = if unit.is_empty() { "B" } else { "iB" };
            out.push_str(&format!("{}{unit}{suffix}", rest / size));
            rest %= size;
        }
    }
    out
}

/// Prints nanoseconds as Go's `time.Duration` does: `173.554µs`, `1.5s`, `2m0s`.
pub fn format_go_duration(nanos: i128) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let n = nanos.unsigned_abs();
    if n == 0 {
        return "0s".to_owned();
    }
    let scaled = |unit: u128, name: &str| {
        let mut text = format!("{sign}{}", n / unit);
        let fraction = n % unit;
        if fraction > 0 {
            let width = unit.ilog10() as usize;
            text.push_str(format!(".{fraction:0width$}").trim_end_matches('0'));
        }
        text + name
    };
    match n {
        0..1_000 => scaled(1, "ns"),
        1_000..1_000_000 => scaled(1_000, "µs"),
        1_000_000..1_000_000_000 => scaled(1_000_000, "ms"),
        _ => {
            let seconds = n / 1_000_000_000;
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let whole = n - (hours * 3600 + minutes * 60) * 1_000_000_000;
            let mut text = sign.to_owned();
            if hours > 0 {
                text.push_str(&format!("{hours}h"));
            }
            if hours > 0 || minutes > 0 {
                text.push_str(&format!("{minutes}m"));
            }
            let mut tail = format!("{}", whole / 1_000_000_000);
            let fraction = whole % 1_000_000_000;
            if fraction > 0 {
                tail.push_str(format!(".{fraction:09}").trim_end_matches('0'));
            }
            text + &tail + "s"
        }
    }
}

/// `time.ParseDuration(text)` in nanoseconds.
pub fn parse_go_duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {}", go_quote(text));
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0f64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, tail) = rest.split_at(digits);
        let number: f64 = number.parse().map_err(|_| invalid())?;
        let letters = tail.bytes().take_while(|b| !b.is_ascii_digit() && *b != b'.').count();
        let (unit, tail) = tail.split_at(letters);
        let nanos = match unit {
            "" => return Err(format!("time: missing unit in duration {}", go_quote(text))),
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 6e10,
            "h" => 3.6e12,
            other => {
                return Err(format!(
                    "time: unknown unit {} in duration {}",
                    go_quote(other),
                    go_quote(text)
                ));
            }
        };
        total += number * nanos;
        rest = tail;
    }
    if total >= 9.2e18 {
        return Err(invalid());
    }
    let nanos = total as i64;
    Ok(if negative { -nanos } else { nanos })
}

/// An operating system error in Go's words: `no such file or directory`, without the number.
pub fn os_error(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(parse_float("5e7"), Ok(5e7));
        assert_eq!(
            parse_float("1e400").unwrap_err(),
            r#"strconv.ParseFloat: parsing "1e400": value out of range"#
        );
        assert!(parse_float("+Inf").is_ok_and(f64::is_infinite));
        assert_eq!(atoi("x").unwrap_err(), r#"strconv.Atoi: parsing "x": invalid syntax"#);
        assert_eq!(
            atoi("9223372036854775808").unwrap_err(),
            r#"strconv.Atoi: parsing "9223372036854775808": value out of range"#
        );
        assert_eq!(parse_int("-2147483648", 32), Ok(-2_147_483_648));
    }

    #[test]
    fn sizes() {
        for (text, bytes, printed) in [
            ("512MB", 512 << 20, "512MiB"),
            ("1GiB512MB", 3 << 29, "1GiB512MiB"),
            ("1.5KB", 1536, "1KiB512B"),
            ("0", 0, "0B"),
        ] {
            assert_eq!(parse_bytes(text), Ok(bytes));
            assert_eq!(format_bytes(bytes), printed);
        }
        assert_eq!(parse_bytes("1X").unwrap_err(), "units: unknown unit X in 1X");
        assert_eq!(parse_bytes("1").unwrap_err(), "units: missing unit in 1");
        assert_eq!(parse_bytes("").unwrap_err(), "units: invalid ");
    }

    #[test]
    fn go_durations() {
        for (nanos, printed) in [
            (0, "0s"),
            (516, "516ns"),
            (173_554, "173.554µs"),
            (2_000_000, "2ms"),
            (1_500_000_000, "1.5s"),
            (120_000_000_000, "2m0s"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(format_go_duration(nanos), printed);
            assert_eq!(parse_go_duration(printed).map(i128::from), Ok(nanos));
        }
        assert_eq!(parse_go_duration("x").unwrap_err(), r#"time: invalid duration "x""#);
    }
}
