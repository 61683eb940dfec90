//! The second life of an instant query: the same query with `@` on every selector, which must give
//! the same result whenever it is evaluated.

use crate::parser::ast::{At, Expr, VectorSelector};
use crate::parser::{ParserOptions, parse};

/// Functions whose result depends on the evaluation time even if their arguments do not.
const TIME_DEPENDENT: [&str; 15] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "minute",
    "month",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
    "year",
];

/// `query` with every selector fixed at `t`, and the times at which it should give what it gives at
/// `t`. `None` when the result may depend on the time.
pub fn fixed_at(query: &str, t: i64) -> Option<(String, Vec<i64>)> {
    let mut expr = parse(query, &ParserOptions::ALL).ok()?;
    if !fix(&mut expr, t) {
        return None;
    }
    let times = match t {
        0 => vec![-1000, 0, 1000],
        t => vec![t.saturating_mul(-10), 0, t / 5, t, t.saturating_mul(10)],
    };
    Some((expr.to_string(), times))
}

/// Whether the query asks for its own start, end, step or range.
pub fn asks_for_context(query: &str) -> bool {
    ["start()", "end()", "range()", "step()"].iter().any(|f| query.contains(f))
}

fn fix_selector(selector: &mut VectorSelector, t: i64) {
    if !matches!(selector.at, Some(At::Timestamp(_))) {
        selector.at = Some(At::Timestamp(t));
    }
}

/// Fixes the selectors below `expr`; false if a function depends on the time. Selectors inside a
/// subquery stay as they are, the subquery itself is fixed.
fn fix(expr: &mut Expr, t: i64) -> bool {
    match expr {
        Expr::Vector(v) => fix_selector(v, t),
        Expr::Matrix(m) => fix_selector(&mut m.selector, t),
        Expr::Subquery(s) => {
            if !matches!(s.at, Some(At::Timestamp(_))) {
                s.at = Some(At::Timestamp(t));
            }
        }
        Expr::Number(_) | Expr::String(_) => {}
        Expr::Paren(e) => return fix(&mut e.expr, t),
        Expr::Unary(e) => return fix(&mut e.expr, t),
        Expr::Binary(e) => {
            let lhs = fix(&mut e.lhs, t);
            return fix(&mut e.rhs, t) && lhs;
        }
        Expr::Aggregate(e) => {
            let param = e.param.as_deref_mut().is_none_or(|p| fix(p, t));
            return fix(&mut e.expr, t) && param;
        }
        Expr::Call(e) => {
            let steady = !TIME_DEPENDENT.contains(&e.func.name);
            return e.args.iter_mut().fold(steady, |all, arg| fix(arg, t) && all);
        }
    }
    true
}
