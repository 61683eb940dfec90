//! Set operators: and, or, unless.

use model::Labels;

use super::column::{ABSENT, Column};
use super::parallel;
use super::signature::Signatures;
use super::source::{Boxed, Clash, Source, Table, left_first, merged};
use super::work::Work;
use super::wrap::Wrap;
use crate::engine::EngineError;
use crate::parser::ast::{BinaryOp, VectorMatching};

/// Which steps have a sample of a signature.
type Presence = Vec<bool>;

/// `lhs op rhs` over `steps`; `merge` makes series that end up equal one.
pub(crate) fn run<'p>(
    op: BinaryOp,
    lhs: Boxed<'p>,
    rhs: Boxed<'p>,
    matching: &VectorMatching,
    steps: usize,
    merge: bool,
    work: &mut Work<'_>,
) -> Result<Boxed<'p>, EngineError> {
    let mut signatures = Signatures::new(matching);
    if op == BinaryOp::Or {
        let table = Table::collect(&*lhs, steps, work)?;
        let of_left = signatures.of(&table);
        let of_right = signatures.of(&*rhs);
        let left = presence(&table, &of_left, signatures.count(), steps, work)?;
        let right = Masked { inner: rhs, signatures: of_right, presence: left, keep: false };
        let out: Boxed<'p> = Box::new(Concat { first: Box::new(table), second: Box::new(right) });
        return Ok(if merge { merged(out, Clash::Merge) } else { out });
    }
    let of_left = signatures.of(&*lhs);
    let of_right = signatures.of(&*rhs);
    let right = presence(&*rhs, &of_right, signatures.count(), steps, work)
        .map_err(|of_right| left_first(&*lhs, of_right, work))?;
    let keep = op == BinaryOp::And;
    Ok(Box::new(Masked { inner: lhs, signatures: of_left, presence: right, keep }))
}

fn presence(
    source: &dyn Source,
    signatures: &[u32],
    count: usize,
    steps: usize,
    work: &mut Work<'_>,
) -> Result<Vec<Presence>, EngineError> {
    let mut out: Vec<Presence> = vec![Vec::new(); count];
    parallel::each(source, work, |i, column, _| {
        if !column.is_empty() {
            let present = &mut out[signatures[i] as usize];
            present.resize(steps, false);
            for (step, p) in present.iter_mut().enumerate() {
                *p = *p || column.is_present(step);
            }
        }
        Ok(())
    })?;
    Ok(out)
}

/// A vector without (or with only) the samples whose signature is present on the other side.
struct Masked<'p> {
    inner: Boxed<'p>,
    signatures: Vec<u32>,
    presence: Vec<Presence>,
    /// Keep what is present; else what is not.
    keep: bool,
}

impl Wrap for Masked<'_> {
    fn inner(&self) -> &dyn Source {
        &*self.inner
    }

    fn is_silent(&self) -> bool {
        self.inner.is_silent()
    }

    fn column(&self, i: usize, work: &mut Work<'_>, out: &mut Column) -> Result<(), EngineError> {
        self.inner.column(i, work, out)?;
        let present = &self.presence[self.signatures[i] as usize];
        let keeps = |step: usize| present.get(step).copied().unwrap_or(false) == self.keep;
        for (step, v) in out.floats.iter_mut().enumerate() {
            if !keeps(step) {
                *v = ABSENT;
            }
        }
        out.histograms.retain(|(step, _)| keeps(*step as usize));
        Ok(())
    }
}

/// Two vectors one after the other.
struct Concat<'p> {
    first: Boxed<'p>,
    second: Boxed<'p>,
}

impl Concat<'_> {
    fn part(&self, i: usize) -> (&dyn Source, usize) {
        let n = self.first.len();
        if i < n { (&*self.first, i) } else { (&*self.second, i - n) }
    }
}

impl Source for Concat<'_> {
    fn len(&self) -> usize {
        self.first.len() + self.second.len()
    }

    fn labels(&self, i: usize) -> Labels {
        let (part, i) = self.part(i);
        part.labels(i)
    }

    fn label_value(&self, i: usize, name: &str, with: &mut dyn FnMut(&str)) {
        let (part, i) = self.part(i);
        part.label_value(i, name, with);
    }

    fn drops_name(&self, i: usize) -> bool {
        let (part, i) = self.part(i);
        part.drops_name(i)
    }

    fn distinct_unnamed(&self) -> bool {
        false
    }

    fn column(&self, i: usize, work: &mut Work<'_>, out: &mut Column) -> Result<(), EngineError> {
        let (part, i) = self.part(i);
        part.column(i, work, out)
    }
}
