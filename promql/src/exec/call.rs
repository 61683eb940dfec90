//! Calls: which operator a function becomes.

use model::Labels;
use model::number::go_quote;
use model::regex::{FastRegex, Template};

use super::absent;
use super::column::{ABSENT, Column, is_absent};
use super::eval::Evaluator;
use super::grid::Grid;
use super::histogram;
use super::info::{self, Info};
use super::map::{Change, Floats, Map, Present};
use super::parallel;
use super::relabel;
use super::scalar::Steps;
use super::select::{Give, InstantSelector};
use super::sort;
use super::source::{Boxed, Clash, Row, Source, Table, left_first, unnamed, unnamed_typed};
use super::work::{Work, failed};
use crate::engine::EngineError;
use crate::functions::{Function, date, math};
use crate::plan::{Kind, Node};

/// The literal a string argument is.
pub(super) fn text_of(node: &Node) -> Result<&str, EngineError> {
    match &node.kind {
        Kind::String(text) => Ok(text),
        _ => failed("expected a string"),
    }
}

/// Whether a label may have this name. The parser puts the replacement character where a literal
/// held bytes that are not UTF-8.
pub(crate) fn is_label_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('\u{fffd}')
}

/// A vector of one series.
fn single<'p>(labels: Labels, values: Vec<f64>) -> Boxed<'p> {
    let column = Column { floats: values, histograms: Vec::new() };
    let mut table = Table::new(column.floats.len());
    table.distinct_unnamed = true;
    table.push(Row { labels, drop_name: false }, &column);
    Box::new(table)
}

impl<'p> Evaluator<'p> {
    /// Evaluates a function that gives a scalar.
    pub(crate) fn scalar_call(
        &self,
        func: &Function,
        args: &'p [Node],
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Steps, EngineError> {
        match (func.name, args) {
            ("time", []) => Ok(Steps::Each(grid.times().map(|t| t as f64 / 1000.0).collect())),
            ("pi", []) => Ok(Steps::Constant(std::f64::consts::PI)),
            ("max_of", [a, b]) => {
                let a = self.scalar(a, grid, work)?;
                Ok(a.zip(&self.scalar(b, grid, work)?, math::max))
            }
            ("min_of", [a, b]) => {
                let a = self.scalar(a, grid, work)?;
                Ok(a.zip(&self.scalar(b, grid, work)?, math::min))
            }
            ("scalar", [vector]) => {
                let source = self.vector(vector, grid, work)?;
                only_floats(&*source, grid.steps, work)
            }
            _ => failed(format!("unknown function with name {}", go_quote(func.name))),
        }
    }

    /// Evaluates a function that gives an instant vector.
    pub(crate) fn vector_call(
        &self,
        node: &'p Node,
        func: &'static Function,
        args: &'p [Node],
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Boxed<'p>, EngineError> {
        let ranged = args.iter().any(|a| matches!(a.kind, Kind::Matrix(_) | Kind::Subquery(_)));
        match func.name {
            "timestamp" | "start_timestamp" => self.timestamp(func, args, grid, work),
            "absent" => self.absent(args, grid, work),
            "vector" => {
                let value = self.scalar(&args[0], grid, work)?;
                Ok(single(Labels::empty(), value.expand(grid.steps)))
            }
            "label_replace" | "label_join" => self.relabel(func, args, grid, work),
            "info" => self.info(args, grid, work),
            "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => {
                self.sort(node, func, args, grid, work)
            }
            "histogram_quantile" | "histogram_fraction" => {
                self.buckets(node, func, args, grid, work)
            }
            "histogram_quantiles" => self.quantiles(node, args, grid, work),
            "clamp" | "clamp_min" | "clamp_max" | "round" => self.bounded(func, args, grid, work),
            _ if ranged => self.range_call(node, func, args, grid, work),
            name => {
                if let Some(part) = date::part(name) {
                    return self.date(part, args, grid, work);
                }
                let inner = self.vector(&args[0], grid, work)?;
                if let Some(f) = math::unary(name) {
                    let out = Box::new(Map { inner, change: Floats(move |_, v| f(v)) });
                    return Ok(unnamed(out, Clash::Merge, self.delayed()));
                }
                if let Some(f) = histogram::property(name) {
                    let out = Box::new(Map { inner, change: Histograms(f) });
                    return Ok(unnamed_typed(out, Clash::Merge, self.delayed()));
                }
                failed(format!("unknown function with name {}", go_quote(name)))
            }
        }
    }

    fn timestamp(
        &self,
        func: &Function,
        args: &'p [Node],
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Boxed<'p>, EngineError> {
        let wants_start = func.name == "start_timestamp";
        let known = !wants_start || self.shared.features.use_start_timestamps;
        let out: Boxed<'p> = match &args[0].kind {
            Kind::Vector(select) => {
                let give = if wants_start { Give::StartTimestamp } else { Give::Timestamp };
                let selected = self.selected(select.read)?;
                let lookback = self.shared.lookback_ms;
                let inner = InstantSelector::new(selected, select, grid, lookback, give)
                    .ignoring_offset_if_fixed();
                match known {
                    true => Box::new(inner),
                    false => {
                        let change = Floats(|_, _| ABSENT);
                        Box::new(Map { inner: Box::new(inner), change })
                    }
                }
            }
            _ => {
                let inner = self.vector(&args[0], grid, work)?;
                let value = move |step: usize| match wants_start {
                    true => ABSENT,
                    false => grid.time(step) as f64 / 1000.0,
                };
                Box::new(Map { inner, change: Present(value) })
            }
        };
        Ok(unnamed(out, Clash::Merge, self.delayed()))
    }

    fn absent(
        &self,
        args: &'p [Node],
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Boxed<'p>, EngineError> {
        let source = self.vector(&args[0], grid, work)?;
        let labels = self.absent_labels(&args[0]);
        Ok(Box::new(absent::run(&*source, labels, false, grid.steps, work)?))
    }

    pub(super) fn absent_labels(&self, arg: &Node) -> Labels {
        match arg.selector() {
            Some(select) => absent::labels(&self.plan.reads[select.read].matchers),
            None => Labels::empty(),
        }
    }

    fn relabel(
        &self,
        func: &Function,
        args: &'p [Node],
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Boxed<'p>, EngineError> {
        let texts = args[1..].iter().map(text_of).collect::<Result<Vec<_>, _>>()?;
        let change = match (func.name, &texts[..]) {
            ("label_replace", [dst, replacement, src, pattern]) => {
                let Ok(regex) = FastRegex::new(pattern) else {
                    return failed(format!(
                        "invalid regular expression in label_replace(): {pattern}"
                    ));
                };
                if !is_label_name(dst) {
                    return failed(format!(
                        "invalid destination label name in label_replace(): {dst}"
                    ));
                }
                let (dst, replacement) = ((*dst).to_owned(), Template::parse(replacement));
                relabel::Change::Replace { dst, replacement, src: (*src).to_owned(), regex }
            }
            (_, [dst, separator, sources @ ..]) => {
                if let Some(bad) = sources.iter().find(|s| !is_label_name(s)) {
                    return failed(format!("invalid source label name in label_join(): {bad}"));
                }
                if !is_label_name(dst) {
                    return failed(format!(
                        "invalid destination label name in label_join(): {dst}"
                    ));
                }
                relabel::Change::Join {
                    dst: (*dst).to_owned(),
                    separator: (*separator).to_owned(),
                    sources: sources.iter().map(|s| (*s).to_owned()).collect(),
                }
            }
            _ => return failed("missing arguments"),
        };
        Ok(relabel::run(self.vector(&args[0], grid, work)?, &change))
    }

    fn info(
        &self,
        args: &'p [Node],
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Boxed<'p>, EngineError> {
        let selector = args.get(1).and_then(Node::selector);
        let matchers = selector.map(|s| &self.plan.reads[s.read].matchers[..]);
        let reference = info::reference(&args[0]);
        let base = self.vector(&args[0], grid, work)?;
        let info = Info { querier: self.querier, grid, matchers, reference };
        Ok(Box::new(info.run(&*base, work)?))
    }

    fn sort(
        &self,
        node: &'p Node,
        func: &Function,
        args: &'p [Node],
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Boxed<'p>, EngineError> {
        let by_value = matches!(func.name, "sort" | "sort_desc");
        let inner = self.vector(&args[0], grid, work)?;
        if !grid.is_instant() {
            work.notes.sort_in_range_query(node.place_for(node.rank));
            return Ok(match by_value {
                true => Box::new(Map { inner, change: Floats(|_, v| v) }),
                false => inner,
            });
        }
        let by = match by_value {
            true => sort::By::Value,
            false => sort::By::Labels(args[1..].iter().map(text_of).collect::<Result<_, _>>()?),
        };
        let descending = func.name.ends_with("_desc");
        Ok(Box::new(sort::run(&*inner, &by, descending, work)?))
    }

    fn bounded(
        &self,
        func: &Function,
        args: &'p [Node],
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Boxed<'p>, EngineError> {
        let inner = self.vector(&args[0], grid, work)?;
        let mut scalars = Vec::new();
        for arg in &args[1..] {
            let scalar = self.scalar(arg, grid, work);
            scalars.push(scalar.map_err(|e| left_first(&*inner, e, work))?);
        }
        let none = || Steps::Constant(1.0);
        let mut scalars = scalars.into_iter();
        let first = scalars.next().unwrap_or_else(none);
        let out: Boxed<'p> = match func.name {
            "round" => {
                let inverse = first.map(|to| 1.0 / to);
                let change = Floats(move |step, v| math::round(v, inverse.at(step)));
                Box::new(Map { inner, change })
            }
            "clamp_min" => {
                let clamp = move |step, v| clamp(v, first.at(step), f64::INFINITY);
                Box::new(Map { inner, change: Floats(clamp) })
            }
            "clamp_max" => {
                let clamp = move |step, v| clamp(v, f64::NEG_INFINITY, first.at(step));
                Box::new(Map { inner, change: Floats(clamp) })
            }
            _ => {
                let second = scalars.next().unwrap_or_else(none);
                let clamp = move |step, v| clamp(v, first.at(step), second.at(step));
                Box::new(Map { inner, change: Floats(clamp) })
            }
        };
        Ok(unnamed(out, Clash::Merge, self.delayed()))
    }

    fn date(
        &self,
        part: date::Part,
        args: &'p [Node],
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Boxed<'p>, EngineError> {
        let Some(arg) = args.first() else {
            let of = |t: i64| part(&date::Civil::from_unix(t / 1000));
            return Ok(single(Labels::empty(), grid.times().map(of).collect()));
        };
        let inner = self.vector(arg, grid, work)?;
        let of = move |_, v| part(&date::Civil::from_unix(date::to_seconds(v)));
        let out = Box::new(Map { inner, change: Floats(of) });
        Ok(unnamed(out, Clash::Merge, self.delayed()))
    }
}

/// `clamp` at one step: nothing where the bounds are the wrong way round.
fn clamp(v: f64, lo: f64, hi: f64) -> f64 {
    if hi < lo { ABSENT } else { math::clamp(v, lo, hi) }
}

/// `scalar`: the only float of each step, NaN when there is none or more than one.
fn only_floats(
    source: &dyn Source,
    steps: usize,
    work: &mut Work<'_>,
) -> Result<Steps, EngineError> {
    let mut out = vec![f64::NAN; steps];
    let mut found = vec![0u8; steps];
    parallel::each(source, work, |_, column, _| {
        for (step, v) in column.floats.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
            found[step] = found[step].saturating_add(1);
            out[step] = if found[step] == 1 { *v } else { f64::NAN };
        }
        Ok(())
    })?;
    Ok(Steps::Each(out))
}

/// A property of native histograms; floats go.
struct Histograms(histogram::Property);

impl Change for Histograms {
    fn change(&self, column: &mut Column, _work: &mut Work<'_>) {
        column.floats.fill(ABSENT);
        for (step, h) in std::mem::take(&mut column.histograms) {
            column.floats[step as usize] = (self.0)(&h);
        }
    }
}
