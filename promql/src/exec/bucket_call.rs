//! Calls of histogram_quantile, histogram_fraction and histogram_quantiles.

use super::buckets::{self, Ask, Question};
use super::call::text_of;
use super::eval::Evaluator;
use super::grid::Grid;
use super::scalar::Steps;
use super::source::{Boxed, Clash, Table, merged};
use super::work::{Work, failed};
use crate::engine::EngineError;
use crate::functions::Function;
use crate::plan::Node;

impl<'p> Evaluator<'p> {
    /// Evaluates histogram_quantile and histogram_fraction.
    pub(super) fn buckets(
        &self,
        node: &'p Node,
        func: &Function,
        args: &'p [Node],
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Boxed<'p>, EngineError> {
        let (vector, params) = match args {
            [params @ .., vector] => (vector, params),
            [] => return failed("missing arguments"),
        };
        let mut scalars = Vec::new();
        for param in params {
            scalars.push(self.scalar(param, grid, work)?);
        }
        let source = self.vector(vector, grid, work)?;
        let ask = match (func.name, &scalars[..]) {
            ("histogram_quantile", [q]) => {
                self.judge_quantile(q, grid, &args[0], node, work);
                Ask::Quantile(q.clone())
            }
            (_, [lower, upper]) => Ask::Fraction(lower.clone(), upper.clone()),
            _ => return failed("missing arguments"),
        };
        let place = vector.place_for(node.rank);
        let distributions = buckets::distributions(&*source, self.delayed(), place, work)?;
        let mut table = Table::new(grid.steps);
        let question = Question { ask: &ask, label: None, grid, delayed: self.delayed(), place };
        question.run(&distributions, work, &mut table)?;
        Ok(self.one_per_labelset(table, grid))
    }

    /// Evaluates histogram_quantiles.
    pub(super) fn quantiles(
        &self,
        node: &'p Node,
        args: &'p [Node],
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Boxed<'p>, EngineError> {
        let label = text_of(&args[1])?;
        let source = self.vector(&args[0], grid, work)?;
        let mut asks = Vec::new();
        for arg in &args[2..] {
            let q = self.scalar(arg, grid, work)?;
            self.judge_quantile(&q, grid, arg, node, work);
            asks.push(Ask::Quantile(q));
        }
        let place = args[0].place_for(node.rank);
        let distributions = buckets::distributions(&*source, self.delayed(), place, work)?;
        let mut table = Table::new(grid.steps);
        for ask in &asks {
            let Ask::Quantile(q) = ask else { continue };
            let texts = match q {
                Steps::Constant(q) => vec![open_metrics_float(*q)],
                Steps::Each(qs) => qs.iter().map(|q| open_metrics_float(*q)).collect(),
            };
            let label = Some((label, texts));
            let question = Question { ask, label, grid, delayed: self.delayed(), place };
            question.run(&distributions, work, &mut table)?;
        }
        Ok(self.one_per_labelset(table, grid))
    }

    fn judge_quantile(&self, q: &Steps, grid: Grid, arg: &Node, node: &Node, work: &mut Work<'_>) {
        let mut last = None;
        for q in q.expand(grid.steps) {
            if !(0.0..=1.0).contains(&q) && last != Some(q.to_bits()) {
                last = Some(q.to_bits());
                work.notes.invalid_quantile(q, arg.place_for(node.rank));
            }
        }
    }

    /// Results of several series under the same labels, made one.
    fn one_per_labelset(&self, table: Table, grid: Grid) -> Boxed<'p> {
        let table: Boxed<'p> = Box::new(table);
        if self.delayed() && grid.is_instant() {
            return table;
        }
        merged(table, Clash::Merge)
    }
}

/// A float as OpenMetrics writes it: `1.0`, `+Inf`, `NaN`.
fn open_metrics_float(v: f64) -> String {
    let text = model::number::format_g(v);
    if text.contains(['.', 'e', 'N', 'I']) { text } else { format!("{text}.0") }
}
