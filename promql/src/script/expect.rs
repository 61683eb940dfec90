//! Expectations about a query's failure, annotations and order: `expect warn msg: …` and the older
//! `eval_warn`, `eval_fail` forms.

use model::Annotations;
use model::number::go_quote;
use model::regex::FastRegex;

/// How a text is compared.
#[derive(Clone, Debug)]
pub enum Match {
    Any,
    /// The whole text.
    Message(String),
    /// A pattern found anywhere in the text.
    Pattern {
        pattern: String,
        regex: FastRegex,
    },
}

impl Match {
    /// A pattern that may match anywhere.
    pub fn pattern(pattern: &str) -> Option<Match> {
        let regex = FastRegex::new(&format!("(?s:.*)(?:{pattern})(?s:.*)")).ok()?;
        Some(Match::Pattern { pattern: pattern.to_owned(), regex })
    }

    /// Whether `text` is what is expected.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Match::Any => true,
            Match::Message(message) => message == text,
            Match::Pattern { regex, .. } => regex.is_match(text),
        }
    }

    fn describe(&self) -> String {
        match self {
            Match::Any => "pattern \"^.*$\"".to_owned(),
            Match::Message(message) => format!("message {}", go_quote(message)),
            Match::Pattern { pattern, .. } => format!("pattern {}", go_quote(pattern)),
        }
    }
}

impl PartialEq for Match {
    fn eq(&self, other: &Match) -> bool {
        match (self, other) {
            (Match::Any, Match::Any) => true,
            (Match::Message(a), Match::Message(b)) => a == b,
            (Match::Pattern { pattern: a, .. }, Match::Pattern { pattern: b, .. }) => a == b,
            _ => false,
        }
    }
}

/// Everything expected of a query besides its value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expectations {
    pub fail: Option<Match>,
    pub warn: Vec<Match>,
    pub info: Vec<Match>,
    pub no_warn: bool,
    pub no_info: bool,
    pub ordered: bool,
}

impl Expectations {
    /// Adds a line that starts with `expect`.
    pub fn add(&mut self, line: &str) -> Result<(), String> {
        let invalid = "invalid expect statement, must match `expect <type> <match_type>: <string>` \
                       format";
        let rest = line.strip_prefix("expect").unwrap_or("").trim();
        let (kind, rest) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        let rest = rest.trim();
        let wanted = match rest.split_once(':') {
            _ if rest.is_empty() => Match::Any,
            Some(("msg", text)) if !text.is_empty() => Match::Message(text.trim().to_owned()),
            Some(("regex", text)) if !text.is_empty() => {
                let pattern = text.trim();
                Match::pattern(pattern).ok_or(format!("invalid regex {pattern} for {kind}"))?
            }
            _ => return Err(invalid.to_owned()),
        };
        match kind {
            "ordered" => self.ordered = true,
            "fail" if self.fail.is_some() => {
                return Err(
                    "invalid expect lines, multiple expect fail lines are not allowed".to_owned()
                );
            }
            "fail" => self.fail = Some(wanted),
            "warn" => self.warn.push(wanted),
            "info" => self.info.push(wanted),
            "no_warn" => self.no_warn = true,
            "no_info" => self.no_info = true,
            _ => return Err(invalid.to_owned()),
        }
        for (name, some, none) in
            [("info", &self.info, self.no_info), ("warn", &self.warn, self.no_warn)]
        {
            if none && !some.is_empty() {
                let message =
                    format!("invalid expect lines, {name} and no_{name} cannot be used together");
                return Err(message);
            }
        }
        Ok(())
    }

    /// Checks the annotations of a query.
    pub fn check_annotations(&self, annotations: &Annotations) -> Result<(), String> {
        let (warnings, infos) = (annotations.warnings(), annotations.infos());
        for (name, wanted, found) in [("warn", &self.warn, warnings), ("info", &self.info, infos)] {
            check_kind(name, wanted, found)?;
        }
        if self.no_warn && !warnings.is_empty() {
            return Err(format!("unexpected warning annotations: {warnings:?}"));
        }
        if self.no_info && !infos.is_empty() {
            return Err(format!("unexpected info annotations: {infos:?}"));
        }
        Ok(())
    }
}

/// Every expectation needs an annotation and every annotation an expectation.
fn check_kind(name: &str, wanted: &[Match], found: &[String]) -> Result<(), String> {
    if wanted.is_empty() {
        return Ok(());
    }
    if found.is_empty() {
        return Err(format!("expected {name} annotations but none were found"));
    }
    if let Some(missing) = wanted.iter().find(|w| !found.iter().any(|f| w.matches(f))) {
        let missing = missing.describe();
        return Err(format!(
            "expected {name} annotation matching {missing} but no matching annotation was found, \
             found: {found:?}"
        ));
    }
    if let Some(extra) = found.iter().find(|f| !wanted.iter().any(|w| w.matches(f))) {
        return Err(format!("unexpected {name} annotation {} found", go_quote(extra)));
    }
    Ok(())
}
