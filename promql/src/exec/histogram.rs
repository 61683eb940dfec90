//! Native histograms in expressions: what operators and functions of one histogram do.

#![allow(dead_code, reason = "used by native histograms, which come next")]

use model::FloatHistogram;

use super::column::SharedHistogram;
use super::notes::Notes;
use crate::parser::ast::BinaryOp;
use crate::plan::Place;

/// The text of a histogram as `count_values` shows it.
pub(crate) fn text(_h: &FloatHistogram) -> String {
    String::new()
}

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
    notes: &mut Notes,
    place: Place,
) -> Outcome {
    let kind = |o: Operand<'_>| match o {
        Operand::Float(_) => "float",
        Operand::Histogram(_) => "histogram",
    };
    notes.incompatible_types(kind(lhs), op.as_str(), kind(rhs), place);
    Outcome::Dropped
}

/// `h` with every population and the sum multiplied.
pub(crate) fn scaled(h: &FloatHistogram, by: f64) -> FloatHistogram {
    let mut out = h.clone();
    let all = [&mut out.zero_count, &mut out.count, &mut out.sum];
    all.into_iter().for_each(|v| *v *= by);
    out.positive_buckets.iter_mut().chain(&mut out.negative_buckets).for_each(|v| *v *= by);
    out
}

/// The φ-quantile of a native histogram.
pub(crate) fn quantile(
    _q: f64,
    _h: &FloatHistogram,
    _metric: &str,
    _notes: &mut Notes,
    _place: Place,
) -> f64 {
    f64::NAN
}

/// The share of observations of a native histogram between two bounds.
pub(crate) fn fraction(
    _lower: f64,
    _upper: f64,
    _h: &FloatHistogram,
    _metric: &str,
    _notes: &mut Notes,
    _place: Place,
) -> f64 {
    f64::NAN
}

/// A number a native histogram has.
pub(crate) type Property = fn(&FloatHistogram) -> f64;

/// The function of one histogram called `name`.
pub(crate) fn property(name: &str) -> Option<Property> {
    Some(match name {
        "histogram_count" => |h| h.count,
        "histogram_sum" => |h| h.sum,
        "histogram_avg" => |h| h.sum / h.count,
        _ => return None,
    })
}
