//! Postfix modifiers: `[5m]`, `[1h:1m]`, `offset`, `@`, `anchored`, `smoothed`. They bind tighter
//! than every operator and stand in any order, as far as their meaning allows.

use super::ast::{
    At, BinaryOp, Duration, DurationExpr, Expr, MatrixSelector, Subquery, VectorSelector,
};
use super::duration::to_duration;
use super::expr::{Context, Node, Parsed, Parser};
use super::token::{Keyword, Kind, Preprocessor, Token};

/// The parts of a selector or subquery that `offset` and `@` write.
struct Shift<'e> {
    offset: &'e mut Option<Duration>,
    at: &'e mut Option<At>,
    end: &'e mut u32,
}

fn shift_of(expr: &mut Expr) -> Option<Shift<'_>> {
    Some(match expr {
        Expr::Vector(v) => Shift { offset: &mut v.offset, at: &mut v.at, end: &mut v.span.end },
        Expr::Matrix(m) => {
            let v = &mut m.selector;
            Shift { offset: &mut v.offset, at: &mut v.at, end: &mut m.end }
        }
        Expr::Subquery(s) => Shift { offset: &mut s.offset, at: &mut s.at, end: &mut s.end },
        _ => return None,
    })
}

const BRACKET: Context =
    Context::new("subquery or range selector", "number, duration, step(), or range()");
const AFTER_RANGE: Context = Context::new("subquery or range", "\":\" or \"]\"");
const AFTER_COLON: Context =
    Context::new("subquery selector", "number, duration, step(), range(), or \"]\"");
const AFTER_STEP: Context = Context::new("subquery selector", "\"]\"");
const OFFSET: Context = Context::new("offset", "number, duration, step(), or range()");
const AT: Context = Context::new("@", "timestamp");

impl Parser<'_> {
    /// `node` and the modifiers after it.
    pub(super) fn modifiers(&mut self, mut node: Node) -> Parsed<Node> {
        loop {
            let token = self.peek()?;
            match token.kind {
                Kind::LeftBracket => {
                    self.next()?;
                    node = self.bracket(node, token)?;
                }
                Kind::Keyword(Keyword::Offset) => {
                    self.next()?;
                    let duration = self.within(OFFSET, |p| p.offset_duration())?;
                    self.set_offset(&mut node.expr, duration)?;
                }
                Kind::At => {
                    self.next()?;
                    self.within(AT, |p| p.at_modifier(&mut node.expr))?;
                }
                Kind::Keyword(keyword @ (Keyword::Anchored | Keyword::Smoothed)) => {
                    self.next()?;
                    self.set_extended(&mut node.expr, keyword)?;
                }
                _ => return Ok(node),
            }
        }
    }

    fn bracket(&mut self, node: Node, open: Token) -> Parsed<Node> {
        let range = self.within(BRACKET, |p| p.positive_duration())?;
        if let Some(close) = self.accept(Kind::RightBracket)? {
            let span = open.span.to(close.span);
            let message = match node.expr {
                Expr::Vector(ref v) if v.offset.is_some() => {
                    "no offset modifiers allowed before range"
                }
                Expr::Vector(ref v) if v.at.is_some() => "no @ modifiers allowed before range",
                Expr::Vector(selector) => {
                    let matrix = MatrixSelector { selector, range, end: self.last_closing };
                    return Ok(Node { expr: Expr::Matrix(matrix), ..node });
                }
                _ => "ranges only allowed for vector selectors",
            };
            return Err(self.error(span, message));
        }
        if self.accept(Kind::Colon)?.is_none() {
            return Err(self.unexpected_in(AFTER_RANGE));
        }
        let mut step = None;
        if self.peek()?.kind != Kind::RightBracket {
            step = Some(self.within(AFTER_COLON, |p| p.positive_duration())?);
        }
        let Some(close) = self.accept(Kind::RightBracket)? else {
            return Err(self.unexpected_in(AFTER_STEP));
        };
        let expr = Box::new(node.expr);
        let end = close.span.end;
        let subquery = Subquery { expr, range, step, offset: None, at: None, end };
        self.node(Expr::Subquery(subquery), node.height)
    }

    fn set_offset(&self, expr: &mut Expr, duration: DurationExpr) -> Parsed<()> {
        let span = expr.span();
        let Some(shift) = shift_of(expr) else {
            let message = "offset modifier must be preceded by an instant vector selector or range \
                           vector selector or a subquery";
            return Err(self.error(span, message));
        };
        if shift.offset.is_some() {
            return Err(self.error(span, "offset may not be set multiple times"));
        }
        // No offset and an offset of zero are the same.
        let zero = matches!(&duration, DurationExpr::Number(n) if n.value == 0.0);
        *shift.offset = if zero { None } else { Some(to_duration(duration)) };
        *shift.end = self.last_closing;
        Ok(())
    }

    /// What follows `@`: a number with an optional sign, `start()` or `end()`.
    fn at_modifier(&mut self, expr: &mut Expr) -> Parsed<()> {
        let token = self.next()?;
        let at = match token.kind {
            Kind::Number | Kind::Duration => self.timestamp(expr, self.number_value(token)?)?,
            Kind::Op(op @ (BinaryOp::Add | BinaryOp::Sub)) => {
                let number = self.next()?;
                if !matches!(number.kind, Kind::Number | Kind::Duration) {
                    return Err(self.unexpected());
                }
                let value = self.number_value(number)?;
                self.timestamp(expr, if op == BinaryOp::Sub { -value } else { value })?
            }
            Kind::Preprocessor(which @ (Preprocessor::Start | Preprocessor::End)) => {
                self.expect(Kind::LeftParen)?;
                self.expect(Kind::RightParen)?;
                if which == Preprocessor::Start { At::Start } else { At::End }
            }
            _ => return Err(self.unexpected()),
        };
        let span = expr.span();
        let Some(shift) = shift_of(expr) else {
            let message = "@ modifier must be preceded by an instant vector selector or range \
                           vector selector or a subquery";
            return Err(self.error(span, message));
        };
        if shift.at.is_some() {
            return Err(self.error(span, "@ <timestamp> may not be set multiple times"));
        }
        *shift.at = Some(at);
        *shift.end = self.last_closing;
        Ok(())
    }

    /// Seconds since the epoch as a point in time.
    fn timestamp(&self, expr: &Expr, seconds: f64) -> Parsed<At> {
        const LIMIT: f64 = i64::MAX as f64;
        if seconds.is_nan() || seconds >= LIMIT || seconds <= -LIMIT {
            let text = match seconds {
                s if s.is_nan() => "NaN".to_owned(),
                s if s.is_infinite() => if s > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
                s => format!("{s:.6}"),
            };
            let message = format!("timestamp out of bounds for @ modifier: {text}");
            return Err(self.error(expr.span(), message));
        }
        Ok(At::Timestamp((seconds * 1000.0).round() as i64))
    }

    fn set_extended(&self, expr: &mut Expr, keyword: Keyword) -> Parsed<()> {
        let span = expr.span();
        let anchored = keyword == Keyword::Anchored;
        let name = if anchored { "anchored" } else { "smoothed" };
        let fail = |rest: &str| Err(self.error(span, format!("{name} modifier {rest}")));
        if !self.options.extended_range_selectors {
            return fail("is experimental and not enabled");
        }
        let selector: &mut VectorSelector = match expr {
            Expr::Vector(v) => v,
            Expr::Matrix(m) => &mut m.selector,
            Expr::Subquery(_) => return fail("is not supported for subqueries"),
            _ => return fail("not implemented"),
        };
        *(if anchored { &mut selector.anchored } else { &mut selector.smoothed }) = true;
        if selector.anchored && selector.smoothed {
            let message = "anchored and smoothed modifiers cannot be used together";
            return Err(self.error(span, message));
        }
        Ok(())
    }
}
