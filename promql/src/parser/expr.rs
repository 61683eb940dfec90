//! Expressions: precedence climbing over the tokens, calls, aggregations and parentheses.
//!
//! Prometheus's parser is generated from a grammar with error productions, so the message about an
//! unexpected token depends on which rule is open around it ([`Context`]), and which of two errors
//! is seen first depends on whether the next token was needed yet. This parser looks at the next
//! token only where the generated one does.

use model::{Labels, Matcher};

use super::ParserOptions;
use super::ast::{Aggregate, AggregateOp, BinaryOp, Call, Expr, Paren, Span, StringLiteral, Unary};
use super::error::ParseError;
use super::lexer::Lexer;
use super::text::unquote_bytes;
use super::token::{Keyword, Kind, Token};
use crate::functions;

/// Deepest nesting of parentheses, calls and brackets; each level costs stack.
const MAX_NESTING: usize = 200;
/// Highest tree. Chains of operators nest to the left without parser stack, but whoever walks the
/// tree recurses.
const MAX_HEIGHT: usize = 1_000;

const TOO_HIGH: &str = "expression has too many nested operators";

/// What is being parsed, as messages about an unexpected token say it: ` in …, expected …`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Context {
    pub place: &'static str,
    pub expected: &'static str,
}

impl Context {
    pub const fn new(place: &'static str, expected: &'static str) -> Context {
        Context { place, expected }
    }
}

/// An expression and the height of its tree.
pub struct Node {
    pub expr: Expr,
    pub height: usize,
}

impl Node {
    /// A tree without children.
    pub fn leaf(expr: Expr) -> Node {
        Node { expr, height: 1 }
    }
}

/// A parse under way.
pub struct Parser<'a> {
    lexer: Lexer<'a>,
    pub options: ParserOptions,
    peeked: Option<Token>,
    /// The last token read, looked at or taken.
    pub last: Token,
    /// End of the last token read that can close an expression.
    pub last_closing: u32,
    /// The innermost open rule with an opinion on unexpected tokens.
    pub context: Context,
    nesting: usize,
}

pub type Parsed<T> = Result<T, ParseError>;

impl<'a> Parser<'a> {
    /// A parser at the start of `text`.
    pub fn new(text: &'a str, options: ParserOptions) -> Parser<'a> {
        Parser {
            lexer: Lexer::new(text),
            options,
            peeked: None,
            last: Token { kind: Kind::Eof, span: Span::default() },
            last_closing: 0,
            context: Context::default(),
            nesting: 0,
        }
    }

    /// Parses the whole text as an expression.
    pub fn expression(mut self) -> Parsed<Expr> {
        self.check_length()?;
        if self.peek()?.kind == Kind::Eof {
            return Err(self.error(Span::default(), "no expression found in input"));
        }
        let node = self.binary(0)?;
        self.end()?;
        Ok(node.expr)
    }

    /// Parses the whole text as a selector without modifiers.
    pub fn metric_selector(mut self) -> Parsed<Vec<Matcher>> {
        self.check_length()?;
        let selector = self.vector_selector()?;
        self.end()?;
        Ok(selector.matchers)
    }

    /// Parses the whole text as the labels of a series.
    pub fn metric(mut self) -> Parsed<Labels> {
        self.check_length()?;
        let labels = self.labels()?;
        self.end()?;
        Ok(labels)
    }

    /// Parses the labels at the start of the text; also gives where they end.
    pub fn metric_prefix(mut self) -> Parsed<(Labels, usize)> {
        self.check_length()?;
        self.series_labels()
    }

    fn check_length(&self) -> Parsed<()> {
        match u32::try_from(self.lexer.text().len()) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.error(Span::default(), "query is too long")),
        }
    }

    fn end(&mut self) -> Parsed<()> {
        match self.peek()?.kind {
            Kind::Eof => Ok(()),
            _ => Err(self.unexpected()),
        }
    }

    /// The next token, left where it is.
    pub fn peek(&mut self) -> Parsed<Token> {
        if let Some(token) = self.peeked {
            return Ok(token);
        }
        let token = self.lexer.next_token()?;
        self.last = token;
        if matches!(
            token.kind,
            Kind::RightBrace
                | Kind::RightParen
                | Kind::RightBracket
                | Kind::Duration
                | Kind::Number
        ) {
            self.last_closing = token.span.end;
        }
        self.peeked = Some(token);
        Ok(token)
    }

    /// Takes the next token.
    pub fn next(&mut self) -> Parsed<Token> {
        let token = self.peek()?;
        self.peeked = None;
        Ok(token)
    }

    /// Takes the next token if it is of this kind.
    pub fn accept(&mut self, kind: Kind) -> Parsed<Option<Token>> {
        if self.peek()?.kind == kind { self.next().map(Some) } else { Ok(None) }
    }

    /// Takes the next token, which must be of this kind.
    pub fn expect(&mut self, kind: Kind) -> Parsed<Token> {
        match self.accept(kind)? {
            Some(token) => Ok(token),
            None => Err(self.unexpected()),
        }
    }

    /// The text of a token.
    pub fn text(&self, token: Token) -> &'a str {
        let range = token.span.start as usize..token.span.end as usize;
        self.lexer.text().get(range).unwrap_or("")
    }

    /// The byte of the text at `offset`.
    pub fn byte_at(&self, offset: u32) -> Option<u8> {
        self.lexer.text().as_bytes().get(offset as usize).copied()
    }

    pub fn error(&self, span: Span, message: impl Into<String>) -> ParseError {
        ParseError::new(self.lexer.text(), span, message)
    }

    /// The error about the last token read.
    pub fn unexpected(&self) -> ParseError {
        let mut message = format!("unexpected {}", self.last.kind.describe(self.text(self.last)));
        for (word, what) in [(" in ", self.context.place), (", expected ", self.context.expected)] {
            if !what.is_empty() {
                message.push_str(word);
                message.push_str(what);
            }
        }
        self.error(self.last.span, message)
    }

    /// The error about the last token read inside `context`.
    pub fn unexpected_in(&mut self, context: Context) -> ParseError {
        self.context = context;
        self.unexpected()
    }

    /// Runs `parse` with `context` as the innermost one.
    pub fn within<T>(
        &mut self,
        context: Context,
        parse: impl FnOnce(&mut Parser<'a>) -> Parsed<T>,
    ) -> Parsed<T> {
        let outer = std::mem::replace(&mut self.context, context);
        let out = parse(self)?;
        self.context = outer;
        Ok(out)
    }

    /// Runs `parse` one level deeper.
    pub fn nested<T>(&mut self, parse: impl FnOnce(&mut Parser<'a>) -> Parsed<T>) -> Parsed<T> {
        if self.nesting >= MAX_NESTING {
            return Err(self.error(self.last.span, "expression is nested too deeply"));
        }
        self.nesting += 1;
        let out = parse(self)?;
        self.nesting -= 1;
        Ok(out)
    }

    /// A node above others; refuses trees that are too high to walk.
    pub fn node(&self, expr: Expr, below: usize) -> Parsed<Node> {
        if below >= MAX_HEIGHT {
            return Err(self.error(expr.span(), TOO_HIGH));
        }
        Ok(Node { expr, height: below + 1 })
    }

    /// Refuses a chain of `length` operators before `token` that is too long to walk.
    pub fn check_chain(&self, length: usize, token: Token) -> Parsed<()> {
        if length >= MAX_HEIGHT {
            return Err(self.error(token.span, TOO_HIGH));
        }
        Ok(())
    }

    /// An operand and the binary operators after it that bind at least as tightly as `min`.
    pub fn binary(&mut self, min: u8) -> Parsed<Node> {
        let mut lhs = self.unary()?;
        loop {
            let token = self.peek()?;
            let Kind::Op(op) = token.kind else { return Ok(lhs) };
            let precedence = op.precedence();
            if precedence < min {
                return Ok(lhs);
            }
            self.next()?;
            let modifier = self.binary_modifier()?;
            let right = if op == BinaryOp::Pow { precedence } else { precedence + 1 };
            let rhs = self.nested(|p| p.binary(right))?;
            lhs = self.join(op, lhs, rhs, modifier)?;
        }
    }

    /// `-` and `+` bind like `*`: `-a^b` is `-(a^b)`. A sign before a number becomes part of it.
    fn unary(&mut self) -> Parsed<Node> {
        let token = self.peek()?;
        let negate = match token.kind {
            Kind::Op(BinaryOp::Sub) => true,
            Kind::Op(BinaryOp::Add) => false,
            _ => {
                let primary = self.primary()?;
                return self.modifiers(primary);
            }
        };
        self.next()?;
        let start = token.span.start;
        let operand = self.nested(|p| p.binary(BinaryOp::Pow.precedence()))?;
        match operand.expr {
            Expr::Number(mut number) => {
                number.value = if negate { -number.value } else { number.value };
                number.span.start = start;
                Ok(Node { expr: Expr::Number(number), ..operand })
            }
            expr => {
                let unary = Unary { negate, expr: Box::new(expr), start };
                self.node(Expr::Unary(unary), operand.height)
            }
        }
    }

    fn primary(&mut self) -> Parsed<Node> {
        let token = self.peek()?;
        match token.kind {
            Kind::Number | Kind::Duration => {
                self.number_literal().map(|n| Node::leaf(Expr::Number(n)))
            }
            Kind::String => {
                self.next()?;
                let bytes = unquote_bytes(self.text(token));
                let value = String::from_utf8_lossy(&bytes).into_owned();
                let invalid = (value.as_bytes() != bytes).then(|| bytes.into());
                Ok(Node::leaf(Expr::String(StringLiteral { value, invalid, span: token.span })))
            }
            Kind::LeftParen => self.paren(),
            Kind::LeftBrace => self.vector_selector().map(|s| Node::leaf(Expr::Vector(s))),
            Kind::Aggregate(op) => self.aggregate_or_name(op),
            Kind::Identifier | Kind::Preprocessor(_) => self.call_or_name(),
            kind if kind.is_metric_name() => {
                self.vector_selector().map(|s| Node::leaf(Expr::Vector(s)))
            }
            _ => Err(self.unexpected()),
        }
    }

    fn paren(&mut self) -> Parsed<Node> {
        let open = self.next()?;
        let inner = self.nested(|p| p.binary(0))?;
        let close = self.expect(Kind::RightParen)?;
        let span = open.span.to(close.span);
        let paren = Paren { expr: Box::new(inner.expr), span };
        self.node(Expr::Paren(paren), inner.height)
    }

    fn call_or_name(&mut self) -> Parsed<Node> {
        let token = self.next()?;
        if self.peek()?.kind != Kind::LeftParen {
            return self.selector_named(token).map(|s| Node::leaf(Expr::Vector(s)));
        }
        let (args, height) = self.arguments()?;
        let name = self.text(token);
        let Some(func) = functions::lookup(name) else {
            let message = format!("unknown function with name {}", model::number::go_quote(name));
            return Err(self.error(token.span, message));
        };
        if func.experimental && !self.options.experimental_functions {
            return Err(self.error(token.span, format!("function \"{name}\" is not enabled")));
        }
        let span = Span { start: token.span.start, end: self.last_closing };
        self.node(Expr::Call(Call { func, args, span }), height)
    }

    /// `(a, b)` and the height of the highest argument.
    fn arguments(&mut self) -> Parsed<(Vec<Expr>, usize)> {
        self.expect(Kind::LeftParen)?;
        let (mut args, mut height) = (Vec::new(), 0);
        if self.accept(Kind::RightParen)?.is_some() {
            return Ok((args, height));
        }
        loop {
            let node = self.nested(|p| p.binary(0))?;
            height = height.max(node.height);
            args.push(node.expr);
            let Some(comma) = self.accept(Kind::Comma)? else { break };
            if !self.peek()?.kind.starts_expression() {
                let message = "trailing commas not allowed in function call args";
                return Err(self.error(comma.span, message));
            }
        }
        self.expect(Kind::RightParen)?;
        Ok((args, height))
    }

    fn aggregate_or_name(&mut self, op: AggregateOp) -> Parsed<Node> {
        let token = self.next()?;
        let opens = matches!(
            self.peek()?.kind,
            Kind::LeftParen | Kind::Keyword(Keyword::By | Keyword::Without)
        );
        if !opens {
            return self.selector_named(token).map(|s| Node::leaf(Expr::Vector(s)));
        }
        let context = Context::new("aggregation", "");
        let (before, (args, height), after) = self.within(context, |p| {
            let before = p.aggregate_modifier()?;
            let args = p.arguments()?;
            let after = if before.is_none() { p.aggregate_modifier()? } else { None };
            Ok((before, args, after))
        })?;
        let read_ahead = before.is_none() && after.is_none();
        let end = match read_ahead {
            true => self.previous_right_paren(),
            false => self.last_closing,
        };
        let (grouping, without) = before.or(after).unwrap_or_default();
        let span = Span { start: token.span.start, end };
        let (param, expr) = self.aggregate_arguments(op, args, span)?;
        let expr = Box::new(expr);
        let aggregate = Aggregate { op, expr, param, grouping, without, span };
        self.node(Expr::Aggregate(aggregate), height)
    }

    fn aggregate_modifier(&mut self) -> Parsed<Option<(Vec<String>, bool)>> {
        let without = match self.peek()?.kind {
            Kind::Keyword(Keyword::By) => false,
            Kind::Keyword(Keyword::Without) => true,
            _ => return Ok(None),
        };
        self.next()?;
        Ok(Some((self.grouping_labels()?, without)))
    }

    fn aggregate_arguments(
        &self,
        op: AggregateOp,
        args: Vec<Expr>,
        span: Span,
    ) -> Parsed<(Option<Box<Expr>>, Expr)> {
        let got = args.len();
        if got == 0 {
            return Err(self.error(span, "no arguments for aggregate expression provided"));
        }
        if op.is_experimental() && !self.options.experimental_functions {
            let feature = "must be enabled with --enable-feature=promql-experimental-functions";
            let message = format!("{}() is experimental and {feature}", op.as_str());
            return Err(self.error(span, message));
        }
        let mut args = args.into_iter();
        let expected = 1 + usize::from(op.has_param());
        let param = if op.has_param() { args.next().map(Box::new) } else { None };
        match (args.next(), args.next()) {
            (Some(expr), None) => Ok((param, expr)),
            _ => Err(self.error(
                span,
                format!(
                    "wrong number of arguments for aggregate expression provided, expected \
                     {expected}, got {got}"
                ),
            )),
        }
    }

    /// The end of the parenthesis before the last token read, when that is one too and only spaces
    /// lie between; else the end of the last closing token.
    fn previous_right_paren(&self) -> u32 {
        let text = self.lexer.text().as_bytes();
        let last = self.last.span.start as usize;
        if text.get(last) != Some(&b')') || last == 0 {
            return self.last_closing;
        }
        let before = text[1..last].iter().rposition(|b| !b" \t\n\r".contains(b)).map(|at| at + 1);
        match before {
            Some(at) if text[at] == b')' => at as u32 + 1,
            _ => self.last_closing,
        }
    }
}
