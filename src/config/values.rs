//! Values with a text form of their own: durations, sizes, secrets.

use std::fmt;

use super::yaml::{Decoder, Error, Field, NodeRef, Value};

/// A duration in milliseconds, written `1m30s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub i64);

impl Duration {
    /// Whole seconds as a duration.
    pub const fn secs(secs: i64) -> Duration {
        Duration(secs * 1000)
    }

    /// Milliseconds.
    pub fn ms(self) -> i64 {
        self.0
    }

    /// As the standard library's type.
    pub fn std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0.max(0).unsigned_abs())
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&model::duration::format(self.0))
    }
}

impl Field for Duration {
    fn go_type() -> String {
        "model.Duration".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        if let Some(text) = decoder.text(node)? {
            self.0 = model::duration::parse(&text).map_err(|e| Error::Fatal(e.to_string()))?;
        }
        Ok(())
    }

    fn is_zero(&self) -> bool {
        self.0 == 0
    }

    fn emit(&self) -> Value {
        Value::Text(self.to_string())
    }
}

/// A number of bytes, written `512MiB`; `KB` and `KiB` both mean 1024.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub i64);

/// Prefixes of the units of bytes, each 1024 of the one before.
const PREFIXES: [&str; 7] = ["", "K", "M", "G", "T", "P", "E"];

impl Bytes {
    /// Parses a size such as `1.5GB` or `1GiB512MiB`; errors in the words of the `units` package.
    pub fn parse(text: &str) -> Result<Bytes, String> {
        parse_units(text, "iB").or_else(|_| parse_units(text, "B")).map(Bytes)
    }
}

fn parse_units(text: &str, suffix: &str) -> Result<i64, String> {
    let invalid = || format!("units: invalid {text}");
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let whole = rest.bytes().take_while(u8::is_ascii_digit).count();
        let mut end = whole;
        if rest[whole..].starts_with('.') {
            end += 1 + rest[whole + 1..].bytes().take_while(u8::is_ascii_digit).count();
        }
        let number = &rest[..end];
        if !number.bytes().any(|b| b.is_ascii_digit()) || whole > 18 || end - whole > 19 {
            return Err(invalid());
        }
        let number: f64 = number.parse().map_err(|_| invalid())?;
        let tail = &rest[end..];
        let letters = tail.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let power = PREFIXES
            .iter()
            .position(
                |p| if p.is_empty() { unit == "B" } else { unit.strip_prefix(p) == Some(suffix) },
            )
            .ok_or_else(|| format!("units: unknown unit {unit} in {text}"))?;
        total += number * 1024f64.powi(power as i32);
        rest = tail;
    }
    if negative {
        total = -total;
    }
    if total.abs() > 2f64.powi(63) {
        return Err("units: overflow parsing unit".to_owned());
    }
    Ok(total as i64)
}

impl fmt::Display for Bytes {
    /// Largest unit first, units with nothing in them left out: `1GiB512MiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0B");
        }
        let mut parts = Vec::new();
        let mut rest = self.0;
        for (i, prefix) in PREFIXES.iter().enumerate() {
            if rest % 1024 != 0 {
                let suffix = if i == 0 { "B" } else { "iB" };
                parts.push(format!("{}{prefix}{suffix}", rest % 1024));
            }
            rest /= 1024;
            if rest == 0 {
                break;
            }
        }
        parts.reverse();
        f.write_str(&parts.concat())
    }
}

impl Field for Bytes {
    fn go_type() -> String {
        "units.Base2Bytes".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        let Some(text) = node.scalar() else {
            decoder.mismatch(node, &Self::go_type());
            return Ok(());
        };
        *self = Bytes::parse(text).map_err(Error::Fatal)?;
        Ok(())
    }

    fn is_zero(&self) -> bool {
        self.0 == 0
    }

    fn emit(&self) -> Value {
        Value::Text(self.to_string())
    }
}

/// A text that is never shown: `<secret>` wherever it is printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(pub String);

impl Secret {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl Field for Secret {
    fn go_type() -> String {
        "config.Secret".to_owned()
    }

    fn go_map_of_lists() -> String {
        "config.ProxyHeader".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        if let Some(text) = text_as(node, decoder, "config.plain")? {
            self.0 = text;
        }
        Ok(())
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn emit(&self) -> Value {
        if self.0.is_empty() { Value::Null } else { Value::Text("<secret>".to_owned()) }
    }
}

/// Declares a text with a Go type of its own: the type's name in lists, its name where a scalar is
/// of the wrong type, and what the text must satisfy, checked at once.
macro_rules! text_type {
    (
        $(#[$meta:meta])*
        pub struct $name:ident($go:literal, $scalar:literal $(, $check:ident)?);
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub String);

        impl $crate::config::yaml::Field for $name {
            fn go_type() -> String {
                $go.to_owned()
            }

            fn decode(
                &mut self,
                node: $crate::config::yaml::NodeRef<'_>,
                decoder: &mut $crate::config::yaml::Decoder,
            ) -> Result<(), $crate::config::yaml::Error> {
                if let Some(text) = $crate::config::values::text_as(node, decoder, $scalar)? {
                    $( $check(&text)?; )?
                    self.0 = text;
                }
                Ok(())
            }

            fn is_zero(&self) -> bool {
                self.0.is_empty()
            }

            fn emit(&self) -> $crate::config::yaml::Value {
                $crate::config::yaml::Value::Text(self.0.clone())
            }
        }
    };
}

pub(crate) use text_type;

/// The text of a scalar for a Go type other than `string`.
pub fn text_as(
    node: NodeRef<'_>,
    decoder: &mut Decoder,
    into: &str,
) -> Result<Option<String>, Error> {
    if node.scalar().is_none() {
        decoder.mismatch(node, into);
        return Ok(None);
    }
    decoder.text(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes, printed) in [
            ("0", 0, "0B"),
            ("1KB", 1024, "1KiB"),
            ("1KiB", 1024, "1KiB"),
            ("1.5GB", 3 << 29, "1GiB512MiB"),
            ("1GiB512MiB", 3 << 29, "1GiB512MiB"),
            ("100B", 100, "100B"),
            ("-5MB", -5 << 20, "-5MiB"),
            ("15MB", 15 << 20, "15MiB"),
        ] {
            assert_eq!(Bytes::parse(text), Ok(Bytes(bytes)), "{text}");
            assert_eq!(Bytes(bytes).to_string(), printed);
        }
        for (text, error) in [
            ("100", "units: unknown unit  in 100"),
            ("5kb", "units: unknown unit kb in 5kb"),
            ("", "units: invalid "),
            ("x", "units: invalid x"),
            ("9999999EB", "units: overflow parsing unit"),
        ] {
            assert_eq!(Bytes::parse(text), Err(error.to_owned()), "{text}");
        }
    }
}
