//! Label sets as written in the configuration.

use std::ops::Deref;

use model::Labels;
use model::number::go_quote;

use super::yaml::{Decoder, Error, Field, Map, NodeRef, Value, decode_map};

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

impl Field for LabelSet {
    fn go_type() -> String {
        "model.LabelSet".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        decode_map(node, decoder, &mut self.0, "model.LabelSet")?;
        if self.0.contains_key("") {
            return Err(Error::Fatal(format!("{} is not a valid label name", go_quote(""))));
        }
        Ok(())
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn emit(&self) -> Value {
        self.0.emit()
    }
}
