//! Property: an expression prints as text that parses to the same expression.

use model::{MatchOp, Matcher};
use promql::functions;
use promql::parser::ast::*;
use promql::parser::{ParserOptions, parse, prettify, to_json};
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z_][a-z0-9_]{0,6}", "[ -~é☺\n\t]{0,8}"]
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let name = prop_oneof!["[a-z_][a-z0-9_]{0,5}", "[a-z][a-z .é]{1,5}"];
    (name, text(), any::<bool>(), "[a-z.*|]{0,6}").prop_map(|(name, value, not, pattern)| {
        let op = if not { MatchOp::NotRegex } else { MatchOp::Regex };
        let equal = if not { MatchOp::NotEqual } else { MatchOp::Equal };
        Matcher::new(op, name.clone(), pattern)
            .or_else(|_| Matcher::new(equal, name.clone(), value))
            .unwrap_or_else(|_| Matcher::equal(name, "x"))
    })
}

fn number(value: f64, is_duration: bool) -> NumberLiteral {
    NumberLiteral { value, is_duration, span: Span::default() }
}

fn duration_expr() -> impl Strategy<Value = DurationExpr> {
    let leaf = prop_oneof![
        (1..10_000u32).prop_map(|n| DurationExpr::Number(number(f64::from(n), n % 2 == 0))),
        Just(DurationExpr::Step(Span::default())),
        Just(DurationExpr::Range(Span::default())),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        let wrapped = inner.clone().prop_map(|e| match e {
            DurationExpr::Paren { .. } => e,
            e => DurationExpr::Paren { expr: Box::new(e), start: 0 },
        });
        let boxed = wrapped.clone().prop_map(Box::new);
        let op = prop_oneof![Just(BinaryOp::Add), Just(BinaryOp::Div), Just(BinaryOp::Pow)];
        prop_oneof![
            (op, boxed.clone(), boxed.clone()).prop_map(|(op, lhs, rhs)| DurationExpr::Binary {
                op,
                lhs,
                rhs
            }),
            (boxed.clone(), boxed.clone()).prop_map(|(a, b)| DurationExpr::MinOf(a, b)),
            boxed.prop_map(|expr| DurationExpr::Unary { negate: true, expr, start: 0 }),
            wrapped,
        ]
    })
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        3 => (1..100_000_000i64).prop_map(|ms| Duration::Literal { ms }),
        1 => duration_expr().prop_map(|e| match e {
            DurationExpr::Number(_) => Duration::Literal { ms: 1 },
            e => Duration::Expr(Box::new(e)),
        }),
    ]
}

/// An offset: printed as it stands it may only be a literal or something in parentheses.
fn offset() -> impl Strategy<Value = Option<Duration>> {
    prop_oneof![
        Just(None),
        (-1_000_000..1_000_000i64)
            .prop_filter("zero is none", |ms| *ms != 0)
            .prop_map(|ms| Some(Duration::Literal { ms })),
        duration_expr().prop_map(|e| match e {
            DurationExpr::Paren { .. } => Some(Duration::Expr(Box::new(e))),
            _ => None,
        }),
    ]
}

fn at() -> impl Strategy<Value = Option<At>> {
    prop_oneof![
        2 => Just(None),
        1 => (-1_000_000_000_000..1_000_000_000_000i64).prop_map(|ms| Some(At::Timestamp(ms))),
        1 => prop_oneof![Just(Some(At::Start)), Just(Some(At::End))],
    ]
}

fn selector() -> impl Strategy<Value = VectorSelector> {
    let matchers = prop::collection::vec(matcher(), 0..4);
    ("[a-z_:][a-z0-9_:]{2,8}[0-9]", matchers, offset(), at(), 0..6u8).prop_map(
        |(name, mut matchers, offset, at, mode)| {
            matchers.sort_by_key(ToString::to_string);
            matchers.push(Matcher::equal("__name__", name.clone()));
            VectorSelector {
                name: Some(name),
                matchers,
                offset,
                at,
                anchored: mode == 0,
                smoothed: mode == 1,
                ..VectorSelector::all(Span::default())
            }
        },
    )
}

fn labels() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(prop_oneof!["[a-z_]{1,5}x", "[a-z .é]{1,5}"], 0..3)
}

fn matching() -> impl Strategy<Value = VectorMatching> {
    (labels(), any::<bool>(), 0..3u8, labels(), any::<bool>()).prop_map(
        |(labels, on, card, include, fill)| {
            let grouped = card > 0 && (on || !labels.is_empty());
            VectorMatching {
                card: match card {
                    1 if grouped => Cardinality::ManyToOne,
                    2 if grouped => Cardinality::OneToMany,
                    _ => Cardinality::OneToOne,
                },
                include: match grouped {
                    true => include.into_iter().filter(|l| !labels.contains(l)).collect(),
                    false => Vec::new(),
                },
                labels,
                on,
                fill_lhs: fill.then_some(-1.5),
                fill_rhs: None,
            }
        },
    )
}

fn call(name: &str, args: Vec<Expr>) -> Expr {
    match functions::lookup(name) {
        Some(func) => Expr::Call(Call { func, args, span: Span::default() }),
        None => Expr::Number(number(1.0, false)),
    }
}

fn paren(expr: Expr) -> Box<Expr> {
    Box::new(Expr::Paren(Paren { expr: Box::new(expr), span: Span::default() }))
}

/// Instant vectors.
fn vector() -> impl Strategy<Value = Expr> {
    let matrix = (selector(), duration())
        .prop_map(|(selector, range)| Expr::Matrix(MatrixSelector { selector, range, end: 0 }));
    let leaf =
        prop_oneof![selector().prop_map(Expr::Vector), matrix.prop_map(|m| call("rate", vec![m])),];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let ops = prop::sample::select(vec![
            BinaryOp::Add,
            BinaryOp::Pow,
            BinaryOp::Atan2,
            BinaryOp::Gtr,
            BinaryOp::TrimUpper,
        ]);
        let binary = (ops, inner.clone(), inner.clone(), matching(), any::<bool>()).prop_map(
            |(op, lhs, rhs, matching, return_bool)| {
                Expr::Binary(Binary {
                    op,
                    lhs: paren(lhs),
                    rhs: paren(rhs),
                    matching: Some(matching),
                    return_bool: return_bool && op.is_comparison(),
                })
            },
        );
        let set = (inner.clone(), inner.clone(), labels(), any::<bool>()).prop_map(
            |(lhs, rhs, labels, on)| {
                let card = Cardinality::ManyToMany;
                let matching = Some(VectorMatching { card, labels, on, ..Default::default() });
                let (lhs, rhs) = (paren(lhs), paren(rhs));
                Expr::Binary(Binary {
                    op: BinaryOp::Unless,
                    lhs,
                    rhs,
                    matching,
                    return_bool: false,
                })
            },
        );
        let aggregate = (inner.clone(), labels(), any::<bool>(), text()).prop_map(
            |(expr, grouping, without, label)| {
                let value = label;
                let literal = StringLiteral { value, invalid: None, span: Span::default() };
                Expr::Aggregate(Aggregate {
                    op: AggregateOp::CountValues,
                    expr: Box::new(expr),
                    param: Some(Box::new(Expr::String(literal))),
                    grouping,
                    without,
                    span: Span::default(),
                })
            },
        );
        // A colon may only follow a number, so the range is one.
        let range = 1..100_000_000i64;
        let subquery = (inner.clone(), range, prop::option::of(duration()), offset(), at())
            .prop_map(|(expr, ms, step, offset, at)| {
                let range = Duration::Literal { ms };
                let expr = paren(expr);
                let subquery = Subquery { expr, range, step, offset, at, end: 0 };
                call("max_over_time", vec![Expr::Subquery(subquery)])
            });
        let unary = (inner, any::<bool>())
            .prop_map(|(expr, negate)| Expr::Unary(Unary { negate, expr: paren(expr), start: 0 }));
        prop_oneof![binary, set, aggregate, subquery, unary]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn prints_what_parses_to_itself(expr in vector()) {
        let printed = expr.to_string();
        let parsed = parse(&printed, &ParserOptions::ALL);
        let parsed = parsed.map_err(|e| TestCaseError::fail(format!("{printed}: {e}")))?;
        prop_assert_eq!(to_json(&parsed), to_json(&expr), "{}", printed);
        let pretty = parse(&prettify(&expr), &ParserOptions::ALL);
        let pretty = pretty.map_err(|e| TestCaseError::fail(format!("{printed}: {e}")))?;
        prop_assert_eq!(to_json(&pretty), to_json(&expr));
    }

    #[test]
    fn any_text_is_refused_or_printed_stably(query in "[a-z0-9 (){}\\[\\]:,+*@^\"=~.<>/#\\-]{0,24}") {
        if let Ok(expr) = parse(&query, &ParserOptions::ALL) {
            let printed = expr.to_string();
            let again = parse(&printed, &ParserOptions::ALL).map(|e| e.to_string());
            prop_assert_eq!(again, Ok(printed));
        }
    }
}
