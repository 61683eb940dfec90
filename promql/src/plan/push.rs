//! Matchers pushed across binary operations: what one side is sure of about a label both sides must
//! share, the other side's selectors need not read past.
//!
//! `a / on (job) sum by (job) (b{job="x"})` reads `a{job="x"}`. Only where nothing but samples without a part in
//! the answer goes unread: a series that is not read can neither fail nor be warned of, so matchers
//! go to plain selectors, and across a match only when its "one" side cannot have two series with
//! the same signature: Prometheus refuses those, unless either side is empty. What is counted changes, so this is for
//! queries whose statistics nobody looks at.

use model::labels::METRIC_NAME;
use model::{MatchOp, Matcher};

use super::{Aggregate, Binary, Kind, Node, Plan, Read};
use crate::functions::Function;
use crate::parser::ast::{AggregateOp, BinaryOp, Cardinality, VectorMatching};

/// Pushes matchers wherever they change no answer.
pub(crate) fn push(plan: &mut Plan) {
    let Plan { root, reads, .. } = plan;
    visit(root, reads);
    forget_unused(plan);
}

fn visit(node: &mut Node, reads: &mut Vec<Read>) {
    if let Kind::Binary(b) = &mut node.kind
        && !b.lhs.is_scalar()
        && !b.rhs.is_scalar()
    {
        across(b, reads);
    }
    for child in node.children_mut() {
        visit(child, reads);
    }
}

fn across(b: &mut Binary, reads: &mut Vec<Read>) {
    let m = &b.matching;
    let shared = |of: &Node| -> Vec<Matcher> {
        let known = known(of, reads).into_iter();
        known.filter(|k| in_signature(m, &k.name)).collect()
    };
    let (of_left, of_right) = (shared(&b.lhs), shared(&b.rhs));
    let (to_left, to_right) = match b.op {
        BinaryOp::And => (true, true),
        BinaryOp::Unless => (false, true),
        BinaryOp::Or => (false, false),
        // A fill value stands for a missing partner.
        _ if m.fill_lhs.is_some() || m.fill_rhs.is_some() => (false, false),
        _ => {
            let one = if m.card == Cardinality::OneToMany { &b.lhs } else { &b.rhs };
            let distinct = distinct(one, m, reads);
            (distinct, distinct)
        }
    };
    if to_left {
        add(&mut b.lhs, &of_right, reads);
    }
    if to_right {
        add(&mut b.rhs, &of_left, reads);
    }
}

/// Whether partners are equal in this label.
fn in_signature(m: &VectorMatching, name: &str) -> bool {
    name != METRIC_NAME && m.labels.iter().any(|l| l == name) == m.on
}

/// Matchers that hold for every series of a node; never on the metric name.
fn known(node: &Node, reads: &[Read]) -> Vec<Matcher> {
    match &node.kind {
        Kind::Vector(select) | Kind::Matrix(select) => match reads.get(select.read) {
            Some(read) => read.matchers.iter().filter(|m| !m.is_metric_name()).cloned().collect(),
            None => Vec::new(),
        },
        Kind::Subquery(s) => known(&s.expr, reads),
        Kind::Negate(inner) | Kind::Plus(inner) | Kind::Invariant(inner) => known(inner, reads),
        Kind::Shared(shared) => known(&shared.node, reads),
        Kind::Call { func, args } => known_of_call(func, args, reads),
        Kind::Aggregate(a) => known_of_aggregate(a, reads),
        Kind::Binary(b) => known_of_binary(b, reads),
        Kind::Number(_) | Kind::String(_) => Vec::new(),
    }
}

fn known_of_call(func: &Function, args: &[Node], reads: &[Read]) -> Vec<Matcher> {
    let vector = args.iter().find(|arg| !arg.is_scalar() && !matches!(arg.kind, Kind::String(_)));
    let mut known = vector.map(|arg| known(arg, reads)).unwrap_or_default();
    match func.name {
        "absent" | "absent_over_time" | "info" | "label_join" | "label_replace" => Vec::new(),
        "histogram_quantile" | "histogram_fraction" => {
            known.retain(|m| m.name != "le");
            known
        }
        "histogram_quantiles" => Vec::new(),
        _ => known,
    }
}

fn known_of_aggregate(a: &Aggregate, reads: &[Read]) -> Vec<Matcher> {
    let mut known = known(&a.expr, reads);
    match a.op {
        AggregateOp::Topk
        | AggregateOp::Bottomk
        | AggregateOp::Limitk
        | AggregateOp::LimitRatio => {}
        // Its label may be one of these.
        AggregateOp::CountValues => known.clear(),
        _ => known.retain(|m| a.grouping.contains(&m.name) != a.without),
    }
    known
}

fn known_of_binary(b: &Binary, reads: &[Read]) -> Vec<Matcher> {
    if b.lhs.is_scalar() || b.rhs.is_scalar() {
        return known(if b.lhs.is_scalar() { &b.rhs } else { &b.lhs }, reads);
    }
    let m = &b.matching;
    let (mut left, mut right) = (known(&b.lhs, reads), known(&b.rhs, reads));
    match b.op {
        BinaryOp::Unless => return left,
        BinaryOp::Or => {
            left.retain(|k| right.contains(k));
            return left;
        }
        _ => {}
    }
    if m.fill_lhs.is_some() || m.fill_rhs.is_some() {
        return Vec::new();
    }
    if m.card == Cardinality::OneToMany {
        std::mem::swap(&mut left, &mut right);
    }
    // Labels of the "many" side, and what partners are equal in.
    if m.card == Cardinality::OneToOne && !b.op.is_set() {
        left.retain(|k| in_signature(m, &k.name));
    }
    left.retain(|k| !m.include.contains(&k.name));
    right.retain(|k| in_signature(m, &k.name) && !m.include.contains(&k.name) && !left.contains(k));
    left.append(&mut right);
    left
}

/// Whether no two series of a node can have the same signature.
fn distinct(node: &Node, m: &VectorMatching, reads: &[Read]) -> bool {
    match &node.kind {
        Kind::Vector(select) => {
            let named =
                |r: &Read| r.matchers.iter().any(|m| m.is_metric_name() && m.op == MatchOp::Equal);
            !m.on && m.labels.is_empty() && reads.get(select.read).is_some_and(named)
        }
        Kind::Aggregate(Aggregate { op, grouping, without: false, .. }) => {
            use AggregateOp::{Bottomk, CountValues, LimitRatio, Limitk, Topk};
            let one_a_group = !matches!(op, Topk | Bottomk | Limitk | LimitRatio | CountValues);
            one_a_group && grouping.iter().all(|name| in_signature(m, name))
        }
        Kind::Invariant(inner) | Kind::Plus(inner) => distinct(inner, m, reads),
        _ => false,
    }
}

/// Adds matchers to the selectors of a node, as far as that shows in no more than missing series.
fn add(node: &mut Node, more: &[Matcher], reads: &mut Vec<Read>) {
    match &mut node.kind {
        // A smoothed one may have something to say about each series.
        Kind::Vector(select) if !select.smoothed => {
            let Some(read) = reads.get(select.read) else { return };
            let mut read = read.clone();
            let known = read.matchers.len();
            for matcher in more.iter().filter(|m| !read.matchers.contains(m)).collect::<Vec<_>>() {
                read.matchers.push(matcher.clone());
            }
            if read.matchers.len() == known {
                return;
            }
            read.pushed += read.matchers.len() - known;
            let all_in = |a: &Read, b: &Read| a.matchers.iter().all(|m| b.matchers.contains(m));
            let same = |r: &Read| {
                r.selected && r.hints == read.hints && all_in(r, &read) && all_in(&read, r)
            };
            let same = reads.iter().position(same);
            select.read = same.unwrap_or(reads.len());
            if same.is_none() {
                reads.push(read);
            }
        }
        Kind::Invariant(inner) | Kind::Plus(inner) => add(inner, more, reads),
        // These count, whatever the samples are, and have no word on them.
        Kind::Aggregate(Aggregate {
            op: AggregateOp::Count | AggregateOp::Group,
            expr,
            grouping,
            without: false,
            ..
        }) => {
            let grouped = more.iter().filter(|m| grouping.contains(&m.name)).cloned();
            add(expr, &grouped.collect::<Vec<_>>(), reads);
        }
        Kind::Binary(b) if b.op.is_set() => {
            let shared = more.iter().filter(|k| in_signature(&b.matching, &k.name)).cloned();
            let shared: Vec<Matcher> = shared.collect();
            // The left side of `or` hides series of the right one, by the labels they share.
            add(&mut b.lhs, if b.op == BinaryOp::Or { &shared } else { more }, reads);
            add(&mut b.rhs, if b.op == BinaryOp::Or { more } else { &shared }, reads);
        }
        _ => {}
    }
}

/// Reads no selector points at any more are not selected.
fn forget_unused(plan: &mut Plan) {
    let mut used = vec![false; plan.reads.len()];
    mark_used(&plan.root, &mut used);
    for (read, used) in plan.reads.iter_mut().zip(used) {
        read.selected &= used;
    }
}

fn mark_used(node: &Node, used: &mut [bool]) {
    if let Some(used) = node.selector().and_then(|select| used.get_mut(select.read)) {
        *used = true;
    }
    node.children().into_iter().for_each(|child| mark_used(child, used));
}
