//! label_replace and label_join: labels of series changed, samples left alone.

use model::Labels;
use model::labels::METRIC_NAME;
use model::regex::{FastRegex, Template};

use super::column::Column;
use super::source::{Boxed, Clash, Source, merged, with_label};
use super::work::Work;
use crate::engine::EngineError;

/// What is done to each label set.
pub(crate) enum Change {
    /// `dst` becomes `replacement` with the groups of `regex`, where it matches `src`.
    Replace { dst: String, replacement: Template, src: String, regex: FastRegex },
    /// `dst` becomes the values of `sources` with `separator` in between.
    Join { dst: String, separator: String, sources: Vec<String> },
}

impl Change {
    /// The changed labels; `None` when they stay as they are.
    fn apply(&self, labels: &Labels) -> Option<Labels> {
        match self {
            Change::Replace { dst, replacement, src, regex } => {
                let mut value = String::new();
                let matched = regex.expand(replacement, labels.get(src).unwrap_or(""), &mut value);
                matched.then(|| with_label(labels, dst, &value))
            }
            Change::Join { dst, separator, sources } => {
                let values: Vec<&str> =
                    sources.iter().map(|s| labels.get(s).unwrap_or("")).collect();
                Some(with_label(labels, dst, &values.join(separator)))
            }
        }
    }

    fn renames(&self) -> bool {
        let (Change::Replace { dst, .. } | Change::Join { dst, .. }) = self;
        dst == METRIC_NAME
    }
}

struct Relabelled<'p> {
    inner: Boxed<'p>,
    /// New labels by series; `None` where nothing changed.
    labels: Vec<Option<Labels>>,
    renames: bool,
}

/// `inner` with its labels changed; series that become equal are merged.
pub(crate) fn run<'p>(inner: Boxed<'p>, change: &Change) -> Boxed<'p> {
    let labels = (0..inner.len()).map(|i| change.apply(&inner.labels(i))).collect();
    merged(Box::new(Relabelled { inner, labels, renames: change.renames() }), Clash::Merge)
}

impl Source for Relabelled<'_> {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.labels[i].clone().unwrap_or_else(|| self.inner.labels(i))
    }

    fn drops_name(&self, i: usize) -> bool {
        let renamed = self.renames && self.labels[i].is_some();
        !renamed && self.inner.drops_name(i)
    }

    fn distinct_unnamed(&self) -> bool {
        false
    }

    fn column(&self, i: usize, work: &mut Work<'_>, out: &mut Column) -> Result<(), EngineError> {
        self.inner.column(i, work, out)
    }
}
