//! `tsdb verify`: every checksum, order and reference of a data directory (not in promtool).

use std::path::Path;
use std::sync::Arc;

use storage::fs::{Fs, RealFs};
use storage::verify::{Severity, verify};

use super::{Call, Failure, missing};

pub(super) fn run(call: &mut Call<'_>) -> std::io::Result<u8> {
    let done = check(call);
    call.finish(done)
}

fn check(call: &mut Call<'_>) -> Result<(), Failure> {
    let dir = Path::new(call.values.arg("db path"));
    missing(dir)?;
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let quiet = call.values.is_on("quiet");
    let mut printed = Ok(());
    let counts = verify(&fs, dir, &mut |finding| {
        let word = match finding.severity {
            Severity::Note if quiet => return,
            Severity::Note => "note",
            Severity::Fault => "FAULT",
        };
        if printed.is_ok() {
            printed = writeln!(call.out, "{word}: {}", finding.text);
        }
    });
    printed?;
    let counts =
        counts.map_err(|e| format!("{}: {}", dir.display(), crate::gotext::os_error(&e)))?;
    writeln!(call.out, "{counts}")?;
    match counts.faults {
        0 => Ok(()),
        n => Err(Failure::Said(format!("{}: {n} faults", dir.display()))),
    }
}
