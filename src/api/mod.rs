//! The HTTP API, `/api/v1`: what each endpoint answers. Requests come in taken apart, answers go
//! out as JSON written while they are made; it knows snapshots of scraping, never its managers.

pub mod admin;
pub mod call;
pub mod error;
pub mod histogram;
pub mod json;
pub mod labels;
pub mod params;
pub mod queries;
pub mod query;
pub mod result;
pub mod sink;
pub mod state;
pub mod status;
pub mod syntax;
pub mod targets;

pub use call::{Call, call};
pub use state::Api;

/// The endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Query,
    QueryRange,
    QueryExemplars,
    FormatQuery,
    ParseQuery,
    Labels,
    LabelValues,
    Series,
    ScrapePools,
    Targets,
    TargetsMetadata,
    Metadata,
    Alertmanagers,
    Alerts,
    Rules,
    StatusConfig,
    RuntimeInfo,
    BuildInfo,
    Flags,
    ActiveQueries,
    TopQueries,
    Tsdb,
    TsdbBlocks,
    WalReplay,
    Notifications,
    CancelQuery,
    DeleteSeries,
    CleanTombstones,
    Snapshot,
}
