//! Durations as they are written: literals and arithmetic.

use super::operator::BinaryOp;
use super::{NumberLiteral, Span};

/// A duration as written: milliseconds, or an expression evaluated when the query's step and range
/// are known.
#[derive(Clone, Debug, PartialEq)]
pub enum Duration {
    Literal { ms: i64 },
    Expr(Box<DurationExpr>),
}

/// Arithmetic on durations, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationExpr {
    /// A number or duration literal.
    Number(NumberLiteral),
    /// `step()`
    Step(Span),
    /// `range()`
    Range(Span),
    Unary {
        negate: bool,
        expr: Box<DurationExpr>,
        start: u32,
    },
    Binary {
        op: BinaryOp,
        lhs: Box<DurationExpr>,
        rhs: Box<DurationExpr>,
    },
    /// `min_of(a, b)`
    MinOf(Box<DurationExpr>, Box<DurationExpr>),
    /// `max_of(a, b)`
    MaxOf(Box<DurationExpr>, Box<DurationExpr>),
    Paren {
        expr: Box<DurationExpr>,
        start: u32,
    },
}

impl DurationExpr {
    /// The span that evaluation errors name, by Prometheus's rules: parentheses and the names of
    /// `min_of` and `max_of` do not count.
    pub fn span(&self) -> Span {
        match self {
            DurationExpr::Number(n) => n.span,
            DurationExpr::Step(span) | DurationExpr::Range(span) => *span,
            DurationExpr::Unary { expr, start, .. } => Span { start: *start, end: expr.span().end },
            DurationExpr::Binary { lhs, rhs, .. }
            | DurationExpr::MinOf(lhs, rhs)
            | DurationExpr::MaxOf(lhs, rhs) => lhs.span().to(rhs.span()),
            DurationExpr::Paren { expr, start } => match **expr {
                DurationExpr::Number(_) => Span { start: *start, end: expr.span().end },
                _ => expr.span(),
            },
        }
    }
}
