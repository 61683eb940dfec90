//! count_values: how many series of a group have each value.

use std::collections::HashMap;

use model::labels::METRIC_NAME;
use model::number::{format_f, go_quote};
use model::{Labels, LabelsBuilder};

use super::column::{Column, Point};
use super::parallel;
use super::source::{Row, Source, Table};
use super::work::{ROW_BYTES, Work, failed};
use crate::engine::EngineError;

/// Counts the values of `source` into the label `label`, grouped by (or without) `names`.
pub(crate) fn run(
    source: &dyn Source,
    label: &str,
    names: &[String],
    without: bool,
    steps: usize,
    work: &mut Work<'_>,
) -> Result<Table, EngineError> {
    if !super::call::is_label_name(label) {
        return failed(format!("invalid label name {}", go_quote(label)));
    }
    let mut rows: Vec<(Labels, Column)> = Vec::new();
    let mut known: HashMap<Labels, usize> = HashMap::new();
    parallel::each(source, work, |i, column, work| {
        if column.is_empty() {
            return Ok(());
        }
        let base = source.labels(i);
        // A series tends to keep its value for a while.
        let mut last: Option<(u64, usize)> = None;
        for step in 0..steps {
            let Some(point) = column.point(step) else { continue };
            let row = match (point, last) {
                (Point::Float(v), Some((bits, row))) if v.to_bits() == bits => row,
                (point, _) => {
                    let labels = result_labels(&base, label, &text(point), names, without);
                    if !known.contains_key(&labels) {
                        work.shared.budget.hold_bytes(steps as u64 * 8 + ROW_BYTES)?;
                    }
                    *known.entry(labels).or_insert_with_key(|labels| {
                        let mut column = Column::default();
                        column.reset(steps);
                        rows.push((labels.clone(), column));
                        rows.len() - 1
                    })
                }
            };
            if let Point::Float(v) = point {
                last = Some((v.to_bits(), row));
            }
            let count = &mut rows[row].1.floats[step];
            *count = if super::column::is_absent(*count) { 1.0 } else { *count + 1.0 };
        }
        Ok(())
    })?;
    let mut table = Table::new(steps);
    for (labels, column) in rows {
        work.shared.budget.hold_column(&column)?;
        table.push(Row { labels, drop_name: false }, &column);
    }
    Ok(table)
}

fn text(point: Point<'_>) -> String {
    match point {
        Point::Float(v) => format_f(v),
        Point::Histogram(h) => h.to_string(),
    }
}

fn result_labels(
    base: &Labels,
    label: &str,
    value: &str,
    names: &[String],
    without: bool,
) -> Labels {
    let mut builder = LabelsBuilder::new(base);
    builder.set(label, value);
    if without {
        builder.retain(|n| n != METRIC_NAME && !names.iter().any(|k| k == n));
    } else {
        builder.retain(|n| n == label || names.iter().any(|k| k == n));
    }
    builder.labels()
}
