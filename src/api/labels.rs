//! Labels: names, values and series of the stored data.

use model::number::go_quote;
use model::{
    Annotations, CancelToken, Labels, Matcher, Querier, QueryError, Queryable, SelectHints,
    TimeRange,
};

use super::Api;
use super::call::{Answer, Call};
use super::error::{ApiError, Kind};
use super::json::{push_labels, push_string};
use super::params;
use super::sink::Sink;

const TRUNCATED: &str = "results truncated due to limit";
/// What Prometheus calls a selection that needs no samples.
const SERIES_HINT: &str = "series";

/// One more than asked for, so that a cut shows.
fn with_one_more(limit: usize) -> usize {
    if limit == 0 { 0 } else { limit.saturating_add(1) }
}

/// `labels`.
pub fn names(api: &Api, call: &Call) -> Result<Answer, ApiError> {
    let limit = params::limit(&call.form)?;
    let (min, max) = params::time_range(&call.form)?;
    let sets = params::matcher_sets(&call.form).map_err(ApiError::bad_data)?;
    let querier = api.db()?.querier(TimeRange { min, max })?;
    let ask = |set: &[Matcher]| querier.label_names(set, with_one_more(limit));
    strings(union(&sets, ask)?, limit)
}

/// `label/:name/values`.
pub fn values(api: &Api, call: &Call) -> Result<Answer, ApiError> {
    let name = match call.param.strip_prefix("U__") {
        Some(escaped) => unescape_name(escaped).unwrap_or_else(|| call.param.clone()),
        None => call.param.clone(),
    };
    if name.is_empty() {
        return Err(ApiError::bad_data(format!("invalid label name: {}", go_quote(&name))));
    }
    let limit = params::limit(&call.form)?;
    let (min, max) = params::time_range(&call.form)?;
    let sets = params::matcher_sets(&call.form).map_err(ApiError::bad_data)?;
    let querier = api
        .db()?
        .querier(TimeRange { min, max })
        .map_err(|e| ApiError::new(Kind::Execution, e.to_string()))?;
    let ask = |set: &[Matcher]| querier.label_values(&name, set, with_one_more(limit));
    strings(union(&sets, ask)?, limit)
}

/// The sorted union over the matcher sets; no set asks for everything.
fn union(
    sets: &[Vec<Matcher>],
    ask: impl Fn(&[Matcher]) -> Result<Vec<String>, QueryError>,
) -> Result<Vec<String>, ApiError> {
    let Some((first, rest)) = sets.split_first() else { return Ok(ask(&[])?) };
    let mut all = ask(first)?;
    if rest.is_empty() {
        return Ok(all);
    }
    for set in rest {
        all.extend(ask(set)?);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn strings(mut list: Vec<String>, limit: usize) -> Result<Answer, ApiError> {
    let mut notes = Annotations::default();
    if limit > 0 && list.len() > limit {
        list.truncate(limit);
        notes.warn(TRUNCATED);
    }
    let data = move |sink: &mut Sink| {
        sink.buf.push(b'[');
        for (i, text) in list.iter().enumerate() {
            if i > 0 {
                sink.buf.push(b',');
            }
            push_string(&mut sink.buf, text);
            if !sink.spill() {
                return;
            }
        }
        sink.buf.push(b']');
    };
    Ok(Answer { data: Some(Box::new(data)), notes })
}

/// A label name behind `U__`: `_2e_` is a code point in hexadecimal, `__` an underscore. `None`
/// when it is not such a text.
fn unescape_name(escaped: &str) -> Option<String> {
    let mut out = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        let code = &rest[at + 1..];
        let end = code.find('_')?;
        if end == 0 {
            out.push('_');
        } else {
            let digits = &code[..end];
            if digits.len() > 6 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            out.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
        }
        rest = &code[end + 1..];
    }
    out.push_str(rest);
    Some(out)
}

/// `series`.
pub fn series(api: &Api, call: &Call) -> Result<Answer, ApiError> {
    let form = &call.form;
    if let Some(error) = form.error() {
        return Err(ApiError::bad_data(format!("error parsing form values: {error}")));
    }
    if form.all("match[]").is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let limit = params::limit(form)?;
    let (min, max) = params::time_range(form)?;
    let sets = params::matcher_sets(form).map_err(|e| ApiError::invalid("match[]", &e))?;
    let querier = api.db()?.querier(TimeRange { min, max })?;
    let hints = SelectHints {
        start: min,
        end: max,
        func: SERIES_HINT.to_owned(),
        limit: with_one_more(limit),
        ..SelectHints::default()
    };
    let mut found = select(querier.as_ref(), &sets, &hints, with_one_more(limit))?;
    let mut notes = Annotations::default();
    if limit > 0 && found.len() > limit {
        found.truncate(limit);
        notes.warn(TRUNCATED);
    }
    let data = move |sink: &mut Sink| {
        sink.buf.push(b'[');
        for (i, labels) in found.iter().enumerate() {
            if i > 0 {
                sink.buf.push(b',');
            }
            push_labels(&mut sink.buf, labels);
            if !sink.spill() {
                return;
            }
        }
        sink.buf.push(b']');
    };
    Ok(Answer { data: Some(Box::new(data)), notes })
}

/// The series of one set in selection order, those of several merged in label order.
fn select(
    querier: &dyn Querier,
    sets: &[Vec<Matcher>],
    hints: &SelectHints,
    most: usize,
) -> Result<Vec<Labels>, ApiError> {
    let cancel = CancelToken::default();
    let mut all = Vec::new();
    for set in sets {
        let selection = querier.select(set, hints, &cancel)?;
        // Of several sets every series may be one of the first after merging.
        let count =
            if most > 0 && sets.len() == 1 { selection.len().min(most) } else { selection.len() };
        all.extend((0..count).map(|i| selection.labels(i)));
    }
    if sets.len() > 1 {
        all.sort_unstable();
        all.dedup();
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names() {
        for (escaped, name) in [
            ("a_2e_b", Some("a.b")),
            ("a__b", Some("a_b")),
            ("_1f600_", Some("😀")),
            ("a_b", None),
            ("a_110000_", None),
            ("a_0000000_", None),
            ("a_d800_", None),
            ("plain", Some("plain")),
        ] {
            assert_eq!(unescape_name(escaped).as_deref(), name, "{escaped}");
        }
    }
}
