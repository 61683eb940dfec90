//! Parse errors: what is wrong with a query and where, in Prometheus's words.

use std::fmt;

use super::ast::Span;

/// Where an error is, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Line and column count from 1, columns in bytes.
    At { line: u32, column: u32 },
    /// The text was empty.
    Unknown,
    /// The position lies outside the text.
    Invalid,
}

/// The first error of a text. Displays as `1:5: parse error: …`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: parse error: {message}")]
pub struct ParseError {
    pub span: Span,
    pub place: Place,
    /// What is wrong, without position.
    pub message: String,
}

impl ParseError {
    /// An error about `span` of `text`.
    pub fn new(text: &str, span: Span, message: impl Into<String>) -> ParseError {
        ParseError { span, place: Place::of(text, span.start), message: message.into() }
    }

    /// The same error in a text that starts `lines` lines further down in its file.
    pub fn moved_down(mut self, lines: u32) -> ParseError {
        if let Place::At { line, .. } = &mut self.place {
            *line = line.saturating_add(lines);
        }
        self
    }
}

impl Place {
    /// The place of byte `offset` of `text`.
    pub fn of(text: &str, offset: u32) -> Place {
        if text.is_empty() {
            return Place::Unknown;
        }
        let Some(before) = text.as_bytes().get(..offset as usize) else {
            return Place::Invalid;
        };
        let lines = before.iter().filter(|b| **b == b'\n').count();
        let column = before.iter().rev().take_while(|b| **b != b'\n').count();
        Place::At { line: lines as u32 + 1, column: column as u32 + 1 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::At { line, column } => write!(f, "{line}:{column}"),
            Place::Unknown => f.write_str("unknown position"),
            Place::Invalid => f.write_str("invalid position"),
        }
    }
}
