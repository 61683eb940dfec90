//! Duration expressions: arithmetic in seconds, turned into milliseconds once step and range of
//! the query are known.

use super::build::PlanError;
use crate::parser::ast::{BinaryOp, Duration, DurationExpr};

/// What `step()` and `range()` stand for, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub step_s: f64,
    pub range_s: f64,
}

/// Largest magnitude in seconds Prometheus's nanosecond durations hold.
const MAX_SECONDS: f64 = (1u64 << 63) as f64 / 1e9;

impl Context {
    /// Milliseconds of `duration`; `positive` refuses zero and below for computed ones (the parser
    /// has judged literals).
    pub(super) fn resolve(self, duration: &Duration, positive: bool) -> Result<i64, PlanError> {
        let expr = match duration {
            Duration::Literal { ms } => return Ok(*ms),
            Duration::Expr(expr) => expr,
        };
        let seconds = self.seconds(expr)?;
        if !seconds.is_finite() {
            return Err(at(expr, "duration is NaN or infinite"));
        }
        if positive && seconds <= 0.0 {
            return Err(at(expr, "duration must be greater than 0"));
        }
        if !(-MAX_SECONDS..=MAX_SECONDS).contains(&seconds) {
            return Err(at(expr, "duration is out of range"));
        }
        Ok((seconds * 1000.0) as i64)
    }

    fn seconds(self, expr: &DurationExpr) -> Result<f64, PlanError> {
        Ok(match expr {
            DurationExpr::Number(n) => n.value,
            DurationExpr::Step(_) => self.step_s,
            DurationExpr::Range(_) => self.range_s,
            DurationExpr::Unary { negate, expr, .. } => {
                let v = self.seconds(expr)?;
                if *negate { -v } else { v }
            }
            DurationExpr::Paren { expr, .. } => self.seconds(expr)?,
            DurationExpr::MinOf(a, b) => {
                crate::functions::math::min(self.seconds(a)?, self.seconds(b)?)
            }
            DurationExpr::MaxOf(a, b) => {
                crate::functions::math::max(self.seconds(a)?, self.seconds(b)?)
            }
            DurationExpr::Binary { op, lhs, rhs } => {
                let (a, b) = (self.seconds(lhs)?, self.seconds(rhs)?);
                match op {
                    BinaryOp::Add => a + b,
                    BinaryOp::Sub => a - b,
                    BinaryOp::Mul => a * b,
                    BinaryOp::Div if b == 0.0 => return Err(at(expr, "division by zero")),
                    BinaryOp::Div => a / b,
                    BinaryOp::Mod if b == 0.0 => return Err(at(expr, "modulo by zero")),
                    BinaryOp::Mod => a % b,
                    BinaryOp::Pow => model::elementary::pow(a, b),
                    other => {
                        return Err(PlanError(format!(
                            "unexpected duration expression operator {:?}",
                            other.as_str()
                        )));
                    }
                }
            }
        })
    }
}

fn at(expr: &DurationExpr, what: &str) -> PlanError {
    let span = expr.span();
    PlanError(format!("{}:{}: {what}", span.start, span.end))
}
