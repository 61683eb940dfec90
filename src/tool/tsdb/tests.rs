//! The commands on directories written by the real server.

use std::path::Path;

use crate::tool::dispatch;

/// A copy of a golden directory, or `None` without the shared data.
pub(super) fn golden(name: &str) -> Option<tempfile::TempDir> {
    let from = testdata::shared(&format!("golden/prometheus-3.14/{name}/data"))?;
    let dir = tempfile::tempdir().unwrap();
    copy(&from, dir.path());
    Some(dir)
}

pub(super) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::write(target, std::fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// Exit code, stdout, stderr.
pub(super) fn run(line: &[&str]) -> (u8, String, String) {
    let args: Vec<String> = line.iter().map(|a| (*a).to_owned()).collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = dispatch("epitool", &args, &mut out, &mut err).unwrap();
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

/// Names of everything directly in `dir`.
fn entries(dir: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    names
}

#[test]
fn the_dump_of_a_killed_server_is_promtools() {
    let Some(dir) = golden("killed") else { return };
    let packed = testdata::shared("golden/prometheus-3.14/killed/dump.txt.xz").unwrap();
    let want = std::process::Command::new("xz").args(["-dc"]).arg(packed).output().unwrap();
    assert!(want.status.success());
    let before = entries(dir.path());
    let (code, out, err) = run(&["tsdb", "dump", &dir.path().to_string_lossy()]);
    assert_eq!((code, err.as_str()), (0, ""));
    let differs = out.lines().zip(std::str::from_utf8(&want.stdout).unwrap().lines());
    for (i, (have, want)) in differs.enumerate() {
        assert_eq!(have, want, "line {}", i + 1);
    }
    assert!(out.as_bytes() == want.stdout, "{} and {} bytes", out.len(), want.stdout.len());
    assert_eq!(entries(dir.path()), before, "nothing stays behind");
}

#[test]
fn lists_as_promtool_does() {
    let Some(dir) = golden("killed") else { return };
    let (code, out, err) = run(&["tsdb", "list", &dir.path().to_string_lossy()]);
    assert_eq!((code, err.as_str()), (0, ""));
    let want = "\
BLOCK ULID                  MIN TIME       MAX TIME       DURATION     NUM SAMPLES  NUM CHUNKS   NUM SERIES   SIZE
01M7X64M3RVQMQSTZMEPN2MCXT  1795151640000  1795154400000  46m0s        14720        80           80           32179
01M7X64M85WEN3SW6MVZFQDBCQ  1795154400000  1795176000000  6h0m0s       115200       960          80           221250
01M7X64M7KHZZGZDVF5JM4V84B  1795176000000  1795183200000  2h0m0s       38400        320          80           78449
01M7X64M8VB27Y7G2TBBDJEY5R  1795183200000  1795190400000  2h0m0s       38400        320          80           78222
01M7X64M9XX6NC00X49ZTMAZFG  1795190400000  1795197600000  2h0m0s       38400        320          80           78328
";
    assert_eq!(out, want);
    let (_, out, _) = run(&["tsdb", "list", "-r", &dir.path().to_string_lossy()]);
    let line = out.lines().nth(2).unwrap();
    let want = "01M7X64M85WEN3SW6MVZFQDBCQ  2026-11-20 06:00:00 +0000 UTC  \
                2026-11-20 12:00:00 +0000 UTC  6h0m0s       115200       960          80           \
                216KiB66B";
    assert_eq!(line, want);
}

#[test]
fn analyzes_as_promtool_does() {
    let Some(dir) = golden("stopped") else { return };
    let path = dir.path().to_string_lossy();
    let (code, out, err) = run(&["tsdb", "analyze", "--limit=1", "--extended", &path]);
    assert_eq!((code, err.as_str()), (0, ""));
    for part in [
        "Block ID: 01M7X65QK8VX5738Y41WEK4GAR\nDuration: 6h0m0s\nTotal Series: 246\nLabel names: 24\n\
         Postings (unique label pairs): 158\nPostings entries (total label pairs): 931\n\n\
         Label pairs most involved in churning:\n0 ",
        "\n\nMost common label pairs:\n80 handler=/api/v1/resource0\n\nLabel names with highest \
         cumulative label value length:\n484 __name__\n\nHighest cardinality labels:\n33 __name__\n\n\
         Highest cardinality metric names:\n49 odd_classic_bucket\n\nCompaction analysis:\n\n\
         samples per float chunk (min/avg/max): 1/117/240\n[  1, 100]:   96 ##\n[101, 200]: 2546 \
         ####################################################################\n[201, 300]:   11 \n",
        "buckets per histogram chunk (min/avg/max): 0/836/3960\n[   1, 1000]: 678 \
         ##################\n[1001, 2000]: 368 #########\n[2001, 3000]:  14 \n[3001, 4000]:  23 \n\
         [4001, 5000]:   0 \n\n",
    ] {
        assert!(out.contains(part), "{part}\nnot in\n{out}");
    }
    let one = "{__name__=\"http_requests_total\",code=\"500\"}";
    let (_, out, _) = run(&["tsdb", "analyze", "--match", one, &path]);
    assert!(
        out.contains(&format!(
            "Total Series: 246\nMatcher: {one}\nLabel names: 6\nMatched series: 4\n"
        )),
        "{out}"
    );
}

#[test]
fn dumps_what_is_asked_for() {
    let Some(dir) = golden("killed") else { return };
    let path = dir.path().to_string_lossy();
    let selector = "{__name__=\"odd_ooo\"}";
    let (code, out, _) = run(&["tsdb", "dump", "--format=seriesjson", &path]);
    assert_eq!(code, 0);
    assert!(out.lines().all(|l| l.starts_with("{\"") && l.ends_with("\"}")), "{out}");
    let all = out.lines().count();
    let any = "{__name__=~\".+\"}";
    let twice =
        ["tsdb", "dump", "--format", "seriesjson", "--match", any, "--match", selector, &path];
    assert_eq!(run(&twice).1.lines().count(), all, "a series of two selectors comes once");
    let range = ["--min-time=1795154400000", "--max-time", "1795154430000"];
    let counter = "{__name__=\"http_requests_total\",code=\"200\",method=\"GET\"}";
    let (_, out, _) =
        run(&["tsdb", "dump-openmetrics", range[0], range[1], range[2], "--match", counter, &path]);
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(*lines.last().unwrap(), "# EOF");
    assert!(lines.len() > 1 && lines.len() % 3 == 1, "{out}");
    assert!(lines[0].starts_with("http_requests_total{code=\"200\",handler=\""), "{out}");
    assert!(lines[0].ends_with(" 1795154400.000"), "{out}");
}

#[test]
fn errors_are_promtools() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_string_lossy();
    for (line, want) in [
        (vec!["tsdb"], "epitool: error: must select a subcommand of 'tsdb', try --help"),
        (vec!["tsdb", "list", "a", "b"], "epitool: error: unexpected b, try --help"),
        (vec!["tsdb", "list", "-x"], "epitool: error: unknown short flag '-x', try --help"),
        (
            vec!["tsdb", "dump", "--format=x"],
            "epitool: error: enum value must be one of prom,seriesjson, got 'x', try --help",
        ),
        (
            vec!["tsdb", "dump", "--min-time", "x"],
            "epitool: error: strconv.ParseInt: parsing \"x\": invalid syntax, try --help",
        ),
        (
            vec!["tsdb", "dump", "--format", "prom", "--format", "prom"],
            "epitool: error: flag 'format' cannot be repeated, try --help",
        ),
        (
            vec!["tsdb", "dump", "--match"],
            "epitool: error: expected argument for flag '--match', try --help",
        ),
        (
            vec!["tsdb", "list", "/nowhere"],
            "opening the db dir: stat /nowhere: no such file or directory",
        ),
        (vec!["tsdb", "analyze", &path], "no blocks found"),
        (vec!["tsdb", "analyze", &path, "x"], "invalid block ID x"),
        (
            vec!["tsdb", "dump", "--match={", &path],
            "1:2: parse error: unexpected end of input inside braces",
        ),
    ] {
        assert_eq!(run(&line), (1, String::new(), format!("{want}\n")), "{line:?}");
    }
}

#[test]
fn a_damaged_log_is_named_and_left_alone() {
    let Some(dir) = golden("killed") else { return };
    let wal = dir.path().join("wal");
    let segment = entries(&wal).into_iter().rfind(|n| n.len() == 8).unwrap();
    let path = wal.join(segment);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let (code, _, err) = run(&["tsdb", "dump", &dir.path().to_string_lossy()]);
    assert_eq!(code, 1);
    let start = format!("read WAL: corruption in segment {} at ", path.display());
    assert!(err.starts_with(&start) && err.contains("unexpected checksum"), "{err}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn help_is_laid_out_like_promtools() {
    let (code, out, _) = run(&["tsdb", "list", "--help"]);
    assert_eq!(code, 0);
    assert!(out.starts_with("usage: epitool tsdb list [<flags>] [<db path>]\n\nList the blocks.\n\n\nFlags:\n  -h, --[no-]help            Show this help.\n"), "{out}");
    assert!(
        out.ends_with("\n\nArgs:\n  [<db path>]  The data directory (default is data/).\n\n"),
        "{out}"
    );
    assert_eq!(run(&["help", "tsdb", "list"]).1, out);
    assert_eq!(run(&["tsdb", "-h", "list"]).1, out);
    let (_, out, _) = run(&["tsdb", "--help"]);
    assert!(out.starts_with("usage: epitool tsdb <command> [<args> ...]\n"), "{out}");
    assert!(out.contains("Subcommands:\ntsdb "), "{out}");
}
