//! Matchers: the conditions of a selector, `name=value` with one of four operators.

use std::fmt;

use crate::labels::{METRIC_NAME, is_legacy_label_name};
use crate::number::go_quote;
use crate::regex::{FastRegex, RegexError};

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, fully anchored
    Regex,
    /// `!~`, fully anchored
    NotRegex,
}

impl MatchOp {
    /// The operator as written in PromQL.
    pub fn as_str(self) -> &'static str {
        match self {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        }
    }
}

/// One condition on one label. A missing label counts as the empty string.
#[derive(Clone, Debug)]
pub struct Matcher {
    /// How to compare.
    pub op: MatchOp,
    /// Label name.
    pub name: String,
    /// Value or pattern as written.
    pub value: String,
    regex: Option<FastRegex>,
}

impl Matcher {
    /// A matcher; compiles the pattern of the two regex operators.
    pub fn new(
        op: MatchOp,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<Matcher, RegexError> {
        let value = value.into();
        let regex = match op {
            MatchOp::Regex | MatchOp::NotRegex => Some(FastRegex::new(&value)?),
            MatchOp::Equal | MatchOp::NotEqual => None,
        };
        Ok(Matcher { op, name: name.into(), value, regex })
    }

    /// `name="value"`.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Matcher {
        Matcher { op: MatchOp::Equal, name: name.into(), value: value.into(), regex: None }
    }

    /// Whether a label of this value (empty when absent) satisfies the condition.
    pub fn matches(&self, value: &str) -> bool {
        match self.op {
            MatchOp::Equal => self.value == value,
            MatchOp::NotEqual => self.value != value,
            MatchOp::Regex => self.regex.as_ref().is_some_and(|r| r.is_match(value)),
            MatchOp::NotRegex => !self.regex.as_ref().is_some_and(|r| r.is_match(value)),
        }
    }

    /// Whether series without the label satisfy the condition.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    /// The compiled pattern of a regex matcher.
    pub fn regex(&self) -> Option<&FastRegex> {
        self.regex.as_ref()
    }

    /// The opposite condition.
    pub fn inverse(&self) -> Matcher {
        let op = match self.op {
            MatchOp::Equal => MatchOp::NotEqual,
            MatchOp::NotEqual => MatchOp::Equal,
            MatchOp::Regex => MatchOp::NotRegex,
            MatchOp::NotRegex => MatchOp::Regex,
        };
        Matcher { op, ..self.clone() }
    }

    /// Whether this is a condition on the metric name.
    pub fn is_metric_name(&self) -> bool {
        self.name == METRIC_NAME
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Matcher) -> bool {
        self.op == other.op && self.name == other.name && self.value == other.value
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_legacy_label_name(&self.name) {
            write!(f, "{}{}{}", self.name, self.op.as_str(), go_quote(&self.value))
        } else {
            write!(f, "{}{}{}", go_quote(&self.name), self.op.as_str(), go_quote(&self.value))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(op: MatchOp, pattern: &str, yes: &[&str], no: &[&str]) {
        let m = Matcher::new(op, "a", pattern).unwrap();
        for v in yes {
            assert!(m.matches(v), "{m} should match {v:?}");
            assert!(!m.inverse().matches(v));
        }
        for v in no {
            assert!(!m.matches(v), "{m} should not match {v:?}");
        }
    }

    #[test]
    fn four_operators() {
        check(MatchOp::Equal, "x", &["x"], &["", "xx"]);
        check(MatchOp::NotEqual, "x", &["", "xx"], &["x"]);
        check(MatchOp::Regex, "5..|x", &["500", "x"], &["5000", "", "xx"]);
        check(MatchOp::Regex, ".*", &["", "a\nb"], &[]);
        check(MatchOp::NotRegex, ".+", &[""], &["x"]);
    }
}
