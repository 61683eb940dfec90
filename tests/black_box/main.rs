//! Black-box tests: the built server, over a real port and with real signals.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod admin;
mod api;
mod bad_input;
mod features;
mod full_disk;
mod http;
mod kill;
mod lifecycle;
mod limits;
mod queries;
mod server;
mod write;
