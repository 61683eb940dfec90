//! Templates: `$1`, `${1}`, `$name`, `${name}` and `$$`, filled with the groups of a match as Go's
//! `Regexp.Expand` does.

use regex::Captures;

/// A parsed replacement text of `label_replace` or a relabelling rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Number(usize),
    Name(String),
}

impl Template {
    /// Parses `text`. There is no error: what is not a reference stands for itself.
    pub fn parse(text: &str) -> Template {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            literal.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                literal.push('$');
                rest = after;
                continue;
            }
            rest = after;
            let Some((name, after)) = reference(after) else {
                literal.push('$');
                continue;
            };
            rest = after;
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            let leading_zero = name.len() > 1 && name.starts_with('0');
            let digits = name.bytes().all(|b| b.is_ascii_digit()) && !leading_zero;
            parts.push(match name.parse() {
                Ok(number) if digits => Part::Number(number),
                _ => Part::Name(name.to_owned()),
            });
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Template { parts }
    }

    /// The text, when there is no reference in it.
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Appends the template to `out`. Groups that are not there, or took no part, are empty.
    pub(super) fn expand(&self, groups: &Captures<'_>, names: &[Option<String>], out: &mut String) {
        for part in &self.parts {
            let found = match part {
                Part::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Number(n) => groups.get(*n),
                Part::Name(name) => names
                    .iter()
                    .enumerate()
                    .filter(|(_, n)| n.as_deref() == Some(name))
                    .find_map(|(i, _)| groups.get(i)),
            };
            out.push_str(found.map_or("", |m| m.as_str()));
        }
    }
}

/// The name after a dollar sign, in braces or as long as it gets, and what follows.
fn reference(text: &str) -> Option<(&str, &str)> {
    let word = |c: char| c == '_' || c.is_alphanumeric();
    let (body, braced) = match text.strip_prefix('{') {
        Some(body) => (body, true),
        None => (text, false),
    };
    let (name, rest) = body.split_at(body.find(|c| !word(c)).unwrap_or(body.len()));
    let rest = if braced { rest.strip_prefix('}')? } else { rest };
    (!name.is_empty()).then_some((name, rest))
}
