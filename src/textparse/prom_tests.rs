//! Tests of the text format: `testdata/textparse/prometheus-text.txt`.

use std::fmt::Write as _;

use model::number::{format_g, go_quote};
use proptest::prelude::*;

use super::{Entry, PromParser, quote_bytes};

/// Everything a body says, a line an entry.
fn describe(body: &[u8]) -> String {
    let body = [body, b"\n"].concat();
    let mut out = String::new();
    let mut parser = PromParser::new(&body);
    loop {
        let line = match parser.next() {
            Ok(None) => return out,
            Err(e) => {
                writeln!(out, "ERR {e}").unwrap();
                return out;
            }
            Ok(Some(Entry::Type { family, metric_type })) => {
                format!("TYPE {} {}", go_quote(&family), metric_type.as_str())
            }
            Ok(Some(Entry::Help { family, help })) => {
                format!("HELP {} {}", go_quote(&family), go_quote(&help))
            }
            Ok(Some(Entry::Comment)) => "COMMENT".to_owned(),
            Ok(Some(Entry::Sample(sample))) => {
                let series = quote_bytes(sample.series);
                let time = sample.timestamp_ms.map_or("-".to_owned(), |t| t.to_string());
                match parser.labels() {
                    Ok(labels) => {
                        format!("S {series} {labels} {} {time}", format_g(sample.value))
                    }
                    Err(e) => format!("S {series} dup {}", e.0.split('"').nth(1).unwrap()),
                }
            }
        };
        writeln!(out, "{line}").unwrap();
    }
}

#[test]
fn cases() {
    let text = std::fs::read_to_string(testdata::own("textparse/prometheus-text.txt")).unwrap();
    let mut count = 0;
    for case in text.split("<<<\n").skip(1) {
        let (body, expected) = case.split_once(">>>\n").unwrap();
        assert_eq!(describe(body.as_bytes()).trim_end(), expected.trim_end(), "{body}");
        count += 1;
    }
    assert!(count > 30);
}

#[test]
fn real_bodies_parse() {
    let Some(dir) = testdata::shared("conformance/textparse") else { return };
    for (file, samples) in
        [("alltypes.237mfs.prom.txt", 1_857), ("alltypes.237mfs.nometa.prom.txt", 1_857)]
    {
        let text = describe(&std::fs::read(dir.join(file)).unwrap());
        assert!(!text.contains("ERR"), "{file}: {}", text.lines().last().unwrap());
        assert_eq!(text.lines().filter(|l| l.starts_with("S ")).count(), samples, "{file}");
    }
}

proptest! {
    #[test]
    fn any_bytes(body in prop::collection::vec(prop::sample::select(&b"a1 \n\t\"{}=,\\#._:TYPEHL\xff\0"[..]), 0..80)) {
        describe(&body);
    }
}
