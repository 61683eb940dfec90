//! Scraping: from targets to samples.

pub mod view;
