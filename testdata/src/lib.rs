//! Crate `testdata`: where tests find their data. A dev-dependency only.
//!
//! Two places: this folder's own goldens, always there, and the shared data folder
//! (`$EPIMETHEUS_SHARED`, else `shared` beside the workspace root), which a plain clone does not
//! have. A test that needs the latter skips without it and says so on stderr; with
//! `EPIMETHEUS_REQUIRE_SHARED=1` the skip is a failure.

use std::io::Write;
use std::path::{Path, PathBuf};

/// A file or folder of this project's own test data, by its path below `testdata/`.
pub fn own(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A file or folder of the shared data, by its path below the shared folder; `None` when that
/// folder is not there, after saying so. Never write below it.
#[allow(clippy::panic, reason = "a required but missing folder must fail the test")]
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("EPIMETHEUS_SHARED") {
        Some(root) if !root.is_empty() => PathBuf::from(root),
        _ => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
    };
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    if std::env::var("EPIMETHEUS_REQUIRE_SHARED").is_ok_and(|v| v == "1") {
        panic!("shared data is required but {} is not there", found.display());
    }
    skip(&format!("no shared data at {}", found.display()));
    None
}

/// Says on stderr that the running test was skipped, past the capture of the test harness (which
/// only catches the print macros).
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("test");
    let _ = writeln!(std::io::stderr(), "SKIPPED {name}: {reason}");
}
