//! Remote APIs: what other servers send to this one.

pub mod message;
pub mod proto;
pub mod refs;
pub mod write;
