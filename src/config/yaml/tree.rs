//! Tree: the first document of a YAML text as nodes that know their line.
//!
//! Nodes live in one vector and name each other by index, so an alias is a second reference to the
//! node it stands for and costs nothing until it is decoded. The tree is built without recursion;
//! nesting deeper than [`MAX_DEPTH`] is an error, because what reads a tree does recurse.

use std::collections::HashMap;

use super::Error;
use super::parser::{EventKind, Parser};
use super::reader::utf8_error;
use super::token::scanner_error;

/// Deepest nesting of sequences and mappings a document may have.
pub const MAX_DEPTH: usize = 200;

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A scalar; `implicit` when its type shows by its looks: no quotes, no tag.
    Scalar { value: String, implicit: bool },
    /// A sequence of nodes.
    Sequence(Vec<usize>),
    /// Key and value nodes in turn.
    Mapping(Vec<usize>),
    /// A reference to the node an anchor was put on.
    Alias { name: String, target: usize },
}

/// One node of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Its explicit tag in long form (`tag:yaml.org,2002:str`), empty when it has none.
    pub tag: String,
    /// The line it starts on, counted from 1.
    pub line: usize,
}

/// A parsed document.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
    root: Option<usize>,
}

/// A node and the tree it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct NodeRef<'a> {
    tree: &'a Tree,
    id: usize,
}

impl Tree {
    /// Reads the first document of `text`; an empty text is a tree without a root.
    pub fn parse(text: &str) -> Result<Tree, Error> {
        Builder::default().run(text)
    }

    /// Reads the first document of a file, which must be UTF-8.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Tree, Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Tree::parse(text),
            Err(e) => Err(utf8_error(bytes, e)),
        }
    }

    /// The document's root node.
    pub fn root(&self) -> Option<NodeRef<'_>> {
        self.root.map(|id| NodeRef { tree: self, id })
    }
}

impl<'a> NodeRef<'a> {
    /// The node itself.
    pub fn node(self) -> &'a Node {
        &self.tree.nodes[self.id]
    }

    /// Its place in the tree, the same for all references to one node.
    pub fn id(self) -> usize {
        self.id
    }

    /// The node with index `id` of the same tree.
    pub fn other(self, id: usize) -> NodeRef<'a> {
        NodeRef { tree: self.tree, id }
    }

    /// The line the node starts on, from 1.
    pub fn line(self) -> usize {
        self.node().line
    }

    /// The node behind any aliases.
    pub fn target(self) -> NodeRef<'a> {
        // The builder only makes aliases of nodes that are not aliases.
        match &self.node().kind {
            Kind::Alias { target, .. } => self.other(*target),
            _ => self,
        }
    }

    /// Items of a sequence, seen through aliases; empty for anything else.
    pub fn items(self) -> impl Iterator<Item = NodeRef<'a>> {
        let target = self.target();
        let ids: &[usize] = match &target.node().kind {
            Kind::Sequence(ids) => ids,
            _ => &[],
        };
        ids.iter().map(move |id| target.other(*id))
    }

    /// Key and value nodes of a mapping, seen through aliases; empty for anything else.
    pub fn entries(self) -> impl Iterator<Item = (NodeRef<'a>, NodeRef<'a>)> {
        let target = self.target();
        let ids: &[usize] = match &target.node().kind {
            Kind::Mapping(ids) => ids,
            _ => &[],
        };
        ids.chunks_exact(2).map(move |pair| (target.other(pair[0]), target.other(pair[1])))
    }

    /// The text of a scalar, seen through aliases.
    pub fn scalar(self) -> Option<&'a str> {
        match &self.target().node().kind {
            Kind::Scalar { value, .. } => Some(value),
            _ => None,
        }
    }
}

#[derive(Default)]
struct Builder {
    tree: Tree,
    /// Collections being filled, outermost first.
    open: Vec<usize>,
    /// Anchors by name; a later one of the same name takes over.
    anchors: HashMap<String, usize>,
}

impl Builder {
    fn run(mut self, text: &str) -> Result<Tree, Error> {
        let mut parser = Parser::new(text)?;
        while let Some(event) = parser.next()? {
            let kind = match event.kind {
                EventKind::DocumentEnd => break,
                EventKind::End => {
                    self.open.pop();
                    continue;
                }
                EventKind::Scalar { value, implicit } => Kind::Scalar { value, implicit },
                EventKind::SequenceStart => Kind::Sequence(Vec::new()),
                EventKind::MappingStart => Kind::Mapping(Vec::new()),
                EventKind::Alias(name) => match self.anchors.get(&name).copied() {
                    Some(target) => Kind::Alias { name, target },
                    None => {
                        let message = format!("yaml: unknown anchor '{name}' referenced");
                        return Err(Error::Fatal(message));
                    }
                },
            };
            let opens = matches!(kind, Kind::Sequence(_) | Kind::Mapping(_));
            if opens && self.open.len() >= MAX_DEPTH {
                let problem = format!("exceeded max depth of {MAX_DEPTH}");
                return Err(scanner_error(event.line, &problem));
            }
            let id = self.add(Node { kind, tag: event.tag, line: event.line + 1 });
            if let Some(name) = event.anchor {
                self.anchors.insert(name, id);
            }
            if opens {
                self.open.push(id);
            }
        }
        Ok(self.tree)
    }

    fn add(&mut self, node: Node) -> usize {
        let id = self.tree.nodes.len();
        self.tree.nodes.push(node);
        match self.open.last() {
            None => self.tree.root = Some(id),
            Some(parent) => match &mut self.tree.nodes[*parent].kind {
                Kind::Sequence(ids) | Kind::Mapping(ids) => ids.push(id),
                Kind::Scalar { .. } | Kind::Alias { .. } => {}
            },
        }
        id
    }
}
