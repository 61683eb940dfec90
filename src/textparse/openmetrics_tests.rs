//! Lines as promtool reads them, and bytes of any kind.

use proptest::prelude::*;

use super::openmetrics::OpenMetricsParser;

/// Every sample as text, then the error if there is one.
fn read(text: &[u8]) -> Vec<String> {
    let mut parser = OpenMetricsParser::new(text);
    let mut found = Vec::new();
    loop {
        match parser.next() {
            Ok(Some(s)) => match parser.labels() {
                Ok(labels) => found.push(format!("{labels} {} {:?}", s.value, s.timestamp_ms)),
                Err(error) => found.push(error.to_string()),
            },
            Ok(None) => return found,
            Err(error) => {
                found.push(error.to_string());
                return found;
            }
        }
    }
}

#[test]
fn lines() {
    for (text, want) in [
        ("# EOF", vec![]),
        ("a 1\n# EOF\n", vec!["{__name__=\"a\"} 1 None"]),
        ("a{} 1 2.5\n# EOF\n", vec!["{__name__=\"a\"} 1 Some(2500)"]),
        ("{\"x y\",b=\"c\"} -1 -5\n# EOF\n", vec!["{__name__=\"x y\", b=\"c\"} -1 Some(-5000)"]),
        (
            "a{b=\"\\\"\\n\\\\\",} 1e3 1 # {t=\"u\"} 1 1\n# EOF\n",
            vec!["{__name__=\"a\", b=\"\\\"\\n\\\\\"} 1000 Some(1000)"],
        ),
        (
            "# TYPE h histogram\n# UNIT h \n# HELP h x\nh_bucket{le=\"1\"} 1 1\n# EOF\n",
            vec!["{__name__=\"h_bucket\", le=\"1.0\"} 1 Some(1000)"],
        ),
        ("", vec!["data does not end with # EOF"]),
        ("a 1 1\n# EOF\nx", vec!["{__name__=\"a\"} 1 Some(1000)", "unexpected data after # EOF"]),
        ("# TYPE a foo\n", vec!["invalid metric type \"foo\""]),
        ("# UNIT a foo\n", vec!["unit \"foo\" not a suffix of metric \"a\""]),
        ("{b=\"c\"} 1 1\n", vec!["metric name not set while parsing: \"{b=\\\"c\\\"} 1\""]),
        ("a 1 Inf\n", vec!["invalid timestamp +Inf"]),
        (
            "1a 1\n",
            vec!["expected a valid start token, got \"1\" (\"INVALID\") while parsing: \"1\""],
        ),
        (
            "a{b=\"c\" d=\"e\"} 1\n",
            vec![
                "expected comma or brace close, got \" \" (\"INVALID\") while parsing: \"a{b=\\\"c\\\" \"",
            ],
        ),
    ] {
        assert_eq!(read(text.as_bytes()), want, "{text}");
    }
}

proptest! {
    #[test]
    fn any_bytes_end(text in "[ -~\n]{0,80}", tail in proptest::collection::vec(any::<u8>(), 0..20)) {
        let mut bytes = text.into_bytes();
        bytes.extend(tail);
        read(&bytes);
    }

    #[test]
    fn almost_lines_end(text in "(a|#|TYPE|HELP|EOF|[ {}\",=\\\\\n1]|# \\{){0,30}") {
        read(text.as_bytes());
    }
}
