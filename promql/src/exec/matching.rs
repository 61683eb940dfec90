//! Binary operations between two vectors: who meets whom.
//!
//! Where every signature has one series on the "one" side (and, one-to-one, also on the other),
//! which is nearly always, the pairs are known before any sample is read, and the result is a
//! source that computes a pair's column on demand. Everything else (series that share a signature
//! but may never meet at the same step, fill values) is decided step by step in
//! [`super::stepwise`], as Prometheus does.

use model::labels::LabelMap;
use model::{Labels, LabelsBuilder};

use super::binary::{Answer, Operation, changes_metric, float, holds};
use super::column::{ABSENT, Column, Point, is_absent};
use super::grid::Grid;
use super::histogram::Operand;
use super::notes::Pair;
use super::parallel;
use super::signature::Signatures;
use super::source::{Boxed, Clash, Row, Source, Table, is_metadata_label, left_first, merged};
use super::stepwise;
use super::work::Work;
use crate::engine::EngineError;
use crate::parser::ast::{BinaryOp, Cardinality, VectorMatching};

/// How the result of a vector operation is named.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Naming<'a> {
    pub matching: &'a VectorMatching,
    pub operation: Operation,
    pub delayed: bool,
}

impl Naming<'_> {
    /// Labels of the result of a pair.
    pub(crate) fn labels(&self, many: &Labels, one: &Labels) -> Labels {
        let m = self.matching;
        let kept = many.filtered(|name| self.keeps(name));
        if m.include.is_empty() {
            return kept;
        }
        let mut b = LabelsBuilder::new(&kept);
        for name in &m.include {
            b.set(name, one.get(name).unwrap_or(""));
        }
        b.labels()
    }

    /// Whether a label of the "many" side is kept.
    fn keeps(&self, name: &str) -> bool {
        let m = self.matching;
        let drop_name = !self.delayed && self.operation.return_bool;
        let unnamed = drop_name || changes_metric(self.operation.op);
        let one_to_one = m.card == Cardinality::OneToOne;
        let unmatched = one_to_one && m.labels.iter().any(|l| l == name) != m.on;
        !(unmatched || unnamed && is_metadata_label(name))
    }

    /// Whether results keep a metric name that goes at the end of the query.
    pub(crate) fn drops_name(&self) -> bool {
        self.operation.return_bool
    }

    fn keeps_metadata(&self) -> bool {
        !changes_metric(self.operation.op) && !self.operation.return_bool
    }
}

/// `lhs op rhs`, matched by `naming.matching`.
pub(crate) fn run<'p>(
    lhs: Boxed<'p>,
    rhs: Boxed<'p>,
    naming: Naming<'p>,
    grid: Grid,
    work: &mut Work<'_>,
) -> Result<Boxed<'p>, EngineError> {
    let swapped = naming.matching.card == Cardinality::OneToMany;
    let (many, one) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
    let mut signatures = Signatures::new(naming.matching);
    let of_many = signatures.of(&*many);
    let of_one = signatures.of(&*one);
    let pairs = pairs(&naming, &of_many, &of_one, signatures.count());
    if let Some(pairs) = pairs
        && let Some(distinct) = distinct(&naming, &*many, &*one, &pairs)
    {
        let alone_many = alone(&*many, pairs.iter().map(|p| p.0));
        // Who has several partners is asked for once, for all of them.
        let kept = naming.matching.card != Cardinality::OneToOne;
        let alone_one = if kept { Vec::new() } else { alone(&*one, pairs.iter().map(|p| p.1)) };
        let mut table = None;
        for right in [false, true] {
            let result = if right == swapped {
                pass_over(&*many, &alone_many, work)
            } else if kept {
                keep_all(&*one, grid.steps, work).map(|all| table = Some(all))
            } else {
                pass_over(&*one, &alone_one, work)
            };
            let left = if swapped { &one } else { &many };
            result.map_err(|e| if right { left_first(&**left, e, work) } else { e })?;
        }
        let one = table.map_or(one, |table| Box::new(table));
        let paired = Paired { many, one, pairs, naming, swapped, distinct };
        return Ok(Box::new(paired));
    }
    let (first, second) = if swapped { (&one, &many) } else { (&many, &one) };
    let first = keep_all(&**first, grid.steps, work)?;
    let second = keep_all(&**second, grid.steps, work)?;
    let (many, one) = if swapped { (second, first) } else { (first, second) };
    let sides = stepwise::Sides { many, one, of_many, of_one, signatures: signatures.count() };
    let table = stepwise::run(&sides, &naming, swapped, grid, work)?;
    let merge = !(naming.delayed && grid.is_instant());
    let out: Boxed<'p> = Box::new(table);
    Ok(if merge { merged(out, Clash::Merge) } else { out })
}

/// The series that meet nobody.
fn alone(source: &dyn Source, paired: impl Iterator<Item = u32>) -> Vec<usize> {
    let mut alone = vec![true; source.len()];
    paired.for_each(|i| alone[i as usize] = false);
    (0..source.len()).filter(|i| alone[*i]).collect()
}

/// Evaluates the series that meet nobody, if need be: they count in the statistics, and may fail or warn.
fn pass_over(source: &dyn Source, alone: &[usize], work: &mut Work<'_>) -> Result<(), EngineError> {
    if work.shared.uncounted && source.is_silent() {
        return Ok(());
    }
    parallel::each_of(source, alone.len(), |at| alone[at], work, |_, _, _| Ok(()))
}

/// All columns of a source, empty ones included: signatures go by index.
fn keep_all(source: &dyn Source, steps: usize, work: &mut Work<'_>) -> Result<Table, EngineError> {
    let mut table = Table::new(steps);
    parallel::each(source, work, |i, column, work| {
        work.shared.budget.hold_column(column)?;
        table.push(Row::of(source, i), column);
        Ok(())
    })?;
    table.distinct_unnamed = source.distinct_unnamed();
    Ok(table)
}

/// The pairs that meet, if that is known without looking at samples.
fn pairs(
    naming: &Naming<'_>,
    of_many: &[u32],
    of_one: &[u32],
    signatures: usize,
) -> Option<Vec<(u32, u32)>> {
    let m = naming.matching;
    if m.fill_lhs.is_some() || m.fill_rhs.is_some() {
        return None;
    }
    let mut partner: Vec<Option<u32>> = vec![None; signatures];
    for (i, signature) in of_one.iter().enumerate() {
        if partner[*signature as usize].replace(i as u32).is_some() {
            return None;
        }
    }
    let mut pairs = Vec::with_capacity(of_many.len());
    let mut taken = vec![false; signatures];
    for (i, signature) in of_many.iter().enumerate() {
        let Some(one) = partner[*signature as usize] else { continue };
        if m.card == Cardinality::OneToOne
            && std::mem::replace(&mut taken[*signature as usize], true)
        {
            return None;
        }
        pairs.push((i as u32, one));
    }
    Some(pairs)
}

/// Whether result labels are distinct: `Some(true)` for sure even without metadata labels,
/// `Some(false)` as they are, `None` when two are equal.
fn distinct(
    naming: &Naming<'_>,
    many: &dyn Source,
    one: &dyn Source,
    pairs: &[(u32, u32)],
) -> Option<bool> {
    let m = naming.matching;
    let one_to_one = m.card == Cardinality::OneToOne;
    if one_to_one && m.on && m.include.is_empty() {
        // The signature is the result.
        return Some(!m.labels.iter().any(|l| is_metadata_label(l)));
    }
    let unchanged = m.include.is_empty() && (!one_to_one || m.labels.is_empty());
    if unchanged && many.distinct_unnamed() {
        return Some(true);
    }
    if unchanged && naming.keeps_metadata() {
        return Some(false);
    }
    let mut seen = LabelMap::default();
    seen.reserve(pairs.len());
    let all = pairs.iter().all(|(i, j)| {
        let one = match m.include.is_empty() {
            true => Labels::empty(),
            false => one.labels(*j as usize),
        };
        seen.insert(naming.labels(&many.labels(*i as usize), &one), ()).is_none()
    });
    all.then_some(!naming.keeps_metadata())
}

/// Pairs known beforehand.
struct Paired<'p> {
    many: Boxed<'p>,
    one: Boxed<'p>,
    pairs: Vec<(u32, u32)>,
    naming: Naming<'p>,
    /// Whether the "one" side is the left operand.
    swapped: bool,
    distinct: bool,
}

impl Paired<'_> {
    fn floats(&self, many: &mut Column, one: &Column) {
        let Operation { op, return_bool, .. } = self.naming.operation;
        let values = many.floats.iter_mut().zip(&one.floats);
        let values = values.map(|(a, b)| if self.swapped { (*b, *a, a) } else { (*a, *b, a) });
        let each = |f: &dyn Fn(f64, f64) -> f64| {
            for (a, b, out) in values {
                *out = if is_absent(a) || is_absent(b) { ABSENT } else { f(a, b) };
            }
        };
        match op {
            BinaryOp::Add => each(&|a, b| a + b),
            BinaryOp::Sub => each(&|a, b| a - b),
            BinaryOp::Mul => each(&|a, b| a * b),
            BinaryOp::Div => each(&|a, b| a / b),
            op if op.is_comparison() => each(&|a, b| match (return_bool, holds(op, a, b)) {
                (true, keep) => f64::from(u8::from(keep)),
                (false, true) => a,
                (false, false) => ABSENT,
            }),
            op => each(&|a, b| float(op, a, b)),
        }
    }

    /// Any mix of floats and histograms.
    #[cold]
    fn mixed(&self, order: usize, many: &mut Column, one: &Column, work: &mut Work<'_>) {
        let steps = many.floats.len();
        let mut out = Column::default();
        out.reset(steps);
        for step in 0..steps {
            let (Some(m), Some(o)) = (many.point(step), one.point(step)) else { continue };
            let (a, b) = if self.swapped { (o, m) } else { (m, o) };
            let pair = Pair { step, order };
            match self.naming.operation.combine(operand(a), operand(b), pair, work) {
                Answer::Float(v) => out.floats[step] = v,
                Answer::Histogram(h) => out.push_histogram(step, h),
                Answer::Filtered | Answer::Nothing => {}
            }
        }
        *many = out;
    }
}

/// A sample as an operand.
pub(crate) fn operand(point: Point<'_>) -> Operand<'_> {
    match point {
        Point::Float(v) => Operand::Float(v),
        Point::Histogram(h) => Operand::Histogram(h),
    }
}

impl Source for Paired<'_> {
    fn len(&self) -> usize {
        self.pairs.len()
    }

    fn labels(&self, i: usize) -> Labels {
        let (many, one) = self.pairs[i];
        let one = match self.naming.matching.include.is_empty() {
            true => Labels::empty(),
            false => self.one.labels(one as usize),
        };
        self.naming.labels(&self.many.labels(many as usize), &one)
    }

    fn label_value(&self, i: usize, name: &str, with: &mut dyn FnMut(&str)) {
        let (many, one) = self.pairs[i];
        if self.naming.matching.include.iter().any(|n| n == name) {
            self.one.label_value(one as usize, name, with);
        } else if self.naming.keeps(name) {
            self.many.label_value(many as usize, name, with);
        } else {
            with("");
        }
    }

    fn label_ids(&self, name: &str, out: &mut Vec<u64>) -> bool {
        let included = self.naming.matching.include.iter().any(|n| n == name);
        let mut ids = Vec::new();
        let known = !included && self.naming.keeps(name) && self.many.label_ids(name, &mut ids);
        if known {
            out.extend(self.pairs.iter().map(|(many, _)| ids[*many as usize]));
        }
        known
    }

    fn drops_name(&self, _i: usize) -> bool {
        self.naming.delayed && self.naming.drops_name()
    }

    fn distinct_unnamed(&self) -> bool {
        self.distinct
    }

    fn column(&self, i: usize, work: &mut Work<'_>, out: &mut Column) -> Result<(), EngineError> {
        let (many, one) = self.pairs[i];
        let mut other = work.take();
        let of_many = self.many.column(many as usize, work, out);
        let of_one = self.one.column(one as usize, work, &mut other);
        let (left, of_left, of_right) = match self.swapped {
            false => (&self.many, of_many, of_one),
            true => (&self.one, of_one, of_many),
        };
        of_left?;
        of_right.map_err(|e| left_first(&**left, e, work))?;
        let trims = matches!(self.naming.operation.op, BinaryOp::TrimLower | BinaryOp::TrimUpper);
        if trims || !out.histograms.is_empty() || !other.histograms.is_empty() {
            self.mixed(i, out, &other, work);
        } else {
            self.floats(out, &other);
        }
        work.give(other);
        Ok(())
    }
}
