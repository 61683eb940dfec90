//! Scraping: targets, their loops, and the way of a body into the store.
//!
//! Reading order: `target` (what is scraped), `schedule` (when), `fetch` (how), `ingest` with
//! `cache`, `mutate` and `start_times` (what is stored), `report` (what is said about it), `worker` (the loop that
//! does all this), `pool` and `manager` (which loops run). The API sees `view` only.

pub mod body;
pub mod cache;
pub mod client;
pub mod fetch;
pub mod ingest;
pub mod manager;
pub mod metadata;
pub mod metrics;
pub mod mutate;
pub mod pool;
pub mod report;
pub mod schedule;
pub mod snapshot;
pub mod start_times;
pub mod status;
pub mod target;
pub mod view;
pub mod worker;

pub use manager::{Jobs, Manager};
pub use metrics::ScrapeMetrics;
pub use snapshot::PublishedTargets;

#[cfg(test)]
mod fetch_tests;
#[cfg(test)]
mod ingest_tests;
