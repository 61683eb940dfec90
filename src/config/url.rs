//! Url: an address as Go's `net/url` reads and prints it, so that what is accepted, refused and
//! shown is the same.

use std::net::Ipv6Addr;

use model::number::go_quote;

use super::yaml::{Decoder, Error, Field, NodeRef, Value};

/// A parsed URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Url {
    scheme: String,
    /// What follows the scheme of a URL like `mailto:x`.
    opaque: String,
    user: Option<(String, Option<String>)>,
    host: String,
    path: String,
    query: Option<String>,
    fragment: String,
    /// There is a scheme and a rooted path but no `//`.
    omit_host: bool,
}

/// The parts of a URL by which characters they hold unescaped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Path,
    Host,
    Zone,
    User,
    Fragment,
}

impl Part {
    fn plain(self, byte: u8) -> bool {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            return true;
        }
        let allowed: &[u8] = match self {
            Part::Path => b"$&+,/:;=@",
            Part::Host | Part::Zone => b"!\"$&'()*+,:;<=>[]",
            Part::User => b"$&+,;=",
            Part::Fragment => b"!$&()*+,/:;=?@",
        };
        allowed.contains(&byte)
    }
}

impl Url {
    /// Parses a URL; errors in Go's words.
    pub fn parse(text: &str) -> Result<Url, String> {
        let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
        let fail = |text: &str, e: String| format!("parse {}: {e}", go_quote(text));
        let mut url = parse_rest(rest).map_err(|e| fail(rest, e))?;
        url.fragment = normal(fragment, Part::Fragment).map_err(|e| fail(text, e))?;
        Ok(url)
    }

    /// The scheme in lower case; may be empty.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The host with its port, unescaped; may be empty.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path, escaped.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether nothing at all was given.
    pub fn is_empty(&self) -> bool {
        *self == Url::default()
    }

    /// The URL with `xxxxx` for a password.
    pub fn redacted(&self) -> String {
        self.print(true)
    }

    fn print(&self, redact: bool) -> String {
        let mut out = String::new();
        if !self.scheme.is_empty() {
            out.push_str(&self.scheme);
            out.push(':');
        }
        if self.opaque.is_empty() {
            self.print_authority(&mut out, redact);
            if !self.path.is_empty() && !self.path.starts_with('/') && !self.host.is_empty() {
                out.push('/');
            }
            let first = self.path.split('/').next().unwrap_or_default();
            if out.is_empty() && first.contains(':') {
                out.push_str("./");
            }
            out.push_str(&self.path);
        } else {
            out.push_str(&self.opaque);
        }
        if let Some(query) = &self.query {
            out.push('?');
            out.push_str(query);
        }
        if !self.fragment.is_empty() {
            out.push('#');
            out.push_str(&self.fragment);
        }
        out
    }

    fn print_authority(&self, out: &mut String, redact: bool) {
        let anything = !self.host.is_empty() || self.user.is_some();
        if !anything && (self.scheme.is_empty() || self.omit_host) {
            return;
        }
        if anything || !self.path.is_empty() {
            out.push_str("//");
        }
        if let Some((name, password)) = &self.user {
            out.push_str(&escape(name.as_bytes(), Part::User));
            if let Some(password) = password {
                out.push(':');
                let shown = if redact { "xxxxx" } else { password };
                out.push_str(&escape(shown.as_bytes(), Part::User));
            }
            out.push('@');
        }
        out.push_str(&escape(self.host.as_bytes(), Part::Host));
    }
}

impl std::fmt::Display for Url {
    /// The whole URL, the password included.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.print(false))
    }
}

fn parse_rest(text: &str) -> Result<Url, String> {
    let mut url = Url::default();
    if text.bytes().any(|b| b < b' ' || b == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    if text == "*" {
        text.clone_into(&mut url.path);
        return Ok(url);
    }
    let (scheme, mut rest) = split_scheme(text)?;
    url.scheme = scheme.to_lowercase();
    if let Some((path, query)) = rest.split_once('?') {
        url.query = Some(query.to_owned());
        rest = path;
    }
    if !rest.starts_with('/') {
        if !url.scheme.is_empty() {
            rest.clone_into(&mut url.opaque);
            return Ok(url);
        }
        if rest.split('/').next().is_some_and(|first| first.contains(':')) {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    let authority = !url.scheme.is_empty() || !rest.starts_with("///");
    if let Some(tail) = rest.strip_prefix("//").filter(|_| authority) {
        let at = tail.find('/').unwrap_or(tail.len());
        (url.user, url.host) = parse_authority(&tail[..at])?;
        rest = &tail[at..];
    } else if !url.scheme.is_empty() && rest.starts_with('/') {
        url.omit_host = true;
    }
    url.path = normal(rest, Part::Path)?;
    Ok(url)
}

fn split_scheme(text: &str) -> Result<(&str, &str), String> {
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if i > 0 => {}
            b':' if i == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&text[..i], &text[i + 1..])),
            _ => return Ok(("", text)),
        }
    }
    Ok(("", text))
}

type User = Option<(String, Option<String>)>;

fn parse_authority(text: &str) -> Result<(User, String), String> {
    let Some((info, host)) = text.rsplit_once('@') else {
        return Ok((None, parse_host(text)?));
    };
    let host = parse_host(host)?;
    let valid = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
    if !info.chars().all(valid) {
        return Err("net/url: invalid userinfo".to_owned());
    }
    let text = |s: &str| unescape(s, Part::User).map(|b| String::from_utf8_lossy(&b).into_owned());
    let user = match info.split_once(':') {
        None => (text(info)?, None),
        Some((name, password)) => (text(name)?, Some(text(password)?)),
    };
    Ok((Some(user), host))
}

fn parse_host(host: &str) -> Result<String, String> {
    let decode =
        |s: &str, part| unescape(s, part).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    match host.rfind('[') {
        Some(0) => {}
        Some(_) => return Err("invalid IP-literal".to_owned()),
        None => {
            if let Some(at) = host.rfind(':') {
                check_port(&host[at..])?;
            }
            return decode(host, Part::Host);
        }
    }
    let Some(close) = host.rfind(']') else {
        return Err("missing ']' in host".to_owned());
    };
    let port = &host[close + 1..];
    check_port(port)?;
    let literal = &host[1..close];
    let name = match literal.find("%25") {
        None => decode(literal, Part::Host)?,
        Some(zone) => {
            decode(&literal[..zone], Part::Host)? + &decode(&literal[zone..], Part::Zone)?
        }
    };
    let address = name.split('%').next().unwrap_or_default();
    if address.parse::<Ipv6Addr>().is_err() {
        if name.parse::<std::net::Ipv4Addr>().is_ok() {
            return Err("invalid IP-literal".to_owned());
        }
        let quoted = go_quote(&name);
        return Err(format!("invalid host: ParseAddr({quoted}): unable to parse IP"));
    }
    Ok(format!("[{name}]{port}"))
}

fn check_port(port: &str) -> Result<(), String> {
    let valid = match port.strip_prefix(':') {
        None => port.is_empty(),
        Some(digits) => digits.bytes().all(|b| b.is_ascii_digit()),
    };
    if valid { Ok(()) } else { Err(format!("invalid port {} after host", go_quote(port))) }
}

/// An escaped part as Go prints it: as written when that is a valid escaping, else escaped anew.
fn normal(text: &str, part: Part) -> Result<String, String> {
    let decoded = unescape(text, part)?;
    let valid = |b: u8| b"!$&'()*+,;=:@[]%".contains(&b) || part.plain(b);
    if text.bytes().all(valid) { Ok(text.to_owned()) } else { Ok(escape(&decoded, part)) }
}

fn escape(bytes: &[u8], part: Part) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        if part.plain(*byte) {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn unescape(text: &str, part: Part) -> Result<Vec<u8>, String> {
    let bytes = text.as_bytes();
    let in_host = matches!(part, Part::Host | Part::Zone);
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while let Some(byte) = bytes.get(i) {
        if *byte != b'%' {
            if in_host && byte.is_ascii() && !part.plain(*byte) {
                let quoted = go_quote(&char::from(*byte).to_string());
                return Err(format!("invalid character {quoted} in host name"));
            }
            out.push(*byte);
            i += 1;
            continue;
        }
        let escaped = &bytes[i..bytes.len().min(i + 3)];
        let bad = || format!("invalid URL escape {}", go_quote(&String::from_utf8_lossy(escaped)));
        let value = match escaped {
            [_, high, low] => hex(*high).zip(hex(*low)).map(|(h, l)| h << 4 | l),
            _ => None,
        };
        let value = value.ok_or_else(bad)?;
        let percent = value == b'%';
        if part == Part::Host && value < 0x80 && !percent
            || part == Part::Zone && !percent && value != b' ' && !Part::Host.plain(value)
        {
            return Err(bad());
        }
        out.push(value);
        i += 3;
    }
    Ok(out)
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

impl Field for Url {
    fn go_type() -> String {
        "config.URL".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        if let Some(text) = decoder.text(node)? {
            *self = Url::parse(&text).map_err(Error::Fatal)?;
        }
        Ok(())
    }

    fn is_zero(&self) -> bool {
        false
    }

    fn emit(&self) -> Value {
        Value::Text(self.redacted())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_read() {
        for (text, shown) in [
            ("http://a.b:9090/x?y=1#z", "http://a.b:9090/x?y=1#z"),
            ("HTTP://u:p%40@h/", "http://u:xxxxx@h/"),
            ("http://h/a b", "http://h/a%20b"),
            ("http://h/%2f", "http://h/%2f"),
            ("http://[::1]:80/x", "http://[::1]:80/x"),
            ("localhost:9090", "localhost:9090"),
            ("h/x", "h/x"),
            ("//h/x", "//h/x"),
            ("file:/x", "file:/x"),
            ("file:///x", "file:///x"),
            ("http://h?", "http://h?"),
            ("", ""),
        ] {
            assert_eq!(Url::parse(text).map(|u| u.redacted()), Ok(shown.to_owned()), "{text}");
        }
        assert_eq!(Url::parse("http://u:p%40@h/").unwrap().to_string(), "http://u:p%40@h/");
    }

    #[test]
    fn refuses_in_gos_words() {
        for (text, error) in [
            ("::", "parse \"::\": missing protocol scheme"),
            ("1:2", "parse \"1:2\": first path segment in URL cannot contain colon"),
            ("http://h:x/", "parse \"http://h:x/\": invalid port \":x\" after host"),
            ("http://h/%zz", "parse \"http://h/%zz\": invalid URL escape \"%zz\""),
            ("http://a b/", "parse \"http://a b/\": invalid character \" \" in host name"),
            ("http://[::1", "parse \"http://[::1\": missing ']' in host"),
            ("a\n", "parse \"a\\n\": net/url: invalid control character in URL"),
            ("http://a\\b:c@h/", "parse \"http://a\\\\b:c@h/\": net/url: invalid userinfo"),
        ] {
            assert_eq!(Url::parse(text), Err(error.to_owned()), "{text}");
        }
    }
}
