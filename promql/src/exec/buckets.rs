//! histogram_quantile, histogram_quantiles and histogram_fraction: what a distribution says, from
//! classic buckets (series that differ in `le`) or native histograms.

use std::collections::BTreeMap;

use model::Labels;
use model::labels::{BUCKET, LabelMap, METRIC_NAME};

use super::column::{Column, SharedHistogram, is_absent};
use super::grid::Grid;
use super::histogram;
use super::notes::Monotonicity;
use super::parallel;
use super::scalar::Steps;
use super::source::{Row, Source, Table, with_label, without_metadata};
use super::work::Work;
use crate::engine::EngineError;
use crate::functions::quantile::{self, Bucket, Forced};
use crate::plan::Place;

/// What is asked of each distribution.
pub(crate) enum Ask {
    Quantile(Steps),
    Fraction(Steps, Steps),
}

/// One question to the distributions of a vector.
pub(crate) struct Question<'a> {
    pub ask: &'a Ask,
    /// Label and value every result gets, for histogram_quantiles.
    pub label: Option<(&'a str, Vec<String>)>,
    pub grid: Grid,
    pub delayed: bool,
    /// The vector.
    pub place: Place,
}

/// The series of one distribution.
pub(crate) struct Distribution {
    /// Labels without `le`.
    labels: Labels,
    /// Upper bound and values of each bucket series, in order of the vector.
    buckets: Vec<(f64, Vec<f64>)>,
    /// Series of native histograms.
    native: Vec<Vec<(u32, SharedHistogram)>>,
}

/// Reads all distributions of `source`, in order of their first series.
pub(crate) fn distributions(
    source: &dyn Source,
    delayed: bool,
    place: Place,
    work: &mut Work<'_>,
) -> Result<Vec<Distribution>, EngineError> {
    let mut out: Vec<Distribution> = Vec::new();
    let mut known = LabelMap::default();
    let mut key = Vec::new();
    parallel::each(source, work, |i, column, work| {
        if column.is_empty() {
            return Ok(());
        }
        work.shared.budget.hold_column(column)?;
        let labels = source.labels(i);
        if column.floats.iter().any(|v| !is_absent(*v)) {
            let le = labels.get(BUCKET).unwrap_or("");
            match parse_bound(le) {
                Some(upper) => {
                    key.clear();
                    let others = labels.spans().filter(|(name, _)| *name != BUCKET);
                    others.for_each(|(_, span)| key.extend_from_slice(span));
                    let at = slot(&mut known, &mut out, &key, || labels.without(BUCKET));
                    out[at].buckets.push((upper, column.floats.clone()));
                }
                None => {
                    let name = if delayed { labels.get(METRIC_NAME).unwrap_or("") } else { "" };
                    work.notes.bad_bucket_label(name, le, place);
                }
            }
        }
        if !column.histograms.is_empty() {
            let at = slot(&mut known, &mut out, labels.as_bytes(), || labels.clone());
            out[at].native.push(std::mem::take(&mut column.histograms));
        }
        Ok(())
    })?;
    Ok(out)
}

/// The distribution with these bytes of labels, made when there is none yet.
fn slot(
    known: &mut LabelMap<Vec<u8>, usize>,
    out: &mut Vec<Distribution>,
    key: &[u8],
    labels: impl FnOnce() -> Labels,
) -> usize {
    if let Some(at) = known.get(key) {
        return *at;
    }
    out.push(Distribution { labels: labels(), buckets: Vec::new(), native: Vec::new() });
    known.insert(key.to_vec(), out.len() - 1);
    out.len() - 1
}

/// An upper bound as Go's `ParseFloat` reads it.
fn parse_bound(text: &str) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "+inf" | "inf" | "+infinity" | "infinity" => Some(f64::INFINITY),
        "-inf" | "-infinity" => Some(f64::NEG_INFINITY),
        "nan" => Some(f64::NAN),
        _ if lower.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
            lower.parse().ok().filter(|v: &f64| v.is_finite())
        }
        _ => None,
    }
}

impl Question<'_> {
    /// Asks every distribution and adds the answers to `table`.
    pub(crate) fn run(
        &self,
        distributions: &[Distribution],
        work: &mut Work<'_>,
        table: &mut Table,
    ) -> Result<(), EngineError> {
        let mut out = work.take();
        let mut forced = ForcedSteps::default();
        for d in distributions {
            out.reset(self.grid.steps);
            let conflicts = self.native(d, work, &mut out);
            self.classic(d, &conflicts, &mut forced, &mut out);
            if out.is_empty() {
                continue;
            }
            let labels = if self.delayed { d.labels.clone() } else { without_metadata(&d.labels) };
            self.push(&labels, &out, table);
        }
        work.give(out);
        forced.note(self.place, work);
        Ok(())
    }

    fn push(&self, labels: &Labels, out: &Column, table: &mut Table) {
        let Some((label, values)) = &self.label else {
            table.push(Row { labels: labels.clone(), drop_name: self.delayed }, out);
            return;
        };
        // The label's value may change over the steps, if the quantile does.
        let mut distinct: Vec<&String> = values.iter().collect();
        distinct.sort();
        distinct.dedup();
        for value in distinct {
            let mut part = out.clone();
            for (step, v) in part.floats.iter_mut().enumerate() {
                if values.get(step).or(values.last()) != Some(value) {
                    *v = super::column::ABSENT;
                }
            }
            if !part.is_empty() {
                let labels = with_label(labels, label, value);
                table.push(Row { labels, drop_name: self.delayed }, &part);
            }
        }
    }

    /// Answers from native histograms; steps that also have buckets are in conflict.
    fn native(&self, d: &Distribution, work: &mut Work<'_>, out: &mut Column) -> Vec<u32> {
        let mut conflicts = Vec::new();
        let name = if self.delayed { d.labels.get(METRIC_NAME).unwrap_or("") } else { "" };
        for (step, h) in d.native.iter().flatten() {
            let at = *step as usize;
            if d.buckets.iter().any(|(_, values)| !is_absent(values[at])) {
                work.notes.mixed_classic_native(name, self.place);
                conflicts.push(*step);
                continue;
            }
            out.floats[at] = match self.ask {
                Ask::Quantile(q) => {
                    histogram::quantile(q.at(at), h, name, &mut work.notes, self.place)
                }
                Ask::Fraction(lower, upper) => histogram::fraction(
                    lower.at(at),
                    upper.at(at),
                    h,
                    name,
                    &mut work.notes,
                    self.place,
                ),
            };
        }
        conflicts
    }

    fn classic<'d>(
        &self,
        d: &'d Distribution,
        conflicts: &[u32],
        forced: &mut ForcedSteps<'d>,
        out: &mut Column,
    ) {
        if d.buckets.is_empty() {
            return;
        }
        let mut buckets: Vec<Bucket> = Vec::with_capacity(d.buckets.len());
        for step in 0..self.grid.steps {
            buckets.clear();
            let present = d.buckets.iter().filter(|(_, values)| !is_absent(values[step]));
            buckets.extend(
                present.map(|(upper, values)| Bucket { upper: *upper, count: values[step] }),
            );
            if buckets.is_empty() || conflicts.contains(&(step as u32)) {
                continue;
            }
            out.floats[step] = match self.ask {
                Ask::Quantile(q) => {
                    let (v, change) = quantile::of_buckets(q.at(step), &mut buckets);
                    if let Some(change) = change {
                        let name = if self.delayed { d.labels.get(METRIC_NAME) } else { None };
                        forced.add(name.unwrap_or(""), change, step, self.grid);
                    }
                    v
                }
                Ask::Fraction(lower, upper) => {
                    quantile::fraction_of_buckets(lower.at(step), upper.at(step), &mut buckets)
                }
            };
        }
    }
}

/// Where buckets had to be changed to grow monotonically, by metric name.
#[derive(Default)]
struct ForcedSteps<'d>(BTreeMap<&'d str, ForcedMetric>);

struct ForcedMetric {
    seen: Monotonicity,
    /// Distributions changed at each step.
    by_step: Vec<i64>,
}

impl<'d> ForcedSteps<'d> {
    fn add(&mut self, name: &'d str, forced: Forced, step: usize, grid: Grid) {
        let t = grid.time(step);
        let Forced { min_bucket, max_bucket, max_diff } = forced;
        let here = Monotonicity { min_t: t, max_t: t, min_bucket, max_bucket, max_diff, count: 0 };
        let metric = self
            .0
            .entry(name)
            .or_insert_with(|| ForcedMetric { seen: here, by_step: vec![0; grid.steps] });
        metric.seen.widen(&here);
        metric.by_step[step] += 1;
    }

    /// Annotates each metric once. Prometheus adds its annotation up with itself at every step
    /// after the first that has it, so that the number it shows doubles and wraps around; who
    /// compares answers sees that number.
    fn note(self, place: Place, work: &mut Work<'_>) {
        for (name, metric) in self.0 {
            let mut steps = metric.by_step.into_iter().skip_while(|here| *here == 0);
            let first = steps.next().unwrap_or(0);
            let shown = steps.fold(first, |shown, here| shown.wrapping_add(here).wrapping_mul(2));
            let seen = Monotonicity { count: shown.wrapping_sub(1), ..metric.seen };
            work.notes.forced_monotonicity(name, seen, place);
        }
    }
}
