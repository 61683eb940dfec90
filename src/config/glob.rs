//! Glob: file names that match a pattern, as Go's `filepath.Glob` finds them.
//!
//! `*` and `?` do not match a slash, `[a-z]` and `[^a-z]` are classes, `\` takes the next character
//! as it is. Names come in order; what cannot be read is no match.

use std::fs;

/// A pattern that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub struct BadPattern;

/// The paths that match `pattern`.
pub fn glob(pattern: &str) -> Result<Vec<String>, BadPattern> {
    matches(pattern, "")?;
    expand(pattern, 0)
}

/// Deepest nesting of folders with wildcards.
const MAX_DEPTH: usize = 1000;

fn expand(pattern: &str, depth: usize) -> Result<Vec<String>, BadPattern> {
    if depth > MAX_DEPTH {
        return Err(BadPattern);
    }
    if !has_meta(pattern) {
        let found = fs::symlink_metadata(pattern).is_ok();
        return Ok(if found { vec![pattern.to_owned()] } else { Vec::new() });
    }
    let (dir, file) = match pattern.rfind('/') {
        Some(at) => (&pattern[..at + 1], &pattern[at + 1..]),
        None => ("", pattern),
    };
    let dir = match dir {
        "" => ".",
        "/" => "/",
        dir => &dir[..dir.len() - 1],
    };
    let dirs = if has_meta(dir) { expand(dir, depth + 1)? } else { vec![dir.to_owned()] };
    let mut out = Vec::new();
    for dir in dirs {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        let mut names: Vec<String> =
            entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect();
        names.sort_unstable();
        for name in names {
            if matches(file, &name)? {
                out.push(super::paths::clean(&format!("{dir}/{name}")));
            }
        }
    }
    Ok(out)
}

fn has_meta(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

/// Whether the whole of `name` matches `pattern`.
pub fn matches(pattern: &str, name: &str) -> Result<bool, BadPattern> {
    let parts = parse(pattern)?;
    let name: Vec<char> = name.chars().collect();
    // Backtracking to the last star is enough: a later star can take over all an earlier one could.
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match parts.get(p) {
            Some(Part::Star) => {
                star = Some((p, n));
                p += 1;
            }
            Some(part) if part.takes(name[n]) => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) if name[from] != '/' => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                _ => return Ok(false),
            },
        }
    }
    Ok(parts[p..].iter().all(|part| matches!(part, Part::Star)))
}

enum Part {
    Star,
    Any,
    One(char),
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Part {
    fn takes(&self, c: char) -> bool {
        match self {
            Part::Star => false,
            Part::Any => c != '/',
            Part::One(own) => *own == c,
            Part::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

fn parse(pattern: &str) -> Result<Vec<Part>, BadPattern> {
    let mut out = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(match c {
            '*' => Part::Star,
            '?' => Part::Any,
            '\\' => Part::One(chars.next().ok_or(BadPattern)?),
            '[' => parse_class(&mut chars)?,
            c => Part::One(c),
        });
    }
    Ok(out)
}

fn parse_class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Part, BadPattern> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
            return Ok(Part::Class { negated, ranges });
        }
        let low = class_char(chars)?;
        let high = if chars.next_if_eq(&'-').is_some() { class_char(chars)? } else { low };
        ranges.push((low, high));
    }
}

fn class_char(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<char, BadPattern> {
    match chars.next() {
        None | Some('-' | ']') => Err(BadPattern),
        Some('\\') => chars.next().ok_or(BadPattern),
        Some(c) => Ok(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, want) in [
            ("*.yml", "a.yml", true),
            ("*.yml", "a.yaml", false),
            ("a*b*c", "axbxc", true),
            ("a*b*c", "axbx", false),
            ("*", "a/b", false),
            ("?[a-c]", "xb", true),
            ("?[^a-c]", "xb", false),
            ("\\*", "*", true),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, name), Ok(want), "{pattern} {name}");
        }
        for bad in ["[", "[]a]", "[a", "\\", "[-]"] {
            assert_eq!(matches(bad, "a"), Err(BadPattern), "{bad}");
        }
    }

    #[test]
    fn finds_files_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_str().unwrap();
        for name in ["b.yml", "a.yml", "c.json"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(
            glob(&format!("{root}/*.yml")).unwrap(),
            [format!("{root}/a.yml"), format!("{root}/b.yml")]
        );
        assert_eq!(glob(&format!("{root}/c.json")).unwrap(), [format!("{root}/c.json")]);
        assert!(glob(&format!("{root}/no/*.yml")).unwrap().is_empty());
    }
}
