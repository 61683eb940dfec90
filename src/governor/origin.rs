//! Origin: who asked a query, and the trace it is part of.

use std::net::IpAddr;

/// Who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A request.
    Http { client_ip: Option<IpAddr>, method: String, path: String },
    /// A rule of a group in a file.
    Rule { file: String, group: String },
}

impl Origin {
    /// A request from `peer`; an IPv4 address that came in over IPv6 is shown as what it is.
    pub fn http(peer: Option<IpAddr>, method: &str, path: &str) -> Origin {
        Origin::Http {
            client_ip: peer.map(|ip| ip.to_canonical()),
            method: method.to_owned(),
            path: path.to_owned(),
        }
    }

    /// The address or group, for people.
    pub fn name(&self) -> String {
        match self {
            Origin::Http { client_ip, .. } => {
                client_ip.map(|ip| ip.to_string()).unwrap_or_default()
            }
            Origin::Rule { group, .. } => group.clone(),
        }
    }
}

/// Ids of the trace a request is part of, in hex; zeros without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    pub trace_id: String,
    pub span_id: String,
}

impl Default for Trace {
    fn default() -> Trace {
        Trace { trace_id: "0".repeat(32), span_id: "0".repeat(16) }
    }
}

impl Trace {
    /// The ids in a `traceparent` header (W3C Trace Context); without one, or with one that is not
    /// valid, zeros.
    pub fn of_header(header: Option<&str>) -> Trace {
        header.and_then(Trace::parse).unwrap_or_default()
    }

    fn parse(header: &str) -> Option<Trace> {
        let hex = |text: &str, digits: usize| {
            text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        let mut parts = header.split('-');
        let (version, trace_id, span_id, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        // Later versions may add fields, the first one has none.
        let whole = version != "00" || parts.next().is_none();
        let valid = hex(version, 2) && version != "ff" && hex(trace_id, 32) && hex(span_id, 16);
        let known = |id: &str| id.bytes().any(|b| b != b'0');
        if !(whole && valid && hex(flags, 2) && known(trace_id) && known(span_id)) {
            return None;
        }
        Some(Trace { trace_id: trace_id.to_owned(), span_id: span_id.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_headers() {
        let (t, s) = ("0123456789abcdef0123456789abcdef", "0123456789abcdef");
        let good = Trace { trace_id: t.to_owned(), span_id: s.to_owned() };
        let check = |header: &str, expected: &Trace| {
            assert_eq!(&Trace::of_header(Some(header)), expected, "{header}");
        };
        check(&format!("00-{t}-{s}-01"), &good);
        check(&format!("01-{t}-{s}-00-more"), &good);
        let none = Trace::default();
        assert_eq!(Trace::of_header(None), none);
        for bad in [
            "",
            "00",
            &format!("00-{t}-{s}"),
            &format!("00-{t}-{s}-01-more"),
            &format!("ff-{t}-{s}-01"),
            &format!("00-{}-{s}-01", t.to_uppercase()),
            &format!("00-{}-{s}-01", "0".repeat(32)),
            &format!("00-{t}-{}-01", "0".repeat(16)),
            &format!("00-{t}-{s}x-01"),
        ] {
            check(bad, &none);
        }
    }

    #[test]
    fn addresses() {
        let name = |ip: &str| Origin::http(ip.parse().ok(), "GET", "/").name();
        assert_eq!(name("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(name("::1"), "::1");
        assert_eq!(name(""), "");
    }
}
