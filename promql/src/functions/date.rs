//! Date functions: parts of a time in UTC, for any number of seconds Go's `time.Unix` takes.

/// Days from 0000-03-01 to the epoch.
const DAYS_TO_EPOCH: i128 = 719_468;
/// Seconds from the first moment Go's `time` counts from (the 1st of March of the year
/// -292277022400) to the epoch. Go counts in 64 bits without sign; later moments start over there.
const GO_SECONDS_TO_EPOCH: i128 = 292_277_022_400 / 400 * 146_097 * 86_400 + DAYS_TO_EPOCH * 86_400;

/// A moment in the proleptic Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub year: i64,
    /// 1..=12
    pub month: u32,
    /// 1..=31
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    /// 0 = Sunday
    pub weekday: u32,
    /// 1..=366
    pub yearday: u32,
}

impl Civil {
    /// The moment `seconds` after the epoch.
    pub(crate) fn from_unix(seconds: i64) -> Civil {
        let since_start = (i128::from(seconds) + GO_SECONDS_TO_EPOCH).rem_euclid(1 << 64);
        let seconds = since_start - GO_SECONDS_TO_EPOCH;
        let days = seconds.div_euclid(86_400);
        let rest = seconds.rem_euclid(86_400) as u32;
        // Years start in March here, so that the leap day is the last of its year.
        let shifted = days + DAYS_TO_EPOCH;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097) as i64;
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * of_year + 2) / 153;
        let day = (of_year - (153 * march_month + 2) / 5 + 1) as u32;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 } as u32;
        let year = year_of_era + (era * 400) as i64 + i64::from(month <= 2);
        let weekday = (days + 4).rem_euclid(7) as u32;
        let yearday = before_month(year, month) + day;
        Civil {
            year,
            month,
            day,
            hour: rest / 3_600,
            minute: rest % 3_600 / 60,
            second: rest % 60,
            weekday,
            yearday,
        }
    }

    /// Days of this month.
    pub(crate) fn days_in_month(&self) -> u32 {
        match self.month {
            2 => 28 + u32::from(is_leap(self.year)),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }
}

fn is_leap(year: i64) -> bool {
    year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0)
}

fn before_month(year: i64, month: u32) -> u32 {
    const BEFORE: [u32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    BEFORE[month as usize - 1] + u32::from(month > 2 && is_leap(year))
}

/// A float as seconds, as Go converts on amd64: what does not fit becomes the smallest integer.
pub(crate) fn to_seconds(v: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&v) { v as i64 } else { i64::MIN }
}

/// A date function.
pub(crate) type Part = fn(&Civil) -> f64;

/// The date function called `name`.
pub(crate) fn part(name: &str) -> Option<Part> {
    Some(match name {
        "days_in_month" => |c| f64::from(c.days_in_month()),
        "day_of_month" => |c| f64::from(c.day),
        "day_of_week" => |c| f64::from(c.weekday),
        "day_of_year" => |c| f64::from(c.yearday),
        "hour" => |c| f64::from(c.hour),
        "minute" => |c| f64::from(c.minute),
        "month" => |c| f64::from(c.month),
        "year" => |c| c.year as f64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seconds: i64, text: &str) {
        let c = Civil::from_unix(seconds);
        let got = format!(
            "{}-{}-{} {}:{}:{} wd{} yd{} of {}",
            c.year,
            c.month,
            c.day,
            c.hour,
            c.minute,
            c.second,
            c.weekday,
            c.yearday,
            c.days_in_month()
        );
        assert_eq!(got, text, "{seconds}");
    }

    #[test]
    fn known_moments() {
        check(0, "1970-1-1 0:0:0 wd4 yd1 of 31");
        check(951_782_400, "2000-2-29 0:0:0 wd2 yd60 of 29");
        check(-1, "1969-12-31 23:59:59 wd3 yd365 of 31");
        check(1_795_205_700, "2026-11-20 20:15:0 wd5 yd324 of 30");
        check(-62_135_596_800, "1-1-1 0:0:0 wd1 yd1 of 31");
        check(i64::MIN, "292277026596-12-4 15:30:8 wd0 yd339 of 31");
    }

    #[test]
    fn conversion_of_what_does_not_fit() {
        assert_eq!(to_seconds(f64::NAN), i64::MIN);
        assert_eq!(to_seconds(1e30), i64::MIN);
        assert_eq!(to_seconds(-1.9), -1);
    }
}
