//! `tsdb repair`: what can be saved of a data directory, in a new one (not in promtool).

use std::path::Path;
use std::sync::Arc;

use storage::fs::{Fs, RealFs};
use storage::repair::repair;

use super::{Call, Failure, missing, said};

pub(super) fn run(call: &mut Call<'_>) -> std::io::Result<u8> {
    let done = save(call);
    call.finish(done)
}

fn save(call: &mut Call<'_>) -> Result<(), Failure> {
    let dir = Path::new(call.values.arg("db path"));
    missing(dir)?;
    let to = Path::new(call.values.flag("output"));
    // A new directory inside of the old one would be read while it is written.
    let inside =
        std::path::absolute(to).and_then(|to| Ok(to.starts_with(std::path::absolute(dir)?)));
    if inside.unwrap_or(false) {
        return Err(format!("{}: lies inside of {}", to.display(), dir.display()).into());
    }
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let mut printed = Ok(());
    let saved = repair(&fs, dir, to, &mut |line| {
        if printed.is_ok() {
            printed = writeln!(call.out, "{line}");
        }
    });
    printed?;
    writeln!(call.out, "{}", saved.map_err(said)?)?;
    Ok(())
}
