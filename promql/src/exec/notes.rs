//! Notes: annotations while a query runs, before they become text.
//!
//! Prometheus tells annotations apart by their text without position, and shows the position of
//! the one it met last. Work is split here, so "last" is the reporting node's place in order of
//! evaluation, which does not depend on threads.

use std::collections::{BTreeMap, HashMap};

use model::Annotations;
use model::number::{format_g, go_quote};

use super::shared::Shift;
use crate::parser;
use crate::parser::ast::BinaryOp;
use crate::plan::Place;

/// Which list an annotation goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Warning,
    Info,
}

/// What an annotation adds up over its occurrences.
#[derive(Clone, Debug, PartialEq)]
enum Detail {
    None,
    Overlaps { count: u64 },
    Monotonicity(Monotonicity),
}

/// How much classic buckets had to be changed to grow monotonically.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Monotonicity {
    pub min_t: i64,
    pub max_t: i64,
    pub min_bucket: f64,
    pub max_bucket: f64,
    pub max_diff: f64,
    /// Occurrences as Prometheus counts them, less one.
    pub count: i64,
}

impl Monotonicity {
    /// Takes in the times, buckets and difference of `other`.
    pub(crate) fn widen(&mut self, other: &Monotonicity) {
        self.min_t = self.min_t.min(other.min_t);
        self.max_t = self.max_t.max(other.max_t);
        self.min_bucket = self.min_bucket.min(other.min_bucket);
        self.max_bucket = self.max_bucket.max(other.max_bucket);
        self.max_diff = self.max_diff.max(other.max_diff);
    }
}

#[derive(Clone, Debug)]
struct Note {
    order: usize,
    level: Level,
    place: Place,
    detail: Detail,
}

/// Different annotations a single series may give rise to, and more.
const NOTES_OF_SERIES: usize = 64;

/// The annotations collected so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    notes: HashMap<String, Note>,
    /// By node and step: of all pairs of a binary operation only the last one's note is shown.
    binary: BTreeMap<(u32, usize), (usize, BinaryNote)>,
}

/// Which pair of operands a note is about: its step, and its place in the order of the step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pair {
    pub step: usize,
    pub order: usize,
}

/// What a binary operation has to say about a pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BinaryNote {
    pub kind: BinaryKind,
    pub op: BinaryOp,
    pub place: Place,
}

/// The notes of binary operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryKind {
    /// The operator does not take these kinds of samples.
    Types(&'static str, &'static str),
    /// Exponential and custom buckets.
    BucketLayout,
    Collision(HistogramOperation),
    Reconciled(HistogramOperation),
}

/// What an annotation about two histograms was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HistogramOperation {
    Add,
    Sub,
    Aggregate,
}

impl HistogramOperation {
    fn as_str(self) -> &'static str {
        match self {
            HistogramOperation::Add => "addition",
            HistogramOperation::Sub => "subtraction",
            HistogramOperation::Aggregate => "aggregation",
        }
    }
}

fn named(text: &str, metric: &str) -> String {
    if metric.is_empty() {
        return text.to_owned();
    }
    format!("{text} for metric name {}", go_quote(metric))
}

impl Notes {
    fn add(&mut self, level: Level, text: String, place: Place, detail: Detail) {
        let order = self.notes.len();
        match self.notes.get_mut(&text) {
            Some(note) => {
                // One that adds up stays with the place it had first.
                let later = place.rank >= note.place.rank;
                if later != matches!(detail, Detail::Monotonicity(_) | Detail::Overlaps { .. }) {
                    note.place = place;
                }
                note.detail.merge(detail);
            }
            None => {
                self.notes.insert(text, Note { order, level, place, detail });
            }
        }
    }

    fn warn(&mut self, text: String, place: Place) {
        self.add(Level::Warning, text, place, Detail::None);
    }

    fn info(&mut self, text: String, place: Place) {
        self.add(Level::Info, text, place, Detail::None);
    }

    /// Adds everything of `other` as if it had been noted at another occurrence of the same text.
    pub(crate) fn add_moved(&mut self, other: &Notes, shift: Shift) {
        if other.is_empty() {
            return;
        }
        let mut moved = other.clone();
        moved.notes.values_mut().for_each(|note| note.place = shift.apply(note.place));
        moved.binary = std::mem::take(&mut moved.binary)
            .into_iter()
            .map(|((rank, step), (order, mut note))| {
                note.place = shift.apply(note.place);
                ((shift.rank(rank), step), (order, note))
            })
            .collect();
        self.merge(moved);
    }

    /// Adds everything of `other`.
    pub(crate) fn merge(&mut self, other: Notes) {
        let mut notes: Vec<_> = other.notes.into_iter().collect();
        notes.sort_by_key(|(_, n)| n.order);
        for (text, note) in notes {
            self.add(note.level, text, note.place, note.detail);
        }
        for ((_, step), (order, note)) in other.binary {
            self.of_pair(Pair { step, order }, note);
        }
    }

    /// Adds what series number `at` gave rise to, whichever series comes first.
    pub(crate) fn merge_of_series(&mut self, other: Notes, at: usize) {
        for (text, mut note) in other.notes {
            note.order = at * NOTES_OF_SERIES + note.order.min(NOTES_OF_SERIES - 1);
            match self.notes.get_mut(&text) {
                Some(known) => {
                    known.order = known.order.min(note.order);
                    known.detail.merge(note.detail);
                }
                None => {
                    self.notes.insert(text, note);
                }
            }
        }
    }

    /// Whether nothing was noted.
    pub(crate) fn is_empty(&self) -> bool {
        self.notes.is_empty() && self.binary.is_empty()
    }

    /// Takes note of what a binary operation says about a pair.
    pub(crate) fn of_pair(&mut self, pair: Pair, note: BinaryNote) {
        let last = self.binary.entry((note.place.rank, pair.step)).or_insert((pair.order, note));
        if pair.order >= last.0 {
            *last = (pair.order, note);
        }
    }

    fn settle_pairs(&mut self) {
        for (_, BinaryNote { kind, op, place }) in std::mem::take(&mut self.binary).into_values() {
            match kind {
                BinaryKind::Types(lhs, rhs) => {
                    self.incompatible_types(lhs, op.as_str(), rhs, place);
                }
                BinaryKind::BucketLayout => self.incompatible_bucket_layout(op.as_str(), place),
                BinaryKind::Collision(operation) => self.counter_reset_collision(operation, place),
                BinaryKind::Reconciled(operation) => {
                    self.mismatched_custom_buckets(operation, place);
                }
            }
        }
    }

    /// The annotations as the API shows them, with line and column.
    pub(crate) fn into_annotations(mut self, query: &str) -> Annotations {
        self.settle_pairs();
        let mut notes: Vec<_> = self.notes.into_iter().collect();
        notes.sort_by_key(|(_, n)| n.order);
        let mut out = Annotations::default();
        for (text, note) in notes {
            let start = Some(note.place.start).filter(|s| *s != Place::NOWHERE).unwrap_or(0);
            let text = note.detail.complete(text, &parser::Place::of(query, start).to_string());
            match note.level {
                Level::Warning => out.warn(format!("PromQL warning: {text}")),
                Level::Info => out.info(format!("PromQL info: {text}")),
            }
        }
        out
    }

    pub(crate) fn invalid_quantile(&mut self, q: f64, place: Place) {
        let q = format_g(q);
        self.warn(format!("quantile value should be between 0 and 1, got {q}"), place);
    }

    pub(crate) fn invalid_ratio(&mut self, r: f64, to: f64, place: Place) {
        let (r, to) = (format_g(r), format_g(to));
        self.warn(
            format!("ratio value should be between -1 and 1, got {r}, capping to {to}"),
            place,
        );
    }

    pub(crate) fn bad_bucket_label(&mut self, metric: &str, label: &str, place: Place) {
        let label = go_quote(label);
        let text = format!("bucket label \"le\" is missing or has a malformed value of {label}");
        self.warn(named(&text, metric), place);
    }

    pub(crate) fn mixed_floats_histograms(&mut self, metric: &str, place: Place) {
        let metric = go_quote(metric);
        self.warn(
            format!("encountered a mix of histograms and floats for metric name {metric}"),
            place,
        );
    }

    pub(crate) fn mixed_floats_histograms_aggregation(&mut self, place: Place) {
        self.warn("encountered a mix of histograms and floats for aggregation".into(), place);
    }

    pub(crate) fn mixed_classic_native(&mut self, metric: &str, place: Place) {
        let text = "vector contains a mix of classic and native histograms";
        self.warn(named(text, metric), place);
    }

    pub(crate) fn histogram_not_counter(&mut self, metric: &str, place: Place) {
        let metric = go_quote(metric);
        self.warn(format!("this native histogram metric is not a counter: {metric}"), place);
    }

    pub(crate) fn histogram_not_gauge(&mut self, metric: &str, place: Place) {
        let metric = go_quote(metric);
        self.warn(format!("this native histogram metric is not a gauge: {metric}"), place);
    }

    pub(crate) fn mixed_exponential_custom(&mut self, metric: &str, place: Place) {
        let metric = go_quote(metric);
        let text = format!(
            "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {metric}"
        );
        self.warn(text, place);
    }

    fn incompatible_bucket_layout(&mut self, op: &str, place: Place) {
        self.warn(
            format!("incompatible bucket layout encountered for binary operator {op}"),
            place,
        );
    }

    pub(crate) fn sort_in_range_query(&mut self, place: Place) {
        let text =
            "sort is ineffective for range queries since results are always ordered by labels";
        self.warn(text.to_owned(), place);
    }

    pub(crate) fn possible_non_counter(&mut self, metric: &str, place: Place) {
        let metric = go_quote(metric);
        let text = format!(
            "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {metric}"
        );
        self.info(text, place);
    }

    pub(crate) fn possible_non_counter_label(&mut self, metric: &str, kind: &str, place: Place) {
        let (metric, kind) = (go_quote(metric), go_quote(kind));
        let text = format!(
            "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {kind}: {metric}"
        );
        self.info(text, place);
    }

    pub(crate) fn forced_monotonicity(&mut self, metric: &str, m: Monotonicity, place: Place) {
        let text = "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        self.add(Level::Info, named(text, metric), place, Detail::Monotonicity(m));
    }

    fn incompatible_types(&mut self, lhs: &str, op: &str, rhs: &str, place: Place) {
        let quoted = go_quote(op);
        let text = format!(
            "incompatible sample types encountered for binary operator {quoted}: {lhs} {op} {rhs}"
        );
        self.info(text, place);
    }

    pub(crate) fn histogram_ignored_in_aggregation(&mut self, aggregation: &str, place: Place) {
        self.info(format!("ignored histogram in {aggregation} aggregation"), place);
    }

    pub(crate) fn histogram_ignored_in_mixed_range(&mut self, metric: &str, place: Place) {
        let metric = go_quote(metric);
        let text = format!(
            "ignored histograms in a range containing both floats and histograms for metric name {metric}"
        );
        self.info(text, place);
    }

    pub(crate) fn quantile_nan_result(&mut self, metric: &str, place: Place) {
        let text = "input to histogram_quantile has NaN observations, result is NaN";
        self.info(named(text, metric), place);
    }

    pub(crate) fn quantile_nan_skew(&mut self, metric: &str, place: Place) {
        let text = "input to histogram_quantile has NaN observations, result is skewed higher";
        self.info(named(text, metric), place);
    }

    pub(crate) fn fraction_nans(&mut self, metric: &str, place: Place) {
        let text = "input to histogram_fraction has NaN observations, which are excluded from all fractions";
        self.info(named(text, metric), place);
    }

    pub(crate) fn counter_reset_collision(&mut self, op: HistogramOperation, place: Place) {
        self.warn(format!("conflicting counter resets during histogram {}", op.as_str()), place);
    }

    pub(crate) fn mismatched_custom_buckets(&mut self, op: HistogramOperation, place: Place) {
        self.info(
            format!("mismatched custom buckets were reconciled during {}", op.as_str()),
            place,
        );
    }

    pub(crate) fn start_time_overlaps(&mut self, metric: &str, count: u64, place: Place) {
        let text = format!(
            "sample has start time that overlaps with previous sample timestamp for metric {}",
            go_quote(metric)
        );
        self.add(Level::Warning, text, place, Detail::Overlaps { count });
    }
}

impl Detail {
    fn merge(&mut self, other: Detail) {
        match (self, other) {
            (Detail::Overlaps { count }, Detail::Overlaps { count: more }) => *count += more,
            (Detail::Monotonicity(a), Detail::Monotonicity(b)) => {
                a.widen(&b);
                a.count = a.count.wrapping_add(b.count).wrapping_add(1);
            }
            _ => {}
        }
    }

    fn complete(&self, text: String, position: &str) -> String {
        match self {
            Detail::None | Detail::Overlaps { count: 1 } => format!("{text} ({position})"),
            Detail::Overlaps { count } => format!("{text} ({count} occurrences) ({position})"),
            Detail::Monotonicity(m) => format!(
                "{text}, from buckets {} to {}, with a max diff of {}, over {} samples from {} to {} ({position})",
                format_g(m.min_bucket),
                format_g(m.max_bucket),
                two_digits(m.max_diff),
                m.count.wrapping_add(1),
                rfc3339(m.min_t.div_euclid(1000)),
                rfc3339(m.max_t.div_euclid(1000)),
            ),
        }
    }
}

/// `%.2g`: two significant digits, exponent form outside 1e-4..1e2, no trailing zeros.
fn two_digits(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return format_g(v);
    }
    let scientific = format!("{v:.1e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = mantissa.trim_end_matches('0').trim_end_matches('.');
    if (-4..2).contains(&exponent) {
        let rounded: f64 = scientific.parse().unwrap_or(v);
        return format!("{rounded}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{trimmed}e{sign}{:02}", exponent.abs())
}

/// Seconds since the epoch as RFC 3339 in UTC.
fn rfc3339(seconds: i64) -> String {
    let date = crate::functions::date::Civil::from_unix(seconds);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        date.year, date.month, date.day, date.hour, date.minute, date.second
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_places_win_and_texts_are_distinct() {
        let mut notes = Notes::default();
        notes.possible_non_counter("a", Place { rank: 7, start: 3 });
        notes.possible_non_counter("a", Place { rank: 2, start: 9 });
        notes.invalid_quantile(2.0, Place { rank: 1, start: 10 });
        let out = notes.into_annotations("rate\n(a[5m])");
        assert_eq!(
            out.warnings(),
            ["PromQL warning: quantile value should be between 0 and 1, got 2 (2:6)"]
        );
        assert_eq!(
            out.infos(),
            [
                "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"a\" (1:4)"
            ]
        );
    }

    #[test]
    fn two_significant_digits() {
        for (v, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (12.0, "12"),
            (123.0, "1.2e+02"),
            (0.25, "0.25"),
            (3e-7, "3e-07"),
        ] {
            assert_eq!(two_digits(v), text);
        }
    }
}
