//! Histograms as test scripts need them: filled buckets by index, sums for sequences like
//! `{{…}}+{{…}}x5`, and comparison with a tolerance. Layout (spans, empty buckets) never counts.

use model::FloatHistogram;
use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::value::is_stale_nan;

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

/// `a + b`, or `a - b`. The resolution of `a` stays; `b` may be finer.
pub fn combine(
    a: &FloatHistogram,
    b: &FloatHistogram,
    subtract: bool,
) -> Result<FloatHistogram, String> {
    if a.schema > b.schema {
        return Err(format!(
            "error combining histograms: cannot merge from schema {} to {}",
            b.schema, a.schema
        ));
    }
    let mut out = a.clone();
    let merged = if subtract { out.sub(b) } else { out.add(b) };
    merged.map(|_| out).map_err(|e| e.to_string())
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
