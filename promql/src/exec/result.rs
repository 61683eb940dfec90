//! Results: the value of a whole query, in the shapes of the API.

use model::Labels;

use super::column::{Column, histogram_bytes, is_absent};
use super::eval::Evaluator;
use super::grid::Grid;
use super::parallel;
use super::range::Input;
use super::samples::Samples;
use super::source::{Boxed, Clash, Source, merged, without_metadata};
use super::window::Windows;
use super::work::{ROW_BYTES, Work, failed, named};
use crate::engine::EngineError;
use crate::functions::extended;
use crate::parser::ast::ValueType;
use crate::plan::{Kind, Node, Plan, Select};
use crate::result::{PointValue, QueryValue, Sample, Series};

/// The value of a query without any step.
pub(crate) fn empty(plan: &Plan) -> QueryValue {
    match plan.value_type() {
        ValueType::Vector | ValueType::Scalar | ValueType::String | ValueType::Matrix => {
            QueryValue::Matrix(Vec::new())
        }
    }
}

/// Evaluates the root of the plan.
pub(crate) fn value<'p>(
    evaluator: &Evaluator<'p>,
    grid: Grid,
    instant: bool,
    work: &mut Work<'_>,
) -> Result<QueryValue, EngineError> {
    let root = &evaluator.plan.root;
    match root.value_type {
        ValueType::String => match &root.kind {
            Kind::String(text) => Ok(QueryValue::String { t: grid.start, text: text.clone() }),
            _ => failed("expected a string"),
        },
        ValueType::Scalar => {
            let value = evaluator.scalar(root, grid, work)?;
            if instant {
                return Ok(QueryValue::Scalar { t: grid.start, v: value.at(0) });
            }
            let floats = grid.times().zip(value.expand(grid.steps)).collect();
            let series = Series { labels: Labels::empty(), floats, histograms: Vec::new() };
            Ok(QueryValue::Matrix(vec![series]))
        }
        ValueType::Vector => {
            let source = evaluator.vector(root, grid, work)?;
            let source = finally_unnamed(source, evaluator.delayed());
            if instant {
                return Ok(QueryValue::Vector(samples(&*source, grid, work)?));
            }
            let mut series = matrix(&*source, grid, work)?;
            series.sort_by(|a, b| a.labels.cmp(&b.labels));
            Ok(QueryValue::Matrix(series))
        }
        ValueType::Matrix => {
            let mut series = range_vector(evaluator, root, grid, work)?;
            series.sort_by(|a, b| a.labels.cmp(&b.labels));
            Ok(QueryValue::Matrix(series))
        }
    }
}

/// With delayed name removal the metadata labels of what was marked go now.
fn finally_unnamed(source: Boxed<'_>, delayed: bool) -> Boxed<'_> {
    if !delayed {
        return source;
    }
    merged(Box::new(Cleaned(source)), Clash::Merge)
}

struct Cleaned<'p>(Boxed<'p>);

impl Source for Cleaned<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn labels(&self, i: usize) -> Labels {
        let labels = self.0.labels(i);
        if self.0.drops_name(i) { without_metadata(&labels) } else { labels }
    }

    fn distinct_unnamed(&self) -> bool {
        false
    }

    fn column(&self, i: usize, work: &mut Work<'_>, out: &mut Column) -> Result<(), EngineError> {
        self.0.column(i, work, out)
    }
}

fn samples(
    source: &dyn Source,
    grid: Grid,
    work: &mut Work<'_>,
) -> Result<Vec<Sample>, EngineError> {
    let mut out = Vec::new();
    parallel::each(source, work, |i, column, work| {
        let value = match column.histograms.pop() {
            Some((_, h)) => PointValue::Histogram(Box::new((*h).clone())),
            None if is_absent(column.floats[0]) => return Ok(()),
            None => PointValue::Float(column.floats[0]),
        };
        work.shared.budget.hold(1)?;
        let labels = source.labels(i);
        work.shared.budget.hold_bytes(SAMPLE_BYTES + labels.as_bytes().len() as u64)?;
        out.push(Sample { labels, t: grid.start, value });
        Ok(())
    })?;
    Ok(out)
}

fn matrix(
    source: &dyn Source,
    grid: Grid,
    work: &mut Work<'_>,
) -> Result<Vec<Series>, EngineError> {
    let mut out = Vec::new();
    parallel::each(source, work, |i, column, work| {
        if !column.is_empty() {
            work.shared.budget.hold(column.weight())?;
            let series = series(source.labels(i), column, grid);
            work.shared.budget.hold_bytes(series_bytes(&series))?;
            out.push(series);
        }
        Ok(())
    })?;
    Ok(out)
}

/// What an element of an instant vector takes beside the text of its labels.
const SAMPLE_BYTES: u64 = size_of::<Sample>() as u64;

/// Bytes of a series of the result.
fn series_bytes(series: &Series) -> u64 {
    let histograms = series.histograms.iter().map(|(_, h)| histogram_bytes(h) + 8).sum::<u64>();
    let labels = series.labels.as_bytes().len() as u64;
    ROW_BYTES + labels + series.floats.len() as u64 * 16 + histograms
}

/// Bytes of a value.
pub(crate) fn bytes(value: &QueryValue) -> u64 {
    match value {
        QueryValue::Scalar { .. } => 0,
        QueryValue::String { text, .. } => text.len() as u64,
        QueryValue::Vector(samples) => {
            let labels = samples.iter().map(|s| s.labels.as_bytes().len() as u64).sum::<u64>();
            labels + samples.len() as u64 * SAMPLE_BYTES
        }
        QueryValue::Matrix(series) => series.iter().map(series_bytes).sum(),
    }
}

fn series(labels: Labels, column: &Column, grid: Grid) -> Series {
    let mut floats = Vec::with_capacity(column.present() - column.histograms.len());
    for (step, v) in column.floats.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
        floats.push((grid.time(step), *v));
    }
    let histograms =
        column.histograms.iter().map(|(step, h)| (grid.time(*step as usize), (**h).clone()));
    Series { labels, floats, histograms: histograms.collect() }
}

/// A range vector at the only step of an instant query.
fn range_vector<'p>(
    evaluator: &Evaluator<'p>,
    node: &'p Node,
    grid: Grid,
    work: &mut Work<'_>,
) -> Result<Vec<Series>, EngineError> {
    match &node.kind {
        Kind::Matrix(select) => stored(evaluator, select, grid, work),
        Kind::Subquery(s) => {
            let Input::Subquery(source, Some(child)) = evaluator.subquery(s, grid, work, 0)? else {
                return Ok(Vec::new());
            };
            let source = finally_unnamed(source, evaluator.delayed());
            let (series, tally) = work
                .counting(super::tally::Tally::per_step(child.steps), |work| {
                    matrix(&*source, child, work)
                })?;
            work.tally.count_subquery(&tally, child, grid, 0, 0);
            work.tally.count(grid.steps - 1, tally.total, 0);
            Ok(series)
        }
        _ => failed("expected a range vector"),
    }
}

fn stored(
    evaluator: &Evaluator<'_>,
    select: &Select,
    grid: Grid,
    work: &mut Work<'_>,
) -> Result<Vec<Series>, EngineError> {
    let selected = evaluator.selected(select.read)?;
    let lookback = work.shared.lookback_ms;
    let extended = select.anchored || select.smoothed;
    let windows = Windows {
        grid,
        range_ms: select.range_ms,
        offset_ms: select.offset_ms,
        at: select.at,
        before_ms: if extended { lookback } else { 0 },
        after_ms: if select.smoothed { lookback } else { 0 },
        count_read: true,
    };
    let (start, end) = windows.range_at(0);
    let mut out = Vec::new();
    let mut samples = Samples::default();
    let input = Input::Stored { selected, within: select.within, counts_only: false };
    for i in 0..selected.series.len() {
        work.shared.check()?;
        input.read(i, &windows, false, work, &mut samples)?;
        let mut series = Series { labels: selected.series.labels(i), ..Series::default() };
        if extended {
            if !samples.histograms.is_empty() {
                let what = if select.anchored { "anchored" } else { "smoothed" };
                return failed(format!("{what} modifier is not supported with histograms"));
            }
            series.floats = extended::points(&samples, start, end, select.smoothed);
        } else {
            series.floats =
                samples.timestamps.iter().copied().zip(samples.floats.iter().copied()).collect();
            let histograms = samples.histograms.iter();
            series.histograms = histograms.map(|s| (s.t, (*s.h).clone())).collect();
        }
        let weight = match extended {
            true => series.floats.len() as u64,
            false => samples.weight(),
        };
        if weight > 0 {
            work.tally.count(0, weight, weight);
            work.shared.budget.hold(weight)?;
            work.shared
                .budget
                .hold_bytes(series_bytes(&series))
                .map_err(|e| named(e, || format!("selector {}", selected.text)))?;
            out.push(series);
        }
    }
    Ok(out)
}
