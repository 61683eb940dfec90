//! Gate: how many queries are evaluated at once, and who waits.
//!
//! Requests share `--query.max-concurrency` slots, rules have as many of their own. A quarter of the
//! slots for requests is closed to queries known to be heavy, so that a dashboard of those leaves
//! room for everybody else; a query is known to be heavy when the same text was the last time.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most texts remembered as heavy.
const REMEMBERED: usize = 1024;

/// Whose slots a query takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Requests,
    Rules,
}

/// The right to evaluate a query, until dropped.
#[derive(Debug)]
pub struct Slot {
    lane: Lane,
    _permits: (Option<OwnedSemaphorePermit>, Option<OwnedSemaphorePermit>),
}

impl Slot {
    /// Whose it is.
    pub fn lane(&self) -> Lane {
        self.lane
    }
}

/// The gate.
#[derive(Debug)]
pub struct Gate {
    requests: Arc<Semaphore>,
    /// What heavy requests need besides.
    heavy: Arc<Semaphore>,
    rules: Arc<Semaphore>,
    heavy_texts: Mutex<Texts>,
}

impl Gate {
    /// A gate with `max` slots in each lane.
    pub fn new(max: usize) -> Gate {
        Gate {
            requests: Arc::new(Semaphore::new(max)),
            heavy: Arc::new(Semaphore::new(max - max / 4)),
            rules: Arc::new(Semaphore::new(max)),
            heavy_texts: Mutex::default(),
        }
    }

    /// Waits for a slot, first come, first served.
    pub async fn enter(&self, lane: Lane, query: &str) -> Slot {
        // The semaphores are never closed.
        let take =
            async |semaphore: &Arc<Semaphore>| Arc::clone(semaphore).acquire_owned().await.ok();
        match lane {
            Lane::Requests => {
                let heavy = if self.is_heavy(query) { take(&self.heavy).await } else { None };
                Slot { lane, _permits: (heavy, take(&self.requests).await) }
            }
            Lane::Rules => Slot { lane, _permits: (None, take(&self.rules).await) },
        }
    }

    /// Remembers whether a query was heavy.
    pub fn learn(&self, query: &str, heavy: bool) {
        self.texts(|texts| texts.set(query, heavy));
    }

    fn is_heavy(&self, query: &str) -> bool {
        self.texts(|texts| texts.position(query).is_some())
    }

    fn texts<R>(&self, with: impl FnOnce(&mut Texts) -> R) -> R {
        with(&mut self.heavy_texts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Hashes of texts, the latest at the end.
#[derive(Debug, Default)]
struct Texts {
    hashes: VecDeque<u64>,
    hasher: RandomState,
}

impl Texts {
    fn position(&self, text: &str) -> Option<usize> {
        if self.hashes.is_empty() {
            return None;
        }
        let hash = self.hasher.hash_one(text);
        self.hashes.iter().position(|h| *h == hash)
    }

    fn set(&mut self, text: &str, present: bool) {
        if let Some(at) = self.position(text) {
            self.hashes.remove(at);
        }
        if present {
            if self.hashes.len() == REMEMBERED {
                self.hashes.pop_front();
            }
            self.hashes.push_back(self.hasher.hash_one(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    fn poll<F: Future>(future: &mut Pin<&mut F>) -> Option<F::Output> {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(slot) => Some(slot),
            Poll::Pending => None,
        }
    }

    /// A slot, if there is one without waiting.
    fn at_once(gate: &Gate, lane: Lane, query: &str) -> Option<Slot> {
        poll(&mut pin!(gate.enter(lane, query)))
    }

    #[test]
    fn rules_and_cheap_queries_get_in_beside_heavy_ones() {
        let gate = Gate::new(8);
        gate.learn("heavy", true);
        let heavy: Vec<Slot> =
            (0..6).map(|_| at_once(&gate, Lane::Requests, "heavy").unwrap()).collect();
        let mut waiting = pin!(gate.enter(Lane::Requests, "heavy"));
        assert!(poll(&mut waiting).is_none());
        let cheap: Vec<Slot> =
            (0..2).map(|_| at_once(&gate, Lane::Requests, "cheap").unwrap()).collect();
        assert!(at_once(&gate, Lane::Requests, "cheap").is_none());
        let rules: Vec<Slot> =
            (0..8).map(|_| at_once(&gate, Lane::Rules, "heavy").unwrap()).collect();
        assert!(at_once(&gate, Lane::Rules, "cheap").is_none());
        assert!(rules.iter().all(|slot| slot.lane() == Lane::Rules));
        drop((cheap, rules));
        assert!(poll(&mut waiting).is_none());
        drop(heavy);
        assert!(poll(&mut waiting).is_some());
        // What was not heavy the last time is like any other.
        gate.learn("heavy", false);
        let all: Vec<Slot> =
            (0..8).filter_map(|_| at_once(&gate, Lane::Requests, "heavy")).collect();
        assert_eq!(all.len(), 8);
    }

    #[test]
    fn few_slots_are_for_everybody() {
        let gate = Gate::new(1);
        gate.learn("heavy", true);
        let slot = at_once(&gate, Lane::Requests, "heavy").unwrap();
        assert!(at_once(&gate, Lane::Requests, "cheap").is_none());
        drop(slot);
        assert!(at_once(&gate, Lane::Requests, "cheap").is_some());
    }

    #[test]
    fn remembers_the_latest() {
        let mut texts = Texts::default();
        for i in 0..REMEMBERED + 10 {
            texts.set(&i.to_string(), true);
            texts.set("again", true);
        }
        assert_eq!(texts.hashes.len(), REMEMBERED);
        assert!(texts.position("10").is_none() && texts.position("11").is_some());
        assert!(texts.position("again").is_some());
    }
}
