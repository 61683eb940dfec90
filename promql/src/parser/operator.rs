//! Binary operators: precedence, matching modifiers, grouping labels.

use model::number::go_quote;

use super::ast::{Binary, BinaryOp, Cardinality, Expr, VectorMatching};
use super::expr::{Context, Node, Parsed, Parser};
use super::text::unquote;
use super::token::{Keyword, Kind, Token};

const GROUPING: &str = "grouping opts";

/// What stands between a binary operator and its right operand.
pub struct Modifier {
    pub matching: VectorMatching,
    pub return_bool: bool,
}

impl BinaryOp {
    /// How tightly the operator binds; all but `^` associate to the left.
    pub(super) fn precedence(self) -> u8 {
        match self {
            BinaryOp::Or => 1,
            BinaryOp::And | BinaryOp::Unless => 2,
            BinaryOp::TrimUpper | BinaryOp::TrimLower => 3,
            op if op.is_comparison() => 3,
            BinaryOp::Add | BinaryOp::Sub => 4,
            BinaryOp::Pow => 6,
            _ => 5,
        }
    }
}

impl Parser<'_> {
    /// `bool on(a) group_left(b) fill(0)`, each part optional.
    pub(super) fn binary_modifier(&mut self) -> Parsed<Modifier> {
        let return_bool = self.accept(Kind::Keyword(Keyword::Bool))?.is_some();
        let mut matching = VectorMatching::default();
        let list = match self.peek()?.kind {
            Kind::Keyword(Keyword::On) => Some(true),
            Kind::Keyword(Keyword::Ignoring) => Some(false),
            _ => None,
        };
        if let Some(on) = list {
            self.next()?;
            matching.on = on;
            matching.labels = self.grouping_labels()?;
            self.group_modifier(&mut matching)?;
        }
        self.fill_modifiers(&mut matching)?;
        Ok(Modifier { matching, return_bool })
    }

    fn group_modifier(&mut self, matching: &mut VectorMatching) -> Parsed<()> {
        matching.card = match self.peek()?.kind {
            Kind::Keyword(Keyword::GroupLeft) => Cardinality::ManyToOne,
            Kind::Keyword(Keyword::GroupRight) => Cardinality::OneToMany,
            _ => return Ok(()),
        };
        self.next()?;
        use Keyword::{Fill, FillLeft, FillRight};
        match self.peek()?.kind {
            Kind::LeftParen => matching.include = self.grouping_labels()?,
            Kind::Keyword(Fill | FillLeft | FillRight) => {}
            kind if kind.starts_expression() => {}
            _ => return Err(self.unexpected_in(Context::new(GROUPING, "\"(\""))),
        }
        Ok(())
    }

    fn fill_modifiers(&mut self, matching: &mut VectorMatching) -> Parsed<()> {
        match self.peek()?.kind {
            Kind::Keyword(Keyword::Fill) => {
                let value = self.fill_value()?;
                matching.fill_lhs = Some(value);
                matching.fill_rhs = Some(value);
            }
            Kind::Keyword(Keyword::FillLeft) => {
                matching.fill_lhs = Some(self.fill_value()?);
                if self.peek()?.kind == Kind::Keyword(Keyword::FillRight) {
                    matching.fill_rhs = Some(self.fill_value()?);
                }
            }
            Kind::Keyword(Keyword::FillRight) => {
                matching.fill_rhs = Some(self.fill_value()?);
                if self.peek()?.kind == Kind::Keyword(Keyword::FillLeft) {
                    matching.fill_lhs = Some(self.fill_value()?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The keyword and `(-1)`.
    fn fill_value(&mut self) -> Parsed<f64> {
        self.next()?;
        self.expect(Kind::LeftParen)?;
        let sign = match self.peek()?.kind {
            Kind::Op(BinaryOp::Sub) => -1.0,
            _ => 1.0,
        };
        if matches!(self.peek()?.kind, Kind::Op(BinaryOp::Add | BinaryOp::Sub)) {
            self.next()?;
        }
        let value = match self.peek()?.kind {
            Kind::Number | Kind::Duration => self.number_literal()?.value,
            _ => return Err(self.unexpected()),
        };
        self.expect(Kind::RightParen)?;
        Ok(sign * value)
    }

    /// `(a, "b c",)`: label names, keywords among them.
    pub(super) fn grouping_labels(&mut self) -> Parsed<Vec<String>> {
        let place = GROUPING;
        let mut labels = Vec::new();
        if self.accept(Kind::LeftParen)?.is_none() {
            return Err(self.unexpected_in(Context::new(place, "\"(\"")));
        }
        while self.accept(Kind::RightParen)?.is_none() {
            let token = self.peek()?;
            labels.push(self.grouping_label(token, Context::new(place, "label"))?);
            if self.accept(Kind::Comma)?.is_none() && self.peek()?.kind != Kind::RightParen {
                return Err(self.unexpected_in(Context::new(place, "\",\" or \")\"")));
            }
        }
        Ok(labels)
    }

    fn grouping_label(&mut self, token: Token, context: Context) -> Parsed<String> {
        let name = match token.kind {
            Kind::String => unquote(self.text(token)),
            kind if kind.is_grouping_label() => self.text(token).to_owned(),
            _ => return Err(self.unexpected_in(context)),
        };
        self.next()?;
        if name.is_empty() {
            let message = format!("invalid label name for grouping: {}", go_quote(&name));
            return Err(self.error(token.span, message));
        }
        Ok(name)
    }

    /// The binary expression of two operands.
    pub(super) fn join(
        &self,
        op: BinaryOp,
        lhs: Node,
        rhs: Node,
        modifier: Modifier,
    ) -> Parsed<Node> {
        let Modifier { matching, return_bool } = modifier;
        let fills = matching.fill_lhs.is_some() || matching.fill_rhs.is_some();
        let height = lhs.height.max(rhs.height);
        let expr = Expr::Binary(Binary {
            op,
            lhs: Box::new(lhs.expr),
            rhs: Box::new(rhs.expr),
            matching: Some(matching),
            return_bool,
        });
        if fills && !self.options.binop_fill_modifiers {
            let message = "binop fill modifiers are experimental and not enabled";
            return Err(self.error(expr.span(), message));
        }
        self.node(expr, height)
    }
}
