//! The command line of the server: flag table, parser, help, features, and the typed options that
//! everything else works with.

pub mod features;
pub mod flags;
pub mod help;
pub mod options;
pub mod parse;
pub mod url;
pub mod value;

pub use options::{Options, Refusal};
pub use parse::{Parsed, UsageError, Values, parse};
