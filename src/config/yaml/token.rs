//! Tokens of YAML, between characters and nodes.

use super::Error;
use super::reader::Mark;

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// The end of the text.
    StreamEnd,
    /// `%YAML major.minor`
    Version { major: u8, minor: u8 },
    /// `%TAG handle prefix`
    TagDirective { handle: String, prefix: String },
    /// `---`
    DocumentStart,
    /// `...`
    DocumentEnd,
    /// A list whose items stand on lines of their own begins.
    BlockSequenceStart,
    /// A mapping whose keys stand on lines of their own begins.
    BlockMappingStart,
    /// The innermost of these ends.
    BlockEnd,
    /// `[`
    FlowSequenceStart,
    /// `]`
    FlowSequenceEnd,
    /// `{`
    FlowMappingStart,
    /// `}`
    FlowMappingEnd,
    /// `-`
    BlockEntry,
    /// `,`
    FlowEntry,
    /// `?`, or what stands before a key without one
    Key,
    /// `:`
    Value,
    /// `*name`
    Alias(String),
    /// `&name`
    Anchor(String),
    /// `!handle!suffix`; the handle is empty for a whole tag.
    Tag { handle: String, suffix: String },
    /// Text; `plain` without quotes and not a block.
    Scalar { value: String, plain: bool },
}

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it begins.
    pub start: Mark,
    /// The line it ends on, from 0.
    pub end_line: usize,
}

/// The error of a character or token at `line` (from 0) that cannot stand there. go-yaml counts
/// lines from 1 in errors of the scanner, and leaves the first line out.
pub fn scanner_error(line: usize, problem: &str) -> Error {
    let place = if line == 0 { String::new() } else { format!("line {}: ", line + 1) };
    Error::Fatal(format!("yaml: {place}{problem}"))
}

/// The error of a token at `line` (from 0) that does not fit the ones before it. go-yaml shows the
/// line before.
pub fn parser_error(line: usize, problem: &str) -> Error {
    let place = if line == 0 { String::new() } else { format!("line {line}: ") };
    Error::Fatal(format!("yaml: {place}{problem}"))
}
