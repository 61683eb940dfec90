//! Pretty printing: an expression over several indented lines where it is longer than a line.

use super::ast::Expr;
use super::print::{AggregateHead, BinaryHead, SubqueryTail};

/// Longest expression, in bytes, that stays on one line.
const WIDTH: usize = 100;

/// `expr` as Prometheus's `/api/v1/format_query` shows it.
pub fn prettify(expr: &Expr) -> String {
    pretty(expr, 0)
}

/// `expr` as lines indented by `level`.
fn pretty(expr: &Expr, level: usize) -> String {
    let indent = "  ".repeat(level);
    let line = expr.to_string();
    let splits = line.len() > WIDTH;
    match expr {
        Expr::Unary(e) => format!("{indent}{}{}", e.sign(), pretty(&e.expr, level).trim()),
        // Prometheus does not indent a short subquery.
        Expr::Subquery(_) if !splits => line,
        Expr::Subquery(e) => format!("{}{}", pretty(&e.expr, level), SubqueryTail(e)),
        Expr::Aggregate(e) if splits => {
            let mut out = format!("{indent}{}(\n", AggregateHead(e));
            if let Some(param) = &e.param {
                out.push_str(&pretty(param, level + 1));
                out.push_str(",\n");
            }
            format!("{out}{}\n{indent})", pretty(&e.expr, level + 1))
        }
        Expr::Binary(e) if splits => {
            let (lhs, rhs) = (pretty(&e.lhs, level + 1), pretty(&e.rhs, level + 1));
            format!("{lhs}\n{indent}{}\n{rhs}", BinaryHead(e))
        }
        Expr::Call(e) if splits => {
            let args: Vec<String> = e.args.iter().map(|a| pretty(a, level + 1)).collect();
            format!("{indent}{}(\n{}\n{indent})", e.func.name, args.join(",\n"))
        }
        Expr::Paren(e) if splits => {
            format!("{indent}(\n{}\n{indent})", pretty(&e.expr, level + 1))
        }
        _ => format!("{indent}{line}"),
    }
}
