//! Parts that stand in a query more than once, found and marked for being evaluated once.
//!
//! Two nodes are the same part when they are written the same, spaces included (so that every
//! position in one has its counterpart in the other), read the same, and are evaluated at the same
//! steps. Only instant vectors that read something are worth it.

use std::collections::HashMap;

use super::{Kind, Node, Plan, Shared, Subquery};
use crate::parser::ast::ValueType;

/// Functions that treat a selector unlike other vectors.
const LOOK_AT_SELECTOR: [&str; 2] = ["timestamp", "start_timestamp"];

/// What a node is, apart from its children.
type Part = usize;
/// At which steps it is evaluated; 0 are those of the query.
pub(super) type Scope = usize;

/// Which steps the parts below a node see.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Below {
    /// The first one only.
    Once,
    /// Those of a subquery: range, step, offset and fixed time.
    Subquery(i64, i64, i64, Option<i64>),
}

/// The scopes met so far.
#[derive(Default)]
pub(super) struct Scopes(HashMap<(Scope, Below), Scope>);

impl Scopes {
    /// The scope of what is below `node`.
    pub(super) fn below(&mut self, node: &Node, scope: Scope) -> Scope {
        let below = match &node.kind {
            Kind::Invariant(_) => Below::Once,
            Kind::Subquery(Subquery { range_ms, step_ms, offset_ms, at, .. }) => {
                Below::Subquery(*range_ms, *step_ms, *offset_ms, *at)
            }
            _ => return scope,
        };
        let fresh = self.0.len() + 1;
        *self.0.entry((scope, below)).or_insert(fresh)
    }
}

#[derive(Default)]
struct Finder {
    /// By what they are: their own text, and part and distance of each child.
    parts: HashMap<(String, Vec<(Part, u32)>), Part>,
    /// By rank of a node.
    part_of: HashMap<u32, Part>,
    scopes: Scopes,
    /// Occurrences that are met when each is evaluated once.
    uses: HashMap<(Scope, Part), usize>,
    classes: HashMap<(Scope, Part), usize>,
}

/// Marks the parts of `plan` that are needed more than once.
pub(crate) fn share(plan: &mut Plan) {
    let mut finder = Finder::default();
    finder.name(&plan.root);
    finder.count(&plan.root, 0, true);
    if finder.uses.values().any(|uses| *uses > 1) {
        finder.mark(&mut plan.root, 0, true);
    }
}

impl Finder {
    /// Finds out what `node` is.
    fn name(&mut self, node: &Node) -> Part {
        let children = node.children();
        let children: Vec<(Part, u32)> = children
            .into_iter()
            .map(|child| (self.name(child), child.start.wrapping_sub(node.start)))
            .collect();
        let fresh = self.parts.len();
        let part = *self.parts.entry((node.own_text(), children)).or_insert(fresh);
        self.part_of.insert(node.rank, part);
        part
    }

    fn key(&self, node: &Node, scope: Scope) -> (Scope, Part) {
        (scope, self.part_of.get(&node.rank).copied().unwrap_or(usize::MAX))
    }

    fn count(&mut self, node: &Node, scope: Scope, may: bool) {
        if may && worth_it(node) {
            let uses = self.uses.entry(self.key(node, scope)).or_insert(0);
            *uses += 1;
            if *uses > 1 {
                return;
            }
        }
        let scope = self.scopes.below(node, scope);
        for child in node.children() {
            self.count(child, scope, may_share(node, child));
        }
    }

    /// The same walk, marking what the count has found.
    fn mark(&mut self, node: &mut Node, scope: Scope, may: bool) {
        let mut first = true;
        let mut mark = None;
        if may && worth_it(node) {
            let key = self.key(node, scope);
            if let Some(uses) = self.uses.get(&key).copied().filter(|uses| *uses > 1) {
                let fresh = self.classes.len();
                first = !self.classes.contains_key(&key);
                mark = Some((*self.classes.entry(key).or_insert(fresh), uses));
            }
        }
        if first {
            let below = self.scopes.below(node, scope);
            let may: Vec<bool> = node.children().iter().map(|c| may_share(node, c)).collect();
            for (child, may) in node.children_mut().into_iter().zip(may) {
                self.mark(child, below, may);
            }
        }
        if let Some((class, uses)) = mark {
            let Node { rank, start, value_type, .. } = *node;
            let kind = std::mem::replace(&mut node.kind, Kind::Number(0.0));
            let inner = Box::new(Node { rank, start, value_type, kind });
            node.kind = Kind::Shared(Shared { class, uses, node: inner });
        }
    }
}

/// A wrapper is not marked but what is in it, whose rank goes with the ranks below.
fn worth_it(node: &Node) -> bool {
    !matches!(node.kind, Kind::Invariant(_)) && node.value_type == ValueType::Vector && reads(node)
}

/// Whether anything below is read from the store.
pub(super) fn reads(node: &Node) -> bool {
    match &node.kind {
        Kind::Vector(_) | Kind::Matrix(_) => true,
        _ => node.children().into_iter().any(reads),
    }
}

/// Whether a handle may stand in place of `child`.
fn may_share(node: &Node, child: &Node) -> bool {
    match &node.kind {
        // Its second argument is not evaluated.
        Kind::Call { func, .. } if func.name == "info" => !matches!(child.kind, Kind::Vector(_)),
        Kind::Call { func, .. } if LOOK_AT_SELECTOR.contains(&func.name) => {
            !matches!(child.kind, Kind::Vector(_))
        }
        _ => true,
    }
}

impl Node {
    /// The nodes directly below, in order of evaluation.
    pub(crate) fn children(&self) -> Vec<&Node> {
        match &self.kind {
            Kind::Number(_) | Kind::String(_) | Kind::Vector(_) | Kind::Matrix(_) => Vec::new(),
            Kind::Subquery(s) => vec![&s.expr],
            Kind::Call { args, .. } => args.iter().collect(),
            Kind::Aggregate(a) => a.param.as_deref().into_iter().chain([&*a.expr]).collect(),
            Kind::Binary(b) => vec![&b.lhs, &b.rhs],
            Kind::Negate(inner) | Kind::Plus(inner) | Kind::Invariant(inner) => vec![inner],
            Kind::Shared(shared) => vec![&shared.node],
        }
    }

    pub(crate) fn children_mut(&mut self) -> Vec<&mut Node> {
        match &mut self.kind {
            Kind::Number(_) | Kind::String(_) | Kind::Vector(_) | Kind::Matrix(_) => Vec::new(),
            Kind::Subquery(s) => vec![&mut s.expr],
            Kind::Call { args, .. } => args.iter_mut().collect(),
            Kind::Aggregate(a) => {
                a.param.as_deref_mut().into_iter().chain([&mut *a.expr]).collect()
            }
            Kind::Binary(b) => vec![&mut b.lhs, &mut b.rhs],
            Kind::Negate(inner) | Kind::Plus(inner) | Kind::Invariant(inner) => vec![inner],
            Kind::Shared(shared) => vec![&mut shared.node],
        }
    }

    /// What tells the node from others, its children aside.
    pub(super) fn own_text(&self) -> String {
        match &self.kind {
            // Bits: zeros and NaNs differ.
            Kind::Number(v) => format!("number {:x}", v.to_bits()),
            Kind::String(text) => format!("string {text}"),
            Kind::Vector(select) => format!("vector {select:?}"),
            Kind::Matrix(select) => format!("matrix {select:?}"),
            Kind::Subquery(Subquery { range_ms, step_ms, offset_ms, at, .. }) => {
                format!("subquery {range_ms} {step_ms} {offset_ms} {at:?}")
            }
            Kind::Call { func, .. } => format!("call {}", func.name),
            Kind::Aggregate(a) => {
                format!("{} {:?} {} {}", a.op.as_str(), a.grouping, a.without, a.param.is_some())
            }
            Kind::Binary(b) => {
                format!("{} {:?} {}", b.op.as_str(), b.matching, b.return_bool)
            }
            Kind::Negate(_) => "negate".to_owned(),
            Kind::Plus(_) => "plus".to_owned(),
            Kind::Invariant(_) => "invariant".to_owned(),
            Kind::Shared(shared) => format!("shared {}", shared.class),
        }
    }
}
