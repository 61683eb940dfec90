//! Annotations: the warnings and infos a query collects beside its result.

/// Ordered sets of distinct warning and info texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    warnings: Vec<String>,
    infos: Vec<String>,
}

impl Annotations {
    /// Adds a warning (full text, `PromQL warning: …` where it comes from the language).
    pub fn warn(&mut self, text: impl Into<String>) {
        push_distinct(&mut self.warnings, text.into());
    }

    /// Adds an info (full text, `PromQL info: …` where it comes from the language).
    pub fn info(&mut self, text: impl Into<String>) {
        push_distinct(&mut self.infos, text.into());
    }

    /// Adds everything of `other`.
    pub fn merge(&mut self, other: Annotations) {
        other.warnings.into_iter().for_each(|w| self.warn(w));
        other.infos.into_iter().for_each(|i| self.info(i));
    }

    /// Warnings in order of first appearance.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Infos in order of first appearance.
    pub fn infos(&self) -> &[String] {
        &self.infos
    }

    /// Whether there is neither a warning nor an info.
    pub fn is_empty(&self) -> bool {
        self.warnings.is_empty() && self.infos.is_empty()
    }
}

fn push_distinct(list: &mut Vec<String>, text: String) {
    if !list.contains(&text) {
        list.push(text);
    }
}
