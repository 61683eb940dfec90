//! Validation: what a histogram must be before it is stored, with Prometheus's words for what it is
//! not.

use super::{
    CUSTOM_BUCKETS_SCHEMA, EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MIN, FloatHistogram,
    Histogram, Span,
};
use crate::number::format_g;

const NEGATIVE_BUCKET: &str = "histogram has a bucket whose observation count is negative";
const NEGATIVE_OFFSET: &str = "histogram has a span whose offset is negative";
const SPANS_MISMATCH: &str = "histogram spans specify different number of buckets than provided";

impl Histogram {
    /// Whether spans, buckets, bounds and count agree.
    pub fn validate(&self) -> Result<(), String> {
        check_shape(self)?;
        let negative = checked("negative side", sum_deltas(&self.negative_buckets))?;
        let positive = checked("positive side", sum_deltas(&self.positive_buckets))?;
        let found = negative.wrapping_add(positive).wrapping_add(self.zero_count);
        let said = format!(
            "{found} observations found in buckets, but the Count field is {}: histogram's \
             observation count should",
            self.count
        );
        if self.sum.is_nan() && found > self.count {
            let rest = "be at least the number of observations found in the buckets";
            return Err(format!("{said} {rest}"));
        }
        if !self.sum.is_nan() && found != self.count {
            let rest = "equal the number of observations found in the buckets (in absence of NaN)";
            return Err(format!("{said} {rest}"));
        }
        Ok(())
    }
}

impl FloatHistogram {
    /// Whether spans, buckets and bounds agree.
    pub fn validate(&self) -> Result<(), String> {
        check_shape(self)?;
        checked("negative side", check_counts(&self.negative_buckets))?;
        if self.schema != CUSTOM_BUCKETS_SCHEMA && self.zero_count < 0.0 {
            let count = format_g(self.zero_count);
            return Err(format!("zero bucket has observation count of {count}: {NEGATIVE_BUCKET}"));
        }
        if self.count < 0.0 {
            let why = "histogram's observation count is negative";
            return Err(format!("observation count is  {}: {why}", format_g(self.count)));
        }
        checked("positive side", check_counts(&self.positive_buckets))
    }
}

/// What both kinds of histograms have.
trait Shape {
    fn schema(&self) -> i32;
    fn spans(&self) -> (&[Span], &[Span]);
    /// Numbers of positive and negative buckets.
    fn buckets(&self) -> (usize, usize);
    fn custom_values(&self) -> &[f64];
    fn zero_count_is_zero(&self) -> bool;
    fn zero_threshold(&self) -> f64;
}

macro_rules! shape {
    ($type:ty, $zero:expr) => {
        impl Shape for $type {
            fn schema(&self) -> i32 {
                self.schema
            }
            fn spans(&self) -> (&[Span], &[Span]) {
                (&self.positive_spans, &self.negative_spans)
            }
            fn buckets(&self) -> (usize, usize) {
                (self.positive_buckets.len(), self.negative_buckets.len())
            }
            fn custom_values(&self) -> &[f64] {
                &self.custom_values
            }
            fn zero_count_is_zero(&self) -> bool {
                self.zero_count == $zero
            }
            fn zero_threshold(&self) -> f64 {
                self.zero_threshold
            }
        }
    };
}

shape!(Histogram, 0);
shape!(FloatHistogram, 0.0);

fn check_shape(h: &impl Shape) -> Result<(), String> {
    let (positive, negative) = h.spans();
    let (positive_buckets, negative_buckets) = h.buckets();
    if h.schema() == CUSTOM_BUCKETS_SCHEMA {
        let bounds = h.custom_values();
        checked("custom buckets", check_custom_bounds(bounds, positive, positive_buckets))?;
        for (wrong, why) in [
            (!h.zero_count_is_zero(), "must have zero count of 0"),
            (h.zero_threshold() != 0.0, "must have zero threshold of 0"),
            (!negative.is_empty(), "must not have negative spans"),
            (negative_buckets > 0, "must not have negative buckets"),
        ] {
            if wrong {
                return Err(format!("custom buckets: {why}"));
            }
        }
        return Ok(());
    }
    if !(EXPONENTIAL_SCHEMA_MIN..=EXPONENTIAL_SCHEMA_MAX).contains(&h.schema()) {
        return Err(format!(
            "histogram has an invalid schema, which must be between {EXPONENTIAL_SCHEMA_MIN} and \
             {EXPONENTIAL_SCHEMA_MAX} for exponential buckets, or {CUSTOM_BUCKETS_SCHEMA} for custom \
             buckets, got schema {}",
            h.schema()
        ));
    }
    checked("positive side", check_spans(positive, positive_buckets, false))?;
    checked("negative side", check_spans(negative, negative_buckets, false))?;
    if !h.custom_values().is_empty() {
        return Err("histogram with exponential schema must not have custom bounds".to_owned());
    }
    Ok(())
}

fn checked<T>(place: &str, result: Result<T, String>) -> Result<T, String> {
    result.map_err(|e| format!("{place}: {e}"))
}

fn check_spans(spans: &[Span], buckets: usize, first_too: bool) -> Result<(), String> {
    let mut needed = 0u64;
    for (i, span) in spans.iter().enumerate() {
        if span.offset < 0 && (i > 0 || first_too) {
            let (number, offset) = (i + 1, span.offset);
            return Err(format!("span number {number} with offset {offset}: {NEGATIVE_OFFSET}"));
        }
        needed += u64::from(span.length);
    }
    if usize::try_from(needed) != Ok(buckets) {
        return Err(format!(
            "spans need {needed} buckets, have {buckets} buckets: {SPANS_MISMATCH}"
        ));
    }
    Ok(())
}

fn check_custom_bounds(bounds: &[f64], spans: &[Span], buckets: usize) -> Result<(), String> {
    for (i, bound) in bounds.iter().enumerate() {
        if bound.is_nan() {
            return Err("histogram custom bounds must not be NaN".to_owned());
        }
        if i > 0 && *bound <= bounds[i - 1] {
            return Err(format!(
                "previous bound is {:.6} and current is {bound:.6}: histogram custom bounds must be \
                 in strictly increasing order",
                bounds[i - 1]
            ));
        }
    }
    if bounds.last() == Some(&f64::INFINITY) {
        return Err(
            "last +Inf bound must not be explicitly defined: histogram custom bounds must be \
                    finite"
                .to_owned(),
        );
    }
    check_spans(spans, buckets, true)?;
    let total: i64 = spans.iter().map(|s| i64::from(s.length) + i64::from(s.offset)).sum();
    if i64::try_from(bounds.len()).unwrap_or(i64::MAX).saturating_add(1) < total {
        return Err(format!(
            "only {} custom bounds defined which is insufficient to cover total span length of \
             {total}: histogram custom bounds are too few",
            bounds.len()
        ));
    }
    Ok(())
}

fn sum_deltas(deltas: &[i64]) -> Result<u64, String> {
    let (mut last, mut sum) = (0i64, 0u64);
    for (i, delta) in deltas.iter().enumerate() {
        last = last.wrapping_add(*delta);
        let count = u64::try_from(last).map_err(|_| negative_bucket(i, &last.to_string()))?;
        sum = sum.wrapping_add(count);
    }
    Ok(sum)
}

fn check_counts(counts: &[f64]) -> Result<(), String> {
    match counts.iter().enumerate().find(|(_, c)| **c < 0.0) {
        Some((i, count)) => Err(negative_bucket(i, &format_g(*count))),
        None => Ok(()),
    }
}

fn negative_bucket(index: usize, count: &str) -> String {
    format!("bucket number {} has observation count of {count}: {NEGATIVE_BUCKET}", index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Histogram {
        Histogram {
            count: 12,
            zero_count: 2,
            zero_threshold: 0.001,
            positive_spans: vec![Span { offset: -2, length: 1 }, Span { offset: 3, length: 1 }],
            positive_buckets: vec![4, 2],
            ..Histogram::default()
        }
    }

    fn custom() -> Histogram {
        Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: 3,
            custom_values: vec![1.0, 2.0],
            positive_spans: vec![Span { offset: 0, length: 2 }],
            positive_buckets: vec![1, 1],
            ..Histogram::default()
        }
    }

    fn check(start: Histogram, change: impl Fn(&mut Histogram), error: &str) {
        let mut h = start;
        change(&mut h);
        assert_eq!(h.validate().err().unwrap_or_default(), error);
    }

    #[test]
    fn integer_histograms() {
        check(good(), |_| {}, "");
        check(good(), |h| (h.sum, h.count) = (f64::NAN, 20), "");
        check(
            good(),
            |h| h.count = 1,
            "12 observations found in buckets, but the Count field is 1: histogram's observation \
             count should equal the number of observations found in the buckets (in absence of NaN)",
        );
        check(
            good(),
            |h| h.positive_buckets.truncate(1),
            "positive side: spans need 2 buckets, have 1 buckets: histogram spans specify different \
             number of buckets than provided",
        );
        check(
            good(),
            |h| h.positive_spans[1].offset = -1,
            "positive side: span number 2 with offset -1: histogram has a span whose offset is \
             negative",
        );
        check(
            good(),
            |h| h.positive_buckets[1] = -5,
            "positive side: bucket number 2 has observation count of -1: histogram has a bucket \
             whose observation count is negative",
        );
        check(
            good(),
            |h| h.schema = 9,
            "histogram has an invalid schema, which must be between -4 and 8 for exponential \
             buckets, or -53 for custom buckets, got schema 9",
        );
        check(
            good(),
            |h| h.positive_spans[0].length = u32::MAX,
            "positive side: spans need 4294967296 buckets, have 2 buckets: histogram spans specify \
             different number of buckets than provided",
        );
    }

    #[test]
    fn custom_buckets() {
        check(custom(), |_| {}, "");
        check(custom(), |h| h.zero_count = 1, "custom buckets: must have zero count of 0");
        check(
            custom(),
            |h| h.custom_values = vec![2.0, 1.0],
            "custom buckets: previous bound is 2.000000 and current is 1.000000: histogram custom \
             bounds must be in strictly increasing order",
        );
        check(
            custom(),
            |h| h.custom_values.clear(),
            "custom buckets: only 0 custom bounds defined which is insufficient to cover total span \
             length of 2: histogram custom bounds are too few",
        );
    }

    #[test]
    fn float_histograms() {
        assert_eq!(good().to_float().validate(), Ok(()));
        let negative = FloatHistogram { count: -1.0, ..FloatHistogram::default() };
        assert_eq!(
            negative.validate().unwrap_err(),
            "observation count is  -1: histogram's observation count is negative"
        );
    }
}
