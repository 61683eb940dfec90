//! Instants as Go's `time` package prints and reads them: RFC 3339 in UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Text of the earliest time the API knows; its year has more digits than RFC 3339 allows.
pub const MIN_TIME_TEXT: &str = "-292273086-05-16T16:47:06Z";
/// Text of the latest time the API knows.
pub const MAX_TIME_TEXT: &str = "292277025-08-18T07:12:54.999999999Z";
/// The same in milliseconds.
pub const MIN_TIME_MS: i64 = (i64::MIN / 1000 + 62_135_596_801) * 1000;
/// The same in milliseconds.
pub const MAX_TIME_MS: i64 = (i64::MAX / 1000 - 62_135_596_801) * 1000 + 999;

/// Nanoseconds since the epoch; negative before it.
pub fn unix_nanos(time: SystemTime) -> i128 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i128::try_from(after.as_nanos()).unwrap_or(i128::MAX),
        Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap_or(i128::MAX),
    }
}

/// Milliseconds since the epoch, now.
pub fn now_ms() -> i64 {
    i64::try_from(unix_nanos(SystemTime::now()) / 1_000_000).unwrap_or(i64::MAX)
}

/// Year, month and day of a day number since the epoch (proleptic Gregorian calendar; the
/// well-known conversion by eras of 400 years).
fn civil(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, u32::try_from(month).unwrap_or(1), u32::try_from(day).unwrap_or(1))
}

/// Day number since the epoch of a calendar date.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn date_time(seconds: i64) -> String {
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// `time.RFC3339Nano`: fraction as short as possible.
pub fn rfc3339_nano(nanos: i128) -> String {
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or(0);
    let fraction = nanos.rem_euclid(1_000_000_000);
    let mut text = date_time(seconds);
    if fraction > 0 {
        text.push_str(format!(".{fraction:09}").trim_end_matches('0'));
    }
    text + "Z"
}

/// Three digits of fraction always, as log lines have it.
pub fn rfc3339_millis(nanos: i128) -> String {
    let seconds = i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or(0);
    format!("{}.{:03}Z", date_time(seconds), nanos.rem_euclid(1_000_000_000) / 1_000_000)
}

/// Milliseconds since the epoch of an RFC 3339 text, fraction and zone offset allowed.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || !text.is_ascii() {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = &text[from..to];
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    for (at, separator) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
        if bytes[at] != separator {
            return None;
        }
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=month_days).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = &text[19..];
    let mut millis = 0;
    if let Some(tail) = rest.strip_prefix(['.', ',']) {
        let digits = tail.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        let three: String = tail[..digits].chars().chain("000".chars()).take(3).collect();
        millis = three.parse().ok()?;
        rest = &tail[digits..];
    }
    let offset = if rest == "Z" {
        0
    } else {
        let zone = rest.as_bytes();
        if zone.len() != 6 || zone[3] != b':' {
            return None;
        }
        let at = text.len() - 6;
        let (hours, minutes) = (number(at + 1, at + 3)?, number(at + 4, at + 6)?);
        if hours > 23 || minutes > 59 {
            return None;
        }
        let seconds = hours * 3600 + minutes * 60;
        match zone[0] {
            b'+' => seconds,
            b'-' => -seconds,
            _ => return None,
        }
    };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some((seconds - offset) * 1000 + millis)
}

/// A duration as Go prints it.
pub fn go_duration(duration: Duration) -> String {
    crate::gotext::format_go_duration(i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints() {
        assert_eq!(rfc3339_nano(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339_nano(1_795_225_289_125_255_093), "2026-11-21T01:41:29.125255093Z");
        assert_eq!(rfc3339_nano(-62_135_596_800_000_000_000), "0001-01-01T00:00:00Z");
        assert_eq!(rfc3339_millis(1_795_225_289_002_000_000), "2026-11-21T01:41:29.002Z");
    }

    #[test]
    fn reads() {
        for (text, ms) in [
            ("2015-07-01T20:10:51.781Z", Some(1_435_781_451_781)),
            ("2015-07-01T20:10:51+02:00", Some(1_435_774_251_000)),
            ("2016-02-29T00:00:00.5-00:30", Some(1_456_705_800_500)),
            ("2015-02-29T00:00:00Z", None),
            ("2015-07-01 20:10:51Z", None),
            ("2015-07-01T20:10:51", None),
            ("2015-07-01T24:10:51Z", None),
            ("", None),
        ] {
            assert_eq!(parse_rfc3339(text), ms, "{text}");
        }
    }
}
