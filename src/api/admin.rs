//! Administration: deleting series, cleaning up after it, snapshots. Behind its own flag.

use std::time::SystemTime;

use model::TimeRange;

use super::Api;
use super::call::{Answer, Call, internal};
use super::error::{ApiError, Kind};
use super::{params, syntax};
use crate::gotext;
use crate::gotime;

/// Refuses unless the flag is set.
pub(super) fn allowed(api: &Api) -> Result<(), ApiError> {
    if api.options.web.enable_admin {
        return Ok(());
    }
    Err(ApiError::new(Kind::Unavailable, "admin APIs disabled"))
}

/// `admin/tsdb/delete_series`.
pub fn delete_series(api: &Api, call: &Call) -> Result<Answer, ApiError> {
    allowed(api)?;
    let form = &call.form;
    if let Some(error) = form.error() {
        return Err(ApiError::bad_data(format!("error parsing form values: {error}")));
    }
    let selectors = form.all("match[]");
    if selectors.is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let (min, max) = params::time_range(form)?;
    let sets = selectors
        .into_iter()
        .map(syntax::selector)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| ApiError::invalid("match[]", &e))?;
    api.db()?.delete_series(TimeRange { min, max }, &sets).map_err(internal)?;
    Answer::none()
}

/// `admin/tsdb/clean_tombstones`.
pub fn clean_tombstones(api: &Api) -> Result<Answer, ApiError> {
    allowed(api)?;
    api.db()?.clean_tombstones().map_err(internal)?;
    Answer::none()
}

/// `admin/tsdb/snapshot`.
pub fn snapshot(api: &Api, call: &Call) -> Result<Answer, ApiError> {
    allowed(api)?;
    let skip_head = match call.form.get("skip_head") {
        "" => false,
        text => gotext::parse_bool(text).map_err(|e| {
            ApiError::invalid("skip_head", &format!("unable to parse boolean: {e}"))
        })?,
    };
    let now = gotime::unix_nanos(SystemTime::now());
    // 20060102T150405Z and digits that make the name unique.
    let stamp: String =
        gotime::rfc3339_nano(now)[..19].chars().filter(|c| *c != '-' && *c != ':').collect();
    let name = format!("{stamp}Z-{:016x}", crate::random::bits() as u64 >> 1);
    let dir = api.options.tsdb.path.join("snapshots").join(&name);
    std::fs::create_dir_all(&dir)
        .map_err(|e| internal(format!("create snapshot directory: {e}")))?;
    api.db()?.snapshot(&dir, !skip_head).map_err(|e| internal(format!("create snapshot: {e}")))?;
    Answer::json(format!("{{\"name\":\"{name}\"}}"))
}
