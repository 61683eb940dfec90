//! Range functions over series that hold histograms, alone or beside floats.

use crate::engine::EngineError;
use crate::exec::column::Column;
use crate::exec::range::RangeCall;
use crate::exec::window::Samples;
use crate::exec::work::Work;

/// Runs `call` over the samples of series `i`.
pub(crate) fn run(
    _call: &RangeCall<'_>,
    _i: usize,
    _samples: &Samples,
    _work: &mut Work<'_>,
    _out: &mut Column,
) -> Result<(), EngineError> {
    Ok(())
}
