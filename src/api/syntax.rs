//! Syntax: selectors of parameters, and the two endpoints that show how a query reads.

use model::Matcher;
use promql::parser::{self, ParserOptions, ast::Expr};

use super::Api;
use super::call::{Answer, Call};
use super::error::ApiError;
use super::json::push_string;

/// Parses a selector; the error text is the parser's.
pub fn selector(text: &str) -> Result<Vec<Matcher>, String> {
    parser::parse_metric_selector(text).map_err(|e| e.to_string())
}

fn parse(api: &Api, text: &str) -> Result<Expr, parser::ParseError> {
    parser::parse(text, &ParserOptions::from(api.engine.load().options().features))
}

/// `format_query`.
pub fn format_query(api: &Api, call: &Call) -> Result<Answer, ApiError> {
    let expr = parse(api, call.form.get("query"))
        .map_err(|e| ApiError::invalid("query", &e.to_string()))?;
    let text = parser::prettify(&expr);
    Answer::data(move |sink| push_string(&mut sink.buf, &text))
}

/// `parse_query`.
pub fn parse_query(api: &Api, call: &Call) -> Result<Answer, ApiError> {
    let expr = parse(api, call.form.get("query"))
        .map_err(|e| ApiError::invalid("query", &e.to_string()))?;
    Answer::json(parser::to_json(&expr))
}

/// The matcher sets of all selectors of an expression.
pub fn selectors_of(api: &Api, text: &str) -> Result<Vec<Vec<Matcher>>, ApiError> {
    let expr = parse(api, text).map_err(|e| ApiError::bad_data(e.to_string()))?;
    let mut sets = Vec::new();
    collect(&expr, &mut sets);
    Ok(sets)
}

fn collect(expr: &Expr, sets: &mut Vec<Vec<Matcher>>) {
    match expr {
        Expr::Vector(e) => sets.push(e.matchers.clone()),
        Expr::Matrix(e) => sets.push(e.selector.matchers.clone()),
        Expr::Aggregate(e) => {
            collect(&e.expr, sets);
            if let Some(param) = &e.param {
                collect(param, sets);
            }
        }
        Expr::Binary(e) => {
            collect(&e.lhs, sets);
            collect(&e.rhs, sets);
        }
        Expr::Call(e) => e.args.iter().for_each(|arg| collect(arg, sets)),
        Expr::Paren(e) => collect(&e.expr, sets),
        Expr::Subquery(e) => collect(&e.expr, sets),
        Expr::Unary(e) => collect(&e.expr, sets),
        Expr::Number(_) | Expr::String(_) => {}
    }
}
