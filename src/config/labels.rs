//! Label sets as written in the configuration.

use std::ops::Deref;

use model::Labels;
use model::number::go_quote;

use super::names::ValidationScheme;
use super::values::text_type;
use super::yaml::{Decoder, Error, Field, Map, NodeRef, Resolved, Value, decode_map, resolve};

/// Label names and values as written: an empty value is kept here and gone in [`LabelSet::labels`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSet(pub Map<String>);

impl LabelSet {
    /// The labels that have a value.
    pub fn labels(&self) -> Labels {
        Labels::from_sorted(
            self.0.iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| (n.as_str(), v.as_str())),
        )
    }
}

impl Deref for LabelSet {
    type Target = Map<String>;

    fn deref(&self) -> &Map<String> {
        &self.0
    }
}

/// Refuses binary names and values that are not text.
fn check_entries(node: NodeRef<'_>) -> Result<(), Error> {
    node.entries().try_for_each(|(name, value)| {
        check_bytes(name, "name")?;
        check_bytes(value, "value")
    })
}

fn check_bytes(node: NodeRef<'_>, what: &str) -> Result<(), Error> {
    match resolve(node.target())? {
        Resolved::Binary(bytes) if str::from_utf8(&bytes).is_err() => {
            let quoted = quote_bytes(&bytes);
            Err(Error::Fatal(format!("{quoted} is not a valid label {what}")))
        }
        _ => Ok(()),
    }
}

/// Bytes quoted as Go quotes them: what is not UTF-8 as `\xff`.
fn quote_bytes(bytes: &[u8]) -> String {
    let mut out = "\"".to_owned();
    for chunk in bytes.utf8_chunks() {
        let quoted = go_quote(chunk.valid());
        out.push_str(&quoted[1..quoted.len() - 1]);
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
    }
    out.push('"');
    out
}

text_type! {
    /// The value of a label.
    pub struct LabelValue("model.LabelValue", "model.LabelValue");
}

impl Field for LabelSet {
    fn go_type() -> String {
        "model.LabelSet".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        check_entries(node)?;
        let mut map: Map<LabelValue> = Map::new();
        decode_map(node, decoder, &mut map, "model.LabelSet")?;
        if map.contains_key("") {
            return Err(Error::Fatal(format!("{} is not a valid label name", go_quote(""))));
        }
        self.0 = map.into_iter().map(|(name, value)| (name, value.0)).collect();
        Ok(())
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn emit(&self) -> Value {
        self.0.emit()
    }
}

/// The labels added to what leaves this server: checked by the section they stand in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalLabels(pub LabelSet);

impl ExternalLabels {
    /// Refuses names that are not valid.
    pub fn validate(&self, scheme: ValidationScheme) -> Result<(), String> {
        match self.keys().find(|name| !scheme.is_valid_label_name(name)) {
            Some(name) => Err(format!("{} is not a valid label name", go_quote(name))),
            None => Ok(()),
        }
    }
}

impl Deref for ExternalLabels {
    type Target = LabelSet;

    fn deref(&self) -> &LabelSet {
        &self.0
    }
}

impl Field for ExternalLabels {
    fn go_type() -> String {
        "labels.Labels".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        check_entries(node)?;
        self.0.0 = Map::new();
        self.0.0.decode(node, decoder)
    }

    fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    fn emit(&self) -> Value {
        self.0.emit()
    }
}
