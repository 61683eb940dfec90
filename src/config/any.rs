//! Any: a value of no fixed shape, such as the claims of a token.

use model::number::format_g;

use super::yaml::{
    Decoder, Error, Field, Kind, Map, NodeRef, Resolved, Value, decode_map, resolve,
};

/// A value as YAML resolves it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Any {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(String),
    List(Vec<Any>),
    /// Keys that are not text are taken by their text.
    Map(Map<Any>),
}

impl Any {
    /// The text of a scalar as Go prints it.
    pub fn text(&self) -> String {
        match self {
            Any::Bool(b) => b.to_string(),
            Any::Int(n) => n.to_string(),
            Any::Uint(n) => n.to_string(),
            Any::Float(f) => format_g(*f),
            Any::Text(text) => text.clone(),
            Any::Null | Any::List(_) | Any::Map(_) => String::new(),
        }
    }
}

impl Field for Any {
    fn go_type() -> String {
        "interface {}".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        *self = match &node.node().kind {
            Kind::Scalar { value, .. } => match resolve(node)? {
                Resolved::Null => Any::Null,
                Resolved::Bool(b) => Any::Bool(b),
                Resolved::Int(n) => Any::Int(n),
                Resolved::Uint(n) => Any::Uint(n),
                Resolved::Float(f) => Any::Float(f),
                Resolved::Binary(bytes) => Any::Text(String::from_utf8_lossy(&bytes).into_owned()),
                Resolved::Timestamp | Resolved::Text => Any::Text(value.clone()),
            },
            Kind::Sequence(_) => {
                let mut items = Vec::new();
                for item in node.items() {
                    let mut value = Any::Null;
                    decoder.value(item, &mut value)?;
                    items.push(value);
                }
                Any::List(items)
            }
            Kind::Mapping(_) => {
                let mut map = Map::new();
                decode_map(node, decoder, &mut map, "map[interface {}]interface {}")?;
                Any::Map(map)
            }
            Kind::Alias { .. } => Any::Null,
        };
        Ok(())
    }

    fn is_zero(&self) -> bool {
        *self == Any::Null
    }

    fn emit(&self) -> Value {
        match self {
            Any::Null => Value::Null,
            Any::Bool(b) => Value::Bool(*b),
            Any::Int(n) => Value::Int(*n),
            Any::Uint(n) => Value::Uint(*n),
            Any::Float(f) => Value::Float(*f),
            Any::Text(text) => Value::Text(text.clone()),
            Any::List(items) => items.emit(),
            Any::Map(map) => map.emit(),
        }
    }
}
