//! Selectors and label sets: what stands in braces.

use model::labels::METRIC_NAME;
use model::{Labels, MatchOp, Matcher};

use super::ast::{BinaryOp, VectorSelector};
use super::expr::{Context, Parsed, Parser};
use super::text::unquote;
use super::token::{Kind, Token};

const MATCHING: &str = "label matching";
const LABEL_SET: &str = "label set";
const ITEM: &str = "identifier or \"}\"";
const SEPARATOR: &str = "\",\" or \"}\"";

impl Parser<'_> {
    /// `name{a="b"}`, `name` or `{a="b"}`.
    pub(super) fn vector_selector(&mut self) -> Parsed<VectorSelector> {
        let token = self.peek()?;
        if token.kind == Kind::LeftBrace {
            return self.matchers();
        }
        if !token.kind.is_metric_name() {
            return Err(self.unexpected());
        }
        self.next()?;
        self.selector_named(token)
    }

    /// The selector of the metric name just taken.
    pub(super) fn selector_named(&mut self, token: Token) -> Parsed<VectorSelector> {
        let name = self.text(token);
        let mut selector = match self.peek()?.kind {
            Kind::LeftBrace => self.matchers()?,
            _ => VectorSelector::all(token.span),
        };
        selector.span.start = token.span.start;
        selector.name = Some(name.to_owned());
        selector.matchers.push(Matcher::equal(METRIC_NAME, name));
        Ok(selector)
    }

    fn matchers(&mut self) -> Parsed<VectorSelector> {
        let open = self.expect(Kind::LeftBrace)?;
        let mut matchers = Vec::new();
        loop {
            if let Some(close) = self.accept(Kind::RightBrace)? {
                let span = open.span.to(close.span);
                return Ok(VectorSelector { matchers, ..VectorSelector::all(span) });
            }
            matchers.push(self.matcher()?);
            if self.accept(Kind::Comma)?.is_none() && self.peek()?.kind != Kind::RightBrace {
                return Err(self.unexpected_in(Context::new(MATCHING, SEPARATOR)));
            }
        }
    }

    fn matcher(&mut self) -> Parsed<Matcher> {
        let token = self.peek()?;
        let name = match token.kind {
            Kind::Identifier => self.text(token).to_owned(),
            Kind::String => unquote(self.text(token)),
            _ => return Err(self.unexpected_in(Context::new(MATCHING, ITEM))),
        };
        self.next()?;
        let op = match self.peek()?.kind {
            Kind::Equal => MatchOp::Equal,
            Kind::Op(BinaryOp::Neq) => MatchOp::NotEqual,
            Kind::EqualRegex => MatchOp::Regex,
            Kind::NotEqualRegex => MatchOp::NotRegex,
            // A string alone is the metric name.
            _ if token.kind == Kind::String => return Ok(Matcher::equal(METRIC_NAME, name)),
            _ => {
                let expected = "label matching operator";
                return Err(self.unexpected_in(Context::new(MATCHING, expected)));
            }
        };
        self.next()?;
        let Some(value) = self.accept(Kind::String)? else {
            return Err(self.unexpected_in(Context::new(MATCHING, "string")));
        };
        Matcher::new(op, name, unquote(self.text(value)))
            .map_err(|e| self.error(token.span.to(value.span), e.to_string()))
    }

    /// `name{a="b"}` as the labels of a series.
    pub(super) fn labels(&mut self) -> Parsed<Labels> {
        let mut pairs = Vec::new();
        let mut name = None;
        let token = self.peek()?;
        if token.kind.is_metric_name() {
            self.next()?;
            name = Some((METRIC_NAME.to_owned(), self.text(token).to_owned()));
        }
        if self.accept(Kind::LeftBrace)?.is_some() {
            while self.accept(Kind::RightBrace)?.is_none() {
                pairs.push(self.label()?);
                if self.accept(Kind::Comma)?.is_none() && self.peek()?.kind != Kind::RightBrace {
                    return Err(self.unexpected_in(Context::new(LABEL_SET, SEPARATOR)));
                }
            }
        }
        pairs.extend(name);
        Ok(Labels::from_pairs(pairs))
    }

    fn label(&mut self) -> Parsed<(String, String)> {
        let token = self.peek()?;
        let name = match token.kind {
            Kind::Identifier => self.text(token).to_owned(),
            Kind::String => unquote(self.text(token)),
            _ => return Err(self.unexpected_in(Context::new(LABEL_SET, ITEM))),
        };
        self.next()?;
        if self.accept(Kind::Equal)?.is_none() {
            if token.kind == Kind::String {
                return Ok((METRIC_NAME.to_owned(), name));
            }
            return Err(self.unexpected_in(Context::new(LABEL_SET, "\"=\"")));
        }
        match self.accept(Kind::String)? {
            Some(value) => Ok((name, unquote(self.text(value)))),
            None => Err(self.unexpected_in(Context::new(LABEL_SET, "string"))),
        }
    }
}
