//! Spans: which text an expression came from, as Prometheus reports positions.

use crate::parser::ast::{Duration, DurationExpr, Expr, Span};

/// The text an expression covers.
pub(super) fn of(expr: &Expr) -> Span {
    match expr {
        Expr::Aggregate(e) => e.span,
        Expr::Binary(e) => Span { start: of(&e.lhs).start, end: of(&e.rhs).end },
        Expr::Call(e) => e.span,
        Expr::Matrix(e) => Span { start: e.selector.span.start, end: e.end },
        Expr::Number(e) => e.span,
        Expr::Paren(e) => e.span,
        Expr::String(e) => e.span,
        Expr::Subquery(e) => Span { start: of(&e.expr).start, end: e.end },
        Expr::Unary(e) => Span { start: e.start, end: of(&e.expr).end },
        Expr::Vector(e) => e.span,
    }
}

/// The text a duration expression covers.
pub(super) fn of_duration(expr: &DurationExpr) -> Span {
    match expr {
        DurationExpr::Number(n) => n.span,
        DurationExpr::Step(span) | DurationExpr::Range(span) => *span,
        DurationExpr::Unary { expr, start, .. } => {
            Span { start: *start, end: of_duration(expr).end }
        }
        DurationExpr::Binary { lhs, rhs, .. } => {
            Span { start: of_duration(lhs).start, end: of_duration(rhs).end }
        }
        DurationExpr::MinOf(_, _, span) | DurationExpr::MaxOf(_, _, span) => *span,
        DurationExpr::Paren(inner) => of_duration(inner),
    }
}

/// The literal milliseconds of a duration, if it needs no evaluation.
pub(super) fn literal(duration: &Duration) -> Option<i64> {
    match duration {
        Duration::Literal { ms } => Some(*ms),
        Duration::Expr(_) => None,
    }
}
