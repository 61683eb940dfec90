//! The commands that promtool does not have, and those that make data.

use super::tests::{copy, golden, run};

#[test]
fn verifies_repairs_and_compares() {
    let Some(dir) = golden("killed") else { return };
    let path = dir.path().to_string_lossy();
    let (code, out, err) = run(&["tsdb", "verify", "-q", &path]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("5 blocks: 400 series, 2000 chunks, 245120 samples, "), "{out}");
    assert!(out.contains(" read: 0 faults, "), "{out}");

    let damaged = tempfile::tempdir().unwrap();
    copy(dir.path(), damaged.path());
    let chunks = damaged.path().join("01M7X64M85WEN3SW6MVZFQDBCQ/chunks/000001");
    let mut bytes = std::fs::read(&chunks).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&chunks, bytes).unwrap();
    let damaged_path = damaged.path().to_string_lossy();
    let (code, out, err) = run(&["tsdb", "verify", "--quiet", &damaged_path]);
    assert_eq!((code, err), (1, format!("{damaged_path}: 1 faults\n")));
    let start = format!(
        "FAULT: corruption in chunk segment {} at offset 8: checksum mismatch",
        chunks.display()
    );
    assert!(out.starts_with(&start), "{out}");

    let new = tempfile::tempdir().unwrap();
    let new = new.path().join("new");
    let new_path = new.to_string_lossy();
    let (code, out, err) = run(&["tsdb", "repair", &damaged_path, "--output", &new_path]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("lost: series {__name__=\"http_request"), "{out}");
    assert!(
        out.contains("\n4 blocks copied, 1 rewritten, 0 lost\n") && out.ends_with("\n1 losses\n"),
        "{out}"
    );
    assert_eq!(run(&["tsdb", "verify", &new_path]).0, 0);
    let (code, _, err) = run(&["tsdb", "repair", &damaged_path, "--output", &new_path]);
    assert_eq!((code, err), (1, format!("{new_path}: is not empty\n")));

    let (code, out, err) = run(&["tsdb", "diff", &path, &new_path, "--limit", "1"]);
    assert_eq!((code, err.as_str()), (1, "the directories differ\n"));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 4, "{out}");
    assert!(lines[0].starts_with("~ {__name__=\"http_request"), "{out}");
    assert!(lines[0].ends_with(" (120 samples differ)"), "{out}");
    assert!(lines[1].starts_with("  - ") && lines[2] == "  and 119 more", "{out}");
    assert!(
        lines[3].ends_with(
            ": 0 series only in the first, 0 only in the second, 1 with 120 differing samples"
        ),
        "{out}"
    );
    let (code, out, _) = run(&["tsdb", "diff", &path, &path]);
    assert_eq!((code, out.lines().count()), (0, 1), "{out}");
}

const TEXT: &str = "\
# HELP a Things.
# TYPE a counter
a_total{x=\"1\"} 1 1600000000
a_total{x=\"1\"} 2 1600000060.5 # {trace_id=\"q\"} 3 1600000061
a_total{x=\"2\"} 3e3 1600007200
# TYPE h histogram
h_bucket{le=\"1\"} NaN 1600007205
# EOF
";

#[test]
fn blocks_are_made_of_openmetrics() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    };
    let data = dir.path().join("data").to_string_lossy().into_owned();
    let good = file("good", TEXT);
    let line = ["tsdb", "create-blocks-from", "openmetrics", "--label=from=far", &good, &data];
    let (code, out, err) = run(&line);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 3, "{out}");
    assert!(lines[0].starts_with("BLOCK ULID                  MIN TIME       MAX TIME"), "{out}");
    assert!(
        lines[1].contains(
            "  1600000000000  1600000060501  1m0.501s     2            1            1            "
        ),
        "{out}"
    );
    assert!(
        lines[2].contains(
            "  1600007200000  1600007205001  5.001s       2            2            2            "
        ),
        "{out}"
    );
    let (_, out, _) = run(&["tsdb", "dump", &data]);
    let want = "\
{__name__=\"a_total\", from=\"far\", x=\"1\"} 1 1600000000000
{__name__=\"a_total\", from=\"far\", x=\"1\"} 2 1600000060500
{__name__=\"a_total\", from=\"far\", x=\"2\"} 3000 1600007200000
{__name__=\"h_bucket\", from=\"far\", le=\"1.0\"} NaN 1600007205000
";
    assert_eq!(out, want);

    let data = dir.path().join("one").to_string_lossy().into_owned();
    let wide = [
        "tsdb",
        "create-blocks-from",
        "-q",
        "--max-block-duration=24h",
        "openmetrics",
        &good,
        &data,
    ];
    assert_eq!(run(&wide), (0, String::new(), String::new()));
    assert_eq!(run(&["tsdb", "list", &data]).1.lines().count(), 2);

    for (text, want) in [
        ("a 1 1\n", "getting min and max timestamp: next: data does not end with # EOF"),
        ("a 1\n# EOF\n", "getting min and max timestamp: expected timestamp for series got none"),
        ("# EOF\na 1 1\n", "getting min and max timestamp: next: unexpected data after # EOF"),
        (
            "# HELLO\n# EOF\n",
            "getting min and max timestamp: next: expected a valid start token, got \"# HELL\" \
             (\"INVALID\") while parsing: \"# HELL\"",
        ),
        (
            "a{b=c} 1 1\n# EOF\n",
            "getting min and max timestamp: next: expected label value, got \"c\" (\"INVALID\") \
             while parsing: \"a{b=c\"",
        ),
        (
            "a{b=\"c\",b=\"d\"} 1 1\n# EOF\n",
            "block creation: process blocks: add sample: label name \"b\" is not unique: invalid \
             sample",
        ),
    ] {
        let bad = file("bad", text);
        let line = ["tsdb", "create-blocks-from", "openmetrics", &bad, &data];
        assert_eq!(run(&line), (1, String::new(), format!("{want}\n")), "{text}");
    }
    let (code, _, err) = run(&["tsdb", "create-blocks-from", "rules", "--start=0", &good]);
    assert_eq!(code, 1);
    assert!(err.contains("rules is not supported by this version"), "{err}");
}

#[test]
fn writing_is_measured() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("series.json");
    let line = |i: usize| format!("{{\"__name__\":\"m\",\"i\":\"{}\"}}\n", i % 15);
    std::fs::write(&file, (0..30).map(line).collect::<String>()).unwrap();
    let out_dir = dir.path().join("out").to_string_lossy().into_owned();
    let file = file.to_string_lossy();
    let (code, out, err) = run(&[
        "tsdb",
        "bench",
        "write",
        "--out",
        &out_dir,
        "--metrics=12",
        "--scrapes",
        "200",
        &file,
    ]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(
        out.contains("\ningestion completed\n>> completed stage=ingestScrapes duration="),
        "{out}"
    );
    assert!(out.contains("\n > total samples: 2400\n > samples/sec: "), "{out}");
    let storage = format!("{out_dir}/storage");
    assert_eq!(run(&["tsdb", "dump", &storage]).1.lines().count(), 2400);
}
