//! Aggregations that read the same series, marked for being folded in one pass over them.
//!
//! `sum(rate(x{code="500"}[5m])) / sum(rate(x[5m]))` reads the series with that code twice. Folding
//! aggregations take part whose inputs differ in matchers only, one selection holding all others,
//! and make each value of one series: a selector, or a function of a range selector.

use std::collections::{HashMap, HashSet};

use model::{MatchOp, Matcher};

use super::share::{Scope, Scopes, reads};
use super::{Kind, Node, Pass, Plan, Read, Select};
use crate::parser::ast::AggregateOp;

/// Different selections in one pass, at most.
const MOST_READS: usize = 64;

/// Marks the aggregations of `plan` that can share a pass.
pub(crate) fn pass(plan: &mut Plan) {
    let mut finder = Finder::default();
    finder.visit(&plan.root, 0);
    let passes = finder.passes(&plan.reads);
    if !passes.is_empty() {
        mark(&mut plan.root, &passes);
    }
}

/// An aggregation that could take part.
struct Candidate {
    rank: u32,
    /// What its input is, apart from the read.
    input: (Scope, String),
    read: usize,
    /// Its input, as a part that is needed more than once.
    class: Option<usize>,
}

#[derive(Default)]
struct Finder {
    scopes: Scopes,
    /// Shared parts met, with the number of their occurrences.
    shared: HashMap<usize, usize>,
    candidates: Vec<Candidate>,
}

impl Finder {
    fn visit(&mut self, node: &Node, scope: Scope) {
        if let Kind::Shared(shared) = &node.kind
            && self.shared.insert(shared.class, shared.uses).is_some()
        {
            // Evaluated where it was met first.
            return;
        }
        if let Kind::Aggregate(a) = &node.kind
            && folds(a.op)
        {
            let (input, class) = match &a.expr.kind {
                Kind::Shared(shared) => (&*shared.node, Some(shared.class)),
                _ => (&*a.expr, None),
            };
            if let Some((read, text)) = input_of(input) {
                let input = (scope, text);
                self.candidates.push(Candidate { rank: node.rank, input, read, class });
            }
        }
        let below = self.scopes.below(node, scope);
        node.children().into_iter().for_each(|child| self.visit(child, below));
    }

    /// The passes, by rank of the aggregations that take part.
    fn passes(mut self, reads: &[Read]) -> HashMap<u32, Pass> {
        // A part that others need as well is kept for them anyway.
        let mut folded: HashMap<usize, usize> = HashMap::new();
        for class in self.candidates.iter().filter_map(|c| c.class) {
            *folded.entry(class).or_insert(0) += 1;
        }
        let shared = &self.shared;
        self.candidates.retain(|c| c.class.is_none_or(|c| folded.get(&c) == shared.get(&c)));
        let mut families: Vec<Vec<&Candidate>> = Vec::new();
        let mut known: HashMap<(&(Scope, String), usize), usize> = HashMap::new();
        let inputs: HashSet<_> = self.candidates.iter().map(|c| (&c.input, c.read)).collect();
        for candidate in &self.candidates {
            let alike = |read: &usize| inputs.contains(&(&candidate.input, *read));
            let widest = widest(candidate.read, reads, alike);
            let family = *known.entry((&candidate.input, widest)).or_insert_with(|| {
                families.push(Vec::new());
                families.len() - 1
            });
            families[family].push(candidate);
        }
        let widest_of: HashMap<usize, usize> =
            known.into_iter().map(|((_, widest), family)| (family, widest)).collect();
        let mut passes = HashMap::new();
        let mut number = 0;
        for (family, members) in families.iter().enumerate() {
            let distinct: HashSet<usize> = members.iter().map(|c| c.read).collect();
            let Some(widest) = widest_of.get(&family).copied() else { continue };
            if members.len() > 1 && distinct.len() <= MOST_READS {
                let pass = Pass { number, widest, uses: members.len() };
                passes.extend(members.iter().map(|c| (c.rank, pass)));
                number += 1;
            }
        }
        passes
    }
}

/// Of the reads that are `alike`, the first one that holds `read` and that no other one holds.
fn widest(read: usize, reads: &[Read], alike: impl Fn(&usize) -> bool) -> usize {
    let holds = |wide: usize, narrow: usize| match (reads.get(wide), reads.get(narrow)) {
        (Some(wide), Some(narrow)) => wide.holds(narrow),
        _ => false,
    };
    let wider = |wide: usize, narrow: usize| {
        wide != narrow && holds(wide, narrow) && (wide < narrow || !holds(narrow, wide))
    };
    let all: Vec<usize> = (0..reads.len()).filter(|read| alike(read)).collect();
    let mut found = all.iter().copied().filter(|wide| wider(*wide, read));
    found.find(|wide| !all.iter().any(|other| wider(*other, *wide))).unwrap_or(read)
}

impl Read {
    /// Whether every series of `other` is one of this read, as far as matchers tell.
    fn holds(&self, other: &Read) -> bool {
        let implied = |m: &Matcher| {
            other.matchers.iter().any(|o| {
                o == m || o.op == MatchOp::Equal && o.name == m.name && m.matches(&o.value)
            })
        };
        self.selected && other.selected && self.matchers.iter().all(implied)
    }
}

/// Whether an aggregation keeps no more than a state a group.
fn folds(op: AggregateOp) -> bool {
    use AggregateOp::{Avg, Count, Group, Max, Min, Stddev, Stdvar, Sum};
    matches!(op, Sum | Avg | Count | Min | Max | Group | Stddev | Stdvar)
}

/// The read of an input that makes a value of a single series, and what it is apart from that.
fn input_of(node: &Node) -> Option<(usize, String)> {
    match &node.kind {
        Kind::Vector(select) => Some((select.read, format!("vector {}", times(select)))),
        // It looks at all series.
        Kind::Call { func, .. } if func.name == "absent_over_time" => None,
        Kind::Call { func, args } => {
            let mut text = func.name.to_owned();
            let mut read = None;
            for arg in args {
                match &arg.kind {
                    Kind::Matrix(select) => {
                        read = Some(select.read);
                        text.push_str(&format!(" matrix {}", times(select)));
                    }
                    _ if reads(arg) => return None,
                    _ => write(arg, &mut text),
                }
            }
            read.map(|read| (read, text))
        }
        _ => None,
    }
}

fn times(select: &Select) -> String {
    let Select { read: _, offset_ms, at, range_ms, within, anchored, smoothed, counts_only } =
        *select;
    format!("{offset_ms} {at:?} {range_ms} {within:?} {anchored} {smoothed} {counts_only}")
}

fn write(node: &Node, text: &mut String) {
    text.push_str(&format!(" ({}", node.own_text()));
    node.children().into_iter().for_each(|child| write(child, text));
    text.push(')');
}

fn mark(node: &mut Node, passes: &HashMap<u32, Pass>) {
    let rank = node.rank;
    if let Kind::Aggregate(a) = &mut node.kind
        && let Some(pass) = passes.get(&rank)
    {
        a.pass = Some(*pass);
        if let Kind::Shared(_) = a.expr.kind
            && let Kind::Shared(shared) = std::mem::replace(&mut a.expr.kind, Kind::Number(0.0))
        {
            a.expr = shared.node;
        }
    }
    node.children_mut().into_iter().for_each(|child| mark(child, passes));
}
