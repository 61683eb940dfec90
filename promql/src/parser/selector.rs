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
        let name = match self.peek()?.kind.is_metric_name() {
            true => Some(self.next()?),
            false => None,
        };
        let braces = self.peek()?.kind == Kind::LeftBrace;
        Ok(self.label_set(name, braces)?.0)
    }

    /// The labels at the start of a line of a test script, and where they end. Braces belong to
    /// them only when they follow the name directly.
    pub(super) fn series_labels(&mut self) -> Parsed<(Labels, usize)> {
        let token = self.peek()?;
        if !token.kind.is_metric_name() {
            let braces = token.kind == Kind::LeftBrace;
            return self.label_set(None, braces);
        }
        let name = self.next()?;
        let braces = self.byte_at(name.span.end) == Some(b'{');
        self.label_set(Some(name), braces)
    }

    fn label_set(&mut self, name: Option<Token>, braces: bool) -> Parsed<(Labels, usize)> {
        let mut pairs = Vec::new();
        let mut end = name.map_or(0, |n| n.span.end);
        if braces {
            self.expect(Kind::LeftBrace)?;
            loop {
                if let Some(close) = self.accept(Kind::RightBrace)? {
                    end = close.span.end;
                    break;
                }
                pairs.push(self.label()?);
                if self.accept(Kind::Comma)?.is_none() && self.peek()?.kind != Kind::RightBrace {
                    return Err(self.unexpected_in(Context::new(LABEL_SET, SEPARATOR)));
                }
            }
        }
        pairs.extend(name.map(|n| (METRIC_NAME.to_owned(), self.text(n).to_owned())));
        Ok((Labels::from_pairs(pairs), end as usize))
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
