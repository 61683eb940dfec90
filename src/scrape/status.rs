//! TargetStatus: how the last scrape of a target went. Written by its loop, read by the API.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use super::view::Health;

/// One scrape's outcome.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LastScrape {
    pub health: Health,
    /// Empty when it went well.
    pub error: String,
    /// What was left out of a scrape that went well; empty when nothing was.
    pub warning: String,
    pub started: Option<SystemTime>,
    pub duration: Duration,
}

/// The outcome of the last scrape.
#[derive(Debug, Default)]
pub struct TargetStatus {
    last: Mutex<LastScrape>,
}

impl TargetStatus {
    /// The last outcome.
    pub fn last(&self) -> LastScrape {
        self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub(super) fn report(
        &self,
        started: SystemTime,
        duration: Duration,
        error: Option<String>,
        warning: String,
    ) {
        let health = if error.is_none() { Health::Up } else { Health::Down };
        let last = LastScrape {
            health,
            error: error.unwrap_or_default(),
            warning,
            started: Some(started),
            duration,
        };
        *self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = last;
    }
}
