//! Atomic replace: a file is there in its old or in its new form, never in between, whatever stops
//! the process or the machine.

use std::io;
use std::path::{Path, PathBuf};

use super::{Fs, OpenMode};

/// Replaces `path` by `bytes`: writes `<path>.tmp`, syncs it, renames it over `path` and syncs the
/// directory. An error leaves the old content (the new one may already show if only the last step
/// failed); the temporary file is removed where that is possible.
pub fn write(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary_name(path);
    let written = (|| {
        let file = fs.open(&temporary, OpenMode::Truncate)?;
        file.write_all_at(bytes, 0)?;
        file.sync()
    })();
    if let Err(err) = written {
        // Best effort: the write's error is the one to report.
        let _ = fs.remove_file(&temporary);
        return Err(err);
    }
    replace(fs, &temporary, path)
}

/// Renames `from`, already synced, to `to` and makes the move durable. A directory at `to` is
/// removed first, as the system replaces only empty ones.
pub fn replace(fs: &dyn Fs, from: &Path, to: &Path) -> io::Result<()> {
    if fs.metadata(to).is_ok_and(|m| m.kind == super::FileKind::Dir) {
        fs.remove_dir_all(to)?;
    }
    fs.rename(from, to)?;
    fs.sync_dir(parent(to))
}

/// Makes a directory and its missing parents, all of them durable.
pub fn create_dir_all(fs: &dyn Fs, dir: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    let mut at = dir;
    while !at.as_os_str().is_empty() && !fs.exists(at)? {
        missing.push(at);
        at = parent(at);
    }
    fs.create_dir_all(dir)?;
    // From the top down, so that nothing durable hangs below something that is not.
    missing.iter().rev().try_for_each(|made| fs.sync_dir(parent(made)))
}

/// The directory that names `path`.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::super::sim::{Faults, SimFs};
    use super::*;

    /// Whatever call the machine stops at, the file holds the old or the new bytes.
    #[test]
    fn old_or_new_at_every_crash_point() {
        let path = Path::new("/data/meta.json");
        for stop in 0..40 {
            for seed in 0..20 {
                let fs = SimFs::new(seed);
                fs.create_dir_all(Path::new("/data")).unwrap();
                fs.sync_dir(Path::new("/")).unwrap();
                write(&fs, path, b"old").unwrap();
                fs.set_faults(Faults { crash_at_call: Some(stop), ..Faults::default() });
                let done = write(&fs, path, b"newer").is_ok();
                let after = fs.crash(seed).read(path).unwrap();
                assert!(after == b"old" || after == b"newer", "{after:?}");
                assert!(!done || after == b"newer");
            }
        }
    }

    #[test]
    fn a_full_disk_keeps_the_old_content() {
        let fs = SimFs::new(1);
        let path = Path::new("/a");
        write(&fs, path, b"old").unwrap();
        fs.set_faults(Faults { byte_budget: Some(5), ..Faults::default() });
        assert_eq!(write(&fs, path, b"newer").unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs.read(path).unwrap(), b"old");
        assert!(!fs.exists(Path::new("/a.tmp")).unwrap());
    }
}
