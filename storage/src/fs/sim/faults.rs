//! Faults of a simulated file system: what goes wrong, and when.

use std::io;

use super::Rng;

/// What goes wrong. Numbers count calls (of any kind) or syncs from the moment the faults are set,
/// 0 being the next; each happens once, except the budget, which stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// The machine stops in the middle of this call.
    pub crash_at_call: Option<u64>,
    /// The machine stops in the middle of this sync (of a file or directory).
    pub crash_at_sync: Option<u64>,
    /// This call fails with EIO; if it is a sync, what it should have made durable is in doubt.
    pub eio_at_call: Option<u64>,
    /// This call, if it can need space, fails with ENOSPC.
    pub enospc_at_call: Option<u64>,
    /// This sync fails with EIO.
    pub eio_at_sync: Option<u64>,
    /// All files together hold at most this many bytes.
    pub byte_budget: Option<u64>,
}

/// The kinds of calls that faults tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Read,
    Sync,
    Other,
}

/// Whether a call goes ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Go,
    /// Fails, after an effect in part where the call can have one.
    Fail(io::ErrorKind),
    /// The machine stops, after an effect in part.
    Stop,
}

/// Counts calls and decides which of them fail.
pub(super) struct Injector {
    faults: Faults,
    calls: u64,
    call: u64,
    sync: u64,
    stopped: bool,
    pub(super) rng: Rng,
}

/// The kind of EIO: the standard library has no name for it.
const EIO: io::ErrorKind = io::ErrorKind::Other;

impl Injector {
    pub(super) fn new(seed: u64) -> Injector {
        let faults = Faults::default();
        Injector { faults, calls: 0, call: 0, sync: 0, stopped: false, rng: Rng(seed) }
    }

    pub(super) fn set(&mut self, faults: Faults) {
        (self.faults, self.call, self.sync) = (faults, 0, 0);
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls
    }

    pub(super) fn stopped(&self) -> bool {
        self.stopped
    }

    pub(super) fn budget(&self) -> Option<u64> {
        self.faults.byte_budget
    }

    pub(super) fn judge(&mut self, call: Call) -> Verdict {
        if self.stopped {
            return Verdict::Stop;
        }
        let (at_call, at_sync) = (Some(self.call), Some(self.sync));
        self.calls += 1;
        self.call += 1;
        let is_sync = call == Call::Sync;
        self.sync += u64::from(is_sync);
        let f = &self.faults;
        if f.crash_at_call == at_call || (is_sync && f.crash_at_sync == at_sync) {
            self.stopped = true;
            return Verdict::Stop;
        }
        if f.eio_at_call == at_call || (is_sync && f.eio_at_sync == at_sync) {
            return Verdict::Fail(EIO);
        }
        if f.enospc_at_call == at_call && call != Call::Read {
            return Verdict::Fail(io::ErrorKind::StorageFull);
        }
        Verdict::Go
    }
}

pub(super) fn error(kind: io::ErrorKind) -> io::Error {
    match kind {
        EIO => io::Error::other("input/output error (simulated)"),
        kind => io::Error::new(kind, "no space left on device"),
    }
}

pub(super) fn stopped() -> io::Error {
    io::Error::other("the simulated machine has stopped")
}
