//! CORS headers of the API.

use hyper::HeaderMap;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue, ORIGIN, VARY,
};
use model::regex::FastRegex;

/// Adds what the origin of a request is allowed to see.
pub fn set(request: &HeaderMap, origins: &FastRegex, response: &mut HeaderMap) {
    response.append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = request.get(ORIGIN).filter(|o| !o.is_empty()) else { return };
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type, Origin"),
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
    ] {
        response.insert(name, HeaderValue::from_static(value));
    }
    if origin.to_str().is_ok_and(|o| origins.is_match(o)) {
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}
