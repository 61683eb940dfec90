//! absent and absent_over_time: one series where there is none.

use std::collections::HashSet;

use model::{Labels, LabelsBuilder, MatchOp, Matcher};

use super::column::{ABSENT, Column, is_absent};
use super::parallel;
use super::source::{Row, Source, Table};
use super::work::Work;
use crate::engine::EngineError;

/// 1 with `labels` at every step at which `source` has no sample.
pub(crate) fn run(
    source: &dyn Source,
    labels: Labels,
    drop_name: bool,
    steps: usize,
    work: &mut Work<'_>,
) -> Result<Table, EngineError> {
    let mut out = Column { floats: vec![1.0; steps], histograms: Vec::new() };
    parallel::each(source, work, |_, column, _| {
        for (out, v) in out.floats.iter_mut().zip(&column.floats) {
            if !is_absent(*v) {
                *out = ABSENT;
            }
        }
        column.histograms.iter().for_each(|(step, _)| out.floats[*step as usize] = ABSENT);
        Ok(())
    })?;
    let mut table = Table::new(steps);
    if !out.is_empty() {
        work.shared.budget.hold_column(&out)?;
        table.push(Row { labels, drop_name }, &out);
    }
    Ok(table)
}

/// The labels a selector is sure of: those with exactly one matcher, an equality.
pub(crate) fn labels(matchers: &[Matcher]) -> Labels {
    let mut builder = LabelsBuilder::default();
    let mut set = HashSet::new();
    for m in matchers.iter().filter(|m| !m.is_metric_name()) {
        if m.op == MatchOp::Equal && set.insert(&m.name) {
            builder.set(&m.name, &m.value);
        } else {
            builder.del(&m.name);
        }
    }
    builder.labels()
}
