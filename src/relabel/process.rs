//! Applying relabelling rules to a label set.

use std::borrow::Cow;

use md5::{Digest, Md5};
use model::LabelsBuilder;
use model::regex::Template;

use super::config::{Action, RelabelConfig, has_variable};

/// Applies the rules in order; `false` when one of them drops the label set, which is then left as
/// it was at that rule.
pub fn process(labels: &mut LabelsBuilder, rules: &[RelabelConfig]) -> bool {
    rules.iter().all(|rule| apply(rule, labels))
}

fn apply(rule: &RelabelConfig, labels: &mut LabelsBuilder) -> bool {
    match rule.action.unwrap_or_default() {
        Action::Drop => !rule.regex.is_match(&source(rule, labels)),
        Action::Keep => rule.regex.is_match(&source(rule, labels)),
        Action::DropEqual => labels.get(&rule.target_label) != source(rule, labels),
        Action::KeepEqual => labels.get(&rule.target_label) == source(rule, labels),
        action => {
            change(rule, action, labels);
            true
        }
    }
}

fn change(rule: &RelabelConfig, action: Action, labels: &mut LabelsBuilder) {
    match action {
        Action::Replace => replace(rule, labels),
        Action::HashMod => {
            let hash = hash(&source(rule, labels));
            if let Some(modulo) = hash.checked_rem(rule.modulus) {
                labels.set(&rule.target_label, &modulo.to_string());
            }
        }
        Action::Lowercase => {
            let value = lowercase(&source(rule, labels));
            labels.set(&rule.target_label, &value);
        }
        Action::Uppercase => {
            let value = uppercase(&source(rule, labels));
            labels.set(&rule.target_label, &value);
        }
        Action::LabelMap => map_labels(rule, labels),
        Action::LabelDrop => labels.retain(|name| !rule.regex.is_match(name)),
        Action::LabelKeep => labels.retain(|name| rule.regex.is_match(name)),
        Action::Drop | Action::Keep | Action::DropEqual | Action::KeepEqual => {}
    }
}

/// The values of the source labels, joined.
fn source<'l>(rule: &RelabelConfig, labels: &'l LabelsBuilder) -> Cow<'l, str> {
    match rule.source_labels.as_slice() {
        [] => Cow::Borrowed(""),
        [only] => Cow::Borrowed(labels.get(&only.0)),
        [first, others @ ..] => {
            let mut joined = labels.get(&first.0).to_owned();
            for name in others {
                joined.push_str(&rule.separator);
                joined.push_str(labels.get(&name.0));
            }
            Cow::Owned(joined)
        }
    }
}

fn replace(rule: &RelabelConfig, labels: &mut LabelsBuilder) {
    let text = source(rule, labels);
    let (target, value) = (&rule.target_label, &rule.replacement);
    let value = if value == "$1" && rule.regex.is_default() {
        text.clone().into_owned()
    } else if !rule.regex.is_match(&text) {
        return;
    } else {
        expand(rule, value, &text)
    };
    if !has_variable(target) {
        labels.set(target, &value);
        return;
    }
    let target = expand(rule, target, &text);
    if rule.scheme.is_valid_label_name(&target) {
        labels.set(&target, &value);
    }
}

/// A template filled with what the rule's pattern captures in a text it matches.
fn expand(rule: &RelabelConfig, template: &str, text: &str) -> String {
    if !has_variable(template) {
        return template.to_owned();
    }
    let mut out = String::with_capacity(text.len() + template.len());
    rule.regex.regex().expand(&Template::parse(template), text, &mut out);
    out
}

fn map_labels(rule: &RelabelConfig, labels: &mut LabelsBuilder) {
    // New labels are not mapped again.
    let matching: Vec<(String, String)> = labels
        .iter()
        .filter(|(name, _)| rule.regex.is_match(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for (name, value) in matching {
        labels.set(&expand(rule, &rule.replacement, &name), &value);
    }
}

/// The last eight bytes of the MD5 of a text.
fn hash(text: &str) -> u64 {
    let digest: [u8; 16] = Md5::digest(text.as_bytes()).into();
    digest[8..].iter().fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// Lower case character by character: no character becomes two.
fn lowercase(text: &str) -> String {
    let lower = |c: char| match c {
        'İ' => 'i',
        c => single(c.to_lowercase()).unwrap_or(c),
    };
    text.chars().map(lower).collect()
}

/// Upper case character by character: what has no single capital stays.
fn uppercase(text: &str) -> String {
    let upper = |c: char| match c {
        // Greek letters with an iota below have one in title case, eight or nine places up.
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => {
            char::from_u32(c as u32 + 8).unwrap_or(c)
        }
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => char::from_u32(c as u32 + 9).unwrap_or(c),
        c => single(c.to_uppercase()).unwrap_or(c),
    };
    text.chars().map(upper).collect()
}

fn single(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next()?;
    chars.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests;
