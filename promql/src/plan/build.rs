//! Building a plan: constants of the query folded in, times resolved, invariant parts found.
//!
//! One walk does what Prometheus's `PreprocessExpr`, `setOffsetForAtModifier` and `populateSeries`
//! do in several: the walk carries what the surrounding nodes mean for a selector ([`Around`]) and
//! hands back whether a part is the same at every step.

use model::{Matcher, SelectHints, TimeRange};

use super::duration::Context;
use super::{Aggregate, Binary, Kind, Node, Plan, Read, Select, Subquery};
use crate::engine::EvalTime;
use crate::parser::ast::{self, AggregateOp, At, BinaryOp, Duration, Expr, ValueType};

/// A query whose durations make no sense once its times are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlanError(pub String);

/// Functions whose value changes with the evaluation time even when their arguments do not.
const TIME_DEPENDENT: [&str; 14] = [
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
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
];

fn depends_on_time(func: &str) -> bool {
    func == "year" || TIME_DEPENDENT.contains(&func)
}

/// What the nodes around a selector mean for it.
#[derive(Clone, Default)]
struct Around<'a> {
    /// Nearest function or aggregation below the next binary operation.
    func: &'a str,
    /// Grouping of the aggregation directly above.
    grouping: Option<(&'a [String], bool)>,
    /// Offsets and ranges of the subqueries around, since the innermost `@`.
    subquery_offset: i64,
    subquery_range: i64,
    subquery_at: Option<i64>,
    /// Step of the innermost subquery.
    subquery_step: i64,
    /// Inside of a function that needs no more of a histogram than count and sum.
    counts_only: bool,
    /// Inside of something that needs buckets.
    needs_buckets: bool,
    /// Inside the parameter of an aggregation, where Prometheus does not resolve `@`.
    in_param: bool,
}

/// A built node and whether it is the same at every step.
struct Built {
    node: Node,
    invariant: bool,
    /// Whether an invariant node gains from being wrapped (literals and range vectors do not).
    wrap: bool,
}

struct Builder {
    time: EvalTime,
    lookback_ms: i64,
    default_step_ms: i64,
    durations: Context,
    reads: Vec<Read>,
    range: Option<TimeRange>,
    next_rank: u32,
}

/// Builds the plan of `expr` for evaluation at `time`.
pub(crate) fn build(
    expr: &Expr,
    time: EvalTime,
    lookback_ms: i64,
    default_step_ms: i64,
) -> Result<Plan, PlanError> {
    let durations = Context {
        step_s: seconds(time.step_ms),
        range_s: seconds(time.end_ms.saturating_sub(time.start_ms)),
    };
    let mut builder = Builder {
        time,
        lookback_ms,
        default_step_ms,
        durations,
        reads: Vec::new(),
        range: None,
        next_rank: 0,
    };
    let built = builder.expr(expr, &Around::default())?;
    let root = builder.wrapped(built);
    let range = builder.range.unwrap_or(TimeRange { min: 0, max: 0 });
    Ok(Plan { root, reads: builder.reads, range })
}

/// Milliseconds as Go's `Duration.Seconds()` gives them.
pub(crate) fn seconds(ms: i64) -> f64 {
    (ms / 1000) as f64 + ((ms % 1000) * 1_000_000) as f64 / 1e9
}

fn unparen(mut expr: &Expr) -> &Expr {
    while let Expr::Paren(p) = expr {
        expr = &p.expr;
    }
    expr
}

impl Builder {
    fn node(&mut self, expr: &Expr, kind: Kind) -> Node {
        let rank = self.next_rank;
        self.next_rank += 1;
        Node { rank, start: expr.span().start, value_type: expr.value_type(), kind }
    }

    fn wrapped(&mut self, built: Built) -> Node {
        if !(built.invariant && built.wrap) {
            return built.node;
        }
        let rank = self.next_rank;
        self.next_rank += 1;
        let Node { start, value_type, .. } = built.node;
        Node { rank, start, value_type, kind: Kind::Invariant(Box::new(built.node)) }
    }

    fn expr(&mut self, expr: &Expr, around: &Around<'_>) -> Result<Built, PlanError> {
        match expr {
            Expr::Number(n) => Ok(self.literal(expr, n.value)),
            Expr::String(s) => {
                let node = self.node(expr, Kind::String(s.value.clone()));
                Ok(Built { node, invariant: true, wrap: false })
            }
            Expr::Paren(p) => self.expr(&p.expr, around),
            Expr::Unary(u) => {
                // A literal stays unwrapped in Prometheus too: evaluating it is free.
                let mut built = self.expr(&u.expr, around)?;
                let kind = if u.negate { Kind::Negate } else { Kind::Plus };
                built.node = self.node(expr, kind(Box::new(built.node)));
                Ok(built)
            }
            Expr::Vector(v) => {
                let select = self.select(v, 0, around)?;
                let invariant = select.at.is_some() && !around.in_param;
                let node = self.node(expr, Kind::Vector(select));
                Ok(Built { node, invariant, wrap: invariant })
            }
            Expr::Matrix(m) => {
                let range_ms = self.durations.resolve(&m.range, true)?;
                let select = self.select(&m.selector, range_ms, around)?;
                let invariant = select.at.is_some() && !around.in_param;
                let node = self.node(expr, Kind::Matrix(select));
                Ok(Built { node, invariant, wrap: false })
            }
            Expr::Subquery(s) => self.subquery(expr, s, around),
            Expr::Call(c) => self.call(expr, c, around),
            Expr::Aggregate(a) => self.aggregate(expr, a, around),
            Expr::Binary(b) => self.binary(expr, b, around),
        }
    }

    fn literal(&mut self, expr: &Expr, value: f64) -> Built {
        Built { node: self.node(expr, Kind::Number(value)), invariant: true, wrap: false }
    }

    fn binary(
        &mut self,
        expr: &Expr,
        b: &ast::Binary,
        around: &Around<'_>,
    ) -> Result<Built, PlanError> {
        let trims = matches!(b.op, BinaryOp::TrimLower | BinaryOp::TrimUpper);
        let needs_buckets = around.needs_buckets || trims;
        let inner = Around { func: "", grouping: None, needs_buckets, ..around.clone() };
        let mut lhs = self.expr(&b.lhs, &inner)?;
        let mut rhs = self.expr(&b.rhs, &inner)?;
        let invariant = lhs.invariant && rhs.invariant;
        if !invariant {
            lhs = Built { node: self.wrapped(lhs), invariant: false, wrap: false };
            rhs = Built { node: self.wrapped(rhs), invariant: false, wrap: false };
        }
        let kind = Kind::Binary(Binary {
            op: b.op,
            lhs: Box::new(lhs.node),
            rhs: Box::new(rhs.node),
            matching: b.matching.clone().unwrap_or_default(),
            return_bool: b.return_bool,
        });
        Ok(Built { node: self.node(expr, kind), invariant, wrap: invariant })
    }

    fn aggregate(
        &mut self,
        expr: &Expr,
        a: &ast::Aggregate,
        around: &Around<'_>,
    ) -> Result<Built, PlanError> {
        let inner = Around {
            func: a.op.as_str(),
            grouping: Some((&a.grouping, !a.without)),
            ..around.clone()
        };
        if let (AggregateOp::CountValues, Some(param)) = (a.op, &a.param)
            && let Expr::String(label) = unparen(param)
            && label.invalid.is_some()
        {
            return Err(PlanError(format!("invalid label name {}", label.quoted())));
        }
        let param = match &a.param {
            Some(param) => {
                let inner = Around { in_param: true, ..inner.clone() };
                Some(Box::new(self.expr(unparen(param), &inner)?.node))
            }
            None => None,
        };
        let arg = self.expr(unparen(&a.expr), &inner)?;
        let mut grouping = a.grouping.clone();
        grouping.sort();
        let kind = Kind::Aggregate(Aggregate {
            op: a.op,
            expr: Box::new(arg.node),
            param,
            grouping,
            without: a.without,
            pass: None,
        });
        Ok(Built { node: self.node(expr, kind), invariant: arg.invariant, wrap: arg.wrap })
    }

    fn call(
        &mut self,
        expr: &Expr,
        c: &ast::Call,
        around: &Around<'_>,
    ) -> Result<Built, PlanError> {
        let EvalTime { start_ms, end_ms, step_ms } = self.time;
        match c.func.name {
            "start" => return Ok(self.literal(expr, start_ms as f64 / 1000.0)),
            "end" => return Ok(self.literal(expr, end_ms as f64 / 1000.0)),
            "range" => return Ok(self.literal(expr, self.durations.range_s)),
            "step" => {
                let step = if start_ms == end_ms { 0.0 } else { seconds(step_ms) };
                return Ok(self.literal(expr, step));
            }
            _ => {}
        }
        let mut inner = Around { func: c.func.name, grouping: None, ..around.clone() };
        match c.func.name {
            "histogram_count" | "histogram_sum" | "histogram_avg" => inner.counts_only = true,
            "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => {
                inner.needs_buckets = true;
            }
            _ => {}
        }
        let mut args = Vec::with_capacity(c.args.len());
        for (i, arg) in c.args.iter().enumerate() {
            if c.func.name == "info" && i == 1 {
                args.push(self.label_selector(unparen(arg))?);
                continue;
            }
            args.push(self.expr(unparen(arg), &inner)?);
        }
        let mut invariant = args.iter().all(|a| a.invariant);
        if depends_on_time(c.func.name) {
            let selectors_only = args.iter().all(|a| matches!(a.node.kind, Kind::Vector(_)));
            invariant = invariant && c.func.name == "timestamp" && selectors_only;
        }
        let args =
            args.into_iter().map(|a| if invariant { a.node } else { self.wrapped(a) }).collect();
        let node = self.node(expr, Kind::Call { func: c.func, args });
        Ok(Built { node, invariant, wrap: invariant })
    }

    /// The second argument of `info`: matchers that are not read on their own.
    fn label_selector(&mut self, expr: &Expr) -> Result<Built, PlanError> {
        let Expr::Vector(v) = expr else {
            return Err(PlanError("expected label selectors only".to_owned()));
        };
        let read = self.reads.len();
        let hints = SelectHints::default();
        self.reads.push(Read { matchers: v.matchers.clone(), hints, pushed: 0, selected: false });
        let select = Select {
            read,
            offset_ms: 0,
            at: None,
            range_ms: 0,
            within: TimeRange::ALL,
            anchored: false,
            smoothed: false,
            counts_only: false,
        };
        let node = self.node(expr, Kind::Vector(select));
        Ok(Built { node, invariant: false, wrap: false })
    }

    fn subquery(
        &mut self,
        expr: &Expr,
        s: &ast::Subquery,
        around: &Around<'_>,
    ) -> Result<Built, PlanError> {
        let offset_ms = self.offset(s.offset.as_ref())?;
        let step_ms = match &s.step {
            Some(step) => self.durations.resolve(step, true)?,
            None => 0,
        };
        let range_ms = self.durations.resolve(&s.range, true)?;
        let step_ms = if step_ms == 0 { self.default_step_ms } else { step_ms };
        let (offset_ms, at) = self.anchor(offset_ms, s.at, around.in_param);
        let mut inner = around.clone();
        inner.grouping = None;
        inner.in_param = false;
        // Resets between the samples of a subquery show in the buckets.
        inner.needs_buckets = true;
        inner.subquery_step = step_ms;
        inner.subquery_offset = inner.subquery_offset.saturating_add(offset_ms);
        inner.subquery_range = inner.subquery_range.saturating_add(range_ms);
        if let Some(ts) = at {
            inner.subquery_offset = offset_ms;
            inner.subquery_range = range_ms;
            inner.subquery_at = Some(ts);
        }
        let built = self.expr(&s.expr, &inner)?;
        // Prometheus wraps whatever is invariant below a subquery, literals included.
        let built = Built { wrap: built.invariant, ..built };
        let inner = Box::new(self.wrapped(built));
        let kind = Kind::Subquery(Subquery { expr: inner, range_ms, step_ms, offset_ms, at });
        Ok(Built { node: self.node(expr, kind), invariant: at.is_some(), wrap: false })
    }

    fn offset(&self, offset: Option<&Duration>) -> Result<i64, PlanError> {
        match offset {
            None => Ok(0),
            Some(d) => self.durations.resolve(d, false),
        }
    }

    /// Offset and fixed time of a selector or subquery. In the parameter of an aggregation
    /// Prometheus shifts by the distance from the first step instead of fixing the time, and does
    /// not know `start()` and `end()`.
    fn anchor(&self, offset_ms: i64, at: Option<At>, in_param: bool) -> (i64, Option<i64>) {
        let at = match at {
            None => return (offset_ms, None),
            Some(At::Timestamp(ts)) => ts,
            Some(At::Start | At::End) if in_param => return (offset_ms, None),
            Some(At::Start) => self.time.start_ms,
            Some(At::End) => self.time.end_ms,
        };
        if in_param {
            let shift = self.time.start_ms.saturating_sub(at);
            return (offset_ms.saturating_add(shift), None);
        }
        (offset_ms, Some(at))
    }

    fn select(
        &mut self,
        v: &ast::VectorSelector,
        range_ms: i64,
        around: &Around<'_>,
    ) -> Result<Select, PlanError> {
        let offset_ms = self.offset(v.offset.as_ref())?;
        let (offset_ms, at) = self.anchor(offset_ms, v.at, around.in_param);
        let span = self.span(v, offset_ms, at, range_ms, around);
        let all = self.range.get_or_insert(span);
        all.min = all.min.min(span.min);
        all.max = all.max.max(span.max);
        let step = if around.subquery_step != 0 { around.subquery_step } else { self.time.step_ms };
        let (grouping, by) = around.grouping.unwrap_or((&[], false));
        let hints = SelectHints {
            start: span.min,
            end: span.max,
            step,
            range: range_ms,
            func: around.func.to_owned(),
            grouping: grouping.to_vec(),
            by,
            limit: 0,
            newest: range_ms == 0 && (at.is_some() || step == 0),
        };
        let read = self.read(&v.matchers, hints);
        let counts_only = around.counts_only && !around.needs_buckets;
        let (anchored, smoothed) = (v.anchored, v.smoothed);
        let within = span;
        Ok(Select { read, offset_ms, at, range_ms, within, anchored, smoothed, counts_only })
    }

    /// Selectors of the same series and times share a read, whatever is done with the samples.
    fn read(&mut self, matchers: &[Matcher], hints: SelectHints) -> usize {
        let same = |r: &&mut Read| {
            let times = (r.hints.start, r.hints.end) == (hints.start, hints.end);
            r.selected && times && r.matchers == matchers
        };
        let found = self.reads.iter_mut().enumerate().find(|(_, r)| same(r));
        if let Some((at, read)) = found {
            if read.hints != hints {
                // What only one of them wants must not be told of both.
                let (start, end) = (hints.start, hints.end);
                read.hints = SelectHints { start, end, ..SelectHints::default() };
            }
            return at;
        }
        self.reads.push(Read { matchers: matchers.to_vec(), hints, pushed: 0, selected: true });
        self.reads.len() - 1
    }

    /// First and last millisecond a selector may look at.
    fn span(
        &self,
        v: &ast::VectorSelector,
        offset_ms: i64,
        at: Option<i64>,
        range_ms: i64,
        around: &Around<'_>,
    ) -> TimeRange {
        let (mut min, mut max) = match (at, around.subquery_at) {
            (Some(ts), _) => (ts, ts),
            (None, outer) => {
                let (start, end) =
                    outer.map_or((self.time.start_ms, self.time.end_ms), |ts| (ts, ts));
                let start = start
                    .saturating_sub(around.subquery_offset)
                    .saturating_sub(around.subquery_range);
                (start, end.saturating_sub(around.subquery_offset))
            }
        };
        // Windows are open on the left: the sample exactly at their start does not count.
        let back = match (range_ms, v.anchored || v.smoothed) {
            (0, _) => self.lookback_ms,
            (range, false) => range,
            (range, true) => range.saturating_add(self.lookback_ms),
        };
        min = min.saturating_sub(back).saturating_add(1);
        if v.smoothed {
            max = max.saturating_add(self.lookback_ms);
        }
        TimeRange { min: min.saturating_sub(offset_ms), max: max.saturating_sub(offset_ms) }
    }
}

impl Node {
    /// Whether this is a scalar-valued node.
    pub(crate) fn is_scalar(&self) -> bool {
        self.value_type == ValueType::Scalar
    }
}
