//! Durations in brackets and after `offset`: number and duration literals, arithmetic in seconds,
//! `step()`, `range()`, `min_of`, `max_of`.

use super::ast::{BinaryOp, Duration, DurationExpr, NumberLiteral, Span};
use super::expr::{Parsed, Parser};
use super::number::read_number;
use super::token::{Kind, Preprocessor, Token};

/// Longest duration of Go's nanosecond type, in seconds.
const MAX_SECONDS: f64 = 9_223_372_036.854_776;

/// The duration a finished expression stands for. A literal is rounded to nanoseconds, then cut to
/// milliseconds, as Prometheus does.
pub fn to_duration(expr: DurationExpr) -> Duration {
    match expr {
        DurationExpr::Number(n) => {
            let nanos = (n.value * 1e9).round() as i64;
            Duration::Literal { ms: nanos / 1_000_000 }
        }
        expr => Duration::Expr(Box::new(expr)),
    }
}

fn apply_sign(negate: bool, start: u32, expr: DurationExpr) -> DurationExpr {
    match expr {
        DurationExpr::Number(mut n) => {
            n.value = if negate { -n.value } else { n.value };
            n.span.start = start;
            DurationExpr::Number(n)
        }
        expr if negate => DurationExpr::Unary { negate, expr: Box::new(expr), start },
        expr => expr,
    }
}

/// Parentheses; twice is as good as once.
fn wrap(expr: DurationExpr, start: u32) -> DurationExpr {
    match expr {
        DurationExpr::Paren { .. } => expr,
        expr => DurationExpr::Paren { expr: Box::new(expr), start },
    }
}

impl Parser<'_> {
    /// `1.5` or `5m` as a number (of seconds).
    pub(super) fn number_literal(&mut self) -> Parsed<NumberLiteral> {
        let token = self.next()?;
        let is_duration = token.kind == Kind::Duration;
        Ok(NumberLiteral { value: self.number_value(token)?, is_duration, span: token.span })
    }

    /// The value of a number or duration token.
    pub(super) fn number_value(&self, token: Token) -> Parsed<f64> {
        let text = self.text(token);
        if token.kind != Kind::Duration {
            return read_number(text)
                .map_err(|e| self.error(token.span, format!("error parsing number: {e}")));
        }
        match model::duration::parse(text) {
            Ok(ms) => Ok(ms as f64 / 1000.0),
            Err(e) => Err(self.error(token.span, e.to_string())),
        }
    }

    /// A duration that must be greater than zero if it is a literal.
    pub(super) fn positive_duration(&mut self) -> Parsed<Duration> {
        let expr = self.duration_expr(0)?;
        match &expr {
            DurationExpr::Number(n) if n.value <= 0.0 => {
                Err(self.error(n.span, "duration must be greater than 0"))
            }
            _ => Ok(to_duration(expr)),
        }
    }

    /// The duration after `offset`. It ends as early as it can: `foo offset -2^2` is
    /// `(foo offset -2)^2`; only parentheses and double signs let arithmetic follow.
    pub(super) fn offset_duration(&mut self) -> Parsed<DurationExpr> {
        let sign = self.peek()?;
        let negate = match sign.kind {
            Kind::Op(BinaryOp::Sub) => true,
            Kind::Op(BinaryOp::Add) => false,
            Kind::LeftParen => {
                let first = self.duration_primary()?;
                return self.duration_rest(first, 0);
            }
            _ => return self.duration_primary(),
        };
        self.next()?;
        let start = sign.span.start;
        match self.peek()?.kind {
            Kind::Number | Kind::Duration => {
                let literal = self.number_literal()?;
                let signed = apply_sign(negate, start, DurationExpr::Number(literal));
                self.in_range(signed, sign.span)
            }
            Kind::LeftParen => {
                self.next()?;
                let inner = self.nested(|p| p.duration_expr(0))?;
                self.expect(Kind::RightParen)?;
                let at = inner.span().start;
                Ok(apply_sign(negate, start, wrap(inner, at)))
            }
            Kind::Preprocessor(_) => {
                let expr = Box::new(self.duration_primary()?);
                Ok(DurationExpr::Unary { negate, expr, start })
            }
            _ => {
                let operand = self.nested(|p| p.duration_expr(BinaryOp::Pow.precedence()))?;
                let signed = self.in_range(apply_sign(negate, start, operand), sign.span)?;
                self.duration_rest(signed, 0)
            }
        }
    }

    fn in_range(&self, expr: DurationExpr, at: Span) -> Parsed<DurationExpr> {
        match &expr {
            DurationExpr::Number(n) if n.value.abs() > MAX_SECONDS => {
                Err(self.error(at, "duration out of range"))
            }
            _ => Ok(expr),
        }
    }

    fn duration_expr(&mut self, min: u8) -> Parsed<DurationExpr> {
        let sign = self.peek()?;
        let first = match sign.kind {
            Kind::Op(BinaryOp::Sub | BinaryOp::Add) => {
                self.next()?;
                let negate = sign.kind == Kind::Op(BinaryOp::Sub);
                let operand = self.nested(|p| p.duration_expr(BinaryOp::Pow.precedence()))?;
                self.in_range(apply_sign(negate, sign.span.start, operand), sign.span)?
            }
            _ => self.duration_primary()?,
        };
        self.duration_rest(first, min)
    }

    /// The operators after `lhs` that bind at least as tightly as `min`.
    fn duration_rest(&mut self, mut lhs: DurationExpr, min: u8) -> Parsed<DurationExpr> {
        use BinaryOp::{Add, Div, Mod, Mul, Pow, Sub};
        let mut length = 0;
        loop {
            let token = self.peek()?;
            let Kind::Op(op @ (Add | Sub | Mul | Div | Mod | Pow)) = token.kind else {
                return Ok(lhs);
            };
            if op.precedence() < min {
                return Ok(lhs);
            }
            length += 1;
            self.check_chain(length, token)?;
            self.next()?;
            let right = op.precedence() + u8::from(op != Pow);
            let rhs = self.nested(|p| p.duration_expr(right))?;
            let zero = matches!(&rhs, DurationExpr::Number(n) if n.value == 0.0);
            match op {
                Div if zero => return Err(self.error(token.span, "division by zero")),
                Mod if zero => return Err(self.error(token.span, "modulo by zero")),
                _ => {}
            }
            lhs = DurationExpr::Binary { op, lhs: Box::new(lhs), rhs: Box::new(rhs) };
        }
    }

    fn duration_primary(&mut self) -> Parsed<DurationExpr> {
        let token = self.peek()?;
        match token.kind {
            Kind::Number | Kind::Duration => {
                let literal = self.number_literal()?;
                let at = literal.span;
                self.in_range(DurationExpr::Number(literal), at)
            }
            Kind::LeftParen => {
                self.next()?;
                let inner = self.nested(|p| p.duration_expr(0))?;
                self.expect(Kind::RightParen)?;
                Ok(wrap(inner, token.span.start))
            }
            Kind::Preprocessor(Preprocessor::Step | Preprocessor::Range) => {
                self.next()?;
                self.expect(Kind::LeftParen)?;
                let close = self.expect(Kind::RightParen)?;
                let span = token.span.to(close.span);
                Ok(match token.kind {
                    Kind::Preprocessor(Preprocessor::Step) => DurationExpr::Step(span),
                    _ => DurationExpr::Range(span),
                })
            }
            Kind::Preprocessor(which @ (Preprocessor::MaxOf | Preprocessor::MinOf)) => {
                self.next()?;
                self.expect(Kind::LeftParen)?;
                let a = Box::new(self.nested(|p| p.duration_expr(0))?);
                self.expect(Kind::Comma)?;
                let b = Box::new(self.nested(|p| p.duration_expr(0))?);
                self.expect(Kind::RightParen)?;
                Ok(match which {
                    Preprocessor::MaxOf => DurationExpr::MaxOf(a, b),
                    _ => DurationExpr::MinOf(a, b),
                })
            }
            _ => Err(self.unexpected()),
        }
    }
}
