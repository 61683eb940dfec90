//! FastRegex: the anchored regular expressions of matchers and relabel rules, in Go's RE2 syntax.
//!
//! A pattern is compiled as `^(?s:pattern)$`. What reduces to a set of literals or has a literal
//! prefix says so, so that an index can look values up instead of testing every one.

use regex_syntax::hir::{Hir, HirKind};

/// A pattern that does not compile, in Go's words: `error parsing regexp: …`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {reason}")]
pub struct RegexError {
    /// What is wrong, without the common prefix.
    pub reason: String,
}

/// A fully anchored pattern.
#[derive(Clone, Debug)]
pub struct FastRegex {
    regex: regex::Regex,
    set: Option<Vec<String>>,
    prefix: String,
}

/// More alternatives than this are matched by the automaton, not by lookup.
const MAX_SET: usize = 256;

impl FastRegex {
    /// Compiles `pattern`.
    pub fn new(pattern: &str) -> Result<FastRegex, RegexError> {
        let anchored = format!("^(?s:{pattern})$");
        let regex =
            regex::Regex::new(&anchored).map_err(|e| RegexError { reason: e.to_string() })?;
        let hir = regex_syntax::ParserBuilder::new()
            .dot_matches_new_line(true)
            .build()
            .parse(pattern)
            .map_err(|e| RegexError { reason: e.to_string() })?;
        let set = literals(&hir);
        let prefix = if set.is_some() { String::new() } else { literal_prefix(&hir) };
        Ok(FastRegex { regex, set, prefix })
    }

    /// Whether the whole of `text` matches.
    pub fn is_match(&self, text: &str) -> bool {
        match &self.set {
            Some(set) => set.iter().any(|s| s == text),
            None => text.starts_with(&self.prefix) && self.regex.is_match(text),
        }
    }

    /// The strings this pattern matches, when they are few and finite.
    pub fn set_matches(&self) -> Option<&[String]> {
        self.set.as_deref()
    }

    /// A literal every match starts with; empty when there is none.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The anchored automaton, for capture groups in relabelling and `label_replace`.
    pub fn automaton(&self) -> &regex::Regex {
        &self.regex
    }
}

fn literals(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty => Some(vec![String::new()]),
        HirKind::Literal(lit) => Some(vec![String::from_utf8(lit.0.to_vec()).ok()?]),
        HirKind::Capture(c) => literals(&c.sub),
        HirKind::Class(regex_syntax::hir::Class::Unicode(class)) => {
            let total: usize = class.ranges().iter().map(|r| r.len()).sum();
            if total > 16 {
                return None;
            }
            Some(
                class
                    .ranges()
                    .iter()
                    .flat_map(|r| (r.start()..=r.end()).map(String::from))
                    .collect(),
            )
        }
        HirKind::Alternation(parts) => {
            let mut out = Vec::new();
            for part in parts {
                out.extend(literals(part)?);
                if out.len() > MAX_SET {
                    return None;
                }
            }
            Some(out)
        }
        HirKind::Concat(parts) => {
            let mut out = vec![String::new()];
            for part in parts {
                let tails = literals(part)?;
                if out.len() * tails.len() > MAX_SET {
                    return None;
                }
                out =
                    out.iter().flat_map(|h| tails.iter().map(move |t| format!("{h}{t}"))).collect();
            }
            Some(out)
        }
        _ => None,
    }
}

fn literal_prefix(hir: &Hir) -> String {
    match hir.kind() {
        HirKind::Literal(lit) => String::from_utf8(lit.0.to_vec()).unwrap_or_default(),
        HirKind::Capture(c) => literal_prefix(&c.sub),
        HirKind::Concat(parts) => {
            let mut out = String::new();
            for part in parts {
                match literals(part) {
                    Some(one) if one.len() == 1 => out.push_str(&one[0]),
                    _ => {
                        out.push_str(&literal_prefix(part));
                        break;
                    }
                }
            }
            out
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_and_prefixes() {
        let r = FastRegex::new("a|b[12]|foo(bar)?").unwrap();
        assert_eq!(r.set_matches(), None);
        let r = FastRegex::new("a|b[12]|foo(bar|baz)").unwrap();
        assert_eq!(r.set_matches().unwrap(), ["a", "b1", "b2", "foobar", "foobaz"]);
        let r = FastRegex::new("foo(bar).*").unwrap();
        assert_eq!((r.set_matches(), r.prefix()), (None, "foobar"));
        assert!(r.is_match("foobar\n") && !r.is_match("foo"));
    }

    #[test]
    fn bad_pattern_is_an_error() {
        assert!(
            FastRegex::new("a(").unwrap_err().to_string().starts_with("error parsing regexp: ")
        );
    }
}
