//! Which format a body is in, from its Content-Type and the target's `fallback_scrape_protocol`.

use model::number::go_quote;

/// A format this build parses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4 or 1.0.0.
    PrometheusText,
}

/// The format of a body with this Content-Type. `fallback` is the media type of the target's
/// `fallback_scrape_protocol`, empty when there is none. Errors are Prometheus's.
pub fn format_of(content_type: &str, fallback: &str) -> Result<Format, String> {
    let media_type = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let known = match media_type.as_str() {
        "text/plain" => return Ok(Format::PrometheusText),
        "application/openmetrics-text" | "application/vnd.google.protobuf" => true,
        _ => false,
    };
    if known {
        // Never asked for in the Accept header, so only a target that ignores it gets here.
        return Err(format!(
            "the scrape protocol of Content-Type {} is not supported yet",
            go_quote(content_type)
        ));
    }
    match fallback {
        "text/plain" => Ok(Format::PrometheusText),
        "" if content_type.is_empty() => Err("non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target".to_owned()),
        "" => Err(format!(
            "received unsupported Content-Type {} and no fallback_scrape_protocol specified for target",
            go_quote(content_type)
        )),
        other => Err(format!("the fallback scrape protocol {other} is not supported yet")),
    }
}
