//! The function table: one row for every name of PromQL, in order of name.
//!
//! Signatures follow Prometheus 3.14. The parser looks names up here and checks calls against the
//! row; the rows hold no evaluation code.

use super::Function;
use crate::parser::ast::ValueType::{self, Matrix, Scalar, String, Vector};

/// A row whose arguments are all required.
const fn fixed(name: &'static str, args: &'static [ValueType], return_type: ValueType) -> Function {
    variadic(name, args, 0, return_type)
}

/// A row whose last arguments may be left out or repeated, see [`Function::variadic`].
const fn variadic(
    name: &'static str,
    args: &'static [ValueType],
    variadic: i8,
    return_type: ValueType,
) -> Function {
    Function { name, args, variadic, return_type, experimental: false }
}

/// The same row behind `--enable-feature=promql-experimental-functions`.
const fn experimental(row: Function) -> Function {
    Function { experimental: true, ..row }
}

/// Every function, in order of name.
pub static FUNCTIONS: [Function; 90] = [
    fixed("abs", &[Vector], Vector),
    fixed("absent", &[Vector], Vector),
    fixed("absent_over_time", &[Matrix], Vector),
    fixed("acos", &[Vector], Vector),
    fixed("acosh", &[Vector], Vector),
    fixed("asin", &[Vector], Vector),
    fixed("asinh", &[Vector], Vector),
    fixed("atan", &[Vector], Vector),
    fixed("atanh", &[Vector], Vector),
    fixed("avg_over_time", &[Matrix], Vector),
    fixed("ceil", &[Vector], Vector),
    fixed("changes", &[Matrix], Vector),
    fixed("clamp", &[Vector, Scalar, Scalar], Vector),
    fixed("clamp_max", &[Vector, Scalar], Vector),
    fixed("clamp_min", &[Vector, Scalar], Vector),
    fixed("cos", &[Vector], Vector),
    fixed("cosh", &[Vector], Vector),
    fixed("count_over_time", &[Matrix], Vector),
    variadic("day_of_month", &[Vector], 1, Vector),
    variadic("day_of_week", &[Vector], 1, Vector),
    variadic("day_of_year", &[Vector], 1, Vector),
    variadic("days_in_month", &[Vector], 1, Vector),
    fixed("deg", &[Vector], Vector),
    fixed("delta", &[Matrix], Vector),
    fixed("deriv", &[Matrix], Vector),
    experimental(fixed("double_exponential_smoothing", &[Matrix, Scalar, Scalar], Vector)),
    experimental(fixed("end", &[], Scalar)),
    fixed("exp", &[Vector], Vector),
    fixed("first_over_time", &[Matrix], Vector),
    fixed("floor", &[Vector], Vector),
    fixed("histogram_avg", &[Vector], Vector),
    fixed("histogram_count", &[Vector], Vector),
    fixed("histogram_fraction", &[Scalar, Scalar, Vector], Vector),
    fixed("histogram_quantile", &[Scalar, Vector], Vector),
    experimental(variadic("histogram_quantiles", &[Vector, String, Scalar, Scalar], 9, Vector)),
    fixed("histogram_stddev", &[Vector], Vector),
    fixed("histogram_stdvar", &[Vector], Vector),
    fixed("histogram_sum", &[Vector], Vector),
    variadic("hour", &[Vector], 1, Vector),
    fixed("idelta", &[Matrix], Vector),
    fixed("increase", &[Matrix], Vector),
    experimental(variadic("info", &[Vector, Vector], 1, Vector)),
    fixed("irate", &[Matrix], Vector),
    variadic("label_join", &[Vector, String, String, String], -1, Vector),
    fixed("label_replace", &[Vector, String, String, String, String], Vector),
    fixed("last_over_time", &[Matrix], Vector),
    fixed("ln", &[Vector], Vector),
    fixed("log10", &[Vector], Vector),
    fixed("log2", &[Vector], Vector),
    experimental(fixed("mad_over_time", &[Matrix], Vector)),
    experimental(fixed("max_of", &[Scalar, Scalar], Scalar)),
    fixed("max_over_time", &[Matrix], Vector),
    experimental(fixed("min_of", &[Scalar, Scalar], Scalar)),
    fixed("min_over_time", &[Matrix], Vector),
    variadic("minute", &[Vector], 1, Vector),
    variadic("month", &[Vector], 1, Vector),
    fixed("pi", &[], Scalar),
    fixed("predict_linear", &[Matrix, Scalar], Vector),
    fixed("present_over_time", &[Matrix], Vector),
    fixed("quantile_over_time", &[Scalar, Matrix], Vector),
    fixed("rad", &[Vector], Vector),
    experimental(fixed("range", &[], Scalar)),
    fixed("rate", &[Matrix], Vector),
    fixed("resets", &[Matrix], Vector),
    variadic("round", &[Vector, Scalar], 1, Vector),
    fixed("scalar", &[Vector], Scalar),
    fixed("sgn", &[Vector], Vector),
    fixed("sin", &[Vector], Vector),
    fixed("sinh", &[Vector], Vector),
    fixed("sort", &[Vector], Vector),
    experimental(variadic("sort_by_label", &[Vector, String], -1, Vector)),
    experimental(variadic("sort_by_label_desc", &[Vector, String], -1, Vector)),
    fixed("sort_desc", &[Vector], Vector),
    fixed("sqrt", &[Vector], Vector),
    experimental(fixed("start", &[], Scalar)),
    experimental(fixed("start_timestamp", &[Vector], Vector)),
    fixed("stddev_over_time", &[Matrix], Vector),
    fixed("stdvar_over_time", &[Matrix], Vector),
    experimental(fixed("step", &[], Scalar)),
    fixed("sum_over_time", &[Matrix], Vector),
    fixed("tan", &[Vector], Vector),
    fixed("tanh", &[Vector], Vector),
    fixed("time", &[], Scalar),
    fixed("timestamp", &[Vector], Vector),
    experimental(fixed("ts_of_first_over_time", &[Matrix], Vector)),
    experimental(fixed("ts_of_last_over_time", &[Matrix], Vector)),
    experimental(fixed("ts_of_max_over_time", &[Matrix], Vector)),
    experimental(fixed("ts_of_min_over_time", &[Matrix], Vector)),
    fixed("vector", &[Scalar], Vector),
    variadic("year", &[Vector], 1, Vector),
];

/// The row of `name`; names are case-sensitive.
pub fn lookup(name: &str) -> Option<&'static Function> {
    let at = FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok()?;
    FUNCTIONS.get(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_found() {
        assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
        for f in &FUNCTIONS {
            assert_eq!(lookup(f.name), Some(f));
        }
        assert_eq!(lookup("Rate"), None);
        assert_eq!(FUNCTIONS.iter().filter(|f| f.experimental).count(), 17);
    }
}
