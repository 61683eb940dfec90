//! FastRegex: the anchored regular expressions of matchers and relabel rules, in Go's RE2 syntax.
//!
//! A pattern is compiled as `^(?s:pattern)$`. What reduces to a set of literals, to literals around
//! `.*`, or has a literal prefix says so, so that an index can look values up instead of testing
//! every one, and so that most tests never start an automaton.

mod class;
mod escape;
mod expand;
mod reduce;
mod syntax;

use std::sync::{Arc, OnceLock};

pub use expand::Template;
use reduce::Plan;

/// A pattern that does not compile, in Go's words: `error parsing regexp: …`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {reason}")]
pub struct RegexError {
    /// What is wrong, without the common prefix.
    pub reason: String,
}

/// A fully anchored pattern. Clones share it.
#[derive(Clone, Debug)]
pub struct FastRegex {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The anchored pattern in the syntax of crate `regex`.
    source: String,
    /// Names of the groups, by number; 0 is the whole.
    names: Vec<Option<String>>,
    plan: Plan,
    prefix: String,
    regex: OnceLock<Option<regex::Regex>>,
}

/// Most memory a compiled pattern may take, in bytes.
const MAX_COMPILED: usize = 32 << 20;
/// Patterns up to this length that the automaton is not needed for are compiled when they are; they
/// cannot grow past the limit above.
const MAX_LAZY: usize = 64 << 10;

impl FastRegex {
    /// Compiles `pattern`.
    pub fn new(pattern: &str) -> Result<FastRegex, RegexError> {
        let parsed = syntax::parse(pattern)?;
        let plan = Plan::of(&parsed.hir);
        let prefix = match &plan {
            Plan::Set(_) => String::new(),
            _ => reduce::literal_prefix(&parsed.hir),
        };
        let source = format!(r"\A(?:{})\z", parsed.hir);
        let names = parsed.names;
        let needed = matches!(plan, Plan::Automaton { .. }) || source.len() > MAX_LAZY;
        let inner = Inner { source, names, plan, prefix, regex: OnceLock::new() };
        // A large set without groups never needs its automaton.
        let only_set = matches!(inner.plan, Plan::Set(_)) && inner.names.len() == 1;
        if needed && !only_set && inner.regex().is_none() {
            let reason = format!("expression too large: `{pattern}`");
            return Err(RegexError { reason });
        }
        Ok(FastRegex { inner: Arc::new(inner) })
    }

    /// Compiles `pattern`; errors show it wrapped as relabelling rules do.
    pub fn new_wrapped(pattern: &str) -> Result<FastRegex, RegexError> {
        FastRegex::new(pattern).map_err(|plain| {
            // What is wrong is shown in the text that Prometheus compiles.
            syntax::parse(&format!("^(?s:{pattern})$")).err().unwrap_or(plain)
        })
    }

    /// Whether the whole of `text` matches.
    pub fn is_match(&self, text: &str) -> bool {
        self.inner
            .plan
            .decide(text)
            .unwrap_or_else(|| self.inner.regex().is_some_and(|regex| regex.is_match(text)))
    }

    /// The strings this pattern matches, when they are few and finite.
    pub fn set_matches(&self) -> Option<&[String]> {
        match &self.inner.plan {
            Plan::Set(set) => Some(set.as_slice()),
            _ => None,
        }
    }

    /// A literal every match starts with; empty when there is none.
    pub fn prefix(&self) -> &str {
        &self.inner.prefix
    }

    /// The groups of a match of the whole of `text`.
    pub fn captures<'t>(&self, text: &'t str) -> Option<regex::Captures<'t>> {
        if self.inner.plan.decide(text) == Some(false) {
            return None;
        }
        self.inner.regex()?.captures(text)
    }

    /// Appends `template` with the groups of a match of the whole of `text` to `out`; false when it
    /// does not match.
    pub fn expand(&self, template: &Template, text: &str, out: &mut String) -> bool {
        let Some(groups) = self.captures(text) else { return false };
        template.expand(&groups, &self.inner.names, out);
        true
    }
}

impl Inner {
    fn regex(&self) -> Option<&regex::Regex> {
        let compile = || {
            regex::RegexBuilder::new(&self.source)
                .size_limit(MAX_COMPILED)
                .nest_limit(4 * syntax::MAX_NESTING)
                .build()
                .ok()
        };
        self.regex.get_or_init(compile).as_ref()
    }
}

#[cfg(test)]
mod tests;
