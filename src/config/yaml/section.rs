//! Section: a mapping with known keys, declared as a table of its fields.
//!
//! [`section!`] makes the struct and everything YAML from one declaration. Each field says how it
//! is written:
//! - `omit "key"`: left out when zero (`omitempty`);
//! - `keep "key"`: always written;
//! - `flow "key"`: left out when empty, else written as `[a, b]`;
//! - `file "key"`: like `omit`; a path, joined with the configuration file's folder when relative;
//! - `keep_file "key"`: the same, always written;
//! - `inline`: a section whose keys stand among this one's;
//! - `skip`: not in YAML at all.
//!
//! The two names after the struct's are the Go type as lists and scalars name it, and the type
//! go-yaml reports unknown keys of. A third one is that of a list of them, when it has a name.

use std::collections::HashSet;

use super::tree::Kind;
use super::{Decoder, Error, Field, NodeRef, Value};

/// The fields of a section.
pub trait Fields {
    /// Decodes the value of `key`; `false` when there is no such key.
    fn set(&mut self, key: &str, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<bool, Error>;

    /// Appends the fields to write.
    fn emit_fields(&self, out: &mut Vec<(String, Value)>);
}

/// What a section does before and after its fields are decoded.
pub trait Checked {
    /// The value to decode over: usually the defaults.
    fn begin(&mut self) {}

    /// Checks and completes what was decoded, unless it had type errors.
    fn finish(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// Decodes a mapping into the fields of a section.
pub fn decode_fields<T: Fields>(
    out: &mut T,
    node: NodeRef<'_>,
    decoder: &mut Decoder,
    go_type: &str,
) -> Result<(), Error> {
    if !matches!(node.target().node().kind, Kind::Mapping(_)) {
        decoder.mismatch(node, go_type);
        return Ok(());
    }
    let mut done: HashSet<String> = HashSet::new();
    for (key, value) in node.entries() {
        if Decoder::is_merge(key) {
            for merged in Decoder::merged(value)? {
                decode_fields(out, merged, decoder, go_type)?;
            }
            continue;
        }
        let mut name = String::new();
        let before = decoder.errors();
        decoder.value(key, &mut name)?;
        if decoder.errors() > before {
            continue;
        }
        if done.contains(&name) {
            let line = key.line();
            decoder.error(format!("line {line}: field {name} already set in type {go_type}"));
        } else if !out.set(&name, value, decoder)? {
            let line = key.line();
            decoder.error(format!("line {line}: field {name} not found in type {go_type}"));
        } else {
            done.insert(name);
        }
    }
    Ok(())
}

/// Decodes a section with a check of its own.
pub fn decode_checked<T: Fields + Checked>(
    out: &mut T,
    node: NodeRef<'_>,
    decoder: &mut Decoder,
    go_type: &str,
) -> Result<(), Error> {
    out.begin();
    let before = decoder.errors();
    decode_fields(out, node, decoder, go_type)?;
    if decoder.errors() > before {
        return Ok(());
    }
    out.finish().map_err(Error::Fatal)
}

/// Appends `key: value` unless it is to be left out.
pub fn emit_field<T: Field>(
    out: &mut Vec<(String, Value)>,
    key: &str,
    value: &T,
    omit: bool,
    flow: bool,
) {
    if omit && value.is_zero() {
        return;
    }
    let mut value = value.emit();
    if let (Value::List { flow: style, .. }, true) = (&mut value, flow) {
        *style = true;
    }
    out.push((key.to_owned(), value));
}

/// Declares a section; see the module's description.
macro_rules! section {
    (
        $(#[$meta:meta])*
        pub struct $name:ident ($go:literal, $fields:literal $(, $items:literal)?) {
            $( $(#[$field_meta:meta])* $field:ident : $type:ty = $kind:ident $($key:literal)?; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $type, )*
        }

        impl $crate::config::yaml::Fields for $name {
            fn set(
                &mut self,
                key: &str,
                node: $crate::config::yaml::NodeRef<'_>,
                decoder: &mut $crate::config::yaml::Decoder,
            ) -> Result<bool, $crate::config::yaml::Error> {
                $( $crate::config::yaml::section!(@set self key node decoder $field $kind $($key)?); )*
                Ok(false)
            }

            fn emit_fields(&self, out: &mut Vec<(String, $crate::config::yaml::Value)>) {
                $( $crate::config::yaml::section!(@emit self out $field $kind $($key)?); )*
            }
        }

        impl $crate::config::yaml::Field for $name {
            fn go_type() -> String {
                $go.to_owned()
            }

            $(fn go_items() -> String {
                $items.to_owned()
            })?

            fn decode(
                &mut self,
                node: $crate::config::yaml::NodeRef<'_>,
                decoder: &mut $crate::config::yaml::Decoder,
            ) -> Result<(), $crate::config::yaml::Error> {
                $crate::config::yaml::decode_checked(self, node, decoder, $fields)
            }

            fn is_zero(&self) -> bool {
                *self == $name::default()
            }

            fn emit(&self) -> $crate::config::yaml::Value {
                let mut out = Vec::new();
                $crate::config::yaml::Fields::emit_fields(self, &mut out);
                $crate::config::yaml::Value::Map(out)
            }

            fn set_directory(&mut self, dir: &str) {
                let _ = dir;
                $( $crate::config::yaml::section!(@dir self dir $field $kind); )*
            }
        }
    };
    (@set $self:ident $k:ident $node:ident $d:ident $field:ident skip) => {};
    (@emit $self:ident $out:ident $field:ident skip) => {};
    (@dir $self:ident $dir:ident $field:ident skip) => {};
    (@set $self:ident $k:ident $node:ident $d:ident $field:ident inline) => {
        if $crate::config::yaml::Fields::set(&mut $self.$field, $k, $node, $d)? {
            return Ok(true);
        }
    };
    (@set $self:ident $k:ident $node:ident $d:ident $field:ident $kind:ident $key:literal) => {
        if $k == $key {
            $d.value($node, &mut $self.$field)?;
            return Ok(true);
        }
    };
    (@emit $self:ident $out:ident $field:ident inline) => {
        $crate::config::yaml::Fields::emit_fields(&$self.$field, $out);
    };
    (@emit $self:ident $out:ident $field:ident keep $key:literal) => {
        $crate::config::yaml::emit_field($out, $key, &$self.$field, false, false);
    };
    (@emit $self:ident $out:ident $field:ident keep_file $key:literal) => {
        $crate::config::yaml::emit_field($out, $key, &$self.$field, false, false);
    };
    (@emit $self:ident $out:ident $field:ident flow $key:literal) => {
        $crate::config::yaml::emit_field($out, $key, &$self.$field, true, true);
    };
    (@emit $self:ident $out:ident $field:ident $kind:ident $key:literal) => {
        $crate::config::yaml::emit_field($out, $key, &$self.$field, true, false);
    };
    (@dir $self:ident $dir:ident $field:ident keep_file) => {
        $crate::config::paths::join_file($dir, &mut $self.$field);
    };
    (@dir $self:ident $dir:ident $field:ident file) => {
        $crate::config::paths::join_file($dir, &mut $self.$field);
    };
    (@dir $self:ident $dir:ident $field:ident $kind:ident) => {
        $crate::config::yaml::Field::set_directory(&mut $self.$field, $dir);
    };
}

/// Sections without defaults or checks of their own.
macro_rules! unchecked {
    ($($name:ty),* $(,)?) => {
        $( impl $crate::config::yaml::Checked for $name {} )*
    };
}

pub(crate) use {section, unchecked};
