//! The page: one self-contained document with a query box, a graph and the server's own tables. No
//! script, font or style comes from anywhere else, so it works without internet.

use hyper::header::{CACHE_CONTROL, HeaderValue};
use hyper::{Response, StatusCode};

use super::body::{Body, typed};

const PAGE: &str = include_str!("page.html");
const FAVICON: &str = include_str!("favicon.svg");

/// The page, told its title and the path that users reach the server under.
pub fn page(title: &str, base: &str) -> Response<Body> {
    let text = PAGE.replace("{{title}}", &escape(title)).replace("{{base}}", &escape(base));
    typed(StatusCode::OK, "text/html; charset=utf-8", text)
}

/// The icon.
pub fn favicon() -> Response<Body> {
    let mut response = typed(StatusCode::OK, "image/svg+xml", FAVICON);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400"));
    response
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_nothing_from_elsewhere() {
        for needle in ["http://", "https://", "<link rel=\"stylesheet\"", "<script src"] {
            assert!(!PAGE.replace("http://www.w3.org/2000/svg", "").contains(needle), "{needle}");
        }
        assert!(PAGE.contains("{{title}}") && PAGE.contains("{{base}}"));
    }

    #[test]
    fn title_cannot_break_out() {
        assert_eq!(escape("<script>\"&"), "&lt;script&gt;&quot;&amp;");
    }
}
