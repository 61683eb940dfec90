//! The HTTP side: listeners, connections, routing, bodies. It knows requests and responses; what
//! the endpoints answer is the business of `api`, `remote` and `page`.

pub mod app;
pub mod body;
pub mod compress;
pub mod cors;
pub mod form;
pub mod listen;
pub mod metrics;
pub mod page;
pub mod router;

pub use app::App;
pub use body::Body;
