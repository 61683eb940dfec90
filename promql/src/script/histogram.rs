//! Histograms as test scripts need them: filled buckets by index, sums for sequences like
//! `{{…}}+{{…}}x5`, and comparison with a tolerance. Layout (spans, empty buckets) never counts.

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::value::is_stale_nan;
use model::{CounterResetHint, FloatHistogram, Span};

/// Relative error allowed between an expected and an actual number.
const EPSILON: f64 = 0.000_001;

/// One of the two bucket sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Positive,
    Negative,
}

/// The buckets of a side that are not zero, ascending by index.
pub fn buckets(h: &FloatHistogram, side: Side) -> Vec<(i64, f64)> {
    let (spans, values) = match side {
        Side::Positive => (&h.positive_spans, &h.positive_buckets),
        Side::Negative => (&h.negative_spans, &h.negative_buckets),
    };
    let mut out = Vec::with_capacity(values.len());
    let mut values = values.iter();
    let mut index = 0i64;
    for span in spans {
        index += i64::from(span.offset);
        for value in values.by_ref().take(span.length as usize) {
            if *value != 0.0 {
                out.push((index, *value));
            }
            index += 1;
        }
    }
    out
}

/// Spans and populations of ascending buckets.
fn layout(buckets: &[(i64, f64)]) -> (Vec<Span>, Vec<f64>) {
    let mut spans: Vec<Span> = Vec::new();
    let mut next = 0i64;
    for (index, _) in buckets {
        match spans.last_mut() {
            Some(span) if *index == next => span.length += 1,
            _ => spans.push(Span { offset: (index - next) as i32, length: 1 }),
        }
        next = index + 1;
    }
    (spans, buckets.iter().map(|(_, v)| *v).collect())
}

/// `a + sign × b`. The resolution of `a` stays; `b` may be finer.
pub fn combine(
    a: &FloatHistogram,
    b: &FloatHistogram,
    sign: f64,
) -> Result<FloatHistogram, String> {
    if a.schema > b.schema {
        return Err(format!(
            "error combining histograms: cannot merge from schema {} to {}",
            b.schema, a.schema
        ));
    }
    let custom = a.schema == CUSTOM_BUCKETS_SCHEMA;
    if custom != (b.schema == CUSTOM_BUCKETS_SCHEMA) {
        return Err("one is a custom-bucket histogram, the other is not".to_owned());
    }
    if custom && a.custom_values != b.custom_values {
        return Err("error combining histograms: custom bounds differ".to_owned());
    }
    if a.zero_threshold != b.zero_threshold && b.zero_count != 0.0 {
        return Err("error combining histograms: zero thresholds differ".to_owned());
    }
    let coarser = (b.schema - a.schema).min(63) as u32;
    let sum = |side| {
        let mut all: std::collections::BTreeMap<i64, f64> = buckets(a, side).into_iter().collect();
        for (index, value) in buckets(b, side) {
            // A bucket's upper bound decides where it goes at a coarser resolution.
            let index = ((index - 1) >> coarser) + 1;
            *all.entry(index).or_insert(0.0) += sign * value;
        }
        layout(&all.into_iter().collect::<Vec<_>>())
    };
    let (positive_spans, positive_buckets) = sum(Side::Positive);
    let (negative_spans, negative_buckets) = sum(Side::Negative);
    Ok(FloatHistogram {
        counter_reset_hint: combined_hint(a.counter_reset_hint, b.counter_reset_hint),
        zero_count: a.zero_count + sign * b.zero_count,
        count: a.count + sign * b.count,
        sum: a.sum + sign * b.sum,
        positive_spans,
        positive_buckets,
        negative_spans,
        negative_buckets,
        ..a.clone()
    })
}

fn combined_hint(a: CounterResetHint, b: CounterResetHint) -> CounterResetHint {
    match (a, b) {
        (a, b) if a == b => a,
        (CounterResetHint::Gauge, _) | (_, CounterResetHint::Gauge) => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    }
}

/// Whether two numbers differ by less than the tolerance; NaN equals NaN, the staleness marker only
/// itself.
pub fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale_nan(a) || is_stale_nan(b) {
        return is_stale_nan(a) && is_stale_nan(b);
    }
    if (a.is_nan() && b.is_nan()) || a == b {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

/// Whether an actual histogram is as expected; the counter reset hint counts only with `hint`.
pub fn matches(expected: &FloatHistogram, actual: &FloatHistogram, hint: bool) -> bool {
    let same_buckets = |side| {
        let (e, a) = (buckets(expected, side), buckets(actual, side));
        e.len() == a.len() && e.iter().zip(&a).all(|(e, a)| e.0 == a.0 && almost_equal(e.1, a.1))
    };
    let custom = expected.schema == CUSTOM_BUCKETS_SCHEMA;
    expected.schema == actual.schema
        && almost_equal(expected.count, actual.count)
        && almost_equal(expected.sum, actual.sum)
        && (!custom || expected.custom_values == actual.custom_values)
        && expected.zero_threshold == actual.zero_threshold
        && almost_equal(expected.zero_count, actual.zero_count)
        && same_buckets(Side::Negative)
        && same_buckets(Side::Positive)
        && (!hint || expected.counter_reset_hint == actual.counter_reset_hint)
}
