//! The parser against goldens: what parses and how it prints, what does not and why.

use std::error::Error;
use std::fs;

use promql::parser::{
    ParserOptions, parse, parse_metric, parse_metric_selector, prettify, to_json,
};

type Outcome = Result<(), Box<dyn Error>>;

/// Undoes `\n` and `\\` of the golden files.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(if chars.next() == Some('n') { '\n' } else { '\\' }),
            c => out.push(c),
        }
    }
    out
}

#[test]
fn parses_prints_and_refuses() -> Outcome {
    let text = fs::read_to_string(testdata::own("promql/parse.txt"))?;
    let mut lines = text.split('\n').filter(|l| !l.starts_with('#') && !l.is_empty());
    let mut checked = 0;
    while let (Some(query), Some(want)) = (lines.next(), lines.next()) {
        let query = query.strip_prefix("? ").ok_or("a query starts with a question mark")?;
        let (options, query) = match query.strip_prefix("off:") {
            Some(query) => (ParserOptions::default(), query),
            None => (ParserOptions::ALL, query),
        };
        let query = unescape(query);
        let got = match parse(&query, &options) {
            Ok(expr) => format!("= {expr}"),
            Err(e) => format!("! {e}"),
        };
        assert_eq!(got.replace('\n', "\\n"), want, "{query:?}");
        // What has no matcher at all prints as nothing.
        let printed = want.strip_prefix("= ").filter(|p| !p.contains(", )"));
        if let Some(printed) = printed {
            let again = parse(printed, &options).map_err(|e| format!("{printed}: {e}"))?;
            assert_eq!(again.to_string(), printed, "printing is stable");
        }
        checked += 1;
    }
    assert!(checked > 400, "only {checked} queries");
    Ok(())
}

#[test]
fn pretty_prints() -> Outcome {
    let text = fs::read_to_string(testdata::own("promql/pretty.txt"))?;
    for block in text.split("\n----\n").filter(|b| !b.is_empty()) {
        let (_, block) = block.split_once("? ").ok_or("a block starts with its query")?;
        let (query, want) = block.split_once('\n').ok_or("a block has a result")?;
        let pretty = prettify(&parse(query, &ParserOptions::ALL)?);
        assert_eq!(pretty, want);
        assert_eq!(
            parse(&pretty, &ParserOptions::ALL)?.to_string(),
            parse(query, &ParserOptions::ALL)?.to_string()
        );
    }
    Ok(())
}

#[test]
fn trees_as_json() -> Outcome {
    let text = fs::read_to_string(testdata::own("promql/tree.txt"))?;
    let mut lines = text.lines().filter(|l| !l.starts_with('#'));
    while let (Some(query), Some(want)) = (lines.next(), lines.next()) {
        let query = query.trim_start_matches("? ");
        assert_eq!(to_json(&parse(query, &ParserOptions::ALL)?), want, "{query}");
    }
    Ok(())
}

#[test]
fn shared_queries_parse_as_marked() -> Outcome {
    let Some(path) = testdata::shared("conformance/queries/q01-q46.txt") else { return Ok(()) };
    let mut rejected = Vec::new();
    for line in fs::read_to_string(path)?.lines().filter(|l| l.starts_with('Q')) {
        let mut fields = line.splitn(3, ' ');
        let (Some(id), Some(mark), Some(query)) = (fields.next(), fields.next(), fields.next())
        else {
            return Err(format!("not id, mark and query: {line}").into());
        };
        match parse(query, &ParserOptions::default()) {
            Ok(_) => assert_eq!(mark, "ok", "{query}"),
            Err(error) => rejected.push(format!("{id} {error}")),
        }
    }
    // As Prometheus 3.14 says it.
    assert_eq!(
        rejected,
        [
            "Q42 1:54: parse error: unexpected <by>",
            "Q43 1:53: parse error: unexpected <by>",
            "Q43 1:31: parse error: unexpected <by>",
            "Q44 1:22: parse error: unexpected character: '|'",
            "Q45 1:33: parse error: expected type range vector in call to function \"rate\", got instant vector",
            "Q46 1:30: parse error: unexpected \"=\"",
        ]
    );
    Ok(())
}

#[test]
fn selectors_and_metrics() {
    let selector = |text| match parse_metric_selector(text) {
        Ok(list) => list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        Err(e) => e.to_string(),
    };
    assert_eq!(selector("up{a=~\"b\"}"), "a=~\"b\" __name__=\"up\"");
    assert_eq!(selector("{\"up\"}"), "__name__=\"up\"");
    assert_eq!(selector("{}"), "");
    assert_eq!(selector(""), "unknown position: parse error: unexpected end of input");
    assert_eq!(selector("up offset 5m"), "1:4: parse error: unexpected <offset>");
    let metric = |text| match parse_metric(text) {
        Ok(labels) => labels.to_string(),
        Err(e) => e.to_string(),
    };
    assert_eq!(metric("up{b=\"2\",a='1'}"), "{__name__=\"up\", a=\"1\", b=\"2\"}");
    assert_eq!(metric("{'x y', a=\"1\",}"), "{__name__=\"x y\", a=\"1\"}");
    assert_eq!(metric(""), "{}");
    assert_eq!(
        metric("up{a!=\"1\"}"),
        "1:5: parse error: unexpected <op:!=> in label set, expected \"=\""
    );
}

/// Hostile depth is refused, and what is allowed can be walked. Frames of unoptimized code are
/// several times those of a release build, which does this on 2 MiB.
#[test]
fn depth_is_bounded() -> Outcome {
    let thread = std::thread::Builder::new().stack_size(32 << 20).spawn(check_depth)?;
    thread.join().map_err(|_| "the check failed")?;
    Ok(())
}

fn check_depth() {
    let nest = |open: &str, close: &str, n: usize| open.repeat(n) + "a" + &close.repeat(n);
    let texts = [
        nest("(", ")", 150_000),
        nest("sum(", ")", 150_000),
        nest("-", "", 150_000),
        nest("a + (", ")", 50_000),
        "a and ".repeat(100_000) + "a",
        "a ^ ".repeat(100_000) + "a",
        "a".to_owned() + &"[5m:]".repeat(50_000),
        "a[".to_owned() + &"(".repeat(100_000),
        "a[".to_owned() + &"5m+".repeat(100_000) + "5m]",
    ];
    for text in texts {
        let error = parse(&text, &ParserOptions::ALL).err().map(|e| e.message);
        let error = error.unwrap_or_default();
        assert!(error.contains("nested"), "{}…: {error}", &text[..10]);
    }
    for text in [nest("(", ")", 199), nest("abs(", ")", 199), "a and ".repeat(900) + "a"] {
        match parse(&text, &ParserOptions::ALL) {
            Ok(expr) => assert!(prettify(&expr).len() + to_json(&expr).len() > text.len()),
            Err(e) => assert_eq!(e.message, "", "{}…", &text[..10]),
        }
    }
}
