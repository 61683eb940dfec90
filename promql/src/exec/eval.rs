//! Evaluator: from plan nodes to values.

use model::Querier;

use super::aggregate::Fold;
use super::binary::{Operation, WithScalar, changes_metric, float};
use super::count_values;
use super::grid::Grid;
use super::map::{Broadcast, Map, Negate};
use super::matching::{self, Naming};
use super::pass::Passes;
use super::range::Input;
use super::result;
use super::scalar::Steps;
use super::select::{Give, InstantSelector, Selected, text_of};
use super::sets;
use super::shared::Slots;
use super::smoothed::Smoothed;
use super::source::{Boxed, Clash, Table, left_first, unnamed};
use super::tally::Tally;
use super::top::Pick;
use super::work::{Budget, Held, Shared, Work, failed, named, too_many_samples};
use crate::engine::{EngineError, EngineOptions, EvalTime};
use crate::memory::QueryMemory;
use crate::parser::ast::{AggregateOp, ValueType};
use crate::plan::{Aggregate, Binary, Kind, Node, Plan, Select, Subquery};
use crate::result::{QueryResult, Statistics};
use crate::threads::Threads;

/// Everything nodes are evaluated against.
pub(crate) struct Evaluator<'p> {
    /// By [`crate::plan::Select::read`].
    pub selected: &'p [Option<Selected>],
    pub querier: &'p dyn Querier,
    pub plan: &'p Plan,
    pub shared: &'p Shared,
    pub slots: Slots<'p>,
    pub passes: Passes,
}

/// Evaluates `plan` against a view of the store.
pub(crate) fn run(
    plan: &Plan,
    query: &str,
    time: EvalTime,
    querier: &dyn Querier,
    shared: &Shared,
    per_step: bool,
) -> Result<QueryResult, EngineError> {
    shared.check()?;
    let instant = time.start_ms == time.end_ms && time.step_ms == 0;
    let grid = Grid::new(time.start_ms, time.end_ms, if instant { 1 } else { time.step_ms });
    let mut selected = Vec::with_capacity(plan.reads.len());
    for read in &plan.reads {
        selected.push(match read.selected {
            false => None,
            true => {
                let select = || querier.select(&read.matchers, &read.hints, &shared.cancel);
                // Many steps are worth the threads, a moment is not worth waking them.
                let series = match shared.lease().filter(|_| !instant && shared.threads() > 1) {
                    Some(threads) => threads.run(select),
                    None => select(),
                };
                let series = series.map_err(|e| shared.expanding(e))?;
                let bytes = size_of_val(series.newest()) as u64;
                let held = shared.budget.hold_bytes(bytes);
                held.map_err(|e| named(e, || format!("selector {}", text_of(&read.matchers))))?;
                Some(Selected::new(series, &read.matchers))
            }
        });
    }
    let steps = grid.map_or(0, |g| g.steps);
    if steps as u64 > shared.budget.limit() {
        return Err(too_many_samples());
    }
    let tally = if per_step { Tally::per_step(steps) } else { Tally::default() };
    let mut work = Work::new(shared, tally);
    let (slots, passes) = (Slots::default(), Passes::default());
    let evaluator = Evaluator { selected: &selected, querier, plan, shared, slots, passes };
    let value = match grid {
        Some(grid) => result::value(&evaluator, grid, instant, &mut work)
            .map_err(|e| named(e, || format!("the result of {}", describe(plan, &plan.root))))?,
        None => result::empty(plan),
    };
    shared.check()?;
    let held = shared.budget.held();
    work.settle(Held { bytes: result::bytes(&value), ..held });
    let Work { notes, tally, .. } = work;
    let mut stats = Statistics {
        total_queryable_samples: tally.total,
        samples_read: tally.read,
        peak_samples: shared.budget.peak(),
        ..Statistics::default()
    };
    if let (Some(steps), Some(grid)) = (tally.steps, grid) {
        let at_times = |counts: Vec<u64>| grid.times().zip(counts).collect();
        stats.total_queryable_samples_per_step = at_times(steps.total);
        stats.samples_read_per_step = at_times(steps.read);
    }
    Ok(QueryResult { value, annotations: notes.into_annotations(query), stats })
}

/// An operator and the selectors below it, for messages.
fn describe(plan: &Plan, node: &Node) -> String {
    let mut selectors = Vec::new();
    selectors_of(node, &mut |select| {
        let text = plan.reads.get(select.read).map(|r| text_of(&r.matchers));
        selectors.extend(text.filter(|t| !selectors.contains(t)));
    });
    let over = selectors.join(" and ");
    let name = match &node.kind {
        Kind::Call { func, .. } => func.name,
        Kind::Aggregate(a) => a.op.as_str(),
        Kind::Binary(b) => b.op.as_str(),
        Kind::Negate(_) => "-",
        Kind::Plus(inner) | Kind::Invariant(inner) => return describe(plan, inner),
        Kind::Shared(shared) => return describe(plan, &shared.node),
        Kind::Subquery(s) => return format!("the subquery over {}", describe(plan, &s.expr)),
        Kind::Vector(_) | Kind::Matrix(_) => return format!("selector {over}"),
        Kind::Number(_) | Kind::String(_) => "a literal",
    };
    if over.is_empty() { name.to_owned() } else { format!("{name} over selector {over}") }
}

fn selectors_of<'n>(node: &'n Node, visit: &mut impl FnMut(&'n Select)) {
    match &node.kind {
        Kind::Vector(select) | Kind::Matrix(select) => visit(select),
        Kind::Call { args, .. } => args.iter().for_each(|arg| selectors_of(arg, visit)),
        Kind::Aggregate(a) => selectors_of(&a.expr, visit),
        Kind::Binary(b) => {
            selectors_of(&b.lhs, visit);
            selectors_of(&b.rhs, visit);
        }
        Kind::Negate(inner) | Kind::Plus(inner) | Kind::Invariant(inner) => {
            selectors_of(inner, visit);
        }
        Kind::Shared(s) => selectors_of(&s.node, visit),
        Kind::Subquery(s) => selectors_of(&s.expr, visit),
        Kind::Number(_) | Kind::String(_) => {}
    }
}

impl Shared {
    /// What an evaluation under these options shares.
    pub(crate) fn new(
        options: &EngineOptions,
        lookback_ms: i64,
        threads: &std::sync::Arc<Threads>,
        cancel: &model::CancelToken,
        memory: &std::sync::Arc<QueryMemory>,
    ) -> Shared {
        Shared {
            cancel: cancel.clone(),
            lookback_ms,
            features: options.features,
            budget: Budget::new(options.max_samples, std::sync::Arc::clone(memory)),
            threads: threads.clone(),
            uncounted: false,
        }
    }
}

impl<'p> Evaluator<'p> {
    /// Whether metric names go at the end of the query only.
    pub(crate) fn delayed(&self) -> bool {
        self.shared.features.delayed_name_removal
    }

    pub(crate) fn selected(&self, read: usize) -> Result<&'p Selected, EngineError> {
        match self.selected.get(read) {
            Some(Some(selected)) => Ok(selected),
            _ => failed("selector was not read"),
        }
    }

    /// Evaluates a scalar node.
    pub(crate) fn scalar(
        &self,
        node: &'p Node,
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Steps, EngineError> {
        if let Kind::Number(v) = node.kind {
            return Ok(Steps::Constant(v));
        }
        self.shared.check()?;
        let (before, parts) = (self.shared.budget.held(), self.slots.held());
        let value = self.steps(node, grid, work)?;
        // The operands are gone, but for shared parts.
        let more = self.slots.held();
        work.settle(before.plus(more).less(parts));
        let hold = self.shared.budget.hold_bytes(value.bytes());
        hold.map_err(|e| named(e, || describe(self.plan, node)))?;
        Ok(value)
    }

    fn steps(&self, node: &'p Node, grid: Grid, work: &mut Work<'_>) -> Result<Steps, EngineError> {
        match &node.kind {
            Kind::Invariant(inner) => {
                let once = Grid::instant(grid.start);
                let (value, tally) =
                    work.counting(Tally::default(), |work| self.scalar(inner, once, work))?;
                work.tally.count_invariant(&tally, grid.steps);
                Ok(Steps::Constant(value.at(0)))
            }
            Kind::Negate(inner) => Ok(self.scalar(inner, grid, work)?.map(|v| -v)),
            Kind::Plus(inner) => self.scalar(inner, grid, work),
            Kind::Binary(b) => {
                let lhs = self.scalar(&b.lhs, grid, work)?;
                let rhs = self.scalar(&b.rhs, grid, work)?;
                Ok(lhs.zip(&rhs, |x, y| float(b.op, x, y)))
            }
            Kind::Call { func, args } => self.scalar_call(func, args, grid, work),
            _ => failed("expected a scalar"),
        }
    }

    /// Evaluates an instant vector node.
    pub(crate) fn vector(
        &self,
        node: &'p Node,
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Boxed<'p>, EngineError> {
        self.shared.check()?;
        let (before, parts) = (self.shared.budget.held(), self.slots.held());
        let source =
            self.operator(node, grid, work).map_err(|e| named(e, || describe(self.plan, node)))?;
        if let Some(own) = source.held() {
            // The result is all there is, but for shared parts; what it was made from is gone.
            let more = self.slots.held();
            work.settle(before.plus(own).plus(more).less(parts));
        }
        Ok(source)
    }

    fn operator(
        &self,
        node: &'p Node,
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Boxed<'p>, EngineError> {
        match &node.kind {
            Kind::Vector(select) => {
                let selected = self.selected(select.read)?;
                let lookback = self.shared.lookback_ms;
                if select.smoothed {
                    let place = node.place_for(node.rank);
                    let source = Smoothed { selected, select, grid, lookback_ms: lookback, place };
                    return Ok(Box::new(source));
                }
                Ok(Box::new(InstantSelector::new(selected, select, grid, lookback, Give::Value)))
            }
            Kind::Call { func, args } => self.vector_call(node, func, args, grid, work),
            Kind::Aggregate(a) => self.aggregate(node, a, grid, work),
            Kind::Binary(b) => self.binary(node, b, grid, work),
            Kind::Negate(inner) => {
                let inner = self.vector(inner, grid, work)?;
                let negated = Box::new(Map { inner, change: Negate });
                Ok(unnamed(negated, Clash::Merge, self.delayed()))
            }
            Kind::Plus(inner) => self.operator(inner, grid, work),
            Kind::Invariant(inner) => {
                let once = Grid::instant(grid.start);
                let (inner, tally) =
                    work.counting(Tally::default(), |work| self.vector(inner, once, work))?;
                work.tally.count_invariant(&tally, grid.steps);
                Ok(Box::new(Broadcast { inner, grid }))
            }
            Kind::Shared(shared) => self.shared(node, shared, grid, work),
            Kind::Number(_) | Kind::String(_) | Kind::Matrix(_) | Kind::Subquery(_) => {
                failed("expected an instant vector")
            }
        }
    }

    fn binary(
        &self,
        node: &'p Node,
        b: &'p Binary,
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Boxed<'p>, EngineError> {
        let place = node.place_for(node.rank);
        let operation = Operation { op: b.op, return_bool: b.return_bool, place };
        let delayed = self.delayed();
        if b.lhs.is_scalar() || b.rhs.is_scalar() {
            let swap = b.lhs.is_scalar();
            let (vector, scalar) = if swap {
                let scalar = self.scalar(&b.lhs, grid, work)?;
                (self.vector(&b.rhs, grid, work)?, scalar)
            } else {
                let vector = self.vector(&b.lhs, grid, work)?;
                let scalar = self.scalar(&b.rhs, grid, work);
                let scalar = scalar.map_err(|e| left_first(&*vector, e, work))?;
                (vector, scalar)
            };
            let out: Boxed<'p> = Box::new(WithScalar { vector, scalar, swap, operation });
            let renames = changes_metric(b.op) || b.return_bool;
            return Ok(if renames { unnamed(out, Clash::Merge, delayed) } else { out });
        }
        let lhs = self.vector(&b.lhs, grid, work)?;
        let rhs = match self.vector(&b.rhs, grid, work) {
            Ok(rhs) => rhs,
            Err(of_right) => return Err(left_first(&*lhs, of_right, work)),
        };
        if b.op.is_set() {
            let merge = !(delayed && grid.is_instant());
            return sets::run(b.op, lhs, rhs, &b.matching, grid.steps, merge, work);
        }
        let naming = Naming { matching: &b.matching, operation, delayed };
        matching::run(lhs, rhs, naming, grid, work)
    }

    fn aggregate(
        &self,
        node: &'p Node,
        a: &'p Aggregate,
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Boxed<'p>, EngineError> {
        if a.op == AggregateOp::CountValues {
            let label = match a.param.as_deref() {
                Some(Node { kind: Kind::String(label), .. }) => label,
                _ => return failed("expected a string"),
            };
            let source = self.vector(&a.expr, grid, work)?;
            let table =
                count_values::run(&*source, label, &a.grouping, a.without, grid.steps, work)?;
            return Ok(Box::new(table));
        }
        if let Some(pass) = a.pass
            && let Some(table) = self.of_pass(node, pass, grid, work)?
        {
            return Ok(Box::new(table));
        }
        let mut param_place = node.place_for(node.rank);
        let param = match &a.param {
            Some(param) => {
                param_place = param.place_for(node.rank);
                Some(self.scalar(param, grid, work)?)
            }
            None => None,
        };
        let source = self.vector(&a.expr, grid, work)?;
        let table = match (a.op, param) {
            (
                AggregateOp::Topk
                | AggregateOp::Bottomk
                | AggregateOp::Limitk
                | AggregateOp::LimitRatio,
                Some(param),
            ) => Pick {
                op: a.op,
                names: &a.grouping,
                without: a.without,
                param,
                steps: grid.steps,
                instant: grid.is_instant(),
                param_place,
                place: node.place_for(node.rank),
            }
            .run(&*source, work)?,
            (op, param) => Fold {
                op,
                names: &a.grouping,
                without: a.without,
                param,
                steps: grid.steps,
                param_place,
                place: a.expr.place_for(node.rank),
            }
            .run(&*source, work)?,
        };
        Ok(Box::new(table))
    }

    /// Evaluates a subquery on its own grid.
    pub(crate) fn subquery(
        &self,
        s: &'p Subquery,
        grid: Grid,
        work: &mut Work<'_>,
        window_ms: i64,
    ) -> Result<Input<'p>, EngineError> {
        let Some(child) = child_grid(s, grid) else {
            return Ok(Input::Subquery(Box::new(Table::new(0)), None));
        };
        if child.steps as u64 > self.shared.budget.limit() {
            return Err(too_many_samples());
        }
        let (inner, tally) =
            work.counting(Tally::per_step(child.steps), |work| self.vector(&s.expr, child, work))?;
        let offset = if window_ms == 0 { 0 } else { s.offset_ms };
        work.tally.count_subquery(&tally, child, grid, offset, window_ms);
        if window_ms == 0 {
            // Nothing looks at the points again: they count for the step that shows them.
            work.tally.count(grid.steps - 1, tally.total, 0);
        }
        Ok(Input::Subquery(inner, Some(child)))
    }
}

/// The grid of a subquery within `grid`: multiples of its step, the start of the range excluded.
pub(crate) fn child_grid(s: &Subquery, grid: Grid) -> Option<Grid> {
    let (first, last) = match s.at {
        // Unless it is evaluated once for all steps, a fixed one runs as long as the steps do.
        // What it looks at beyond its time shows in no value, only in the count of samples read.
        Some(at) => (at, at.saturating_add(grid.last() - grid.start)),
        None => (grid.start, grid.last()),
    };
    let before = first.saturating_sub(s.offset_ms).saturating_sub(s.range_ms);
    // Truncating division, as in Go: before the epoch the first candidate may be one too late,
    // which the comparison below does not undo.
    let mut start = s.step_ms * (before / s.step_ms);
    if start <= before {
        start += s.step_ms;
    }
    Grid::new(start, last.saturating_sub(s.offset_ms), s.step_ms)
}

impl Plan {
    /// The type of the whole query.
    pub(crate) fn value_type(&self) -> ValueType {
        self.root.value_type
    }
}
