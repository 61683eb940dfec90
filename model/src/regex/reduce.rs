//! Reduction: what of a pattern can be decided without an automaton.

use std::collections::HashSet;

use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// Most strings that a product of alternatives may make.
const MAX_PRODUCT: usize = 256;
/// Largest class that is taken as alternatives.
const MAX_CLASS: usize = 16;
/// Sets up to this size are compared one by one.
const SMALL_SET: usize = 8;

/// How a pattern is tested.
#[derive(Debug)]
pub enum Plan {
    /// Any of these strings.
    Set(StringSet),
    /// Literals with `.*` or `.+` around and between, one of several.
    Globs(Vec<Glob>),
    /// An automaton, started only on text that begins and ends like this.
    Automaton { prefix: String, suffix: String },
}

impl Plan {
    /// The cheapest way to test `hir`, anchored on both sides.
    pub fn of(hir: &Hir) -> Plan {
        if let Some(set) = literals(hir) {
            return Plan::Set(StringSet::new(set));
        }
        let alternatives = match strip(hir).kind() {
            HirKind::Alternation(parts) => parts.iter().map(Glob::of).collect(),
            _ => Glob::of(hir).map(|g| vec![g]),
        };
        match alternatives {
            Some(globs) => Plan::Globs(globs),
            None => Plan::Automaton { prefix: literal_prefix(hir), suffix: literal_suffix(hir) },
        }
    }

    /// Whether `text` matches; `None` when only the automaton can tell.
    #[inline]
    pub fn decide(&self, text: &str) -> Option<bool> {
        match self {
            Plan::Set(set) => Some(set.contains(text)),
            Plan::Globs(globs) => Some(globs.iter().any(|g| g.is_match(text))),
            Plan::Automaton { prefix, suffix } => {
                let possible = text.starts_with(prefix.as_str()) && text.ends_with(suffix.as_str());
                if possible { None } else { Some(false) }
            }
        }
    }
}

/// Strings in order of the pattern, with a lookup by hash when there are many.
#[derive(Debug)]
pub struct StringSet {
    list: Vec<String>,
    lookup: HashSet<Box<str>>,
}

impl StringSet {
    fn new(mut list: Vec<String>) -> StringSet {
        let mut lookup: HashSet<Box<str>> = HashSet::with_capacity(list.len());
        list.retain(|s| lookup.insert(s.as_str().into()));
        if list.len() <= SMALL_SET {
            lookup = HashSet::new();
        }
        StringSet { list, lookup }
    }

    /// The strings, each once.
    pub fn as_slice(&self) -> &[String] {
        &self.list
    }

    fn contains(&self, text: &str) -> bool {
        match self.list.len() <= SMALL_SET {
            true => self.list.iter().any(|s| s == text),
            false => self.lookup.contains(text),
        }
    }
}

/// Literals in order with gaps around them: `foo.*bar.+`.
#[derive(Debug)]
pub struct Glob {
    /// What comes before each literal: `None` nothing, else at least that many characters.
    parts: Vec<(Option<usize>, String)>,
    /// What comes after the last literal.
    tail: Option<usize>,
}

impl Glob {
    fn of(hir: &Hir) -> Option<Glob> {
        let mut parts = Vec::new();
        let mut gap: Option<usize> = None;
        let mut literal = String::new();
        for part in elements(hir) {
            let part = strip(part);
            if let Some(min) = any_gap(part) {
                if !literal.is_empty() {
                    parts.push((gap.take(), std::mem::take(&mut literal)));
                }
                gap = Some(gap.unwrap_or(0) + min);
                continue;
            }
            match literals(part)?.as_slice() {
                [one] => literal.push_str(one),
                _ => return None,
            }
        }
        if !literal.is_empty() {
            parts.push((gap.take(), literal));
        }
        Some(Glob { parts, tail: gap })
    }

    /// Finds the literals from the left, each as early as possible; the last one, when nothing may
    /// follow it, at the end.
    fn is_match(&self, text: &str) -> bool {
        let mut rest = text;
        for (i, (gap, literal)) in self.parts.iter().enumerate() {
            let last = i + 1 == self.parts.len() && self.tail.is_none();
            let Some(min) = gap else {
                match rest.strip_prefix(literal.as_str()) {
                    Some(after) => rest = after,
                    None => return false,
                }
                continue;
            };
            let Some(open) = skip_chars(rest, *min) else { return false };
            if last {
                return open.len() >= literal.len() && open.ends_with(literal.as_str());
            }
            match open.find(literal.as_str()) {
                Some(at) => rest = &open[at + literal.len()..],
                None => return false,
            }
        }
        match self.tail {
            Some(min) => skip_chars(rest, min).is_some(),
            None => rest.is_empty(),
        }
    }
}

/// `text` without its first `n` characters, if it has so many.
fn skip_chars(text: &str, n: usize) -> Option<&str> {
    let mut chars = text.chars();
    for _ in 0..n {
        chars.next()?;
    }
    Some(chars.as_str())
}

/// The least number of characters of `.*`, `.+` or `.{3,}`.
fn any_gap(hir: &Hir) -> Option<usize> {
    let HirKind::Repetition(r) = hir.kind() else { return None };
    let HirKind::Class(Class::Unicode(class)) = r.sub.kind() else { return None };
    let any = matches!(class.ranges(), [one] if one.start() == '\0' && one.end() == char::MAX);
    (any && r.max.is_none()).then_some(r.min as usize)
}

/// `hir` without the groups around it.
fn strip(mut hir: &Hir) -> &Hir {
    while let HirKind::Capture(c) = hir.kind() {
        hir = &c.sub;
    }
    hir
}

/// The elements of a concatenation, without anchors that the whole pattern has anyway.
fn elements(hir: &Hir) -> &[Hir] {
    let hir = strip(hir);
    let HirKind::Concat(parts) = hir.kind() else { return std::slice::from_ref(hir) };
    let mut parts = parts.as_slice();
    while let [first, rest @ ..] = parts
        && matches!(first.kind(), HirKind::Look(Look::Start))
    {
        parts = rest;
    }
    while let [rest @ .., last] = parts
        && matches!(last.kind(), HirKind::Look(Look::End))
    {
        parts = rest;
    }
    parts
}

/// The strings `hir` matches as a whole, in order, when they are finite and few; an alternation of
/// literals may have any number of them.
fn literals(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Concat(_) => product(elements(hir)),
        _ => strings(hir),
    }
}

fn strings(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty => Some(vec![String::new()]),
        HirKind::Literal(lit) => Some(vec![String::from_utf8(lit.0.to_vec()).ok()?]),
        HirKind::Capture(c) => strings(&c.sub),
        HirKind::Class(Class::Unicode(class)) => {
            let total: usize = class.ranges().iter().map(|r| r.len()).sum();
            let chars = class.ranges().iter().flat_map(|r| r.start()..=r.end());
            (total <= MAX_CLASS).then(|| chars.map(String::from).collect())
        }
        HirKind::Alternation(parts) => {
            let mut out = Vec::new();
            for part in parts {
                out.extend(strings(part)?);
            }
            Some(out)
        }
        HirKind::Repetition(r) if r.min == 0 && r.max == Some(1) => {
            let mut out = strings(&r.sub)?;
            out.push(String::new());
            Some(out)
        }
        HirKind::Concat(parts) => product(parts),
        _ => None,
    }
}

fn product(parts: &[Hir]) -> Option<Vec<String>> {
    let mut out = vec![String::new()];
    for part in parts {
        let tails = strings(part)?;
        if out.len() > 1 && tails.len() > 1 && out.len() * tails.len() > MAX_PRODUCT {
            return None;
        }
        out = out.iter().flat_map(|h| tails.iter().map(move |t| format!("{h}{t}"))).collect();
    }
    Some(out)
}

/// A literal that every match starts with.
pub fn literal_prefix(hir: &Hir) -> String {
    if let HirKind::Alternation(parts) = strip(hir).kind() {
        let mut prefixes = parts.iter().map(literal_prefix);
        let first = prefixes.next().unwrap_or_default();
        return prefixes.fold(first, |a, b| common(a.chars().zip(b.chars())));
    }
    edge(elements(hir).iter(), literal_prefix, |out, piece| out.push_str(piece))
}

/// A literal that every match ends with.
fn literal_suffix(hir: &Hir) -> String {
    if let HirKind::Alternation(parts) = strip(hir).kind() {
        let mut suffixes = parts.iter().map(literal_suffix);
        let first = suffixes.next().unwrap_or_default();
        return suffixes.fold(first, |a, b| {
            let reversed: String = common(a.chars().rev().zip(b.chars().rev()));
            reversed.chars().rev().collect()
        });
    }
    edge(elements(hir).iter().rev(), literal_suffix, |out, piece| out.insert_str(0, piece))
}

fn common(pairs: impl Iterator<Item = (char, char)>) -> String {
    pairs.take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
}

/// The literal at one edge: whole elements as long as they are one literal, then what the next
/// element has at that edge.
fn edge<'h>(
    parts: impl ExactSizeIterator<Item = &'h Hir>,
    inner: impl Fn(&Hir) -> String,
    add: impl Fn(&mut String, &str),
) -> String {
    let mut out = String::new();
    let single = parts.len() == 1;
    for part in parts {
        match strings(part).as_deref() {
            Some([one]) => add(&mut out, one),
            _ => {
                let part = strip(part);
                let deeper = matches!(part.kind(), HirKind::Concat(_) | HirKind::Alternation(_));
                if deeper && !(single && matches!(part.kind(), HirKind::Concat(_))) {
                    add(&mut out, &inner(part));
                }
                break;
            }
        }
    }
    out
}
