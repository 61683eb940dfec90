//! Field: what can stand as a value in a section, and the plain types that can.
//!
//! The Rust type stands for a Go type, whose name go-yaml prints in type errors: `isize` is `int`,
//! `usize` is `uint`, `i64` and `u64` are `int64` and `uint64`, an `Option` is a pointer.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::{Deref, DerefMut};

use model::number::go_quote;

use super::tree::Kind;
use super::{Decoder, Error, NodeRef, Resolved, Value, resolve};

/// A value that is read from and written to YAML. `Default` is Go's zero value.
pub trait Field: Default {
    /// The Go type's name in error texts.
    fn go_type() -> String;

    /// The name of a list of them.
    fn go_list() -> String {
        format!("[]{}", Self::go_type())
    }

    /// The name of a list of pointers to them.
    fn go_items() -> String {
        format!("[]*{}", Self::go_type())
    }

    /// The name of a map to them.
    fn go_map() -> String {
        format!("map[string]{}", Self::go_type())
    }

    /// The name of a map to lists of them.
    fn go_map_of_lists() -> String {
        format!("map[string]{}", Self::go_list())
    }

    /// Decodes a node that is neither null nor an alias. Values of the wrong type are noted with
    /// the decoder; an `Err` stops everything.
    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error>;

    /// Whether `omitempty` leaves it out.
    fn is_zero(&self) -> bool;

    /// The value to write.
    fn emit(&self) -> Value;

    /// Joins relative file paths inside with the folder of the configuration file.
    fn set_directory(&mut self, _dir: &str) {}
}

impl Field for String {
    fn go_type() -> String {
        "string".to_owned()
    }

    fn go_map_of_lists() -> String {
        "url.Values".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        if let Some(text) = decoder.text(node)? {
            *self = text;
        }
        Ok(())
    }

    fn is_zero(&self) -> bool {
        self.is_empty()
    }

    fn emit(&self) -> Value {
        Value::Text(self.clone())
    }
}

impl Field for bool {
    fn go_type() -> String {
        "bool".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        match resolve(node)? {
            Resolved::Bool(b) => *self = b,
            _ => decoder.mismatch(node, "bool"),
        }
        Ok(())
    }

    fn is_zero(&self) -> bool {
        !self
    }

    fn emit(&self) -> Value {
        Value::Bool(*self)
    }
}

impl Field for f64 {
    fn go_type() -> String {
        "float64".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        match resolve(node)? {
            Resolved::Float(f) => *self = f,
            Resolved::Int(n) => *self = n as f64,
            Resolved::Uint(n) => *self = n as f64,
            _ => decoder.mismatch(node, "float64"),
        }
        Ok(())
    }

    fn is_zero(&self) -> bool {
        *self == 0.0
    }

    fn emit(&self) -> Value {
        Value::Float(*self)
    }
}

/// A number as a wide integer; a float loses its fraction, as in go-yaml.
fn wide_integer(node: NodeRef<'_>) -> Result<Option<i128>, Error> {
    Ok(match resolve(node)? {
        Resolved::Int(n) => Some(i128::from(n)),
        Resolved::Uint(n) => Some(i128::from(n)),
        // `as` saturates, and what is out of range is refused by the caller.
        Resolved::Float(f) if !f.is_nan() => Some(f as i128),
        _ => None,
    })
}

macro_rules! integer_field {
    ($($rust:ty = $go:literal, $variant:ident as $wide:ty;)*) => {$(
        impl Field for $rust {
            fn go_type() -> String {
                $go.to_owned()
            }

            fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
                match wide_integer(node)?.and_then(|n| <$rust>::try_from(n).ok()) {
                    Some(n) => *self = n,
                    None => decoder.mismatch(node, $go),
                }
                Ok(())
            }

            fn is_zero(&self) -> bool {
                *self == 0
            }

            fn emit(&self) -> Value {
                Value::$variant(*self as $wide)
            }
        }
    )*};
}

integer_field! {
    isize = "int", Int as i64;
    i64 = "int64", Int as i64;
    usize = "uint", Uint as u64;
    u64 = "uint64", Uint as u64;
    u16 = "uint16", Uint as u64;
}

impl<T: Field> Field for Option<T> {
    fn go_type() -> String {
        format!("*{}", T::go_type())
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        self.get_or_insert_with(T::default).decode(node, decoder)
    }

    fn is_zero(&self) -> bool {
        self.is_none()
    }

    fn emit(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::emit)
    }

    fn set_directory(&mut self, dir: &str) {
        if let Some(inner) = self {
            inner.set_directory(dir);
        }
    }
}

impl<T: Field> Field for Box<T> {
    fn go_type() -> String {
        T::go_type()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        (**self).decode(node, decoder)
    }

    fn is_zero(&self) -> bool {
        (**self).is_zero()
    }

    fn emit(&self) -> Value {
        (**self).emit()
    }

    fn set_directory(&mut self, dir: &str) {
        (**self).set_directory(dir);
    }
}

/// Decodes the items of a sequence one by one; `None` for a null item.
fn decode_items<T: Field>(
    node: NodeRef<'_>,
    decoder: &mut Decoder,
    into: &str,
) -> Result<Option<Vec<Option<T>>>, Error> {
    if !matches!(node.node().kind, Kind::Sequence(_)) {
        decoder.mismatch(node, into);
        return Ok(None);
    }
    let mut out = Vec::new();
    for item in node.items() {
        let mut value: Option<T> = None;
        decoder.value(item, &mut value)?;
        out.push(value);
    }
    Ok(Some(out))
}

impl<T: Field> Field for Vec<T> {
    fn go_type() -> String {
        T::go_list()
    }

    fn go_map() -> String {
        T::go_map_of_lists()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        if let Some(items) = decode_items::<T>(node, decoder, &Self::go_type())? {
            *self = items.into_iter().map(Option::unwrap_or_default).collect();
        }
        Ok(())
    }

    fn is_zero(&self) -> bool {
        self.is_empty()
    }

    fn emit(&self) -> Value {
        Value::List { items: self.iter().map(T::emit).collect(), flow: false }
    }

    fn set_directory(&mut self, dir: &str) {
        self.iter_mut().for_each(|item| item.set_directory(dir));
    }
}

/// A list of sections in which a null item is an error, reported by the section that holds the
/// list ([`Items::has_null`]) because its words differ from place to place.
#[derive(Clone, Debug, PartialEq)]
pub struct Items<T> {
    items: Vec<T>,
    has_null: bool,
}

impl<T> Items<T> {
    /// Whether the list had a null item, which is not among the items.
    pub fn has_null(&self) -> bool {
        self.has_null
    }
}

impl<T> Default for Items<T> {
    fn default() -> Items<T> {
        Items { items: Vec::new(), has_null: false }
    }
}

impl<T> From<Vec<T>> for Items<T> {
    fn from(items: Vec<T>) -> Items<T> {
        Items { items, has_null: false }
    }
}

impl<T> Deref for Items<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.items
    }
}

impl<T> DerefMut for Items<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.items
    }
}

impl<'a, T> IntoIterator for &'a Items<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<T: Field> Field for Items<T> {
    fn go_type() -> String {
        T::go_items()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        if let Some(items) = decode_items::<T>(node, decoder, &Self::go_type())? {
            self.has_null = items.iter().any(Option::is_none);
            self.items = items.into_iter().flatten().collect();
        }
        Ok(())
    }

    fn is_zero(&self) -> bool {
        self.items.is_empty()
    }

    fn emit(&self) -> Value {
        self.items.emit()
    }

    fn set_directory(&mut self, dir: &str) {
        self.items.set_directory(dir);
    }
}

/// A mapping with text keys.
pub type Map<T> = BTreeMap<String, T>;

/// Decodes a mapping with text keys into `out`; a repeated key is noted as an error.
pub fn decode_map<T: Field>(
    node: NodeRef<'_>,
    decoder: &mut Decoder,
    out: &mut Map<T>,
    into: &str,
) -> Result<(), Error> {
    if !matches!(node.target().node().kind, Kind::Mapping(_)) {
        decoder.mismatch(node, into);
        return Ok(());
    }
    for (key, value) in node.entries() {
        if Decoder::is_merge(key) {
            for merged in Decoder::merged(value)? {
                decode_map(merged, decoder, out, into)?;
            }
            continue;
        }
        let mut name = String::new();
        let before = decoder.errors();
        decoder.value(key, &mut name)?;
        let mut item = T::default();
        if decoder.errors() == before {
            decoder.value(value, &mut item)?;
        }
        if decoder.errors() > before {
            continue;
        }
        match out.entry(name) {
            Entry::Vacant(place) => {
                place.insert(item);
            }
            Entry::Occupied(place) => {
                let (line, key) = (value.line(), go_quote(place.key()));
                decoder.error(format!("line {line}: key {key} already set in map"));
            }
        }
    }
    Ok(())
}

impl<T: Field> Field for Map<T> {
    fn go_type() -> String {
        T::go_map()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        decode_map(node, decoder, self, &Self::go_type())
    }

    fn is_zero(&self) -> bool {
        self.is_empty()
    }

    fn emit(&self) -> Value {
        Value::Map(self.iter().map(|(k, v)| (k.clone(), v.emit())).collect()).sorted()
    }

    fn set_directory(&mut self, dir: &str) {
        self.values_mut().for_each(|value| value.set_directory(dir));
    }
}
