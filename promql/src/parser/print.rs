//! Printing: an expression as one line of PromQL, as Prometheus prints it.

use std::fmt::{self, Display, Formatter};

use model::MatchOp;
use model::duration;
use model::labels::{METRIC_NAME, is_legacy_label_name};
use model::number::{format_f, format_g, go_quote, go_quote_bytes};

use super::ast::{
    Aggregate, At, Binary, Cardinality, Duration, DurationExpr, Expr, MatrixSelector,
    NumberLiteral, StringLiteral, Subquery, Unary, VectorMatching, VectorSelector,
};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Aggregate(e) => {
                write!(f, "{}(", AggregateHead(e))?;
                if let Some(param) = &e.param {
                    write!(f, "{param}, ")?;
                }
                write!(f, "{})", e.expr)
            }
            Expr::Binary(e) => write!(f, "{} {} {}", e.lhs, BinaryHead(e), e.rhs),
            Expr::Call(e) => {
                write!(f, "{}(", e.func.name)?;
                for (i, arg) in e.args.iter().enumerate() {
                    let comma = if i > 0 { ", " } else { "" };
                    write!(f, "{comma}{arg}")?;
                }
                f.write_str(")")
            }
            Expr::Matrix(e) => e.fmt(f),
            Expr::Number(e) => e.fmt(f),
            Expr::Paren(e) => write!(f, "({})", e.expr),
            Expr::String(e) => f.write_str(&e.quoted()),
            Expr::Subquery(e) => write!(f, "{}{}", e.expr, SubqueryTail(e)),
            Expr::Unary(e) => write!(f, "{}{}", e.sign(), e.expr),
            Expr::Vector(e) => e.fmt(f),
        }
    }
}

impl StringLiteral {
    /// The literal in double quotes.
    pub fn quoted(&self) -> String {
        self.invalid.as_deref().map_or_else(|| go_quote(&self.value), go_quote_bytes)
    }
}

impl Unary {
    /// The operator as written.
    pub fn sign(&self) -> char {
        if self.negate { '-' } else { '+' }
    }
}

/// `sum by (a) ` without arguments.
pub(super) struct AggregateHead<'a>(pub &'a Aggregate);

impl Display for AggregateHead<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let e = self.0;
        f.write_str(e.op.as_str())?;
        match (e.without, e.grouping.is_empty()) {
            (true, _) => write!(f, " without ({}) ", LabelList(&e.grouping)),
            (false, false) => write!(f, " by ({}) ", LabelList(&e.grouping)),
            (false, true) => Ok(()),
        }
    }
}

/// The operator and what stands between it and the right operand.
pub(super) struct BinaryHead<'a>(pub &'a Binary);

impl Display for BinaryHead<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.op.as_str())?;
        if self.0.return_bool {
            f.write_str(" bool")?;
        }
        match &self.0.matching {
            Some(m) => write_matching(f, m),
            None => Ok(()),
        }
    }
}

fn write_matching(f: &mut Formatter<'_>, m: &VectorMatching) -> fmt::Result {
    let side = match m.card {
        Cardinality::ManyToOne => Some("left"),
        Cardinality::OneToMany => Some("right"),
        Cardinality::OneToOne | Cardinality::ManyToMany => None,
    };
    if !m.labels.is_empty() || m.on || side.is_some() {
        let list = if m.on { "on" } else { "ignoring" };
        write!(f, " {list} ({})", LabelList(&m.labels))?;
    }
    if let Some(side) = side {
        write!(f, " group_{side} ({})", LabelList(&m.include))?;
    }
    match (m.fill_lhs, m.fill_rhs) {
        (Some(l), Some(r)) if l == r => write!(f, " fill ({})", format_g(l)),
        (l, r) => {
            for (name, value) in [("fill_left", l), ("fill_right", r)] {
                if let Some(v) = value {
                    write!(f, " {name} ({})", format_g(v))?;
                }
            }
            Ok(())
        }
    }
}

/// Label names separated by commas, quoted where they must be.
struct LabelList<'a>(&'a [String]);

impl Display for LabelList<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, label) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            match is_legacy_label_name(label) {
                true => f.write_str(label)?,
                false => f.write_str(&go_quote(label))?,
            }
        }
        Ok(())
    }
}

impl Display for NumberLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.is_duration {
            return f.write_str(&format_f(self.value));
        }
        let ms = (self.value.abs() * 1e9) as i64 / 1_000_000;
        let sign = if self.value < 0.0 { "-" } else { "" };
        write!(f, "{sign}{}", duration::format(ms))
    }
}

impl Display for Duration {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Duration::Literal { ms } => f.write_str(&duration::format(*ms)),
            Duration::Expr(e) => e.fmt(f),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            DurationExpr::Number(n) => n.fmt(f),
            DurationExpr::Step(_) => f.write_str("step()"),
            DurationExpr::Range(_) => f.write_str("range()"),
            DurationExpr::Unary { negate, expr, .. } => {
                let sign = if *negate { "-" } else { "" };
                write!(f, "{sign}{expr}")
            }
            DurationExpr::Binary { op, lhs, rhs } => write!(f, "{lhs} {} {rhs}", op.as_str()),
            DurationExpr::MinOf(a, b) => write!(f, "min_of({a}, {b})"),
            DurationExpr::MaxOf(a, b) => write!(f, "max_of({a}, {b})"),
            DurationExpr::Paren { expr, .. } => write!(f, "({expr})"),
        }
    }
}

/// ` @ 1.000`
struct AtTail(Option<At>);

impl Display for AtTail {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(At::Timestamp(ms)) => write!(f, " @ {:.3}", ms as f64 / 1000.0),
            Some(At::Start) => f.write_str(" @ start()"),
            Some(At::End) => f.write_str(" @ end()"),
            None => Ok(()),
        }
    }
}

/// ` offset 5m`
struct OffsetTail<'a>(&'a Option<Duration>);

impl Display for OffsetTail<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(offset) => write!(f, " offset {offset}"),
            None => Ok(()),
        }
    }
}

/// ` anchored` or ` smoothed`
struct ExtendedTail<'a>(&'a VectorSelector);

impl Display for ExtendedTail<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.0.anchored, self.0.smoothed) {
            (true, _) => f.write_str(" anchored"),
            (false, true) => f.write_str(" smoothed"),
            (false, false) => Ok(()),
        }
    }
}

/// `[1h:1m] @ end() offset 5m`
pub(super) struct SubqueryTail<'a>(pub &'a Subquery);

impl Display for SubqueryTail<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let e = self.0;
        write!(f, "[{}:", e.range)?;
        if let Some(step) = &e.step {
            step.fmt(f)?;
        }
        write!(f, "]{}{}", AtTail(e.at), OffsetTail(&e.offset))
    }
}

impl Display for MatrixSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let v = &self.selector;
        write_series(f, v)?;
        write!(f, "[{}]{}{}{}", self.range, ExtendedTail(v), AtTail(v.at), OffsetTail(&v.offset))
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_series(f, self)?;
        write!(f, "{}{}{}", AtTail(self.at), ExtendedTail(self), OffsetTail(&self.offset))
    }
}

/// The name and the other matchers in order of their text.
fn write_series(f: &mut Formatter<'_>, v: &VectorSelector) -> fmt::Result {
    let name = v.name.as_deref().unwrap_or("");
    f.write_str(name)?;
    let mut matchers: Vec<String> = v
        .matchers
        .iter()
        .filter(|m| {
            let is_name = m.name == METRIC_NAME && m.op == MatchOp::Equal;
            !(is_name && m.value == name && !name.is_empty())
        })
        .map(ToString::to_string)
        .collect();
    if matchers.is_empty() {
        return Ok(());
    }
    matchers.sort_unstable();
    write!(f, "{{{}}}", matchers.join(","))
}
