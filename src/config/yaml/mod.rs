//! YAML as Prometheus reads and writes it: a node tree with line numbers, strict decoding into typed
//! sections, and text in the style of go-yaml v2.
//!
//! What must hold: what libyaml reads is read with the same meaning, what it refuses is refused in its
//! words; scalars resolve as in YAML 1.1 (`yes`, `off`, `0777`, `1_000`), unknown and
//! repeated keys are errors, several type errors are reported together in go-yaml's words, and no
//! document can make the reader use more than a bounded multiple of its own size.

mod decode;
mod emit;
mod field;
mod parser;
mod property;
mod reader;
mod resolve;
mod scalar;
mod scanner;
mod section;
mod token;
mod tree;
mod value;

pub use decode::{Decoder, Error, is_null};
pub use emit::to_text;
pub use field::{Field, Items, Map, decode_map};
pub use resolve::{Resolved, resolve, resolve_plain};
pub use section::{Checked, Fields, decode_checked, decode_fields, emit_field};
pub use tree::{Kind, Node, NodeRef, Tree};
pub use value::Value;

pub(crate) use section::{section, unchecked};

#[cfg(test)]
mod tests;
