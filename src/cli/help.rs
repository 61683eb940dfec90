//! The help and version texts, laid out as Prometheus lays out its own.

use super::flags::{FLAGS, Flag};
use super::value::Kind;

/// Version of Prometheus whose interfaces this server has.
pub const COMPATIBLE_VERSION: &str = "3.14.0";
/// Our own version.
pub const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

const WIDTH: usize = 80;
/// Longer flags stand on a line of their own.
const LONGEST_LEFT: usize = 30;

/// The text of `--help`.
pub fn help(program: &str) -> String {
    let mut shown = vec![
        ("-h, --[no-]help".to_owned(), "Show this help."),
        ("    --[no-]version".to_owned(), "Show the version."),
    ];
    shown.extend(FLAGS.iter().filter(|f| !f.hidden).map(|f| (left(f), f.help)));
    format!(
        "usage: {program} [<flags>]\n\nThe Epimetheus monitoring server, compatible with \
         Prometheus {COMPATIBLE_VERSION}\n\n\nFlags:\n{}\n",
        rows(&shown)
    )
}

/// Two columns, the right one wrapped.
pub(crate) fn rows(rows: &[(String, &str)]) -> String {
    let column = rows.iter().map(|(l, _)| l.len()).filter(|l| *l < LONGEST_LEFT).max().unwrap_or(0);
    let mut out = String::new();
    for (left, help) in rows {
        let mut lines = wrap(help, WIDTH - column - 4).into_iter();
        out.push_str(&format!("  {left:column$}  "));
        let indent = format!("\n  {:column$}  ", "");
        if left.len() >= LONGEST_LEFT {
            out.push_str(&indent);
        }
        out.push_str(&lines.next().unwrap_or_default());
        for line in lines {
            out.push_str(&indent);
            out.push_str(&line);
        }
        out.push('\n');
    }
    out
}

fn left(flag: &Flag) -> String {
    let name = flag.name;
    if flag.kind == Kind::Bool {
        return format!("    --[no-]{name}");
    }
    let value = match (flag.placeholder, flag.default) {
        ("", Some(default)) if flag.kind == Kind::Messages => {
            format!("{}...", default.split(',').next().unwrap_or_default())
        }
        ("", Some(default)) if flag.kind == Kind::Text => format!("\"{default}\""),
        ("", Some(default)) => default.to_owned(),
        ("", None) => name.to_uppercase(),
        (placeholder, _) => placeholder.to_owned(),
    };
    let more = if flag.kind.repeats() { " ..." } else { "" };
    format!("    --{name}={value}{more}")
}

/// Lines of at most `width` bytes, unless a word is longer.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The text of `--version`.
pub fn version(program: &str) -> String {
    format!(
        "{program}, version {COMPATIBLE_VERSION} (branch: main, revision: epimetheus-{OWN_VERSION})\n  \
         build user:       epimetheus\n  \
         build date:       \n  \
         rust version:     {}\n  \
         platform:         {}/{}\n  \
         tags:             epimetheus\n",
        env!("CARGO_PKG_RUST_VERSION"),
        std::env::consts::OS,
        go_arch(),
    )
}

/// The machine in Go's words, as build information and dashboards know it.
pub fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lays_out_like_kingpin() {
        let text = help("epimetheus");
        assert!(text.starts_with("usage: epimetheus [<flags>]\n"));
        assert!(text.contains("\n      --config.file=\"prometheus.yml\"  \n       "));
        assert!(text.contains("\n      --[no-]agent               Run in agent mode.\n"), "{text}");
        assert!(!text.contains("block-reload-interval"));
        assert!(text.lines().all(|l| l.len() <= 130));
    }
}
