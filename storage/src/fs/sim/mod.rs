//! SimFs: a file system in memory that keeps what is durable apart from what was only written, for
//! tests of crashes, full disks and bad ones.
//!
//! The fault model, harsher than a well-behaved disk:
//!
//! - A file's bytes become durable by `sync` of the file, a directory's entries by `sync_dir`. A
//!   crash ([`SimFs::crash`]) gives a new file system in which each un-synced 4 KiB page of a file
//!   holds its old or its new bytes, one page may be torn at 512-byte sectors, the length lies
//!   anywhere between the durable and the written one, and of the un-synced operations of each
//!   directory a prefix happened.
//! - [`Faults`] stop the machine at the n-th call or sync (every later call fails until `crash`),
//!   make the n-th call fail with EIO or ENOSPC (a failing write may have written a part), the n-th
//!   sync fail, or the disk full at a number of bytes.
//! - A failed sync makes a random part durable and forgets about the rest: like Linux, a later
//!   successful sync does not write it again, though reads still show it.
//!
//! Everything random comes from the seed, so a seed replays a failure.

mod faults;
mod file;
mod tree;

use std::io;
use std::path::{Component, Path};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use faults::Faults;
use faults::{Call, Verdict};
use file::SimFile;
use tree::Tree;

use super::{DirEntry, File, Fs, Mapped, Metadata, OpenMode, Space};

/// The simulated file system. Clones are handles to the same one.
#[derive(Clone)]
pub struct SimFs {
    shared: Arc<Mutex<State>>,
}

struct State {
    tree: Tree,
    faults: faults::Injector,
    locked: Vec<u64>,
}

/// A small deterministic random generator (splitmix64).
#[derive(Clone, Debug)]
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..=max`.
    fn up_to(&mut self, max: usize) -> usize {
        (self.next() % (max as u64 + 1)) as usize
    }

    fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

impl SimFs {
    /// An empty file system.
    pub fn new(seed: u64) -> SimFs {
        SimFs::from_tree(Tree::new(), seed)
    }

    fn from_tree(tree: Tree, seed: u64) -> SimFs {
        let faults = faults::Injector::new(seed);
        SimFs { shared: Arc::new(Mutex::new(State { tree, faults, locked: Vec::new() })) }
    }

    /// Replaces the faults; their call and sync numbers count from now, 0 being the next one.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults.set(faults);
    }

    /// Calls made so far, to choose fault points from.
    pub fn calls(&self) -> u64 {
        self.state().faults.calls()
    }

    /// Whether a fault has stopped the machine.
    pub fn stopped(&self) -> bool {
        self.state().faults.stopped()
    }

    /// What a reboot finds if the power goes now: a new file system without faults. This one stays
    /// as it is, so that several outcomes of one crash can be looked at.
    pub fn crash(&self, seed: u64) -> SimFs {
        let after = self.state().tree.after_crash(&mut Rng(seed ^ 0xc0ff_ee00));
        SimFs::from_tree(after, seed)
    }

    /// What a restart after a kill finds: everything written, nothing lost.
    pub fn kill(&self, seed: u64) -> SimFs {
        let tree = self.state().tree.clone();
        SimFs::from_tree(tree, seed)
    }

    /// Flips one bit of a file, on disk and in memory.
    pub fn flip_bit(&self, path: &Path, byte: u64, bit: u8) -> io::Result<()> {
        let mut state = self.state();
        let id = state.tree.file(path)?;
        let at = usize::try_from(byte).map_err(|_| io::ErrorKind::InvalidInput)?;
        state.tree.content(id)?.flip(at, bit);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call that has no partial effect; says whether it may happen.
    fn enter(&self, call: Call) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        match state.faults.judge(call) {
            Verdict::Go => Ok(state),
            Verdict::Fail(kind) => Err(faults::error(kind)),
            Verdict::Stop => Err(faults::stopped()),
        }
    }
}

impl Fs for SimFs {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let mut state = self.enter(Call::Other)?;
        let found = state.tree.lookup(path);
        let id = match (found, mode) {
            (Ok(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Ok(id), _) => {
                let content = state.tree.content(id)?;
                if mode == OpenMode::Truncate {
                    content.truncate(0);
                }
                id
            }
            (Err(err), mode) if err.kind() == io::ErrorKind::NotFound => match mode {
                OpenMode::Read | OpenMode::Write => return Err(err),
                _ => state.tree.create_file(path)?,
            },
            (Err(err), _) => return Err(err),
        };
        Ok(Arc::new(SimFile { fs: self.clone(), id, writable: mode != OpenMode::Read }))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.enter(Call::Other)?.tree.create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.enter(Call::Read)?;
        let id = state.tree.lookup(dir)?;
        let entries = state.tree.dir(id)?.live.iter();
        Ok(entries
            .map(|(name, id)| DirEntry { name: name.clone(), kind: state.tree.kind(*id) })
            .collect())
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let state = self.enter(Call::Read)?;
        let id = state.tree.lookup(path)?;
        Ok(Metadata { kind: state.tree.kind(id), len: state.tree.len(id) })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.enter(Call::Other)?.tree.rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.enter(Call::Other)?;
        let id = state.tree.file(from)?;
        if state.tree.lookup(to).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.tree.link(to, id)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.enter(Call::Other)?;
        state.tree.file(path)?;
        state.tree.unlink(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.enter(Call::Other)?;
        let id = state.tree.lookup(path)?;
        state.tree.dir(id)?;
        state.tree.unlink(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.enter(Call::Sync)?;
        let id = state.tree.lookup(dir)?;
        state.tree.sync_dir(id)
    }

    fn map(&self, path: &Path) -> io::Result<Mapped> {
        let mut state = self.enter(Call::Read)?;
        let id = state.tree.file(path)?;
        Ok(Arc::new(state.tree.content(id)?.live().to_vec()))
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        let state = self.enter(Call::Read)?;
        let total_bytes = state.faults.budget().unwrap_or(1 << 40);
        let available_bytes = total_bytes.saturating_sub(state.tree.used());
        Ok(Space { total_bytes, available_bytes })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let mut state = self.enter(Call::Other)?;
        let id = match state.tree.lookup(path) {
            Ok(id) => id,
            Err(err) if err.kind() == io::ErrorKind::NotFound => state.tree.create_file(path)?,
            Err(err) => return Err(err),
        };
        if state.locked.contains(&id) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.locked.push(id);
        Ok(Box::new(SimLock { fs: self.clone(), id }))
    }
}

struct SimLock {
    fs: SimFs,
    id: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.fs.state().locked.retain(|id| *id != self.id);
    }
}

/// The names on the way to `path`, which counts as absolute.
fn names(path: &Path) -> io::Result<Vec<&str>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => {
                names.push(name.to_str().ok_or(io::ErrorKind::InvalidInput)?);
            }
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::ErrorKind::InvalidInput.into());
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(fs: &SimFs, path: &str, bytes: &[u8]) -> Arc<dyn File> {
        let file = fs.open(Path::new(path), OpenMode::Create).unwrap();
        file.write_all_at(bytes, 0).unwrap();
        file
    }

    #[test]
    fn what_was_synced_survives_and_the_rest_may_not() {
        let (mut kept, mut lost) = (0, 0);
        for seed in 0..100 {
            let fs = SimFs::new(seed);
            let file = write(&fs, "/a", b"durable");
            file.sync().unwrap();
            fs.sync_dir(Path::new("/")).unwrap();
            file.write_all_at(b" written", 7).unwrap();
            write(&fs, "/b", b"never named durably");
            let after = fs.crash(seed);
            let bytes = after.read(Path::new("/a")).unwrap();
            assert!(bytes.starts_with(b"durable"));
            match bytes == b"durable written" {
                true => kept += 1,
                false => lost += 1,
            }
            assert_eq!(fs.kill(seed).read(Path::new("/a")).unwrap(), b"durable written");
        }
        assert!(kept > 5 && lost > 5);
    }

    #[test]
    fn a_failed_sync_forgets() {
        let mut lost = 0;
        for seed in 0..50 {
            let fs = SimFs::new(seed);
            let file = write(&fs, "/a", b"old");
            file.sync().unwrap();
            fs.sync_dir(Path::new("/")).unwrap();
            file.write_all_at(b"new", 0).unwrap();
            fs.set_faults(Faults { eio_at_sync: Some(0), ..Faults::default() });
            assert!(file.sync().is_err());
            file.sync().unwrap();
            assert_eq!(fs.read(Path::new("/a")).unwrap(), b"new");
            lost += u32::from(fs.crash(seed).read(Path::new("/a")).unwrap() == b"old");
        }
        assert!(lost > 5);
    }

    #[test]
    fn names_follow_the_directory_sync() {
        let mut seen = [false; 3];
        for seed in 0..100 {
            let fs = SimFs::new(seed);
            write(&fs, "/a", b"1").sync().unwrap();
            fs.sync_dir(Path::new("/")).unwrap();
            fs.rename(Path::new("/a"), Path::new("/b")).unwrap();
            fs.hard_link(Path::new("/b"), Path::new("/c")).unwrap();
            let names: Vec<_> =
                fs.crash(seed).list(Path::new("/")).unwrap().into_iter().map(|e| e.name).collect();
            let case = [vec!["a"], vec!["b"], vec!["b", "c"]].iter().position(|n| *n == names);
            seen[case.unwrap()] = true;
        }
        assert_eq!(seen, [true; 3]);
    }

    #[test]
    fn the_budget_is_a_full_disk() {
        let fs = SimFs::new(3);
        fs.set_faults(Faults { byte_budget: Some(10), ..Faults::default() });
        let file = write(&fs, "/a", b"12345678");
        let full = file.write_all_at(b"abcdef", 8).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs.read(Path::new("/a")).unwrap(), b"12345678ab");
        file.truncate(4).unwrap();
        file.write_all_at(b"abcdef", 4).unwrap();
        fs.remove_file(Path::new("/a")).unwrap();
        write(&fs, "/b", b"0123456789");
    }

    #[test]
    fn a_stopped_machine_answers_nothing() {
        let fs = SimFs::new(3);
        fs.set_faults(Faults { crash_at_sync: Some(0), ..Faults::default() });
        let file = write(&fs, "/a", b"1");
        assert!(file.sync().is_err() && fs.stopped());
        assert!(file.len().is_err() && fs.list(Path::new("/")).is_err());
    }
}
