//! Vector matching step by step, for what cannot be decided from labels alone.

use std::collections::{HashMap, HashSet};

use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder};

use super::binary::Answer;
use super::column::{Column, Point, is_absent};
use super::grid::Grid;
use super::histogram::Operand;
use super::matching::{Naming, operand};
use super::notes::Pair;
use super::source::{Row, Table};
use super::work::{ROW_BYTES, Work, failed, same_labelset};
use crate::engine::EngineError;
use crate::parser::ast::{Cardinality, VectorMatching};

/// Both operands with the signatures of their series.
pub(crate) struct Sides {
    pub many: Table,
    pub one: Table,
    pub of_many: Vec<u32>,
    pub of_one: Vec<u32>,
    pub signatures: usize,
}

impl Table {
    pub(crate) fn point_at(&self, row: usize, step: usize) -> Option<Point<'_>> {
        let v = self.row(row)[step];
        if !is_absent(v) {
            return Some(Point::Float(v));
        }
        let histograms = self.row_histograms(row);
        let at = histograms.binary_search_by_key(&(step as u32), |h| h.0).ok()?;
        Some(Point::Histogram(&histograms[at].1))
    }
}

/// The labels that match: what a fill value goes by.
fn matched(labels: &Labels, m: &VectorMatching) -> Labels {
    let mut b = LabelsBuilder::new(labels);
    b.retain(|n| {
        let named = m.labels.iter().any(|l| l == n);
        if m.on { named } else { !named && n != METRIC_NAME }
    });
    b.labels()
}

/// The result so far.
struct Output {
    rows: Vec<(Labels, Column, Option<usize>)>,
    known: HashMap<Labels, usize>,
}

/// Result labels of a pair; `None` stands for a fill value.
type Names = HashMap<(Option<u32>, Option<u32>), Labels>;

/// One run over all steps.
struct Stepwise<'a, 'w> {
    sides: &'a Sides,
    naming: &'a Naming<'a>,
    swapped: bool,
    grid: Grid,
    names: Names,
    out: Output,
    /// Pairs that met so far.
    pairs: usize,
    work: &'a mut Work<'w>,
}

/// What has met at the current step.
struct Met {
    /// One-to-one: by signature.
    once: Vec<bool>,
    /// Otherwise: the result labels by signature.
    labels: HashMap<u32, HashSet<Labels>>,
}

/// Evaluates `lhs op rhs`.
pub(crate) fn run(
    sides: &Sides,
    naming: &Naming<'_>,
    swapped: bool,
    grid: Grid,
    work: &mut Work<'_>,
) -> Result<Table, EngineError> {
    let out = Output { rows: Vec::new(), known: HashMap::new() };
    let names = HashMap::new();
    let mut run = Stepwise { sides, naming, swapped, grid, names, out, pairs: 0, work };
    for step in 0..grid.steps {
        run.work.shared.check()?;
        run.step(step)?;
    }
    let drop_name = naming.delayed && naming.drops_name();
    let mut table = Table::new(grid.steps);
    for (labels, column, _) in &run.out.rows {
        run.work.shared.budget.hold_column(column)?;
        table.push(Row { labels: labels.clone(), drop_name }, column);
    }
    Ok(table)
}

impl Stepwise<'_, '_> {
    fn step(&mut self, step: usize) -> Result<(), EngineError> {
        let Sides { many, one, of_many, of_one, signatures } = self.sides;
        let m = self.naming.matching;
        let any = |t: &Table| (0..t.rows.len()).any(|i| t.point_at(i, step).is_some());
        let (any_many, any_one) = (any(many), any(one));
        let fills = m.fill_lhs.is_some() || m.fill_rhs.is_some();
        if !any_many && !any_one || !(any_many && any_one || fills) {
            return Ok(());
        }
        let mut partner: Vec<Option<u32>> = vec![None; *signatures];
        for j in (0..one.rows.len()).filter(|j| one.point_at(*j, step).is_some()) {
            if let Some(other) = partner[of_one[j] as usize].replace(j as u32) {
                return self.duplicate(j, other as usize);
            }
        }
        let mut met = Met { once: vec![false; *signatures], labels: HashMap::new() };
        for (i, &signature) in of_many.iter().enumerate() {
            let Some(left) = many.point_at(i, step) else { continue };
            let right = partner[signature as usize];
            let point = match right {
                Some(j) => one.point_at(j as usize, step),
                None => m.fill_rhs.map(Point::Float),
            };
            if let Some(point) = point {
                self.meet(step, signature, (Some(i as u32), left), (right, point), &mut met)?;
            }
        }
        let Some(fill) = m.fill_lhs else { return Ok(()) };
        for (j, &signature) in of_one.iter().enumerate() {
            let Some(right) = one.point_at(j, step) else { continue };
            if met.once[signature as usize] || met.labels.contains_key(&signature) {
                continue;
            }
            let left = (None, Point::Float(fill));
            self.meet(step, signature, left, (Some(j as u32), right), &mut met)?;
        }
        Ok(())
    }

    /// Two series of the "one" side with the same signature at the same step.
    fn duplicate(&self, a: usize, b: usize) -> Result<(), EngineError> {
        let rows = &self.sides.one.rows;
        let side = if self.swapped { "left" } else { "right" };
        let group = matched(&rows[a].labels, self.naming.matching);
        let mut names = [rows[a].labels.to_string(), rows[b].labels.to_string()];
        names.sort();
        let [first, second] = names;
        failed(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the operation: [{first}, {second}];many-to-many matching not allowed: matching labels must be unique on one side"
        ))
    }

    fn name(&mut self, many: Option<u32>, one: Option<u32>) -> Labels {
        let (sides, naming) = (self.sides, self.naming);
        let of = |t: &Table, i: u32| t.rows[i as usize].labels.clone();
        let make = || {
            let m = naming.matching;
            let left = many.map(|i| of(&sides.many, i));
            let right = one.map(|j| of(&sides.one, j));
            let (left, right) = match (left, right) {
                (Some(left), Some(right)) => (left, right),
                (Some(left), None) => {
                    let right = matched(&left, m);
                    (left, right)
                }
                (None, Some(right)) => (matched(&right, m), right),
                (None, None) => (Labels::empty(), Labels::empty()),
            };
            naming.labels(&left, &right)
        };
        self.names.entry((many, one)).or_insert_with(make).clone()
    }

    fn meet(
        &mut self,
        step: usize,
        signature: u32,
        (many, left): (Option<u32>, Point<'_>),
        (one, right): (Option<u32>, Point<'_>),
        met: &mut Met,
    ) -> Result<(), EngineError> {
        let (a, b): (Operand<'_>, Operand<'_>) = match self.swapped {
            true => (operand(right), operand(left)),
            false => (operand(left), operand(right)),
        };
        self.pairs += 1;
        let pair = Pair { step, order: self.pairs };
        let answer = self.naming.operation.combine(a, b, pair, self.work);
        if matches!(answer, Answer::Nothing) {
            return Ok(());
        }
        let labels = self.name(many, one);
        if self.naming.matching.card == Cardinality::OneToOne {
            if std::mem::replace(&mut met.once[signature as usize], true) {
                return failed(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                );
            }
        } else if !met.labels.entry(signature).or_default().insert(labels.clone()) {
            return failed(
                "multiple matches for labels: grouping labels must ensure unique matches",
            );
        }
        match answer {
            Answer::Float(v) => self.row(step, labels)?.floats[step] = v,
            Answer::Histogram(h) => self.row(step, labels)?.push_histogram(step, h),
            Answer::Filtered | Answer::Nothing => {}
        }
        Ok(())
    }

    /// The row for `labels`, which must not have a sample at `step` yet.
    fn row(&mut self, step: usize, labels: Labels) -> Result<&mut Column, EngineError> {
        let steps = self.grid.steps;
        let Output { rows, known } = &mut self.out;
        let delayed_instant = self.naming.delayed && self.grid.is_instant();
        let at = match known.get(&labels) {
            Some(at) if !delayed_instant => *at,
            _ => {
                self.work.shared.budget.hold_bytes(steps as u64 * 8 + ROW_BYTES)?;
                let mut column = Column::default();
                column.reset(steps);
                known.insert(labels.clone(), rows.len());
                rows.push((labels, column, None));
                rows.len() - 1
            }
        };
        let (_, column, last) = &mut rows[at];
        if last.replace(step) == Some(step) {
            return Err(same_labelset());
        }
        Ok(column)
    }
}
