//! Tree: the first document of a YAML text as nodes that know their line.
//!
//! Nodes live in one vector and name each other by index, so an alias is a second reference to the
//! node it stands for and costs nothing until it is decoded. The tree is built without recursion;
//! nesting deeper than [`MAX_DEPTH`] is an error, because what reads a tree does recurse.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::Error;

/// Deepest nesting of sequences and mappings a document may have.
pub const MAX_DEPTH: usize = 1000;

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A scalar; `plain` when it was written without quotes.
    Scalar { value: String, plain: bool },
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
        Builder::new(text).run()
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

struct Builder<'t> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    tree: Tree,
    /// Collections being filled, outermost first.
    open: Vec<usize>,
    /// saphyr's anchor number → node.
    anchors: HashMap<usize, usize>,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str) -> Builder<'t> {
        Builder {
            text,
            parser: Parser::new_from_str(text),
            tree: Tree::default(),
            open: Vec::new(),
            anchors: HashMap::new(),
        }
    }

    fn run(mut self) -> Result<Tree, Error> {
        loop {
            let (event, span) = match self.parser.next_event() {
                None => return Ok(self.tree),
                Some(Ok(found)) => found,
                Some(Err(e)) => return Err(self.scan_error(&e)),
            };
            match event {
                Event::StreamEnd | Event::DocumentEnd => return Ok(self.tree),
                Event::StreamStart | Event::DocumentStart(_) | Event::Nothing => {}
                Event::Scalar(value, style, anchor, tag) => {
                    let plain = style == ScalarStyle::Plain;
                    let kind = Kind::Scalar { value: value.into_owned(), plain };
                    self.add(kind, tag.as_deref(), anchor, span)?;
                }
                Event::SequenceStart(anchor, tag) => {
                    self.enter(Kind::Sequence(Vec::new()), tag.as_deref(), anchor, span)?;
                }
                Event::MappingStart(anchor, tag) => {
                    self.enter(Kind::Mapping(Vec::new()), tag.as_deref(), anchor, span)?;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    self.open.pop();
                }
                Event::Alias(anchor) => {
                    let name = self.name_at(span);
                    let Some(target) = self.anchors.get(&anchor).copied() else {
                        return Err(Error::unknown_anchor(&name));
                    };
                    self.add(Kind::Alias { name, target }, None, 0, span)?;
                }
            }
        }
    }

    fn enter(
        &mut self,
        kind: Kind,
        tag: Option<&Tag>,
        anchor: usize,
        span: Span,
    ) -> Result<(), Error> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Error::Fatal(format!(
                "yaml: line {}: exceeded max depth of {MAX_DEPTH}",
                span.start.line()
            )));
        }
        let id = self.add(kind, tag, anchor, span)?;
        self.open.push(id);
        Ok(())
    }

    fn add(
        &mut self,
        kind: Kind,
        tag: Option<&Tag>,
        anchor: usize,
        span: Span,
    ) -> Result<usize, Error> {
        let id = self.tree.nodes.len();
        let tag = tag.map(|t| format!("{}{}", t.handle, t.suffix)).unwrap_or_default();
        self.tree.nodes.push(Node { kind, tag, line: span.start.line() });
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        match self.open.last() {
            None => self.tree.root = Some(id),
            Some(parent) => match &mut self.tree.nodes[*parent].kind {
                Kind::Sequence(ids) | Kind::Mapping(ids) => ids.push(id),
                Kind::Scalar { .. } | Kind::Alias { .. } => {}
            },
        }
        Ok(id)
    }

    /// The anchor name written at `span`, without its `*`.
    fn name_at(&self, span: Span) -> String {
        name_from(self.text, span.start.line(), span.start.col())
    }

    fn scan_error(&self, e: &ScanError) -> Error {
        super::decode::scan_error(self.text, e)
    }
}

/// The anchor or alias name at a line (from 1) and column (from 0) of `text`.
pub(super) fn name_from(text: &str, line: usize, col: usize) -> String {
    let rest = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    rest.chars()
        .skip(col)
        .skip_while(|c| *c == '*')
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_' || *c == '-')
        .collect()
}
