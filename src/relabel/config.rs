//! RelabelConfig: one relabelling rule, its defaults and what makes a rule invalid.

use std::sync::OnceLock;

use model::number::go_quote;
use model::regex::FastRegex;

use crate::config::names::{LabelName, ValidationScheme};
use crate::config::yaml::{Checked, Decoder, Error, Field, NodeRef, Value, section};

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Action {
    /// Sets the target label from what the regex matched.
    #[default]
    Replace,
    /// Drops label sets that do not match.
    Keep,
    /// Drops label sets that match.
    Drop,
    /// Drops label sets whose source differs from the target label.
    KeepEqual,
    /// Drops label sets whose source equals the target label.
    DropEqual,
    /// Sets the target label to the source's MD5 modulo a number.
    HashMod,
    /// Copies labels to names made from theirs.
    LabelMap,
    /// Removes labels whose name matches.
    LabelDrop,
    /// Removes labels whose name does not match.
    LabelKeep,
    /// Sets the target label to the source in lower case.
    Lowercase,
    /// Sets the target label to the source in upper case.
    Uppercase,
}

impl Action {
    /// All actions with their names.
    const ALL: [(&'static str, Action); 11] = [
        ("replace", Action::Replace),
        ("keep", Action::Keep),
        ("drop", Action::Drop),
        ("keepequal", Action::KeepEqual),
        ("dropequal", Action::DropEqual),
        ("hashmod", Action::HashMod),
        ("labelmap", Action::LabelMap),
        ("labeldrop", Action::LabelDrop),
        ("labelkeep", Action::LabelKeep),
        ("lowercase", Action::Lowercase),
        ("uppercase", Action::Uppercase),
    ];

    /// The action named `text`, in any case.
    pub fn parse(text: &str) -> Option<Action> {
        let lower = text.to_lowercase();
        Action::ALL.iter().find(|(name, _)| *name == lower).map(|(_, action)| *action)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        Action::ALL.iter().find(|(_, action)| *action == self).map_or("", |(name, _)| name)
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Field for Action {
    fn go_type() -> String {
        "relabel.Action".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        let Some(text) = decoder.text(node)? else { return Ok(()) };
        *self = Action::parse(&text)
            .ok_or_else(|| Error::Fatal(format!("unknown relabel action {}", go_quote(&text))))?;
        Ok(())
    }

    fn is_zero(&self) -> bool {
        false
    }

    fn emit(&self) -> Value {
        Value::Text(self.as_str().to_owned())
    }
}

/// The rule's anchored pattern. A pattern that was not given differs from the same one written out:
/// it is not shown, and `keepequal` and `dropequal` take no other.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    regex: FastRegex,
    given: bool,
}

/// What a rule without a pattern matches with.
const DEFAULT_PATTERN: &str = "(.*)";

impl Pattern {
    /// Compiles a pattern given by the user.
    pub fn new(source: &str) -> Result<Pattern, String> {
        let regex = FastRegex::new_wrapped(source).map_err(|e| e.to_string())?;
        Ok(Pattern { source: source.to_owned(), regex, given: true })
    }

    /// The pattern `(.*)` of a rule without one.
    pub fn not_given() -> Pattern {
        let regex = constant(&DEFAULT, DEFAULT_PATTERN);
        Pattern { source: DEFAULT_PATTERN.to_owned(), regex, given: false }
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// The compiled pattern.
    pub fn regex(&self) -> &FastRegex {
        &self.regex
    }

    /// Whether it captures the whole text as `$1`, being the default.
    pub fn is_default(&self) -> bool {
        !self.given
    }

    /// Whether the whole of `text` matches.
    pub fn is_match(&self, text: &str) -> bool {
        !self.given || self.regex.is_match(text)
    }
}

static DEFAULT: OnceLock<FastRegex> = OnceLock::new();
static EMPTY: OnceLock<FastRegex> = OnceLock::new();

/// A pattern of this file, compiled once.
#[allow(clippy::expect_used, reason = "the pattern is a constant of this file")]
fn constant(place: &OnceLock<FastRegex>, pattern: &str) -> FastRegex {
    place.get_or_init(|| FastRegex::new(pattern).expect("a valid pattern")).clone()
}

impl Default for Pattern {
    /// The empty pattern: what a key without a value means.
    fn default() -> Pattern {
        Pattern { source: String::new(), regex: constant(&EMPTY, ""), given: true }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.source == other.source && self.given == other.given
    }
}

impl Field for Pattern {
    fn go_type() -> String {
        "relabel.Regexp".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        if let Some(text) = decoder.text(node)? {
            *self = Pattern::new(&text).map_err(Error::Fatal)?;
        }
        Ok(())
    }

    fn is_zero(&self) -> bool {
        !self.given
    }

    fn emit(&self) -> Value {
        Value::Text(self.source.clone())
    }
}

section! {
    /// One relabelling rule. `Default` is a rule with nothing in it; [`RelabelConfig::replace`] has
    /// the defaults of the configuration file.
    pub struct RelabelConfig("relabel.Config", "relabel.plain") {
        /// Labels whose values are joined to the source text.
        source_labels: Vec<LabelName> = flow "source_labels";
        /// What stands between them.
        separator: String = keep "separator";
        /// What the source text, or for the label actions each label name, is matched with.
        regex: Pattern = omit "regex";
        /// The modulus of `hashmod`.
        modulus: u64 = omit "modulus";
        /// The label that is set or compared; a template for `replace`.
        target_label: String = omit "target_label";
        /// The template of the new value, for `labelmap` of the new name.
        replacement: String = keep "replacement";
        /// What to do.
        action: Option<Action> = omit "action";
        /// Which label names are valid; filled in by [`RelabelConfig::validate`].
        scheme: ValidationScheme = skip;
    }
}

impl RelabelConfig {
    /// A `replace` rule with every default.
    pub fn replace() -> RelabelConfig {
        RelabelConfig {
            separator: ";".to_owned(),
            regex: Pattern::not_given(),
            replacement: "$1".to_owned(),
            action: Some(Action::Replace),
            ..RelabelConfig::default()
        }
    }

    /// Checks the rule and takes over `scheme` when it has none of its own.
    pub fn validate(&mut self, scheme: ValidationScheme) -> Result<(), String> {
        let Some(action) = self.action else {
            return Err("relabel action cannot be empty".to_owned());
        };
        if action == Action::HashMod && self.modulus == 0 {
            return Err("relabel configuration for hashmod requires non-zero modulus".to_owned());
        }
        let compares = matches!(action, Action::KeepEqual | Action::DropEqual);
        let changes_case = matches!(action, Action::Lowercase | Action::Uppercase);
        let targeted =
            compares || changes_case || matches!(action, Action::Replace | Action::HashMod);
        if targeted && self.target_label.is_empty() {
            return Err(format!(
                "relabel configuration for {action} action requires 'target_label' value"
            ));
        }
        if self.scheme == ValidationScheme::Unset {
            self.scheme = scheme;
        }
        self.validate_names(action, compares || changes_case)?;
        self.validate_extra(action)
    }

    fn validate_names(&self, action: Action, plain_target: bool) -> Result<(), String> {
        let target = &self.target_label;
        let valid = match action {
            Action::Replace if has_variable(target) => self.is_valid_template(target),
            Action::Replace => self.scheme.is_valid_label_name(target),
            _ if plain_target => self.scheme.is_valid_label_name(target),
            _ => true,
        };
        let bad_target =
            || format!("{} is invalid 'target_label' for {action} action", go_quote(target));
        if !valid {
            return Err(bad_target());
        }
        if plain_target && self.replacement != "$1" {
            return Err(format!("'replacement' can not be set for {action} action"));
        }
        if action == Action::LabelMap && !self.is_valid_template(&self.replacement) {
            let quoted = go_quote(&self.replacement);
            return Err(format!("{quoted} is invalid 'replacement' for {action} action"));
        }
        if action == Action::HashMod && !self.scheme.is_valid_label_name(target) {
            return Err(bad_target());
        }
        Ok(())
    }

    fn validate_extra(&self, action: Action) -> Result<(), String> {
        let plain = self.modulus == 0 && self.separator == ";" && self.replacement == "$1";
        match action {
            Action::DropEqual | Action::KeepEqual if !plain || self.regex.given => Err(format!(
                "{action} action requires only 'source_labels' and `target_label`, and no other fields"
            )),
            Action::LabelDrop | Action::LabelKeep
                if !plain || !self.source_labels.is_empty() || !self.target_label.is_empty() =>
            {
                Err(format!("{action} action requires only 'regex', and no other fields"))
            }
            _ => Ok(()),
        }
    }

    /// Whether a template of a label name can give valid names: under the legacy scheme, letters,
    /// digits and underscores around `$1`, `${1}`, `$name` and `${name}`.
    fn is_valid_template(&self, template: &str) -> bool {
        match self.scheme {
            ValidationScheme::Legacy => is_legacy_template(template),
            ValidationScheme::Unset | ValidationScheme::Utf8 => !template.is_empty(),
        }
    }
}

/// Whether a template has variables.
pub fn has_variable(template: &str) -> bool {
    template.contains('$')
}

fn is_legacy_template(template: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = template;
    let mut started = false;
    while let Some(first) = rest.chars().next() {
        let tail = &rest[first.len_utf8()..];
        if first == '$' {
            let (name, after) = match tail.strip_prefix('{') {
                Some(inner) => match inner.split_once('}') {
                    Some(split) => split,
                    None => return false,
                },
                None => tail.split_at(tail.find(|c| !word(c)).unwrap_or(tail.len())),
            };
            if name.is_empty() || !name.chars().all(word) {
                return false;
            }
            rest = after;
        } else if first.is_ascii_alphabetic() || first == '_' || started && first.is_ascii_digit() {
            rest = tail;
        } else {
            return false;
        }
        started = true;
    }
    started
}

impl Checked for RelabelConfig {
    fn begin(&mut self) {
        *self = RelabelConfig::replace();
    }
}
