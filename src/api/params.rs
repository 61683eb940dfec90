//! Parameters of API requests: times, durations, limits and matcher sets, with the API's errors.

use model::Matcher;
use model::number::go_quote;

use super::error::ApiError;
use crate::gotext;
use crate::gotime;
use crate::web::form::Form;

/// Seconds that still fit milliseconds.
const MAX_SECONDS: f64 = 9.2e15;

/// A time: seconds since the epoch or RFC 3339; milliseconds.
pub fn parse_time(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = gotext::parse_float(text) {
        if seconds.is_nan() || seconds.abs() > MAX_SECONDS {
            // Go's conversion of what does not fit gives its smallest integer.
            return Ok(if seconds > 0.0 { gotime::MAX_TIME_MS } else { gotime::MIN_TIME_MS });
        }
        let whole = seconds.trunc();
        let millis = ((seconds - whole) * 1000.0).round_ties_even();
        return Ok(whole as i64 * 1000 + millis as i64);
    }
    match text {
        gotime::MIN_TIME_TEXT => Ok(gotime::MIN_TIME_MS),
        gotime::MAX_TIME_TEXT => Ok(gotime::MAX_TIME_MS),
        _ => gotime::parse_rfc3339(text)
            .ok_or_else(|| format!("cannot parse {} to a valid timestamp", go_quote(text))),
    }
}

/// A duration: seconds or Prometheus's form; nanoseconds.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = gotext::parse_float(text) {
        let nanos = seconds * 1e9;
        if nanos > i64::MAX as f64 || nanos < i64::MIN as f64 {
            return Err(format!(
                "cannot parse {} to a valid duration. It overflows int64",
                go_quote(text)
            ));
        }
        return Ok(nanos as i64);
    }
    model::duration::parse(text)
        .ok()
        .and_then(|ms| ms.checked_mul(1_000_000))
        .ok_or_else(|| format!("cannot parse {} to a valid duration", go_quote(text)))
}

/// An optional time parameter.
pub fn time(form: &Form, name: &str, default: i64) -> Result<i64, ApiError> {
    match form.get(name) {
        "" => Ok(default),
        text => parse_time(text)
            .map_err(|e| ApiError::invalid(name, &format!("invalid time value for '{name}': {e}"))),
    }
}

/// `start` and `end` of the metadata endpoints; everything by default.
pub fn time_range(form: &Form) -> Result<(i64, i64), ApiError> {
    Ok((time(form, "start", gotime::MIN_TIME_MS)?, time(form, "end", gotime::MAX_TIME_MS)?))
}

/// `limit`; 0 = none.
pub fn limit(form: &Form) -> Result<usize, ApiError> {
    let fail = |e: &str| ApiError::invalid("limit", e);
    match form.get("limit") {
        "" => Ok(0),
        text => usize::try_from(gotext::atoi(text).map_err(|e| fail(&e))?)
            .map_err(|_| fail("limit must be non-negative")),
    }
}

/// A number that bounds a list, or -1 for none; `name` must be a number.
pub fn list_bound(form: &Form, name: &str) -> Result<i64, ApiError> {
    match form.get(name) {
        "" => Ok(-1),
        text => {
            gotext::atoi(text).map_err(|_| ApiError::bad_data(format!("{name} must be a number")))
        }
    }
}

/// The `match[]` parameters, each of which must need something.
pub fn matcher_sets(form: &Form) -> Result<Vec<Vec<Matcher>>, String> {
    let sets = form
        .all("match[]")
        .into_iter()
        .map(super::syntax::selector)
        .collect::<Result<Vec<_>, _>>()?;
    if sets.iter().any(|set| set.iter().all(Matcher::matches_empty)) {
        return Err("match[] must contain at least one non-empty matcher".to_owned());
    }
    Ok(sets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, ms) in [
            ("0", 0),
            ("1435781451.781", 1_435_781_451_781),
            ("-1.5", -1_500),
            ("1.0005", 1_000),
            ("2015-07-01T20:10:51.781Z", 1_435_781_451_781),
            ("-292273086-05-16T16:47:06Z", gotime::MIN_TIME_MS),
            ("292277025-08-18T07:12:54.999999999Z", gotime::MAX_TIME_MS),
        ] {
            assert_eq!(parse_time(text), Ok(ms), "{text}");
        }
        assert_eq!(parse_time("x").unwrap_err(), "cannot parse \"x\" to a valid timestamp");
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("1.5"), Ok(1_500_000_000));
        assert_eq!(parse_duration("1m"), Ok(60_000_000_000));
        assert_eq!(parse_duration("x").unwrap_err(), "cannot parse \"x\" to a valid duration");
        assert_eq!(
            parse_duration("1e10").unwrap_err(),
            "cannot parse \"1e10\" to a valid duration. It overflows int64"
        );
    }
}
