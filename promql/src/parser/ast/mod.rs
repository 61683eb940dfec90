//! The syntax tree of PromQL. Every node knows the span of source text it came from.
//!
//! What the parser guarantees of a tree it returns: types are checked, selectors have at least one
//! matcher that does not match the empty string, `Matrix` wraps a vector selector. Modifiers stand
//! as written; resolving `@ start()`, duration expressions and offsets is the planner's business.

mod duration;
mod operator;

use model::Matcher;

pub use duration::{Duration, DurationExpr};
pub use operator::{AggregateOp, BinaryOp, Cardinality, VectorMatching};

use crate::functions::Function;

/// A half-open range of byte offsets into the query text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// From the start of `self` to the end of `last`.
    pub fn to(self, last: Span) -> Span {
        Span { start: self.start, end: last.end }
    }
}

/// The four types of PromQL values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    Scalar,
    Vector,
    Matrix,
    String,
}

impl ValueType {
    /// The name in error messages ("instant vector", "range vector" …) after Prometheus's
    /// `DocumentedType`.
    pub fn documented(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::Vector => "instant vector",
            ValueType::Matrix => "range vector",
            ValueType::String => "string",
        }
    }

    /// The name in API results and the syntax tree JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::Vector => "vector",
            ValueType::Matrix => "matrix",
            ValueType::String => "string",
        }
    }
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Aggregate(Aggregate),
    Binary(Binary),
    Call(Call),
    Matrix(MatrixSelector),
    Number(NumberLiteral),
    Paren(Paren),
    String(StringLiteral),
    Subquery(Subquery),
    Unary(Unary),
    Vector(VectorSelector),
}

impl Expr {
    /// The type this expression evaluates to.
    pub fn value_type(&self) -> ValueType {
        match self {
            Expr::Aggregate(_) | Expr::Vector(_) => ValueType::Vector,
            Expr::Matrix(_) | Expr::Subquery(_) => ValueType::Matrix,
            Expr::Number(_) => ValueType::Scalar,
            Expr::String(_) => ValueType::String,
            Expr::Paren(e) => e.expr.value_type(),
            Expr::Unary(e) => e.expr.value_type(),
            Expr::Call(e) => e.func.return_type,
            Expr::Binary(e) => match (e.lhs.value_type(), e.rhs.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::Vector,
            },
        }
    }

    /// Where the expression stands in the query text, modifiers included.
    pub fn span(&self) -> Span {
        match self {
            Expr::Aggregate(e) => e.span,
            Expr::Binary(e) => e.lhs.span().to(e.rhs.span()),
            Expr::Call(e) => e.span,
            Expr::Matrix(e) => Span { start: e.selector.span.start, end: e.end },
            Expr::Number(e) => e.span,
            Expr::Paren(e) => e.span,
            Expr::String(e) => e.span,
            Expr::Subquery(e) => Span { start: e.expr.span().start, end: e.end },
            Expr::Unary(e) => Span { start: e.start, end: e.expr.span().end },
            Expr::Vector(e) => e.span,
        }
    }
}

/// `sum by (a) (expr)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    pub op: AggregateOp,
    pub expr: Box<Expr>,
    /// `k` of topk, φ of quantile, the label of count_values …
    pub param: Option<Box<Expr>>,
    pub grouping: Vec<String>,
    pub without: bool,
    pub span: Span,
}

/// `lhs op rhs`.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    pub op: BinaryOp,
    pub lhs: Box<Expr>,
    pub rhs: Box<Expr>,
    /// Present when both operands are instant vectors.
    pub matching: Option<VectorMatching>,
    /// `bool`: answer 0 or 1 instead of filtering.
    pub return_bool: bool,
}

/// `func(args…)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub func: &'static Function,
    pub args: Vec<Expr>,
    pub span: Span,
}

/// `selector[range]`.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSelector {
    pub selector: VectorSelector,
    pub range: Duration,
    /// End of the closing bracket or of the last modifier.
    pub end: u32,
}

/// `expr[range:step]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    pub expr: Box<Expr>,
    pub range: Duration,
    /// Absent: the default step of the engine.
    pub step: Option<Duration>,
    pub offset: Option<Duration>,
    pub at: Option<At>,
    pub end: u32,
}

/// `1.5`, or a duration used as a number of seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberLiteral {
    pub value: f64,
    /// Print as a duration.
    pub is_duration: bool,
    pub span: Span,
}

/// `(expr)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Paren {
    pub expr: Box<Expr>,
    pub span: Span,
}

/// `"text"`.
#[derive(Clone, Debug, PartialEq)]
pub struct StringLiteral {
    /// The text; bytes that are not UTF-8 are replaced.
    pub value: String,
    /// The bytes, when they are not UTF-8 (`"\xff"`).
    pub invalid: Option<Box<[u8]>>,
    pub span: Span,
}

/// `-expr` or `+expr`.
#[derive(Clone, Debug, PartialEq)]
pub struct Unary {
    pub negate: bool,
    pub expr: Box<Expr>,
    /// Start of the operator.
    pub start: u32,
}

/// `name{matchers} offset … @ …`.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSelector {
    /// The metric name when written in front of the braces; a bare string inside them is only a
    /// matcher.
    pub name: Option<String>,
    /// All matchers, the one for the name included.
    pub matchers: Vec<Matcher>,
    pub offset: Option<Duration>,
    pub at: Option<At>,
    pub anchored: bool,
    pub smoothed: bool,
    pub span: Span,
}

impl VectorSelector {
    /// A selector without matchers and modifiers.
    pub fn all(span: Span) -> VectorSelector {
        VectorSelector {
            name: None,
            matchers: Vec::new(),
            offset: None,
            at: None,
            anchored: false,
            smoothed: false,
            span,
        }
    }
}

/// The `@` modifier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    /// Milliseconds since the epoch.
    Timestamp(i64),
    Start,
    End,
}
