//! Parser: from tokens to the nodes of the first document, one event at a time.

use super::Error;
use super::scanner::Scanner;
use super::token::{Token, TokenKind, parser_error};

/// What comes next in the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A reference to an anchor.
    Alias(String),
    /// A scalar; `implicit` when its type shows by its looks.
    Scalar { value: String, implicit: bool },
    /// Items follow, up to the matching end.
    SequenceStart,
    /// Keys and values follow in turn, up to the matching end.
    MappingStart,
    /// The innermost sequence or mapping ends.
    End,
    /// The document ends.
    DocumentEnd,
}

/// An event, its line from 0, and what goes with a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What it is.
    pub kind: EventKind,
    /// Where it starts.
    pub line: usize,
    /// The name other nodes refer to it by.
    pub anchor: Option<String>,
    /// Its tag in long form, empty without one.
    pub tag: String,
}

impl Event {
    fn plain(kind: EventKind, line: usize) -> Event {
        Event { kind, line, anchor: None, tag: String::new() }
    }

    /// A value that is not there.
    fn empty(line: usize) -> Event {
        Event::plain(EventKind::Scalar { value: String::new(), implicit: true }, line)
    }
}

/// What is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    DocumentContent,
    DocumentEnd,
    BlockNode,
    BlockSequenceFirst,
    BlockSequence,
    IndentlessSequence,
    BlockMappingFirst,
    BlockMappingKey,
    BlockMappingValue,
    FlowSequenceFirst,
    FlowSequence,
    FlowPairKey,
    FlowPairValue,
    FlowPairEnd,
    FlowMappingFirst,
    FlowMappingKey,
    FlowMappingValue,
    FlowMappingNoValue,
    End,
}

/// Reads events from a text.
#[derive(Debug)]
pub struct Parser {
    scanner: Scanner,
    state: State,
    /// What is expected after the node being read.
    states: Vec<State>,
    /// Tag handles and what they stand for.
    tags: Vec<(String, String)>,
}

impl Parser {
    /// A parser of `text`.
    pub fn new(text: &str) -> Result<Parser, Error> {
        Ok(Parser {
            scanner: Scanner::new(text)?,
            state: State::Start,
            states: Vec::new(),
            tags: Vec::new(),
        })
    }

    /// The next event of the first document; `None` when there is none, before it or after it.
    pub fn next(&mut self) -> Result<Option<Event>, Error> {
        if self.state == State::Start {
            self.start()?;
        }
        let event = match self.state {
            State::Start | State::End => return Ok(None),
            State::DocumentContent => self.document_content()?,
            State::DocumentEnd => {
                self.state = State::End;
                let line = self.line()?;
                Event::plain(EventKind::DocumentEnd, line)
            }
            State::BlockNode => self.node(true, false)?,
            State::BlockSequenceFirst | State::BlockSequence => self.block_sequence()?,
            State::IndentlessSequence => self.indentless_sequence()?,
            State::BlockMappingFirst | State::BlockMappingKey => self.block_mapping_key()?,
            State::BlockMappingValue => self.block_mapping_value()?,
            State::FlowSequenceFirst | State::FlowSequence => self.flow_sequence()?,
            State::FlowPairKey => self.flow_pair_key()?,
            State::FlowPairValue => self.flow_pair_value()?,
            State::FlowPairEnd => {
                self.state = State::FlowSequence;
                let line = self.line()?;
                Event::plain(EventKind::End, line)
            }
            State::FlowMappingFirst | State::FlowMappingKey => self.flow_mapping_key()?,
            State::FlowMappingValue => self.flow_mapping_value()?,
            State::FlowMappingNoValue => {
                let line = self.line()?;
                self.empty_value(State::FlowMappingKey, line)
            }
        };
        Ok(Some(event))
    }

    fn kind(&mut self) -> Result<&TokenKind, Error> {
        Ok(&self.scanner.peek()?.kind)
    }

    fn line(&mut self) -> Result<usize, Error> {
        Ok(self.scanner.peek()?.start.line)
    }

    /// Whether the next token is one of these.
    fn at(&mut self, kinds: &[TokenKind]) -> Result<bool, Error> {
        Ok(kinds.contains(self.kind()?))
    }

    /// Takes the next token if it is this one.
    fn take(&mut self, kind: &TokenKind) -> Result<Option<Token>, Error> {
        if self.kind()? == kind { self.scanner.advance().map(Some) } else { Ok(None) }
    }

    fn error<T>(&mut self, problem: &str) -> Result<T, Error> {
        Err(parser_error(self.line()?, problem))
    }

    fn pop(&mut self) {
        self.state = self.states.pop().unwrap_or(State::End);
    }

    /// Goes on in `after` when the node that comes now is read.
    fn node_then(&mut self, after: State, block: bool, indentless: bool) -> Result<Event, Error> {
        self.states.push(after);
        self.node(block, indentless)
    }

    fn empty_value(&mut self, after: State, line: usize) -> Event {
        self.state = after;
        Event::empty(line)
    }

    fn end(&mut self) -> Result<Event, Error> {
        self.pop();
        let line = self.line()?;
        Ok(Event::plain(EventKind::End, line))
    }

    /// What stands before the document's content.
    fn start(&mut self) -> Result<(), Error> {
        let explicit = match self.kind()? {
            TokenKind::StreamEnd => {
                self.state = State::End;
                return Ok(());
            }
            TokenKind::Version { .. } | TokenKind::TagDirective { .. } => true,
            TokenKind::DocumentStart => true,
            _ => false,
        };
        self.directives()?;
        self.states.push(State::DocumentEnd);
        self.state = State::BlockNode;
        if explicit {
            if self.take(&TokenKind::DocumentStart)?.is_none() {
                return self.error("did not find expected <document start>");
            }
            self.state = State::DocumentContent;
        }
        Ok(())
    }

    fn directives(&mut self) -> Result<(), Error> {
        let mut version = false;
        loop {
            match self.kind()?.clone() {
                TokenKind::Version { major, minor } => {
                    if version {
                        return self.error("found duplicate %YAML directive");
                    }
                    if (major, minor) != (1, 1) {
                        return self.error("found incompatible YAML document");
                    }
                    version = true;
                }
                TokenKind::TagDirective { handle, prefix } => {
                    if self.tags.iter().any(|(known, _)| *known == handle) {
                        return self.error("found duplicate %TAG directive");
                    }
                    self.tags.push((handle, prefix));
                }
                _ => break,
            }
            self.scanner.advance()?;
        }
        for (handle, prefix) in [("!", "!"), ("!!", "tag:yaml.org,2002:")] {
            if self.tags.iter().all(|(known, _)| known != handle) {
                self.tags.push((handle.to_owned(), prefix.to_owned()));
            }
        }
        Ok(())
    }

    fn document_content(&mut self) -> Result<Event, Error> {
        match self.kind()? {
            TokenKind::Version { .. }
            | TokenKind::TagDirective { .. }
            | TokenKind::DocumentStart
            | TokenKind::DocumentEnd
            | TokenKind::StreamEnd => {
                self.pop();
                let line = self.line()?;
                Ok(Event::empty(line))
            }
            _ => self.node(true, false),
        }
    }

    /// A node with its anchor and tag. `block`: it may be a block collection; `indentless`: a list
    /// may follow whose dashes are not deeper than the key.
    fn node(&mut self, block: bool, indentless: bool) -> Result<Event, Error> {
        let line = self.line()?;
        if let TokenKind::Alias(name) = self.kind()?.clone() {
            self.scanner.advance()?;
            self.pop();
            return Ok(Event::plain(EventKind::Alias(name), line));
        }
        let (anchor, tag) = self.properties()?;
        let event = |kind| Event { kind, line, anchor: anchor.clone(), tag: tag.clone() };
        let kind = self.kind()?.clone();
        let (state, start) = match kind {
            TokenKind::BlockEntry if indentless => {
                (State::IndentlessSequence, EventKind::SequenceStart)
            }
            TokenKind::Scalar { value, plain } => {
                self.scanner.advance()?;
                self.pop();
                let implicit = plain && tag.is_empty() || tag == "!";
                return Ok(event(EventKind::Scalar { value, implicit }));
            }
            TokenKind::FlowSequenceStart => (State::FlowSequenceFirst, EventKind::SequenceStart),
            TokenKind::FlowMappingStart => (State::FlowMappingFirst, EventKind::MappingStart),
            TokenKind::BlockSequenceStart if block => {
                (State::BlockSequenceFirst, EventKind::SequenceStart)
            }
            TokenKind::BlockMappingStart if block => {
                (State::BlockMappingFirst, EventKind::MappingStart)
            }
            _ if anchor.is_some() || !tag.is_empty() => {
                self.pop();
                let implicit = tag.is_empty();
                return Ok(event(EventKind::Scalar { value: String::new(), implicit }));
            }
            _ => return self.error("did not find expected node content"),
        };
        self.state = state;
        Ok(event(start))
    }

    /// The anchor and the tag before a node, in any order.
    fn properties(&mut self) -> Result<(Option<String>, String), Error> {
        let (mut anchor, mut tag) = (None, None);
        loop {
            match self.kind()?.clone() {
                TokenKind::Anchor(name) if anchor.is_none() => anchor = Some(name),
                TokenKind::Tag { handle, suffix } if tag.is_none() => {
                    tag = Some(self.resolve_tag(&handle, &suffix)?);
                }
                _ => return Ok((anchor, tag.unwrap_or_default())),
            }
            self.scanner.advance()?;
        }
    }

    fn resolve_tag(&mut self, handle: &str, suffix: &str) -> Result<String, Error> {
        if handle.is_empty() {
            return Ok(suffix.to_owned());
        }
        match self.tags.iter().find(|(known, _)| known == handle) {
            Some((_, prefix)) => Ok(format!("{prefix}{suffix}")),
            None => self.error("found undefined tag handle"),
        }
    }

    fn block_sequence(&mut self) -> Result<Event, Error> {
        if self.state == State::BlockSequenceFirst {
            self.scanner.advance()?;
        }
        if let Some(entry) = self.take(&TokenKind::BlockEntry)? {
            if self.at(&[TokenKind::BlockEntry, TokenKind::BlockEnd])? {
                return Ok(self.empty_value(State::BlockSequence, entry.end_line));
            }
            return self.node_then(State::BlockSequence, true, false);
        }
        if self.at(&[TokenKind::BlockEnd])? {
            let event = self.end()?;
            self.scanner.advance()?;
            return Ok(event);
        }
        self.error("did not find expected '-' indicator")
    }

    fn indentless_sequence(&mut self) -> Result<Event, Error> {
        let Some(entry) = self.take(&TokenKind::BlockEntry)? else { return self.end() };
        let ends = [TokenKind::BlockEntry, TokenKind::Key, TokenKind::Value, TokenKind::BlockEnd];
        if self.at(&ends)? {
            return Ok(self.empty_value(State::IndentlessSequence, entry.end_line));
        }
        self.node_then(State::IndentlessSequence, true, false)
    }

    fn block_mapping_key(&mut self) -> Result<Event, Error> {
        if self.state == State::BlockMappingFirst {
            self.scanner.advance()?;
        }
        if let Some(key) = self.take(&TokenKind::Key)? {
            if self.at(&[TokenKind::Key, TokenKind::Value, TokenKind::BlockEnd])? {
                return Ok(self.empty_value(State::BlockMappingValue, key.end_line));
            }
            return self.node_then(State::BlockMappingValue, true, true);
        }
        if self.at(&[TokenKind::BlockEnd])? {
            let event = self.end()?;
            self.scanner.advance()?;
            return Ok(event);
        }
        self.error("did not find expected key")
    }

    fn block_mapping_value(&mut self) -> Result<Event, Error> {
        let Some(value) = self.take(&TokenKind::Value)? else {
            let line = self.line()?;
            return Ok(self.empty_value(State::BlockMappingKey, line));
        };
        if self.at(&[TokenKind::Key, TokenKind::Value, TokenKind::BlockEnd])? {
            return Ok(self.empty_value(State::BlockMappingKey, value.end_line));
        }
        self.node_then(State::BlockMappingKey, true, true)
    }

    fn flow_sequence(&mut self) -> Result<Event, Error> {
        let first = self.state == State::FlowSequenceFirst;
        if first {
            self.scanner.advance()?;
        }
        if !self.at(&[TokenKind::FlowSequenceEnd])? {
            if !first && self.take(&TokenKind::FlowEntry)?.is_none() {
                return self.error("did not find expected ',' or ']'");
            }
            if let Some(key) = self.take(&TokenKind::Key)? {
                self.state = State::FlowPairKey;
                return Ok(Event::plain(EventKind::MappingStart, key.start.line));
            }
            if !self.at(&[TokenKind::FlowSequenceEnd])? {
                return self.node_then(State::FlowSequence, false, false);
            }
        }
        let event = self.end()?;
        self.scanner.advance()?;
        Ok(event)
    }

    fn flow_pair_key(&mut self) -> Result<Event, Error> {
        let ends = [TokenKind::Value, TokenKind::FlowEntry, TokenKind::FlowSequenceEnd];
        if self.at(&ends)? {
            let token = self.scanner.advance()?;
            return Ok(self.empty_value(State::FlowPairValue, token.end_line));
        }
        self.node_then(State::FlowPairValue, false, false)
    }

    fn flow_pair_value(&mut self) -> Result<Event, Error> {
        let mut line = self.line()?;
        if self.take(&TokenKind::Value)?.is_some() {
            line = self.line()?;
            if !self.at(&[TokenKind::FlowEntry, TokenKind::FlowSequenceEnd])? {
                return self.node_then(State::FlowPairEnd, false, false);
            }
        }
        Ok(self.empty_value(State::FlowPairEnd, line))
    }

    fn flow_mapping_key(&mut self) -> Result<Event, Error> {
        let first = self.state == State::FlowMappingFirst;
        if first {
            self.scanner.advance()?;
        }
        if !self.at(&[TokenKind::FlowMappingEnd])? {
            if !first && self.take(&TokenKind::FlowEntry)?.is_none() {
                return self.error("did not find expected ',' or '}'");
            }
            if self.take(&TokenKind::Key)?.is_some() {
                let ends = [TokenKind::Value, TokenKind::FlowEntry, TokenKind::FlowMappingEnd];
                if self.at(&ends)? {
                    let line = self.line()?;
                    return Ok(self.empty_value(State::FlowMappingValue, line));
                }
                return self.node_then(State::FlowMappingValue, false, false);
            }
            if !self.at(&[TokenKind::FlowMappingEnd])? {
                return self.node_then(State::FlowMappingNoValue, false, false);
            }
        }
        let event = self.end()?;
        self.scanner.advance()?;
        Ok(event)
    }

    fn flow_mapping_value(&mut self) -> Result<Event, Error> {
        if self.take(&TokenKind::Value)?.is_some()
            && !self.at(&[TokenKind::FlowEntry, TokenKind::FlowMappingEnd])?
        {
            return self.node_then(State::FlowMappingKey, false, false);
        }
        let line = self.line()?;
        Ok(self.empty_value(State::FlowMappingKey, line))
    }
}
