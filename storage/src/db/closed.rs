//! ClosedAppender: what a closed database hands out. It takes nothing.

use model::{AppendError, AppendOptions, Appender, Exemplar, Labels, Metadata, SeriesRef, Value};

use super::DbError;

/// Refuses everything.
pub(super) struct ClosedAppender;

fn closed() -> AppendError {
    AppendError::Storage(DbError::Closed.to_string())
}

impl Appender for ClosedAppender {
    fn set_options(&mut self, _: AppendOptions) {}

    fn series(&mut self, _: &Labels) -> Result<SeriesRef, AppendError> {
        Err(closed())
    }

    fn append(&mut self, _: SeriesRef, _: i64, _: i64, _: Value<'_>) -> Result<(), AppendError> {
        Err(closed())
    }

    fn append_exemplar(&mut self, _: SeriesRef, _: &Exemplar) -> Result<(), AppendError> {
        Err(closed())
    }

    fn update_metadata(&mut self, _: SeriesRef, _: &Metadata) -> Result<(), AppendError> {
        Err(closed())
    }

    fn commit(self: Box<Self>) -> Result<(), AppendError> {
        Err(closed())
    }

    fn rollback(self: Box<Self>) {}
}
