//! Binary operations on values: arithmetic, comparisons, and an operator for vector and scalar.

use model::elementary;

use super::column::{Column, is_absent};
use super::histogram::{self, Operand, Outcome};
use super::notes::{BinaryKind, BinaryNote, Pair};
use super::scalar::Steps;
use super::source::{Boxed, Source};
use super::work::Work;
use super::wrap::Wrap;
use crate::engine::EngineError;
use crate::parser::ast::BinaryOp;
use crate::plan::Place;

/// Whether the result is another metric than the operands.
pub(crate) fn changes_metric(op: BinaryOp) -> bool {
    use BinaryOp::*;
    matches!(op, Add | Sub | Mul | Div | Mod | Pow | Atan2)
}

/// `a op b` for floats; comparisons give 1 or 0.
pub(crate) fn float(op: BinaryOp, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => elementary::pow(a, b),
        BinaryOp::Atan2 => elementary::atan2(a, b),
        _ => f64::from(u8::from(holds(op, a, b))),
    }
}

/// Whether a comparison holds.
pub(crate) fn holds(op: BinaryOp, a: f64, b: f64) -> bool {
    match op {
        BinaryOp::Eql => a == b,
        BinaryOp::Neq => a != b,
        BinaryOp::Gtr => a > b,
        BinaryOp::Lss => a < b,
        BinaryOp::Gte => a >= b,
        BinaryOp::Lte => a <= b,
        _ => false,
    }
}

/// `a op b` of two samples.
pub(crate) enum Answer {
    Float(f64),
    Histogram(super::column::SharedHistogram),
    /// A comparison does not hold, so the sample goes (or becomes 0 with `bool`).
    Filtered,
    /// The operands do not fit together.
    Nothing,
}

/// How a binary operation treats its samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub op: BinaryOp,
    pub return_bool: bool,
    pub place: Place,
}

impl Operation {
    /// Takes note of `kind` about a pair.
    fn note(&self, pair: Pair, kind: BinaryKind, work: &mut Work<'_>) {
        work.notes.of_pair(pair, BinaryNote { kind, op: self.op, place: self.place });
    }

    /// Combines two samples; comparisons give the left one.
    pub(crate) fn combine(
        &self,
        a: Operand<'_>,
        b: Operand<'_>,
        pair: Pair,
        work: &mut Work<'_>,
    ) -> Answer {
        let (Operand::Float(x), Operand::Float(y)) = (a, b) else {
            let mut note = |kind| self.note(pair, kind, work);
            return match histogram::binary(self.op, a, b, &mut note) {
                Outcome::Histogram(_, keep) if self.return_bool => {
                    Answer::Float(f64::from(u8::from(keep)))
                }
                Outcome::Histogram(h, true) => Answer::Histogram(h),
                Outcome::Histogram(_, false) => Answer::Filtered,
                Outcome::Dropped => Answer::Nothing,
            };
        };
        match self.op {
            BinaryOp::TrimLower | BinaryOp::TrimUpper => {
                self.note(pair, BinaryKind::Types("float", "float"), work);
                Answer::Nothing
            }
            op if op.is_comparison() => match (holds(op, x, y), self.return_bool) {
                (keep, true) => Answer::Float(f64::from(u8::from(keep))),
                (true, false) => Answer::Float(x),
                (false, false) => Answer::Filtered,
            },
            op => Answer::Float(float(op, x, y)),
        }
    }
}

/// A vector with a scalar.
pub(crate) struct WithScalar<'p> {
    pub vector: Boxed<'p>,
    pub scalar: Steps,
    /// Whether the scalar is on the left.
    pub swap: bool,
    pub operation: Operation,
}

impl WithScalar<'_> {
    /// Applies `f` to every float and its scalar.
    #[inline(always)]
    fn map(&self, out: &mut Column, f: impl Fn(f64, f64) -> f64) {
        match &self.scalar {
            Steps::Constant(s) => {
                for v in out.floats.iter_mut().filter(|v| !is_absent(**v)) {
                    *v = f(*v, *s);
                }
            }
            Steps::Each(scalars) => {
                for (v, s) in out.floats.iter_mut().zip(scalars).filter(|(v, _)| !is_absent(**v)) {
                    *v = f(*v, *s);
                }
            }
        }
    }

    fn floats(&self, i: usize, out: &mut Column, work: &mut Work<'_>) {
        let Operation { op, return_bool, .. } = self.operation;
        let swap = self.swap;
        match op {
            BinaryOp::TrimLower | BinaryOp::TrimUpper => {
                for (step, _) in out.floats.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
                    let pair = Pair { step, order: i };
                    self.operation.note(pair, BinaryKind::Types("float", "float"), work);
                }
                self.map(out, |_, _| super::column::ABSENT);
            }
            BinaryOp::Add => self.map(out, |v, s| v + s),
            BinaryOp::Mul => self.map(out, |v, s| v * s),
            BinaryOp::Sub if !swap => self.map(out, |v, s| v - s),
            BinaryOp::Div if !swap => self.map(out, |v, s| v / s),
            op if op.is_comparison() => self.map(out, |v, s| {
                let keep = if swap { holds(op, s, v) } else { holds(op, v, s) };
                match (return_bool, keep) {
                    (true, keep) => f64::from(u8::from(keep)),
                    (false, true) => v,
                    (false, false) => super::column::ABSENT,
                }
            }),
            op if swap => self.map(out, |v, s| float(op, s, v)),
            op => self.map(out, |v, s| float(op, v, s)),
        }
    }

    #[cold]
    fn histograms(&self, i: usize, out: &mut Column, work: &mut Work<'_>) {
        for (step, h) in std::mem::take(&mut out.histograms) {
            let at = step as usize;
            let (vector, scalar) = (Operand::Histogram(&h), Operand::Float(self.scalar.at(at)));
            let (a, b) = if self.swap { (scalar, vector) } else { (vector, scalar) };
            match self.operation.combine(a, b, Pair { step: at, order: i }, work) {
                Answer::Float(v) => out.floats[at] = v,
                Answer::Histogram(h) => out.push_histogram(at, h),
                Answer::Filtered | Answer::Nothing => {}
            }
        }
    }
}

impl Wrap for WithScalar<'_> {
    fn inner(&self) -> &dyn Source {
        &*self.vector
    }

    fn column(&self, i: usize, work: &mut Work<'_>, out: &mut Column) -> Result<(), EngineError> {
        self.vector.column(i, work, out)?;
        let had_histograms = !out.histograms.is_empty();
        self.floats(i, out, work);
        if had_histograms {
            self.histograms(i, out, work);
        }
        Ok(())
    }
}
