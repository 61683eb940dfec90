//! Black-box tests: the built server, over a real port and with real signals.

mod api;
mod bad_input;
mod http;
mod kill;
mod lifecycle;
mod server;
mod write;
