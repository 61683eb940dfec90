//! Which metric and label names are allowed, and how names a client cannot take are escaped.

use model::labels::{is_legacy_label_name, is_legacy_metric_name};

use super::values::text_as;
use super::yaml::{Decoder, Error, Field, NodeRef, Value};
use model::number::go_quote;

/// Which names are valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ValidationScheme {
    /// Not said; taken over from the level above.
    #[default]
    Unset,
    /// `[a-zA-Z_][a-zA-Z0-9_]*`, colons too for metrics.
    Legacy,
    /// Any UTF-8 text that is not empty.
    Utf8,
}

impl ValidationScheme {
    /// As written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            ValidationScheme::Unset => "",
            ValidationScheme::Legacy => "legacy",
            ValidationScheme::Utf8 => "utf8",
        }
    }

    /// Whether `name` is a valid label name; an unset scheme takes what UTF-8 takes.
    pub fn is_valid_label_name(self, name: &str) -> bool {
        match self {
            ValidationScheme::Legacy => is_legacy_label_name(name),
            ValidationScheme::Unset | ValidationScheme::Utf8 => !name.is_empty(),
        }
    }

    /// Whether `name` is a valid metric name; an unset scheme takes what UTF-8 takes.
    pub fn is_valid_metric_name(self, name: &str) -> bool {
        match self {
            ValidationScheme::Legacy => is_legacy_metric_name(name),
            ValidationScheme::Unset | ValidationScheme::Utf8 => !name.is_empty(),
        }
    }
}

impl Field for ValidationScheme {
    fn go_type() -> String {
        "model.ValidationScheme".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        let Some(text) = decoder.text(node)? else { return Ok(()) };
        *self = match text.as_str() {
            "" => return Ok(()),
            "legacy" => ValidationScheme::Legacy,
            "utf8" => ValidationScheme::Utf8,
            other => {
                let quoted = go_quote(other);
                return Err(Error::Fatal(format!("unrecognized ValidationScheme: {quoted}")));
            }
        };
        Ok(())
    }

    fn is_zero(&self) -> bool {
        *self == ValidationScheme::Unset
    }

    fn emit(&self) -> Value {
        Value::Text(self.as_str().to_owned())
    }
}

/// The escaping schemes by their names in the configuration.
pub const ESCAPING_SCHEMES: [&str; 4] = [ALLOW_UTF8, UNDERSCORES, DOTS, VALUES];
/// No escaping: the client takes any UTF-8.
pub const ALLOW_UTF8: &str = "allow-utf-8";
/// Everything not legacy becomes `_`.
pub const UNDERSCORES: &str = "underscores";
/// `.` becomes `_dot_`, other characters `__`.
pub const DOTS: &str = "dots";
/// `U__` and the code points in hex.
pub const VALUES: &str = "values";

/// The name of a label; any text but the empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelName(pub String);

impl Field for LabelName {
    fn go_type() -> String {
        "model.LabelName".to_owned()
    }

    fn go_list() -> String {
        "model.LabelNames".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        if let Some(text) = text_as(node, decoder, "string")? {
            if text.is_empty() {
                return Err(Error::Fatal("\"\" is not a valid label name".to_owned()));
            }
            self.0 = text;
        }
        Ok(())
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn emit(&self) -> Value {
        Value::Text(self.0.clone())
    }
}
