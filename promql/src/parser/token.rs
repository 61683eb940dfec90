//! Tokens: kinds, keywords, and how error messages name them.

use model::number::go_quote;

use super::ast::{AggregateOp, BinaryOp, Span};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Comment,
    Eof,
    Colon,
    Comma,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    LeftParen,
    RightParen,
    /// A name without a colon.
    Identifier,
    /// A name with a colon.
    MetricIdentifier,
    Number,
    Duration,
    /// A quoted string, quotes included.
    String,
    /// `=`
    Equal,
    /// `=~`
    EqualRegex,
    /// `!~`
    NotEqualRegex,
    At,
    Op(BinaryOp),
    Aggregate(AggregateOp),
    Keyword(Keyword),
    Preprocessor(Preprocessor),
}

/// Words that modify expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyword {
    Anchored,
    Bool,
    By,
    Fill,
    FillLeft,
    FillRight,
    GroupLeft,
    GroupRight,
    Ignoring,
    Offset,
    On,
    Smoothed,
    Without,
}

/// Names of functions that also stand in `@` modifiers and durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preprocessor {
    Start,
    End,
    Step,
    Range,
    MaxOf,
    MinOf,
}

/// A token: a kind and a span of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    pub span: Span,
}

/// The kind a word has outside braces; keywords ignore case.
pub fn keyword(word: &str) -> Option<Kind> {
    use Keyword::*;
    let lower = word.to_ascii_lowercase();
    Some(match lower.as_str() {
        "and" => Kind::Op(BinaryOp::And),
        "or" => Kind::Op(BinaryOp::Or),
        "unless" => Kind::Op(BinaryOp::Unless),
        "atan2" => Kind::Op(BinaryOp::Atan2),
        "offset" => Kind::Keyword(Offset),
        "smoothed" => Kind::Keyword(Smoothed),
        "anchored" => Kind::Keyword(Anchored),
        "by" => Kind::Keyword(By),
        "without" => Kind::Keyword(Without),
        "on" => Kind::Keyword(On),
        "ignoring" => Kind::Keyword(Ignoring),
        "group_left" => Kind::Keyword(GroupLeft),
        "group_right" => Kind::Keyword(GroupRight),
        "fill" => Kind::Keyword(Fill),
        "fill_left" => Kind::Keyword(FillLeft),
        "fill_right" => Kind::Keyword(FillRight),
        "bool" => Kind::Keyword(Bool),
        "start" => Kind::Preprocessor(Preprocessor::Start),
        "end" => Kind::Preprocessor(Preprocessor::End),
        "inf" | "nan" => Kind::Number,
        _ => {
            return duration_keyword(&lower)
                .or_else(|| AggregateOp::from_name(&lower).map(Kind::Aggregate));
        }
    })
}

/// The kind of a lower-case word inside a duration.
pub fn duration_keyword(word: &str) -> Option<Kind> {
    Some(Kind::Preprocessor(match word {
        "step" => Preprocessor::Step,
        "range" => Preprocessor::Range,
        "max_of" => Preprocessor::MaxOf,
        "min_of" => Preprocessor::MinOf,
        _ => return None,
    }))
}

impl Kind {
    /// Whether a token of this kind can stand as a metric name.
    pub fn is_metric_name(self) -> bool {
        use Keyword::{Bool, GroupLeft, GroupRight, Ignoring, On};
        match self {
            Kind::Identifier | Kind::MetricIdentifier | Kind::Aggregate(_) => true,
            Kind::Preprocessor(_) => true,
            Kind::Op(op) => op.is_set(),
            Kind::Keyword(k) => !matches!(k, Bool | GroupLeft | GroupRight | Ignoring | On),
            _ => false,
        }
    }

    /// Whether a token of this kind can stand as a label name in a grouping list.
    pub fn is_grouping_label(self) -> bool {
        match self {
            Kind::Identifier | Kind::MetricIdentifier | Kind::Aggregate(_) => true,
            Kind::Preprocessor(_) => true,
            Kind::Op(op) => op.is_set() || op == BinaryOp::Atan2,
            Kind::Keyword(k) => k != Keyword::Without,
            _ => false,
        }
    }

    /// Whether an expression can start with a token of this kind.
    pub fn starts_expression(self) -> bool {
        self.is_metric_name()
            || matches!(
                self,
                Kind::LeftBrace | Kind::LeftParen | Kind::Number | Kind::Duration | Kind::String
            )
            || matches!(self, Kind::Op(BinaryOp::Add | BinaryOp::Sub))
    }

    /// How an error message names a token of this kind that reads `text`.
    pub fn describe(self, text: &str) -> String {
        match self {
            Kind::Eof => "end of input".to_owned(),
            Kind::Identifier => format!("identifier {}", go_quote(text)),
            Kind::MetricIdentifier => format!("metric identifier {}", go_quote(text)),
            Kind::Comment => format!("comment {}", quote_short(text)),
            Kind::Number => format!("number {}", quote_short(text)),
            Kind::Duration => format!("duration {}", quote_short(text)),
            Kind::String => format!("string {}", quote_short(text)),
            Kind::Op(_) | Kind::EqualRegex | Kind::NotEqualRegex | Kind::At => {
                format!("<op:{text}>")
            }
            Kind::Aggregate(_) => format!("<aggr:{text}>"),
            Kind::Keyword(_) => format!("<{text}>"),
            _ => quote_short(text),
        }
    }
}

/// Quotes at most ten characters of `text`; longer text (in bytes) is marked with dots.
fn quote_short(text: &str) -> String {
    if text.len() <= 10 {
        return go_quote(text);
    }
    let end = text.char_indices().nth(10).map_or(text.len(), |(at, _)| at);
    format!("{}...", go_quote(text.get(..end).unwrap_or(text)))
}
