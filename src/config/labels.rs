//! Label sets as written in the configuration.

use std::ops::Deref;

use model::Labels;
use model::number::go_quote;

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

/// Refuses binary values that are not text.
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

impl Field for LabelSet {
    fn go_type() -> String {
        "model.LabelSet".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        for (name, value) in node.entries() {
            check_bytes(name, "name")?;
            check_bytes(value, "value")?;
        }
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
