//! Parser: text → tokens → typed syntax tree → text.

pub mod ast;
