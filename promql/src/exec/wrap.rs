//! Wrap: sources whose series are those of another source, one for one.

use model::Labels;

use super::column::Column;
use super::source::Source;
use super::work::Work;
use crate::engine::EngineError;

/// A source that changes the values of another one; what it does not say of its series is as it is
/// there. Who changes labels has to say all there is about them.
pub(crate) trait Wrap: Send + Sync {
    /// The other source.
    fn inner(&self) -> &dyn Source;

    /// See [`Source::labels`].
    fn labels(&self, i: usize) -> Labels {
        self.inner().labels(i)
    }

    /// See [`Source::label_value`].
    fn label_value(&self, i: usize, name: &str, with: &mut dyn FnMut(&str)) {
        self.inner().label_value(i, name, with);
    }

    /// See [`Source::label_ids`].
    fn label_ids(&self, name: &str, out: &mut Vec<u64>) -> bool {
        self.inner().label_ids(name, out)
    }

    /// See [`Source::drops_name`].
    fn drops_name(&self, i: usize) -> bool {
        self.inner().drops_name(i)
    }

    /// See [`Source::distinct_unnamed`].
    fn distinct_unnamed(&self) -> bool {
        self.inner().distinct_unnamed()
    }

    /// See [`Source::in_memory`].
    fn in_memory(&self) -> bool {
        self.inner().in_memory()
    }

    /// See [`Source::is_silent`]; whoever adds nothing to fail or warn about hands it on.
    fn is_silent(&self) -> bool {
        false
    }

    /// See [`Source::column`].
    fn column(&self, i: usize, work: &mut Work<'_>, out: &mut Column) -> Result<(), EngineError>;
}

impl<W: Wrap> Source for W {
    fn len(&self) -> usize {
        self.inner().len()
    }

    fn labels(&self, i: usize) -> Labels {
        Wrap::labels(self, i)
    }

    fn label_value(&self, i: usize, name: &str, with: &mut dyn FnMut(&str)) {
        Wrap::label_value(self, i, name, with);
    }

    fn label_ids(&self, name: &str, out: &mut Vec<u64>) -> bool {
        Wrap::label_ids(self, name, out)
    }

    fn drops_name(&self, i: usize) -> bool {
        Wrap::drops_name(self, i)
    }

    fn distinct_unnamed(&self) -> bool {
        Wrap::distinct_unnamed(self)
    }

    fn in_memory(&self) -> bool {
        Wrap::in_memory(self)
    }

    fn is_silent(&self) -> bool {
        Wrap::is_silent(self)
    }

    fn column(&self, i: usize, work: &mut Work<'_>, out: &mut Column) -> Result<(), EngineError> {
        Wrap::column(self, i, work, out)
    }
}
