//! Explain: a plan as text, for people.
//!
//! First what is read from the store, then the tree: a line a node, operands indented below. Words
//! in brackets say how a node is evaluated.

use std::collections::HashSet;
use std::fmt::Write as _;

use model::number::{format_g, go_quote};
use model::{Matcher, duration};

use super::{Aggregate, Binary, Kind, Node, Plan, Read, Select, Subquery};
use crate::engine::EvalTime;
use crate::functions::date::Civil;
use crate::parser::ast::{AggregateOp, Cardinality};

/// The text of `plan` for an evaluation at `at`.
pub(crate) fn explain(plan: &Plan, at: EvalTime) -> String {
    let mut out = String::new();
    let EvalTime { start_ms, end_ms, step_ms } = at;
    if step_ms == 0 {
        line(&mut out, 0, &format!("instant query at {}", time(start_ms)));
    } else {
        let steps = (end_ms - start_ms) / step_ms + 1;
        let (from, to, step) = (time(start_ms), time(end_ms), duration::format(step_ms));
        line(&mut out, 0, &format!("range query from {from} to {to} every {step}: {steps} steps"));
    }
    let mut numbers = vec![0; plan.reads.len()];
    let mut next = 0;
    for (read, number) in plan.reads.iter().zip(&mut numbers).filter(|(r, _)| r.selected) {
        next += 1;
        *number = next;
        if next == 1 {
            line(&mut out, 0, "selections:");
        }
        line(&mut out, 1, &format!("#{next} {}", selection(read)));
    }
    line(&mut out, 0, "plan:");
    let mut printer = Printer { out, plan, numbers, shown: HashSet::new() };
    printer.node(&plan.root, 1);
    printer.out
}

fn line(out: &mut String, depth: usize, text: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{:width$}{text}", "", width = 2 * depth);
}

fn time(ms: i64) -> String {
    let (t, millis) = (Civil::from_unix(ms.div_euclid(1000)), ms.rem_euclid(1000));
    let fraction = if millis == 0 { String::new() } else { format!(".{millis:03}") };
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{fraction}Z",
        t.year, t.month, t.day, t.hour, t.minute, t.second
    )
}

fn selection(read: &Read) -> String {
    let own = read.matchers.len() - read.pushed.min(read.matchers.len());
    let (own, pushed) = read.matchers.split_at(own);
    let mut text = crate::exec::text_of(own);
    if text.is_empty() {
        text.push_str("{}");
    }
    let _ = write!(text, " from {} to {}", time(read.hints.start), time(read.hints.end));
    if !pushed.is_empty() {
        let pushed: Vec<String> = pushed.iter().map(Matcher::to_string).collect();
        let _ = write!(text, ", pushed across: {}", pushed.join(","));
    }
    text
}

struct Printer<'a> {
    out: String,
    plan: &'a Plan,
    /// By read; counted from 1.
    numbers: Vec<usize>,
    /// Shared parts whose tree stands above.
    shown: HashSet<usize>,
}

impl Printer<'_> {
    fn node(&mut self, node: &Node, depth: usize) {
        if let Kind::Shared(shared) = &node.kind {
            let label = format!("shared part {}", shared.class + 1);
            if !self.shown.insert(shared.class) {
                return line(&mut self.out, depth, &format!("{label} [as above]"));
            }
            line(&mut self.out, depth, &format!("{label} [evaluated once for {}]", shared.uses));
            return self.node(&shared.node, depth + 1);
        }
        let text = self.text(node);
        line(&mut self.out, depth, &text);
        for child in node.children() {
            if !self.is_label_selector(child) {
                self.node(child, depth + 1);
            }
        }
    }

    /// The second argument of `info`, which is not evaluated.
    fn is_label_selector(&self, node: &Node) -> bool {
        let read = node.selector().and_then(|s| self.plan.reads.get(s.read));
        read.is_some_and(|read| !read.selected)
    }

    fn text(&self, node: &Node) -> String {
        match &node.kind {
            Kind::Number(v) => format_g(*v),
            Kind::String(text) => go_quote(text),
            Kind::Vector(select) => format!("selector {}", self.select(select)),
            Kind::Matrix(select) => format!("range selector {}", self.select(select)),
            Kind::Subquery(s) => subquery(s),
            Kind::Call { func, args } => {
                let mut text = func.name.to_owned();
                for arg in args.iter().filter(|arg| self.is_label_selector(arg)) {
                    let read = arg.selector().and_then(|s| self.plan.reads.get(s.read));
                    let matchers = read.map(|r| crate::exec::text_of(&r.matchers));
                    let _ = write!(text, " {}", matchers.unwrap_or_default());
                }
                let how = match func.name {
                    "absent" | "absent_over_time" | "scalar" => "folded as series come",
                    "sort"
                    | "sort_desc"
                    | "sort_by_label"
                    | "sort_by_label_desc"
                    | "info"
                    | "histogram_quantile"
                    | "histogram_quantiles"
                    | "histogram_fraction" => "needs all of its input",
                    _ => return text,
                };
                format!("{text} [{how}]")
            }
            Kind::Aggregate(a) => aggregate(a, &self.numbers),
            Kind::Binary(b) => binary(b),
            Kind::Negate(_) => "-".to_owned(),
            Kind::Plus(_) => "+".to_owned(),
            Kind::Invariant(_) => "the same at every step [evaluated once]".to_owned(),
            Kind::Shared(_) => String::new(),
        }
    }

    fn select(&self, select: &Select) -> String {
        let mut text = format!("#{}", self.numbers.get(select.read).copied().unwrap_or(0));
        if select.range_ms > 0 {
            let _ = write!(text, "[{}]", duration::format(select.range_ms));
        }
        for (set, word) in [(select.anchored, " anchored"), (select.smoothed, " smoothed")] {
            text.push_str(if set { word } else { "" });
        }
        text.push_str(&shift(select.at, select.offset_ms));
        if select.counts_only {
            text.push_str(" [histograms without buckets]");
        }
        text
    }
}

fn shift(at: Option<i64>, offset_ms: i64) -> String {
    let mut text = at.map(|at| format!(" @ {}", time(at))).unwrap_or_default();
    if offset_ms != 0 {
        let sign = if offset_ms < 0 { "-" } else { "" };
        let length = i64::try_from(offset_ms.unsigned_abs()).unwrap_or(i64::MAX);
        let _ = write!(text, " offset {sign}{}", duration::format(length));
    }
    text
}

fn subquery(s: &Subquery) -> String {
    let (range, step) = (duration::format(s.range_ms), duration::format(s.step_ms));
    format!("subquery [{range}:{step}]{} [on steps of its own]", shift(s.at, s.offset_ms))
}

fn aggregate(a: &Aggregate, numbers: &[usize]) -> String {
    let how = match a.op {
        AggregateOp::Topk | AggregateOp::Bottomk => "one heap a step; series side by side",
        AggregateOp::CountValues | AggregateOp::Limitk | AggregateOp::LimitRatio => {
            "series side by side"
        }
        AggregateOp::Quantile => "keeps all values; groups or series side by side",
        _ => "folded as series come; groups, series or steps side by side",
    };
    let mut text = a.op.as_str().to_owned();
    if !a.grouping.is_empty() || a.without {
        let by = if a.without { "without" } else { "by" };
        let _ = write!(text, " {by} ({})", a.grouping.join(", "));
    }
    let _ = write!(text, " [{how}]");
    if let Some(pass) = a.pass {
        let read = numbers.get(pass.widest).copied().unwrap_or(0);
        let _ = write!(text, " [pass {} over #{read}: one for {}]", pass.number + 1, pass.uses);
    }
    text
}

fn binary(b: &Binary) -> String {
    let mut text = b.op.as_str().to_owned();
    if b.return_bool {
        text.push_str(" bool");
    }
    if b.lhs.is_scalar() || b.rhs.is_scalar() {
        return text;
    }
    let m = &b.matching;
    if m.on || !m.labels.is_empty() {
        let how = if m.on { "on" } else { "ignoring" };
        let _ = write!(text, " {how} ({})", m.labels.join(", "));
    }
    let group = match m.card {
        Cardinality::ManyToOne => " group_left",
        Cardinality::OneToMany => " group_right",
        _ => "",
    };
    text.push_str(group);
    if !m.include.is_empty() {
        let _ = write!(text, " ({})", m.include.join(", "));
    }
    for (side, value) in [("left", m.fill_lhs), ("right", m.fill_rhs)] {
        if let Some(value) = value {
            let _ = write!(text, " fill_{side} ({})", format_g(value));
        }
    }
    let how = match () {
        () if b.op.is_set() => "which steps have a sample of the other side is kept",
        () if !group.is_empty() => "the side of ones is kept",
        () if m.fill_lhs.is_some() || m.fill_rhs.is_some() => "step by step",
        () => "pair by pair",
    };
    format!("{text} [{how}]")
}
