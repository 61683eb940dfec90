//! Native histograms in expressions: what operators and functions of one histogram do.

use std::sync::Arc;

use model::FloatHistogram;
use model::buckets::Bucket;
use model::elementary::{exp2, log2};
use model::histogram::Merged;
use model::kahan::Sum;

use super::column::SharedHistogram;
use super::notes::{BinaryKind, HistogramOperation, Notes};
use crate::parser::ast::BinaryOp;
use crate::plan::Place;

/// One operand of a binary operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operand<'a> {
    Float(f64),
    Histogram(&'a SharedHistogram),
}

/// What a binary operation with a histogram on at least one side gives.
pub(crate) enum Outcome {
    /// A histogram, and whether a comparison keeps it.
    Histogram(SharedHistogram, bool),
    /// Nothing.
    Dropped,
}

/// `lhs op rhs` where at least one side is a histogram.
pub(crate) fn binary(
    op: BinaryOp,
    lhs: Operand<'_>,
    rhs: Operand<'_>,
    note: &mut dyn FnMut(BinaryKind),
) -> Outcome {
    use Operand::{Float, Histogram};
    let kind = |o: Operand<'_>| match o {
        Float(_) => "float",
        Histogram(_) => "histogram",
    };
    let changed = |h: &SharedHistogram, change: &dyn Fn(&mut FloatHistogram)| {
        let mut h = (**h).clone();
        change(&mut h);
        Outcome::Histogram(Arc::new(h), true)
    };
    match (op, lhs, rhs) {
        (BinaryOp::Mul, Float(v), Histogram(h)) | (BinaryOp::Mul, Histogram(h), Float(v)) => {
            changed(h, &|h| {
                h.scale(v);
                h.compact();
            })
        }
        (BinaryOp::Div, Histogram(h), Float(v)) => changed(h, &|h| {
            h.divide(v);
            h.compact();
        }),
        (BinaryOp::TrimUpper, Histogram(h), Float(v)) => changed(h, &|h| h.keep_below(v)),
        (BinaryOp::TrimLower, Histogram(h), Float(v)) => changed(h, &|h| h.keep_above(v)),
        (BinaryOp::Add | BinaryOp::Sub, Histogram(a), Histogram(b)) => combined(op, a, b, note),
        (BinaryOp::Eql, Histogram(a), Histogram(b)) => {
            Outcome::Histogram(a.clone(), a.same_data(b))
        }
        (BinaryOp::Neq, Histogram(a), Histogram(b)) => {
            Outcome::Histogram(a.clone(), !a.same_data(b))
        }
        _ => {
            note(BinaryKind::Types(kind(lhs), kind(rhs)));
            Outcome::Dropped
        }
    }
}

fn combined(
    op: BinaryOp,
    a: &FloatHistogram,
    b: &FloatHistogram,
    note: &mut dyn FnMut(BinaryKind),
) -> Outcome {
    let mut out = a.clone();
    let (merged, operation) = match op {
        BinaryOp::Add => (out.add(b), HistogramOperation::Add),
        _ => (out.sub(b), HistogramOperation::Sub),
    };
    let Ok(Merged { counter_reset_collision, bounds_reconciled }) = merged else {
        note(BinaryKind::BucketLayout);
        return Outcome::Dropped;
    };
    if op == BinaryOp::Sub {
        out.counter_reset_hint = model::CounterResetHint::Gauge;
    }
    if counter_reset_collision {
        // Prometheus takes the warning for an error here and leaves the element out.
        note(BinaryKind::Collision(operation));
        return Outcome::Dropped;
    }
    if bounds_reconciled {
        note(BinaryKind::Reconciled(operation));
    }
    out.compact();
    Outcome::Histogram(Arc::new(out), true)
}

/// Unary minus.
pub(crate) fn negated(h: &FloatHistogram) -> FloatHistogram {
    let mut out = h.clone();
    out.scale(-1.0);
    out
}

/// A number a native histogram has.
pub(crate) type Property = fn(&FloatHistogram) -> f64;

/// The function of one histogram called `name`.
pub(crate) fn property(name: &str) -> Option<Property> {
    Some(match name {
        "histogram_count" => |h| h.count,
        "histogram_sum" => |h| h.sum,
        "histogram_avg" => |h| h.sum / h.count,
        "histogram_stddev" => |h| variance(h).sqrt(),
        "histogram_stdvar" => variance,
        _ => return None,
    })
}

/// The variance, observations taken to lie in the middle of their bucket.
fn variance(h: &FloatHistogram) -> f64 {
    let mean = h.sum / h.count;
    let mut sum = Sum::default();
    for b in h.all_buckets().iter().filter(|b| b.count != 0.0) {
        let middle = if h.uses_custom_buckets() {
            (b.upper + b.lower) / 2.0
        } else if b.lower <= 0.0 && b.upper >= 0.0 {
            0.0
        } else {
            let middle = (b.upper * b.lower).sqrt();
            if b.upper < 0.0 { -middle } else { middle }
        };
        let delta = middle - mean;
        sum = sum.plus(b.count * delta * delta);
    }
    sum.total() / h.count
}

/// Whose bounds the zero bucket has when there are observations on one side only: they are taken
/// to lie on that side.
fn one_sided_zero(h: &FloatHistogram, b: &mut Bucket) {
    match (h.negative_buckets.is_empty(), h.positive_buckets.is_empty()) {
        (true, false) => b.lower = 0.0,
        (false, true) => b.upper = 0.0,
        _ => {}
    }
}

/// The φ-quantile of a native histogram.
pub(crate) fn quantile(
    q: f64,
    h: &FloatHistogram,
    metric: &str,
    notes: &mut Notes,
    place: Place,
) -> f64 {
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    if h.count == 0.0 || q.is_nan() {
        return f64::NAN;
    }
    // Observations that are not a number are counted but in no bucket, so ranks only work from
    // below; else the nearer end is the more precise one.
    let forward = h.sum.is_nan() || q < 0.5;
    let mut buckets = h.all_buckets();
    let mut rank = q * h.count;
    if !forward {
        buckets.reverse();
        rank = (1.0 - q) * h.count;
    }
    let mut walk = buckets.iter();
    let mut count = 0.0;
    let mut bucket = Bucket {
        lower: 0.0,
        upper: 0.0,
        lower_inclusive: false,
        upper_inclusive: false,
        count: 0.0,
    };
    for b in walk.by_ref() {
        bucket = *b;
        count += b.count;
        if b.count != 0.0 && count >= rank {
            break;
        }
    }
    if let Some(v) = bounded(h, &mut bucket) {
        return v;
    }
    count = count.min(h.count);
    if count < rank {
        if h.sum.is_nan() {
            notes.quantile_nan_result(metric, place);
            return f64::NAN;
        }
        return bucket.upper;
    }
    rank = if forward { rank - (count - bucket.count) } else { count - rank };
    if h.sum.is_nan() {
        // The bucket walked to last is the one interpolated in, as in Prometheus.
        for b in walk {
            bucket = *b;
            count += b.count;
        }
        if count < h.count {
            notes.quantile_nan_skew(metric, place);
        }
    }
    interpolate(&bucket, rank / bucket.count, h.uses_custom_buckets())
}

/// Gives the zero bucket and buckets without end bounds to interpolate between; the quantile itself
/// where that cannot be.
fn bounded(h: &FloatHistogram, bucket: &mut Bucket) -> Option<f64> {
    if !h.uses_custom_buckets() {
        if bucket.lower < 0.0 && bucket.upper > 0.0 {
            one_sided_zero(h, bucket);
        }
    } else if bucket.lower == f64::NEG_INFINITY {
        if bucket.upper <= 0.0 {
            return Some(bucket.upper);
        }
        bucket.lower = 0.0;
    } else if bucket.upper == f64::INFINITY {
        return Some(bucket.lower);
    }
    None
}

/// The value a share `fraction` into a bucket.
fn interpolate(b: &Bucket, fraction: f64, custom: bool) -> f64 {
    if custom || b.lower <= 0.0 && b.upper >= 0.0 {
        return b.lower + (b.upper - b.lower) * fraction;
    }
    // On a logarithmic scale exponential buckets have equal widths.
    let (lower, upper) = (log2(b.lower.abs()), log2(b.upper.abs()));
    if b.lower > 0.0 {
        exp2(lower + (upper - lower) * fraction)
    } else {
        -exp2(upper + (lower - upper) * (1.0 - fraction))
    }
}

/// The share of observations of a native histogram between two bounds.
pub(crate) fn fraction(
    lower: f64,
    upper: f64,
    h: &FloatHistogram,
    metric: &str,
    notes: &mut Notes,
    place: Place,
) -> f64 {
    if h.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let buckets = h.all_buckets();
    let mut walk = buckets.iter();
    let (mut count, mut rank) = (0.0, 0.0);
    let (mut lower_rank, mut upper_rank) = (None, None);
    for b in walk.by_ref() {
        let mut b = *b;
        count += b.count;
        let zero = b.lower <= 0.0 && b.upper >= 0.0;
        if zero {
            one_sided_zero(h, &mut b);
        }
        let linear = h.uses_custom_buckets() || zero;
        let inside = |v: f64| {
            if linear && b.lower == f64::NEG_INFINITY {
                return b.count;
            }
            rank + b.count * b.fraction_below(v, linear)
        };
        for (value, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
            if found.is_none() && b.lower >= value {
                *found = Some(rank);
            }
        }
        for (value, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
            if found.is_none() && b.lower < value && b.upper > value {
                *found = Some(inside(value));
            }
        }
        if lower_rank.is_some() && upper_rank.is_some() {
            break;
        }
        rank += b.count;
    }
    if h.sum.is_nan() {
        count = walk.fold(count, |n, b| n + b.count);
        if count < h.count {
            notes.fraction_nans(metric, place);
        }
    } else {
        count = h.count;
    }
    let capped = |r: Option<f64>| match r {
        Some(r) if r > count => count,
        Some(r) => r,
        None => count,
    };
    (capped(upper_rank) - capped(lower_rank)) / h.count
}
