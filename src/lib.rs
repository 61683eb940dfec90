//! Package `epimetheus`: the server and the tool. The only place with sockets, HTTP, YAML and clocks.

pub mod api;
pub mod cli;
pub mod config;
pub mod discovery;
pub mod gotext;
pub mod gotime;
pub mod governor;
pub mod random;
pub mod relabel;
pub mod remote;
pub mod scrape;
pub mod server;
pub mod telemetry;
pub mod textparse;
pub mod tool;
pub mod web;
