//! FileSdConfig: targets from JSON and YAML files.

use model::number::go_quote;

use crate::config::values::Duration;
use crate::config::yaml::{Checked, section};

section! {
    /// One item of `file_sd_configs`.
    pub struct FileSdConfig("file.SDConfig", "file.plain") {
        /// Paths, each with at most one `*` in the last element, ending in .json, .yml or .yaml.
        files: Vec<String> = keep_file "files";
        /// How often to read the files again whatever the file system says.
        refresh_interval: Duration = omit "refresh_interval";
    }
}

/// `^[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)$`
fn is_valid_path(path: &str) -> bool {
    let Some((stem, extension)) = path.rsplit_once('.') else { return false };
    matches!(extension, "json" | "yml" | "yaml" | "JSON" | "YML" | "YAML")
        && stem.split_once('*').is_none_or(|(_, tail)| !tail.contains('/'))
}

impl Checked for FileSdConfig {
    fn begin(&mut self) {
        *self = FileSdConfig { refresh_interval: Duration::secs(300), ..FileSdConfig::default() };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.files.is_empty() {
            return Err(
                "file service discovery config must contain at least one path name".to_owned()
            );
        }
        match self.files.iter().find(|path| !is_valid_path(path)) {
            None => Ok(()),
            Some(bad) => {
                Err(format!("path name {} is not valid for file discovery", go_quote(bad)))
            }
        }
    }
}
