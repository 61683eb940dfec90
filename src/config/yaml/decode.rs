//! Decoder: takes nodes to typed values, collecting what does not fit.
//!
//! A value of the wrong type, an unknown or a repeated key is noted and decoding goes on, so that
//! all of them are reported together; what a section's own check refuses stops everything at once.
//! Both as go-yaml v2 does it, in its words. Aliases are followed with its limits: a document may
//! not spend almost all its decoding on aliases, and no node may contain itself.

use std::collections::HashSet;

use super::resolve::{short_tag, tag_of};
use super::tree::{Kind, NodeRef, Tree};
use super::{Field, Resolved, resolve};

/// Why a document was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Values of the wrong type, unknown keys, repeated keys: one text each, with its line.
    #[error("yaml: unmarshal errors:\n  {}", .0.join("\n  "))]
    Types(Vec<String>),
    /// The text is not YAML, or a section's own check failed: the whole message.
    #[error("{0}")]
    Fatal(String),
}

impl From<String> for Error {
    fn from(message: String) -> Error {
        Error::Fatal(message)
    }
}

/// The state of one decoding run.
#[derive(Debug, Default)]
pub struct Decoder {
    errors: Vec<String>,
    /// Alias nodes being followed.
    following: HashSet<usize>,
    decoded: u64,
    decoded_in_aliases: u64,
}

impl Decoder {
    /// Decodes the first document of `text` over the value `out` already has; an empty document
    /// leaves it as it is.
    pub fn decode<T: Field>(text: &str, out: &mut T) -> Result<(), Error> {
        Decoder::decode_tree(&Tree::parse(text)?, out)
    }

    /// Decodes a tree over the value `out` already has.
    pub fn decode_tree<T: Field>(tree: &Tree, out: &mut T) -> Result<(), Error> {
        let mut decoder = Decoder::default();
        if let Some(root) = tree.root() {
            decoder.value(root, out)?;
        }
        if decoder.errors.is_empty() { Ok(()) } else { Err(Error::Types(decoder.errors)) }
    }

    /// Decodes `node` into `out`: follows aliases, takes null to the zero value.
    pub fn value<T: Field>(&mut self, node: NodeRef<'_>, out: &mut T) -> Result<(), Error> {
        self.count()?;
        if let Kind::Alias { name, .. } = &node.node().kind {
            if !self.following.insert(node.id()) {
                return Err(Error::Fatal(format!("yaml: anchor '{name}' value contains itself")));
            }
            self.value(node.target(), out)?;
            self.following.remove(&node.id());
            return Ok(());
        }
        if is_null(node) {
            *out = T::default();
            return Ok(());
        }
        out.decode(node, self)
    }

    /// How many type errors there are so far.
    pub fn errors(&self) -> usize {
        self.errors.len()
    }

    /// Notes a type error.
    pub fn error(&mut self, message: String) {
        self.errors.push(message);
    }

    /// Notes that `node` cannot become a value of the Go type `into`.
    pub fn mismatch(&mut self, node: NodeRef<'_>, into: &str) {
        let (tag, value) = match &node.node().kind {
            Kind::Scalar { value, .. } => (tag_of(node), quote_value(value)),
            Kind::Sequence(_) => ("tag:yaml.org,2002:seq".to_owned(), String::new()),
            Kind::Mapping(_) => ("tag:yaml.org,2002:map".to_owned(), String::new()),
            Kind::Alias { .. } => (String::new(), String::new()),
        };
        let tag = if node.node().tag.is_empty() { &tag } else { &node.node().tag };
        let tag = short_tag(tag);
        self.error(format!("line {}: cannot unmarshal {tag}{value} into {into}", node.line()));
    }

    /// The text of a scalar that any string may be decoded from; `None`, after noting the error,
    /// for a sequence or a mapping.
    pub fn text(&mut self, node: NodeRef<'_>) -> Result<Option<String>, Error> {
        let Kind::Scalar { value, .. } = &node.node().kind else {
            self.mismatch(node, "string");
            return Ok(None);
        };
        match resolve(node)? {
            Resolved::Binary(bytes) => String::from_utf8(bytes)
                .map(Some)
                .map_err(|_| Error::Fatal("yaml: !!binary value is not UTF-8".to_owned())),
            _ => Ok(Some(value.clone())),
        }
    }

    /// Whether a mapping key is the merge key `<<`.
    pub fn is_merge(node: NodeRef<'_>) -> bool {
        match &node.node().kind {
            Kind::Scalar { value, implicit } => {
                value == "<<" && (*implicit || node.node().tag == "tag:yaml.org,2002:merge")
            }
            _ => false,
        }
    }

    /// The mappings merged by the value of a merge key, in the order in which they are decoded:
    /// those later in a list first, so that earlier ones win.
    pub fn merged(node: NodeRef<'_>) -> Result<Vec<NodeRef<'_>>, Error> {
        let is_map = |n: NodeRef<'_>| matches!(n.target().node().kind, Kind::Mapping(_));
        let refuse = || {
            Err(Error::Fatal(
                "yaml: map merge requires map or sequence of maps as the value".to_owned(),
            ))
        };
        if is_map(node) {
            return Ok(vec![node]);
        }
        let Kind::Sequence(_) = &node.node().kind else { return refuse() };
        let mut all: Vec<NodeRef<'_>> = node.items().collect();
        if !all.iter().all(|n| is_map(*n)) {
            return refuse();
        }
        all.reverse();
        Ok(all)
    }

    /// Counts one decode step; fails when almost all of them come from aliases. The limits are
    /// go-yaml's: 99 % of up to 400 000 steps, falling to 10 % of 4 000 000.
    fn count(&mut self) -> Result<(), Error> {
        self.decoded += 1;
        if !self.following.is_empty() {
            self.decoded_in_aliases += 1;
        }
        let (all, aliases) = (self.decoded as f64, self.decoded_in_aliases as f64);
        let allowed = 0.99 - 0.89 * ((all - 400_000.0) / 3_600_000.0).clamp(0.0, 1.0);
        if self.decoded_in_aliases > 100 && self.decoded > 1000 && aliases / all > allowed {
            return Err(Error::Fatal("yaml: document contains excessive aliasing".to_owned()));
        }
        Ok(())
    }
}

/// Whether a node is null: tagged so, or a plain scalar that reads so.
pub fn is_null(node: NodeRef<'_>) -> bool {
    matches!(resolve(node), Ok(Resolved::Null))
}

/// The value in a type error: in backquotes, cut after seven bytes when longer than ten.
fn quote_value(value: &str) -> String {
    if value.len() <= 10 {
        return format!(" `{value}`");
    }
    let head = String::from_utf8_lossy(&value.as_bytes()[..7]).into_owned();
    format!(" `{head}...`")
}
