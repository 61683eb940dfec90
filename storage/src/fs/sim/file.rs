//! SimFile and Content: a simulated file's written and durable bytes.

use std::collections::BTreeSet;
use std::io;

use super::faults::{self, Call, Verdict};
use super::{Rng, SimFs, State};
use crate::fs::File;

/// What the page cache writes back in one piece.
const PAGE: usize = 4096;
/// What a disk writes in one piece.
const SECTOR: usize = 512;

/// An open handle.
pub(super) struct SimFile {
    pub(super) fs: SimFs,
    pub(super) id: u64,
    pub(super) writable: bool,
}

/// Bytes as reads see them, bytes as a crash leaves them, and which pages differ on purpose.
#[derive(Clone, Default)]
pub(super) struct Content {
    live: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
    pub(super) links: u32,
}

impl Content {
    /// An empty file with one name.
    pub(super) fn named() -> Content {
        Content { links: 1, ..Content::default() }
    }

    pub(super) fn live(&self) -> &[u8] {
        &self.live
    }

    pub(super) fn flip(&mut self, at: usize, bit: u8) {
        for bytes in [&mut self.live, &mut self.durable] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    fn touch(&mut self, from: usize, to: usize) {
        self.dirty.extend(from / PAGE..to.div_ceil(PAGE));
    }

    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        let old = self.live.len();
        if end > old {
            self.live.resize(end, 0);
        }
        self.live[offset..end].copy_from_slice(bytes);
        self.touch(offset.min(old), end);
    }

    pub(super) fn truncate(&mut self, len: usize) {
        let old = self.live.len();
        self.live.resize(len, 0);
        self.dirty.retain(|page| page * PAGE < len);
        // The page the new end lies in is written again, with zeros behind the end.
        self.touch(len.min(old) / PAGE * PAGE, len);
    }

    fn sync(&mut self) {
        self.durable.resize(self.live.len(), 0);
        for page in std::mem::take(&mut self.dirty) {
            copy(&self.live, &mut self.durable, page * PAGE, PAGE);
        }
    }

    /// Makes some of the dirty pages durable and forgets that the others are not.
    fn fail_sync(&mut self, rng: &mut Rng) {
        let image = self.crashed(rng);
        self.durable = image;
        self.dirty.clear();
    }

    /// What a crash leaves of the content.
    pub(super) fn crashed(&self, rng: &mut Rng) -> Vec<u8> {
        match rng.up_to(7) {
            0 => return self.durable.clone(),
            1 => return self.everything(),
            2..=4 => return self.prefix(rng),
            _ => {}
        }
        let (short, long) =
            (self.durable.len().min(self.live.len()), self.durable.len().max(self.live.len()));
        let len = match rng.up_to(2) {
            0 => self.durable.len(),
            1 => self.live.len(),
            _ => short + rng.up_to(long - short),
        };
        let mut image = self.durable.clone();
        image.resize(len, 0);
        let torn = rng.up_to(self.dirty.len());
        for (i, page) in self.dirty.iter().enumerate() {
            if i == torn {
                for sector in (page * PAGE..(page + 1) * PAGE).step_by(SECTOR) {
                    if rng.coin() {
                        copy(&self.live, &mut image, sector, SECTOR);
                    }
                }
            } else if rng.coin() {
                copy(&self.live, &mut image, page * PAGE, PAGE);
            }
        }
        image
    }

    fn everything(&self) -> Vec<u8> {
        let mut image = self.clone();
        image.sync();
        image.durable
    }

    /// All dirty pages up to some byte, nothing behind it.
    fn prefix(&self, rng: &mut Rng) -> Vec<u8> {
        if self.live.len() <= self.durable.len() {
            return if rng.coin() { self.durable.clone() } else { self.everything() };
        }
        let mut image = self.everything();
        image.truncate(self.durable.len() + rng.up_to(self.live.len() - self.durable.len()));
        image
    }

    /// The content after a crash, as a file of its own: all of it durable.
    pub(super) fn after_crash(&self, rng: &mut Rng) -> Content {
        let bytes = self.crashed(rng);
        Content { live: bytes.clone(), durable: bytes, dirty: BTreeSet::new(), links: self.links }
    }
}

fn copy(from: &[u8], to: &mut [u8], at: usize, len: usize) {
    let end = (at + len).min(from.len()).min(to.len());
    if at < end {
        to[at..end].copy_from_slice(&from[at..end]);
    }
}

impl SimFile {
    fn with<T>(
        &self,
        call: Call,
        act: impl FnOnce(&mut State, Verdict) -> io::Result<T>,
    ) -> io::Result<T> {
        if call == Call::Other && !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut state = self.fs.state();
        let already = state.faults.stopped();
        let verdict = state.faults.judge(call);
        if already {
            return Err(faults::stopped());
        }
        act(&mut state, verdict)
    }

    fn write_part(&self, state: &mut State, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        let used = state.tree.used();
        let budget = state.faults.budget().unwrap_or(u64::MAX);
        let content = state.tree.content(self.id)?;
        let free = usize::try_from(budget.saturating_sub(used)).unwrap_or(usize::MAX);
        let fits = content.live.len().saturating_add(free).saturating_sub(offset).min(bytes.len());
        if fits == 0 && !bytes.is_empty() {
            return Err(faults::error(io::ErrorKind::StorageFull));
        }
        content.write(&bytes[..fits], offset);
        Ok(fits)
    }
}

fn outcome<T>(verdict: Verdict, value: T) -> io::Result<T> {
    match verdict {
        Verdict::Go => Ok(value),
        Verdict::Fail(kind) => Err(faults::error(kind)),
        Verdict::Stop => Err(faults::stopped()),
    }
}

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(Call::Read, |state, verdict| {
            let live = state.tree.content(self.id)?.live();
            let at = usize::try_from(offset).unwrap_or(usize::MAX).min(live.len());
            let n = buf.len().min(live.len() - at);
            buf[..n].copy_from_slice(&live[at..at + n]);
            outcome(verdict, n)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.with(Call::Other, |state, verdict| {
            if verdict == Verdict::Go {
                return self.write_part(state, bytes, offset);
            }
            let part = state.faults.rng.up_to(bytes.len());
            self.write_part(state, &bytes[..part], offset)?;
            outcome(verdict, 0)
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.with(Call::Read, |state, verdict| outcome(verdict, state.tree.len(self.id)))
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.with(Call::Other, |state, verdict| {
            outcome(verdict, ())?;
            let len = usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
            state.tree.content(self.id)?.truncate(len);
            Ok(())
        })
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        self.with(Call::Other, |state, verdict| {
            outcome(verdict, ())?;
            let more = len.saturating_sub(state.tree.len(self.id));
            match state.faults.budget() {
                Some(budget) if state.tree.used().saturating_add(more) > budget => {
                    Err(faults::error(io::ErrorKind::StorageFull))
                }
                _ => Ok(()),
            }
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(Call::Sync, |state, verdict| {
            let State { tree, faults, .. } = state;
            let content = tree.content(self.id)?;
            match verdict {
                Verdict::Go => content.sync(),
                _ => content.fail_sync(&mut faults.rng),
            }
            outcome(verdict, ())
        })
    }
}
