//! Range calls: the operator that a function of a range vector becomes.

use model::number::go_quote;

use super::absent;
use super::eval::Evaluator;
use super::grid::Grid;
use super::range::{Input, RangeCall};
use super::source::{Boxed, Clash, unnamed};
use super::window::Windows;
use super::work::{Work, failed};
use crate::engine::EngineError;
use crate::functions::Function;
use crate::functions::range::{Extent, RangeFunction};
use crate::plan::{Kind, Node, Place, Select, seconds};

/// Functions `anchored` and `smoothed` ranges make sense for.
const ANCHORED: [&str; 5] = ["changes", "delta", "increase", "rate", "resets"];
const SMOOTHED: [&str; 3] = ["delta", "increase", "rate"];

impl<'p> Evaluator<'p> {
    /// Evaluates a function of a range vector.
    pub(super) fn range_call(
        &self,
        node: &'p Node,
        func: &'static Function,
        args: &'p [Node],
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Boxed<'p>, EngineError> {
        let mut params = Vec::new();
        let mut ranged = None;
        for arg in args {
            match &arg.kind {
                Kind::Matrix(select) => ranged = Some((arg, self.stored(func, select, grid)?)),
                Kind::Subquery(s) => {
                    let windows = Windows {
                        grid,
                        range_ms: s.range_ms,
                        offset_ms: s.offset_ms,
                        at: s.at,
                        before_ms: 0,
                        after_ms: 0,
                        count_read: false,
                    };
                    let input = self.subquery(s, grid, work, s.range_ms)?;
                    ranged = Some((arg, (input, windows, Extent::Plain)));
                }
                _ => params.push(self.scalar(arg, grid, work)?),
            }
        }
        let Some((arg, (input, windows, extent))) = ranged else {
            return failed("expected a range vector");
        };
        let Some(function) = RangeFunction::named(func.name, seconds(windows.range_ms)) else {
            return failed(format!("unknown function with name {}", go_quote(func.name)));
        };
        let starts = self.shared.features.use_start_timestamps
            && function.uses_starts()
            && matches!(input, Input::Stored { .. });
        let mut place = args[0].place_for(node.rank);
        if matches!(args[0].kind, Kind::Subquery(_)) {
            // Prometheus puts a selector without position in its place.
            place.start = Place::NOWHERE;
        }
        let call = RangeCall { function, input, windows, extent, params, starts, place };
        if func.name == "absent_over_time" {
            let labels = self.absent_labels(arg);
            let table = absent::run(&call, labels, self.delayed(), grid.steps, work)?;
            return Ok(Box::new(table));
        }
        if function.keeps_name() {
            return Ok(Box::new(call));
        }
        Ok(unnamed(Box::new(call), Clash::Refuse, self.delayed()))
    }

    fn stored(
        &self,
        func: &Function,
        select: &'p Select,
        grid: Grid,
    ) -> Result<(Input<'p>, Windows, Extent), EngineError> {
        let refuse = |what: &str, allowed: &[&str]| {
            failed(format!(
                "{what} modifier can only be used with: {} - not with {}",
                allowed.join(", "),
                func.name
            ))
        };
        let extent = match (select.anchored, select.smoothed) {
            (true, _) if !ANCHORED.contains(&func.name) => return refuse("anchored", &ANCHORED),
            (true, _) => Extent::Anchored,
            (_, true) if !SMOOTHED.contains(&func.name) => return refuse("smoothed", &SMOOTHED),
            (_, true) => Extent::Smoothed,
            _ => Extent::Plain,
        };
        let lookback = self.shared.lookback_ms;
        let windows = Windows {
            grid,
            range_ms: select.range_ms,
            offset_ms: select.offset_ms,
            at: select.at,
            before_ms: if extent == Extent::Plain { 0 } else { lookback },
            after_ms: if extent == Extent::Smoothed { lookback } else { 0 },
            count_read: true,
        };
        let input = Input::Stored {
            selected: self.selected(select.read)?,
            within: select.within,
            counts_only: select.counts_only,
        };
        Ok((input, windows, extent))
    }
}
