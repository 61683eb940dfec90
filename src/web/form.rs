//! Form values: the query string and the urlencoded body of a request, decoded as Go does it. A
//! pair that does not decode is left out, and the first such error kept for those who care.

use model::number::go_quote;

/// Decoded pairs in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    pairs: Vec<(String, String)>,
    error: Option<String>,
}

impl Form {
    /// Decodes `text` (`a=1&b=2`).
    pub fn parse(text: &str) -> Form {
        let mut form = Form::default();
        for pair in text.split('&').filter(|p| !p.is_empty()) {
            if pair.contains(';') {
                form.fail("invalid semicolon separator in query".to_owned());
                continue;
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (unescape(name), unescape(value)) {
                (Ok(name), Ok(value)) => form.pairs.push((name, value)),
                (Err(e), _) | (_, Err(e)) => form.fail(e),
            }
        }
        form
    }

    /// Puts the pairs of a body in front: they win over the query string.
    pub fn with_body(mut self, body: Form) -> Form {
        let Form { mut pairs, error } = body;
        pairs.append(&mut self.pairs);
        Form { pairs, error: error.or(self.error) }
    }

    fn fail(&mut self, error: String) {
        self.error.get_or_insert(error);
    }

    /// The first value of `name`; empty when there is none.
    pub fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }

    /// All values of `name`.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.pairs.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
    }

    /// Why something was left out.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}

fn unescape(text: &str) -> Result<String, String> {
    if !text.contains(['%', '+']) {
        return Ok(text.to_owned());
    }
    decode(text, true)
}

/// Decodes percent escapes of a path segment.
pub fn unescape_path(text: &str) -> Result<String, String> {
    decode(text, false)
}

fn decode(text: &str, plus_is_space: bool) -> Result<String, String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let end = (at + 3).min(bytes.len());
                let digits = std::str::from_utf8(&bytes[at + 1..end]).unwrap_or_default();
                let byte = u8::from_str_radix(digits, 16)
                    .ok()
                    .filter(|_| digits.len() == 2 && !digits.starts_with('+'));
                let Some(byte) = byte else {
                    let bad = String::from_utf8_lossy(&bytes[at..end]);
                    return Err(format!("invalid URL escape {}", go_quote(&bad)));
                };
                out.push(byte);
                at += 3;
            }
            b'+' if plus_is_space => {
                out.push(b' ');
                at += 1;
            }
            byte => {
                out.push(byte);
                at += 1;
            }
        }
    }
    Ok(String::from_utf8(out)
        .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes() {
        let form = Form::parse("query=up%7Ba%3D%22b%22%7D+%2B+1&match[]=a&match[]=b&x&y=%C3%BC");
        assert_eq!(form.get("query"), "up{a=\"b\"} + 1");
        assert_eq!(form.all("match[]"), ["a", "b"]);
        assert_eq!((form.get("x"), form.get("none"), form.get("y")), ("", "", "ü"));
        assert_eq!(form.error(), None);
    }

    #[test]
    fn leaves_out_what_does_not_decode() {
        let form = Form::parse("a=%zz&b=%1&c=1;d=2&e=3");
        assert_eq!((form.get("a"), form.get("b"), form.get("e")), ("", "", "3"));
        assert_eq!(form.error(), Some("invalid URL escape \"%zz\""));
    }

    #[test]
    fn the_body_wins() {
        let form = Form::parse("a=url&b=2").with_body(Form::parse("a=body"));
        assert_eq!((form.get("a"), form.get("b")), ("body", "2"));
        assert_eq!(form.all("a"), ["body", "url"]);
    }
}
