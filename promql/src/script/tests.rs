//! Tests of the script language itself: sequences, commands and what is wrong with them.

use super::*;

/// A series line as `labels value value …`, or its error.
fn series(line: &str) -> String {
    match parse_series(line) {
        Err(e) => e.to_string(),
        Ok((labels, values)) => {
            let values: Vec<String> = values
                .iter()
                .map(|v| match v {
                    SequenceValue::Omitted => "_".to_owned(),
                    SequenceValue::Float(v) if model::value::is_stale_nan(*v) => "stale".to_owned(),
                    SequenceValue::Float(v) => model::number::format_g(*v),
                    SequenceValue::Histogram { histogram, .. } => print_histogram(histogram),
                })
                .collect();
            format!("{labels} {}", values.join(" "))
        }
    }
}

#[test]
fn sequences() {
    for (line, want) in [
        ("up 1 2", "{__name__=\"up\"} 1 2"),
        ("up{a=\"b\"} _ _x2 stale", "{__name__=\"up\", a=\"b\"} _ _ _ stale"),
        ("{} 1+2x3 5-1x2", "{} 1 3 5 7 5 4 3"),
        ("up -1x2 1.5e3 Inf -Inf NaN", "{__name__=\"up\"} -1 -1 -1 1500 +Inf -Inf NaN"),
        ("sum 1", "{__name__=\"sum\"} 1"),
        (
            "h {{schema:1 sum:-3.5 count:22 buckets:[5 10 7] offset:-2}}x1",
            "{__name__=\"h\"} {{schema:1 count:22 sum:-3.5 offset:-2 buckets:[5 10 7]}} \
             {{schema:1 count:22 sum:-3.5 offset:-2 buckets:[5 10 7]}}",
        ),
        (
            "h {{count:1 buckets:[1]}}+{{count:2 buckets:[0 2]}}x2",
            "{__name__=\"h\"} {{count:1 buckets:[1]}} {{count:3 buckets:[1 2]}} \
             {{count:5 buckets:[1 4]}}",
        ),
        (
            "h {{schema:-53 custom_values:[1 2.5] z_bucket:1 z_bucket_w:0.5 n_buckets:[1] \
             counter_reset_hint:gauge}}",
            "{__name__=\"h\"} {{schema:-53 z_bucket:1 z_bucket_w:0.5 custom_values:[1 2.5] \
             counter_reset_hint:gauge n_buckets:[1]}}",
        ),
        ("up 1x", "1:6: parse error: unexpected end of input in series values"),
        ("up 1x99999999999", "1:6: parse error: too many values in a series"),
        ("up 1y", "1:4: parse error: bad number syntax: \"1\""),
        ("up ?", "1:4: parse error: unexpected character in series sequence: '?'"),
        ("h {{count:1 count:2}}", "1:1: parse error: duplicate key \"count\" in histogram"),
        ("h {{cnt:1}}", "1:5: parse error: bad histogram descriptor found: \"cnt\""),
        (
            "up{a=b} 1",
            "1:6: parse error: unexpected identifier \"b\" in label set, expected string",
        ),
    ] {
        assert_eq!(series(line), want, "{line}");
    }
}

#[test]
fn runs_and_reports() -> Result<(), ScriptError> {
    let text = "
        # comment
        load 1m
            up{job=\"a\"} 1+1x10
            up{job=\"b\"} 5x10
        eval instant at 5m up
            {__name__=\"up\", job=\"a\"} 6
            {__name__=\"up\", job=\"b\"} 5
        eval instant at 5m sum(up)
            {} 12
        eval range from 0 to 2m step 1m sum(up)
            {} 6 7 8
        eval_fail instant at 0 up + on(a) up + on(job) sum(up) by (instance)
        eval instant at 1m \"x\"
            expect string \"x\"
        clear
        eval instant at 5m up
        eval instant at 0 1 + 1
            2
    ";
    let text: String = text.lines().map(|l| format!("{}\n", l.trim())).collect();
    // Commands end at an empty line.
    let text = text.replace("\neval", "\n\neval").replace("\nclear", "\n\nclear");
    let report = Script::parse(&text)?.run(&test_engine());
    let lines: Vec<&str> = text.lines().collect();
    let failed: Vec<&str> = report.failures.iter().map(|f| lines[f.line - 1]).collect();
    assert!(
        failed
            .iter()
            .all(|l| l.starts_with("eval instant at 5m sum") || l.starts_with("eval_fail")),
        "{report:?}"
    );
    assert!(failed.contains(&"eval instant at 5m sum(up)"), "{report:?}");
    Ok(())
}

#[test]
fn bad_scripts_name_their_line() {
    for (text, want) in [
        ("\nfoo", "line 2: invalid command \"foo\""),
        ("load", "line 1: invalid load command. (load[_with_nhcb] <step:duration>)"),
        ("load x\n", "line 1: invalid step definition \"x\": not a valid duration string: \"x\""),
        ("load 5m\n  up{ 1", "line 2: 2:5: parse error: unexpected character inside braces: '1'"),
        ("eval instant at 0 sum(", "line 1: 1:23: parse error: unclosed left parenthesis"),
        ("load 1m\nup@st 0s\n", "line 2: @st line has no following sample line"),
        ("load 1m\nup@st 0sx3\nup 1", "line 2: @st line has 4 values but sample line has 1"),
        (
            "eval instant at 0 up\nexpect warm",
            "line 1: error in eval up (line 1): invalid expect statement, must match `expect <type> <match_type>: <string>` format",
        ),
        (
            "eval instant at 0 up\nup 1 2",
            "line 1: error in eval up (line 1): expecting multiple values in instant evaluation not allowed. consider using 'expect range vector' directive to enable a range vector result for an instant query",
        ),
    ] {
        let error = Script::parse(text).map_err(|e| e.to_string());
        assert_eq!(error.err().as_deref(), Some(want), "{text}");
    }
}
