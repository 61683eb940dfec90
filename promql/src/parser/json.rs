//! The syntax tree as JSON, in the shape of Prometheus's `/api/v1/parse_query`. Keys stand in
//! alphabetical order, as Go writes them.

use std::fmt::Write as _;

use model::number::format_f;

use super::ast::{
    At, BinaryOp, Cardinality, Duration, DurationExpr, Expr, NumberLiteral, ValueType,
    VectorMatching, VectorSelector,
};

/// The tree below `expr`.
pub fn to_json(expr: &Expr) -> String {
    let mut out = Json(String::new());
    out.expr(expr);
    out.0
}

struct Json(String);

impl Json {
    /// `{` or `,`, then the quoted key and a colon.
    fn key(&mut self, key: &str) -> &mut Json {
        let first = self.0.ends_with('{');
        self.0.push_str(if first { "\"" } else { ",\"" });
        self.0.push_str(key);
        self.0.push_str("\":");
        self
    }

    fn raw(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn bool(&mut self, value: bool) {
        self.raw(if value { "true" } else { "false" });
    }

    fn int(&mut self, value: i64) {
        self.raw(&value.to_string());
    }

    /// A string as Go's encoder writes it, `<`, `>` and `&` escaped.
    fn string(&mut self, text: &str) {
        self.0.push('"');
        for c in text.chars() {
            match c {
                '"' => self.raw("\\\""),
                '\\' => self.raw("\\\\"),
                '\n' => self.raw("\\n"),
                '\r' => self.raw("\\r"),
                '\t' => self.raw("\\t"),
                '\x08' => self.raw("\\b"),
                '\x0c' => self.raw("\\f"),
                '<' | '>' | '&' | '\0'..='\x1f' | '\u{2028}' | '\u{2029}' => {
                    self.raw(&format!("\\u{:04x}", c as u32));
                }
                c => self.0.push(c),
            }
        }
        self.0.push('"');
    }

    fn strings<'s>(&mut self, list: impl IntoIterator<Item = &'s str>) {
        self.list(list, |json, text| json.string(text));
    }

    fn list<T>(&mut self, list: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut Json, T)) {
        self.raw("[");
        for (i, item) in list.into_iter().enumerate() {
            if i > 0 {
                self.raw(",");
            }
            write(self, item);
        }
        self.raw("]");
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Json, T)) {
        match value {
            Some(value) => write(self, value),
            None => self.raw("null"),
        }
    }

    fn kind(&mut self, name: &str) {
        self.key("type").string(name);
    }

    fn expr(&mut self, expr: &Expr) {
        self.raw("{");
        match expr {
            Expr::Aggregate(e) => {
                self.key("expr").expr(&e.expr);
                self.key("grouping").strings(e.grouping.iter().map(String::as_str));
                self.key("op").string(e.op.as_str());
                self.key("param").optional(e.param.as_deref(), Json::expr);
                self.kind("aggregation");
                self.key("without").bool(e.without);
            }
            Expr::Binary(e) => {
                self.key("bool").bool(e.return_bool);
                self.key("lhs").expr(&e.lhs);
                self.key("matching").optional(e.matching.as_ref(), Json::matching);
                self.key("op").string(e.op.as_str());
                self.key("rhs").expr(&e.rhs);
                self.kind("binaryExpr");
            }
            Expr::Call(e) => {
                let types = e.func.args.iter().map(|t: &ValueType| t.as_str());
                self.key("args").list(&e.args, Json::expr);
                self.key("func").raw("{");
                self.key("argTypes").strings(types);
                self.key("name").string(e.func.name);
                self.key("returnType").string(e.func.return_type.as_str());
                self.key("variadic").int(i64::from(e.func.variadic));
                self.raw("}");
                self.kind("call");
            }
            Expr::Matrix(e) => self.selector(&e.selector, Some(&e.range)),
            Expr::Vector(e) => self.selector(e, None),
            Expr::Number(e) => {
                self.kind("numberLiteral");
                self.key("val").string(&format_f(e.value));
            }
            Expr::Paren(e) => {
                self.key("expr").expr(&e.expr);
                self.kind("parenExpr");
            }
            Expr::String(e) => {
                self.kind("stringLiteral");
                self.key("val").string(&e.value);
            }
            Expr::Subquery(e) => {
                self.key("expr").expr(&e.expr);
                self.duration("offset", e.offset.as_ref());
                self.duration("range", Some(&e.range));
                self.key("startOrEnd").start_or_end(e.at);
                self.duration("step", e.step.as_ref());
                self.key("timestamp").timestamp(e.at);
                self.kind("subquery");
            }
            Expr::Unary(e) => {
                self.key("expr").expr(&e.expr);
                self.key("op").string(if e.negate { "-" } else { "+" });
                self.kind("unaryExpr");
            }
        }
        self.raw("}");
    }

    fn matching(&mut self, m: &VectorMatching) {
        let card = match m.card {
            Cardinality::OneToOne => "one-to-one",
            Cardinality::ManyToOne => "many-to-one",
            Cardinality::OneToMany => "one-to-many",
            Cardinality::ManyToMany => "many-to-many",
        };
        self.raw("{");
        self.key("card").string(card);
        self.key("fillValues").raw("{");
        self.key("lhs").optional(m.fill_lhs, Json::number);
        self.key("rhs").optional(m.fill_rhs, Json::number);
        self.raw("}");
        self.key("include").strings(m.include.iter().map(String::as_str));
        self.key("labels").strings(m.labels.iter().map(String::as_str));
        self.key("on").bool(m.on);
        self.raw("}");
    }

    fn number(&mut self, v: f64) {
        // JSON has no word for what is not finite.
        if v.is_finite() {
            self.raw(&go_json_number(v));
        } else {
            self.raw("null");
        }
    }

    /// The body of a selector; with a range it is a matrix selector.
    fn selector(&mut self, v: &VectorSelector, range: Option<&Duration>) {
        self.key("anchored").bool(v.anchored);
        self.key("matchers").list(&v.matchers, |json, m| {
            json.raw("{");
            json.key("name").string(&m.name);
            json.key("type").string(m.op.as_str());
            json.key("value").string(&m.value);
            json.raw("}");
        });
        self.key("name").string(v.name.as_deref().unwrap_or(""));
        self.duration("offset", v.offset.as_ref());
        if range.is_some() {
            self.duration("range", range);
        }
        self.key("smoothed").bool(v.smoothed);
        self.key("startOrEnd").start_or_end(v.at);
        self.key("timestamp").timestamp(v.at);
        self.kind(if range.is_some() { "matrixSelector" } else { "vectorSelector" });
    }

    fn start_or_end(&mut self, at: Option<At>) {
        match at {
            Some(At::Start) => self.string("start"),
            Some(At::End) => self.string("end"),
            _ => self.raw("null"),
        }
    }

    fn timestamp(&mut self, at: Option<At>) {
        match at {
            Some(At::Timestamp(ms)) => self.int(ms),
            _ => self.raw("null"),
        }
    }

    /// `"offset":5000,"offsetExpr":null`, or zero and the expression.
    fn duration(&mut self, key: &str, duration: Option<&Duration>) {
        let (ms, expr) = match duration {
            None => (0, None),
            Some(Duration::Literal { ms }) => (*ms, None),
            Some(Duration::Expr(expr)) => (0, Some(&**expr)),
        };
        self.key(key).int(ms);
        self.key(&format!("{key}Expr")).optional(expr, |json, e| json.duration_expr(e, false));
    }

    fn duration_expr(&mut self, expr: &DurationExpr, wrapped: bool) {
        let binary = |json: &mut Json, op: &str, lhs: Option<&DurationExpr>, rhs| {
            json.raw("{");
            json.key("lhs").optional(lhs, |json, e| json.duration_expr(e, false));
            json.key("op").string(op);
            json.key("rhs").optional(rhs, |json, e: &DurationExpr| json.duration_expr(e, false));
            json.kind("durationExpr");
            json.key("wrapped").bool(wrapped);
            json.raw("}");
        };
        match expr {
            // Parentheses are a mark on what they hold; a number is lifted to carry it.
            DurationExpr::Number(_) if wrapped => {
                self.raw("{\"lhs\":null");
                self.key("op").string(BinaryOp::Add.as_str());
                self.key("rhs").duration_expr(expr, false);
                self.kind("durationExpr");
                self.key("wrapped").bool(true);
                self.raw("}");
            }
            DurationExpr::Number(n) => self.duration_number(n),
            DurationExpr::Step(_) => binary(self, "step", None, None),
            DurationExpr::Range(_) => binary(self, "range", None, None),
            DurationExpr::Unary { negate, expr, .. } => {
                binary(self, if *negate { "-" } else { "+" }, None, Some(expr));
            }
            DurationExpr::Binary { op, lhs, rhs } => {
                binary(self, op.as_str(), Some(lhs), Some(rhs));
            }
            DurationExpr::MinOf(a, b) => binary(self, "min_of", Some(a), Some(b)),
            DurationExpr::MaxOf(a, b) => binary(self, "max_of", Some(a), Some(b)),
            DurationExpr::Paren { expr, .. } => self.duration_expr(expr, true),
        }
    }

    fn duration_number(&mut self, n: &NumberLiteral) {
        self.raw("{");
        self.key("duration").bool(n.is_duration);
        self.kind("numberLiteral");
        self.key("val").string(&format_f(n.value));
        self.raw("}");
    }
}

/// A finite number as Go's JSON encoder writes it: exponents without a leading zero.
fn go_json_number(v: f64) -> String {
    let text = model::number::format_json(v);
    let mut out = String::new();
    match text.split_once("e-0") {
        Some((mantissa, exponent)) => {
            let _ = write!(out, "{mantissa}e-{exponent}");
        }
        None => out.push_str(&text),
    }
    out
}
