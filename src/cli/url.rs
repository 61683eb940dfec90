//! The external URL: under which name and path users reach this server.

use model::number::go_quote;

/// Scheme, host with port, and path without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalUrl {
    pub scheme: String,
    pub host: String,
    /// Empty, or `/` and more.
    pub path: String,
}

impl ExternalUrl {
    /// Takes `raw`; when empty, host name and the port of the first listen address stand in.
    pub fn new(raw: &str, listen_address: &str, hostname: &str) -> Result<ExternalUrl, String> {
        let derived;
        let text = if raw.is_empty() {
            let (_, port) = split_host_port(listen_address)?;
            derived = format!("http://{hostname}:{port}/");
            &derived
        } else {
            raw
        };
        if text.starts_with(['"', '\'']) || text.ends_with(['"', '\'']) {
            return Err("URL must not begin or end with quotes".to_owned());
        }
        let fail = |why: String| Err(format!("parse {}: {why}", go_quote(text)));
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (scheme, rest),
            // Without a scheme Go takes everything as a path.
            None => ("", text),
        };
        if scheme.is_empty() && text.contains("://") {
            return fail("missing protocol scheme".to_owned());
        }
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (host, path) = if scheme.is_empty() {
            ("", rest)
        } else {
            rest.split_at(rest.find('/').unwrap_or(rest.len()))
        };
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        if let Some(bad) = host.chars().find(|c| *c == ' ' || *c == '<' || *c == '>' || *c == '"') {
            return fail(format!("invalid character {} in host name", go_quote(&bad.to_string())));
        }
        if let Some(colon) = host.rfind(':').filter(|at| !host[*at..].contains(']'))
            && !host[colon + 1..].bytes().all(|b| b.is_ascii_digit())
        {
            return fail(format!("invalid port {} after host", go_quote(&host[colon..])));
        }
        let trimmed = path.trim_end_matches('/');
        let path = match trimmed {
            "" => String::new(),
            p if p.starts_with('/') => p.to_owned(),
            p => format!("/{p}"),
        };
        Ok(ExternalUrl { scheme: scheme.to_owned(), host: host.to_owned(), path })
    }
}

/// `net.SplitHostPort`.
pub fn split_host_port(address: &str) -> Result<(&str, &str), String> {
    let fail = |why: &str| {
        if address.is_empty() {
            Err(why.to_owned())
        } else {
            Err(format!("address {address}: {why}"))
        }
    };
    let Some(colon) = address.rfind(':') else { return fail("missing port in address") };
    let (host, port) = (&address[..colon], &address[colon + 1..]);
    if let Some(inner) = host.strip_prefix('[') {
        return match inner.strip_suffix(']') {
            Some(inner) => Ok((inner, port)),
            None if inner.contains(']') => fail("missing port in address"),
            None => fail("missing ']' in address"),
        };
    }
    if host.contains(':') {
        return fail("too many colons in address");
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_apart() {
        let url = |raw: &str| ExternalUrl::new(raw, "0.0.0.0:9090", "vm");
        let ok = |scheme: &str, host: &str, path: &str| {
            Ok(ExternalUrl { scheme: scheme.into(), host: host.into(), path: path.into() })
        };
        assert_eq!(url(""), ok("http", "vm:9090", ""));
        assert_eq!(url("https://x.org/a/b/"), ok("https", "x.org", "/a/b"));
        assert_eq!(url("http://[::1]:80"), ok("http", "[::1]:80", ""));
        assert_eq!(url("prom"), ok("", "", "/prom"));
        assert_eq!(url("'x'").unwrap_err(), "URL must not begin or end with quotes");
        assert_eq!(
            url("http://a b/").unwrap_err(),
            r#"parse "http://a b/": invalid character " " in host name"#
        );
        assert_eq!(
            ExternalUrl::new("", ":foo", "vm").unwrap_err(),
            r#"parse "http://vm:foo/": invalid port ":foo" after host"#
        );
        assert_eq!(
            ExternalUrl::new("", "foo", "vm").unwrap_err(),
            "address foo: missing port in address"
        );
    }
}
