//! File paths in the configuration: relative ones are meant from the configuration file's folder.

/// A field that holds file paths.
pub trait Paths {
    /// Joins relative paths with `dir`.
    fn join(&mut self, dir: &str);
}

impl Paths for String {
    fn join(&mut self, dir: &str) {
        *self = join_dir(dir, self);
    }
}

impl Paths for Vec<String> {
    fn join(&mut self, dir: &str) {
        self.iter_mut().for_each(|path| path.join(dir));
    }
}

/// Joins the paths of a field with `dir`.
pub fn join_file(dir: &str, paths: &mut impl Paths) {
    paths.join(dir);
}

/// `path` as seen from `dir`: empty and absolute paths stay as they are.
pub fn join_dir(dir: &str, path: &str) -> String {
    if path.is_empty() || path.starts_with('/') {
        return path.to_owned();
    }
    clean(&format!("{dir}/{path}"))
}

/// The shortest path that means the same, by its text alone: no `.`, no `//`, `..` taken back where
/// there is something to take back.
pub fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|p| *p != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

/// The folder a file is in: `.` for a bare name.
pub fn dir_of(path: &str) -> String {
    match path.rfind('/') {
        None => ".".to_owned(),
        Some(at) => clean(&path[..=at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_and_cleans() {
        for (dir, path, want) in [
            ("/etc/p", "rules.yml", "/etc/p/rules.yml"),
            ("/etc/p", "/abs//x", "/abs//x"),
            ("/etc/p", "", ""),
            ("conf", "../a/./b", "a/b"),
            (".", "a", "a"),
            ("..", "../a", "../../a"),
            ("/", "../a", "/a"),
        ] {
            assert_eq!(join_dir(dir, path), want, "{dir} {path}");
        }
        assert_eq!(dir_of("a.yml"), ".");
        assert_eq!(dir_of("/a.yml"), "/");
        assert_eq!(dir_of("x/y/a.yml"), "x/y");
    }
}
