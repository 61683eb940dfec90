//! Comparison of a query's result with what a script expects.

use model::Labels;
use model::number::format_g;

use super::eval::{Eval, Expected};
use super::histogram::{almost_equal, matches};
use super::literal;
use super::series::SequenceValue;
use crate::result::{PointValue, QueryValue, Sample, Series};

/// Checks `value` against the expectation of `eval`.
pub fn compare(eval: &Eval, value: &QueryValue) -> Result<(), String> {
    match (&eval.expected, value) {
        (Expected::Series(expected), QueryValue::Matrix(series)) => {
            if eval.expectations.ordered {
                return Err("expected ordered result, but query returned a matrix".to_owned());
            }
            check_sorted(series)?;
            compare_matrix(eval, expected, series)
        }
        (Expected::Series(expected), QueryValue::Vector(samples)) => {
            compare_vector(eval, expected, samples)
        }
        (Expected::Scalar(expected), QueryValue::Scalar { v, .. }) => {
            match almost_equal(*expected, *v) {
                true => Ok(()),
                false => {
                    let (expected, v) = (format_g(*expected), format_g(*v));
                    Err(format!("expected scalar {expected} but got {v}"))
                }
            }
        }
        (Expected::String(expected), QueryValue::String { text, .. }) => match expected == text {
            true => Ok(()),
            false => Err(format!("expected string \"{expected}\" but got \"{text}\"")),
        },
        (expected, value) => {
            let expected = match expected {
                Expected::Scalar(_) => "scalar",
                Expected::String(_) => "string",
                Expected::Series(_) => "vector or matrix",
            };
            Err(format!("expected {expected} result, but got {}", describe(value)))
        }
    }
}

fn describe(value: &QueryValue) -> String {
    match value {
        QueryValue::Scalar { v, .. } => format!("scalar {}", format_g(*v)),
        QueryValue::String { text, .. } => format!("string {text:?}"),
        QueryValue::Vector(samples) => format!("vector of {}", samples.len()),
        QueryValue::Matrix(series) => format!("matrix of {}", series.len()),
    }
}

/// Checks that a matrix is sorted by labels.
pub fn check_sorted(series: &[Series]) -> Result<(), String> {
    match series.windows(2).find(|pair| pair[0].labels > pair[1].labels) {
        None => Ok(()),
        Some(pair) => Err(format!(
            "matrix results should always be sorted by labels, but {} comes before {}",
            pair[0].labels, pair[1].labels
        )),
    }
}

type ExpectedSeries = [(Labels, Vec<SequenceValue>)];

fn find<'e>(expected: &'e ExpectedSeries, labels: &Labels) -> Option<(usize, &'e [SequenceValue])> {
    let at = expected.iter().position(|(l, _)| l == labels)?;
    Some((at, &expected[at].1))
}

fn check_all_seen<'r>(
    expected: &ExpectedSeries,
    seen: impl Iterator<Item = &'r Labels> + Clone,
) -> Result<(), String> {
    match expected.iter().find(|(l, _)| !seen.clone().any(|s| s == l)) {
        None => Ok(()),
        Some((labels, _)) => Err(format!("expected metric {labels} not found")),
    }
}

fn compare_matrix(eval: &Eval, expected: &ExpectedSeries, series: &[Series]) -> Result<(), String> {
    for s in series {
        let labels = &s.labels;
        let Some((_, values)) = find(expected, labels) else {
            return Err(format!("unexpected metric {labels} in result, has {}", points(s)));
        };
        let (mut floats, mut histograms) = (s.floats.iter(), s.histograms.iter());
        for (i, value) in values.iter().enumerate() {
            let t = i64::try_from(i)
                .ok()
                .and_then(|i| i.checked_mul(eval.points.step_ms))
                .and_then(|after| after.checked_add(eval.points.start_ms))
                .filter(|t| *t <= eval.points.end_ms);
            let Some(t) = t else {
                let n = values.len();
                return Err(format!(
                    "expected {n} points for {labels}, but query time range cannot return this \
                     many points"
                ));
            };
            let good = match value {
                SequenceValue::Omitted => true,
                SequenceValue::Float(want) => {
                    floats.next().is_some_and(|(at, got)| *at == t && almost_equal(*got, *want))
                }
                SequenceValue::Histogram { histogram, hint_given } => histograms
                    .next()
                    .is_some_and(|(at, got)| *at == t && matches(histogram, got, *hint_given)),
            };
            if !good {
                let (want, got) = (show_value(value), points(s));
                return Err(format!("expected {want} at t={t} for {labels}, but got {got}"));
            }
        }
        if floats.next().is_some() || histograms.next().is_some() {
            let want: Vec<String> = values.iter().map(show_value).collect();
            let got = points(s);
            return Err(format!("expected {} for {labels}, but got {got}", want.join(" ")));
        }
    }
    check_all_seen(expected, series.iter().map(|s| &s.labels))
}

/// The points of a series for messages.
fn points(s: &Series) -> String {
    let floats = s.floats.iter().map(|(t, v)| (*t, format_g(*v)));
    let histograms = s.histograms.iter().map(|(t, h)| (*t, literal::print(h)));
    let mut all: Vec<(i64, String)> = floats.chain(histograms).collect();
    all.sort_by_key(|(t, _)| *t);
    let texts: Vec<String> = all.iter().map(|(t, text)| format!("{text} @[{t}]")).collect();
    format!("[{}]", texts.join(" "))
}

fn show_value(value: &SequenceValue) -> String {
    match value {
        SequenceValue::Omitted => "_".to_owned(),
        SequenceValue::Float(v) => format_g(*v),
        SequenceValue::Histogram { histogram, .. } => literal::print(histogram),
    }
}

fn show_point(value: &PointValue) -> String {
    match value {
        PointValue::Float(v) => format_g(*v),
        PointValue::Histogram(h) => literal::print(h),
    }
}

fn compare_vector(
    eval: &Eval,
    expected: &ExpectedSeries,
    samples: &[Sample],
) -> Result<(), String> {
    for (position, s) in samples.iter().enumerate() {
        let labels = &s.labels;
        let got = show_point(&s.value);
        let Some((at, values)) = find(expected, labels) else {
            return Err(format!("unexpected metric {labels} in result, has value {got}"));
        };
        if eval.expectations.ordered && at != position {
            let (at, position) = (at + 1, position + 1);
            return Err(format!("expected metric {labels} at position {at} but was at {position}"));
        }
        let want = values.first().unwrap_or(&SequenceValue::Omitted);
        let good = match (want, &s.value) {
            (SequenceValue::Float(want), PointValue::Float(got)) => almost_equal(*want, *got),
            (SequenceValue::Histogram { histogram, hint_given }, PointValue::Histogram(got)) => {
                matches(histogram, got, *hint_given)
            }
            _ => false,
        };
        if !good {
            return Err(format!("expected {} for {labels} but got {got}", show_value(want)));
        }
    }
    check_all_seen(expected, samples.iter().map(|s| &s.labels))
}
