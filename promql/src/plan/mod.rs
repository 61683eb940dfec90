//! Plan: what is left of a query once its times are known.
//!
//! A plan is a tree of [`Node`]s with every offset, `@`, range and step resolved to milliseconds,
//! parentheses gone, parts that do not change over the steps wrapped in [`Kind::Invariant`], and
//! every selector pointing at a [`Read`] (equal selectors share one). Building it is pure: the
//! syntax tree goes in, nothing is read. Rewrites, pure as well, then mark what can be had for less.

mod build;
mod duration;
mod explain;
mod pass;
mod push;
mod share;

use model::{Matcher, SelectHints, TimeRange};

pub(crate) use build::{build, seconds};
pub(crate) use explain::explain;
pub(crate) use pass::pass;
pub(crate) use push::push;
pub(crate) use share::share;

use crate::functions::Function;
use crate::parser::ast::{AggregateOp, BinaryOp, ValueType, VectorMatching};

/// A query ready to be evaluated.
#[derive(Debug)]
pub(crate) struct Plan {
    pub root: Node,
    /// What the selectors of the tree read.
    pub reads: Vec<Read>,
    /// Every time any selector may look at; `0..=0` when there is none.
    pub range: TimeRange,
}

/// One selection of series from the store.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Read {
    pub matchers: Vec<Matcher>,
    pub hints: SelectHints,
    /// How many of the matchers, the last ones, come from the other side of an operation.
    pub pushed: usize,
    /// Whether there is something to select; the matchers in the second argument of `info` are not
    /// a selection of their own.
    pub selected: bool,
}

/// A place annotations speak of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Position of the reporting node in order of evaluation: of two annotations that differ only
    /// in place, the one reported later is shown.
    pub rank: u32,
    /// Byte offset into the query, or [`Place::NOWHERE`].
    pub start: u32,
}

impl Place {
    /// The start of what has no position; it is shown as that of the query.
    pub(crate) const NOWHERE: u32 = u32::MAX;
}

/// One operation.
#[derive(Debug)]
pub(crate) struct Node {
    /// Position in order of evaluation (children before parents, left before right).
    pub rank: u32,
    /// Byte offset of the expression in the query.
    pub start: u32,
    pub value_type: ValueType,
    pub kind: Kind,
}

impl Node {
    /// Where annotations that `reporter` makes about this node point.
    pub(crate) fn place_for(&self, reporter: u32) -> Place {
        Place { rank: reporter, start: self.start }
    }

    /// The selector of an instant or range vector selector.
    pub(crate) fn selector(&self) -> Option<&Select> {
        match &self.kind {
            Kind::Vector(select) | Kind::Matrix(select) => Some(select),
            Kind::Shared(shared) => shared.node.selector(),
            _ => None,
        }
    }
}

/// The operations.
#[derive(Debug)]
pub(crate) enum Kind {
    Number(f64),
    String(String),
    /// An instant vector selector.
    Vector(Select),
    /// A range vector selector.
    Matrix(Select),
    Subquery(Subquery),
    Call {
        func: &'static Function,
        args: Vec<Node>,
    },
    Aggregate(Aggregate),
    Binary(Binary),
    Negate(Box<Node>),
    /// A unary plus: the same values, but no selector any more for those who look at their argument.
    Plus(Box<Node>),
    /// Evaluated once, at the first step; the value stands for all steps.
    Invariant(Box<Node>),
    /// One occurrence of a part that stands in the query more than once.
    Shared(Shared),
}

/// One occurrence of an instant vector that is needed at several places for the same steps.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The same for all occurrences.
    pub class: usize,
    /// How many there are.
    pub uses: usize,
    /// What is evaluated by the occurrence that comes first; equal in all of them.
    pub node: Box<Node>,
}

/// A vector selector at its resolved time.
#[derive(Debug)]
pub(crate) struct Select {
    /// Index into [`Plan::reads`].
    pub read: usize,
    pub offset_ms: i64,
    /// Fixed evaluation time, before the offset.
    pub at: Option<i64>,
    /// 0 for an instant selector.
    pub range_ms: i64,
    /// What the store is asked for: a sample outside is not seen, wherever a step looks.
    pub within: TimeRange,
    pub anchored: bool,
    pub smoothed: bool,
    /// Whether buckets of histograms are not needed.
    pub counts_only: bool,
}

/// A subquery; its inner expression runs on a grid of its own.
#[derive(Debug)]
pub(crate) struct Subquery {
    pub expr: Box<Node>,
    pub range_ms: i64,
    pub step_ms: i64,
    pub offset_ms: i64,
    pub at: Option<i64>,
}

/// An aggregation.
#[derive(Debug)]
pub(crate) struct Aggregate {
    pub op: AggregateOp,
    pub expr: Box<Node>,
    pub param: Option<Box<Node>>,
    /// Sorted.
    pub grouping: Vec<String>,
    pub without: bool,
    /// Set where the series are gone through for others, too.
    pub pass: Option<Pass>,
}

/// One of several aggregations that are folded while series are gone through once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    /// The same for all of them.
    pub number: usize,
    /// What is gone through: the read that holds those of all of them.
    pub widest: usize,
    /// How many they are.
    pub uses: usize,
}

/// A binary operation.
#[derive(Debug)]
pub(crate) struct Binary {
    pub op: BinaryOp,
    pub lhs: Box<Node>,
    pub rhs: Box<Node>,
    pub matching: VectorMatching,
    pub return_bool: bool,
}
