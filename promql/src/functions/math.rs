//! Functions of one float, and Go's rules for the odd values.

use model::elementary;

/// `math.Max`: +Inf wins over NaN, NaN over the rest, +0 over -0.
pub(crate) fn max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && a == b {
        if a.is_sign_negative() { b } else { a }
    } else if a > b {
        a
    } else {
        b
    }
}

/// `math.Min`: -Inf wins over NaN, NaN over the rest, -0 over +0.
pub(crate) fn min(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && a == b {
        if a.is_sign_negative() { a } else { b }
    } else if a < b {
        a
    } else {
        b
    }
}

/// `clamp`: into `[lo, hi]`, where `lo <= hi`.
pub(crate) fn clamp(v: f64, lo: f64, hi: f64) -> f64 {
    max(lo, min(hi, v))
}

/// `round` to a multiple, ties up. Takes the inverse of the multiple.
pub(crate) fn round(v: f64, inverse: f64) -> f64 {
    (v * inverse + 0.5).floor() / inverse
}

/// A function of one float.
pub(crate) type Unary = fn(f64) -> f64;

/// The function of one float called `name`.
pub(crate) fn unary(name: &str) -> Option<Unary> {
    use std::f64::consts::PI;
    Some(match name {
        "abs" => f64::abs,
        "acos" => elementary::acos,
        "acosh" => elementary::acosh,
        "asin" => elementary::asin,
        "asinh" => elementary::asinh,
        "atan" => elementary::atan,
        "atanh" => elementary::atanh,
        "ceil" => f64::ceil,
        "cos" => elementary::cos,
        "cosh" => elementary::cosh,
        "deg" => |v| v * 180.0 / PI,
        "exp" => elementary::exp,
        "floor" => f64::floor,
        "ln" => elementary::ln,
        "log10" => elementary::log10,
        "log2" => elementary::log2,
        "rad" => |v| v * PI / 180.0,
        "sgn" => |v| {
            if v < 0.0 {
                -1.0
            } else if v > 0.0 {
                1.0
            } else {
                v
            }
        },
        "sin" => elementary::sin,
        "sinh" => elementary::sinh,
        "sqrt" => f64::sqrt,
        "tan" => elementary::tan,
        "tanh" => elementary::tanh,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremes_as_in_go() {
        assert_eq!(max(f64::NAN, f64::INFINITY), f64::INFINITY);
        assert!(max(f64::NAN, 1.0).is_nan());
        assert_eq!(min(f64::NAN, f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert!(max(-0.0, 0.0).is_sign_positive() && min(0.0, -0.0).is_sign_negative());
        assert_eq!(clamp(5.0, 0.0, 3.0), 3.0);
        assert_eq!(round(2.5, 1.0), 3.0);
        assert_eq!(round(-2.5, 1.0), -2.0);
    }
}
