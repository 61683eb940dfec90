//! The type check: walks a finished tree in Prometheus's order and stops at the first thing wrong.
//! Along the way it completes what only types decide: matching is kept between two instant vectors
//! alone, and set operators match many-to-many.

use model::labels::METRIC_NAME;
use model::number::go_quote;

use super::ast::{
    Aggregate, AggregateOp, Binary, Call, Cardinality, Expr, Span, ValueType, VectorSelector,
};
use super::error::ParseError;

type Checked<T> = Result<T, ParseError>;

/// Checks `expr`, the tree of `text`.
pub fn check(text: &str, expr: &mut Expr) -> Checked<()> {
    Checker { text }.expr(expr).map(|_| ())
}

struct Checker<'a> {
    text: &'a str,
}

impl Checker<'_> {
    fn error<T>(&self, span: Span, message: impl Into<String>) -> Checked<T> {
        Err(ParseError::new(self.text, span, message))
    }

    /// Checks an expression and tells its type.
    fn expr(&self, expr: &mut Expr) -> Checked<ValueType> {
        let span = expr.span();
        let value_type = match expr {
            Expr::Number(_) => ValueType::Scalar,
            Expr::String(_) => ValueType::String,
            Expr::Aggregate(e) => self.aggregate(e)?,
            Expr::Binary(e) => self.binary(e, span)?,
            Expr::Call(e) => self.call(e, span)?,
            Expr::Paren(e) => self.expr(&mut e.expr)?,
            Expr::Unary(e) => {
                let t = self.expr(&mut e.expr)?;
                if !matches!(t, ValueType::Scalar | ValueType::Vector) {
                    let message = format!(
                        "unary expression only allowed on expressions of type scalar or instant \
                         vector, got \"{}\"",
                        t.documented()
                    );
                    return self.error(span, message);
                }
                t
            }
            Expr::Subquery(e) => {
                let t = self.expr(&mut e.expr)?;
                if t != ValueType::Vector {
                    let t = t.as_str();
                    let message =
                        format!("subquery is only allowed on instant vector, got {t} instead");
                    return self.error(span, message);
                }
                ValueType::Matrix
            }
            Expr::Matrix(e) => {
                self.selector(&e.selector)?;
                ValueType::Matrix
            }
            Expr::Vector(e) => {
                self.selector(e)?;
                ValueType::Vector
            }
        };
        Ok(value_type)
    }

    fn expect(&self, expr: &mut Expr, want: ValueType, place: &str) -> Checked<()> {
        let got = self.expr(expr)?;
        if got == want {
            return Ok(());
        }
        let (want, got) = (want.documented(), got.documented());
        self.error(expr.span(), format!("expected type {want} in {place}, got {got}"))
    }

    fn aggregate(&self, e: &mut Aggregate) -> Checked<ValueType> {
        self.expect(&mut e.expr, ValueType::Vector, "aggregation expression")?;
        if let Some(param) = &mut e.param {
            let want = match e.op {
                AggregateOp::CountValues => ValueType::String,
                _ => ValueType::Scalar,
            };
            self.expect(param, want, "aggregation parameter")?;
        }
        Ok(ValueType::Vector)
    }

    fn binary(&self, e: &mut Binary, span: Span) -> Checked<ValueType> {
        let lhs = self.expr(&mut e.lhs)?;
        let rhs = self.expr(&mut e.rhs)?;
        let scalars = lhs == ValueType::Scalar && rhs == ValueType::Scalar;
        let op = e.op;
        if e.return_bool && !op.is_comparison() {
            let message = "bool modifier can only be used on comparison operators";
            return self.error(self.operator_span(e), message);
        }
        if op.is_comparison() && !e.return_bool && scalars {
            let message = "comparisons between scalars must use BOOL modifier";
            return self.error(self.operator_span(e), message);
        }
        if let Some(m) = e.matching.as_ref().filter(|m| m.on)
            && let Some(both) = m.labels.iter().find(|l| m.include.contains(l))
        {
            let message =
                format!("label {} must not occur in ON and GROUP clause at once", go_quote(both));
            return self.error(self.operator_span(e), message);
        }
        for (side, t) in [(&e.lhs, lhs), (&e.rhs, rhs)] {
            if !matches!(t, ValueType::Scalar | ValueType::Vector) {
                let message = "binary expression must contain only scalar and instant vector types";
                return self.error(side.span(), message);
            }
        }
        let vectors = lhs == ValueType::Vector && rhs == ValueType::Vector;
        self.matching(e, span, vectors)?;
        if !vectors && op.is_set() {
            let op = op.as_str();
            let message = format!("set operator \"{op}\" not allowed in binary scalar expression");
            return self.error(span, message);
        }
        Ok(if scalars { ValueType::Scalar } else { ValueType::Vector })
    }

    fn matching(&self, e: &mut Binary, span: Span, vectors: bool) -> Checked<()> {
        let Some(m) = &mut e.matching else { return Ok(()) };
        let fills = m.fill_lhs.is_some() || m.fill_rhs.is_some();
        if !vectors {
            if !m.labels.is_empty() {
                let message = "vector matching only allowed between instant vectors";
                return self.error(span, message);
            }
            if fills {
                let message = "filling in missing series only allowed between instant vectors";
                return self.error(span, message);
            }
            e.matching = None;
        } else if e.op.is_set() {
            if m.card != Cardinality::OneToOne {
                let op = e.op.as_str();
                return self.error(span, format!("no grouping allowed for \"{op}\" operation"));
            }
            if fills {
                let message = "filling in missing series not allowed for set operators";
                return self.error(span, message);
            }
            m.card = Cardinality::ManyToMany;
        }
        Ok(())
    }

    /// The operator and its modifiers, without the spaces around.
    fn operator_span(&self, e: &Binary) -> Span {
        let (start, end) = (e.lhs.span().end, e.rhs.span().start);
        let between = self.text.get(start as usize..end as usize).unwrap_or("");
        let trimmed = between.trim_start_matches([' ', '\t', '\n', '\r']);
        Span { start: start + (between.len() - trimmed.len()) as u32, end }
    }

    fn call(&self, e: &mut Call, span: Span) -> Checked<ValueType> {
        let (func, got) = (e.func, e.args.len());
        let declared = func.args.len();
        let (name, call) = (func.name, format!("call to function \"{}\"", func.name));
        let count = |how: &str, n: usize| {
            format!("expected {how}{n} argument(s) in call to \"{name}\", got {got}")
        };
        match usize::try_from(func.variadic) {
            Ok(0) if got != declared => return self.error(span, count("", declared)),
            Ok(0) => {}
            _ if got + 1 < declared => return self.error(span, count("at least ", declared - 1)),
            Ok(extra) if got + 1 > declared + extra => {
                return self.error(span, count("at most ", declared - 1 + extra));
            }
            _ => {}
        }
        let info = name == "info";
        if let (true, Some(arg)) = (info, e.args.get(1)) {
            self.info_selector(arg, &call, span)?;
        }
        for (i, arg) in e.args.iter_mut().enumerate() {
            match (func.args.get(i).or(func.args.last()), &*arg) {
                // The matchers of info may match everything.
                (Some(_), Expr::Vector(_)) if info && i == 1 => {}
                (Some(want), _) => self.expect(arg, *want, &call)?,
                (None, _) => break,
            }
        }
        Ok(func.return_type)
    }

    /// The second argument of `info`: matchers alone, without a name.
    fn info_selector(&self, arg: &Expr, place: &str, call: Span) -> Checked<()> {
        let got = arg.value_type();
        if got != ValueType::Vector {
            let got = got.documented();
            let message = format!("expected type instant vector in {place}, got {got}");
            return self.error(call, message);
        }
        match arg {
            Expr::Vector(v) if v.name.is_none() => Ok(()),
            Expr::Vector(_) => {
                let message = "expected label selectors only, got vector selector instead";
                self.error(arg.span(), message)
            }
            _ => self.error(arg.span(), "expected label selectors only"),
        }
    }

    fn selector(&self, v: &VectorSelector) -> Checked<()> {
        if let Some(name) = &v.name {
            let named = v.matchers.split_last().map_or(&[][..], |(_, others)| others);
            if let Some(other) = named.iter().find(|m| m.name == METRIC_NAME) {
                let message = format!(
                    "metric name must not be set twice: {} or {}",
                    go_quote(name),
                    go_quote(&other.value)
                );
                return self.error(v.span, message);
            }
        } else if v.matchers.iter().all(|m| m.matches_empty()) {
            let message = "vector selector must contain at least one non-empty matcher";
            return self.error(v.span, message);
        }
        Ok(())
    }
}
