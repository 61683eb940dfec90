//! Parallel: columns computed by several threads, used by one in order.
//!
//! Reading and windowing a series is most of the work of a query and needs nothing but the series,
//! so batches of columns are computed side by side; what is done with them happens in order of the
//! series on the calling thread, or for all series of a batch side by side by steps. Answers,
//! annotations and counts are the same for any number of threads, and for a batch that the calling
//! thread computed alone because the others work for another query ([`crate::threads`]).

use rayon::prelude::*;

use super::column::Column;
use super::source::Source;
use super::work::Work;
use crate::engine::EngineError;

/// Series computed where they are asked for before the others are shared out.
const FIRST_SERIES: usize = 16;
/// Values a batch holds at most, over all its columns.
const BATCH_VALUES: usize = 1 << 20;
/// Series a batch holds at most.
const BATCH_SERIES: usize = 1024;

/// Hands every column of `source` to `f`, in order.
pub(crate) fn each<'w>(
    source: &dyn Source,
    work: &mut Work<'w>,
    f: impl FnMut(usize, &mut Column, &mut Work<'w>) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    each_of(source, source.len(), |at| at, work, f)
}

/// Hands the columns `index(0)`, `index(1)` … `index(n - 1)` of `source` to `f`, in this order.
pub(crate) fn each_of<'w>(
    source: &dyn Source,
    n: usize,
    index: impl Fn(usize) -> usize + Sync,
    work: &mut Work<'w>,
    mut f: impl FnMut(usize, &mut Column, &mut Work<'w>) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    batches_of(source, n, &index, work, |first, columns, work| {
        let mut columns = columns.iter_mut().enumerate();
        columns.try_for_each(|(k, column)| f(index(first + k), column, work))
    })
}

/// Hands the columns `index(0)`, `index(1)` … `index(n - 1)` of `source` to `f` in this order, as
/// many at a time as were computed side by side, with the number of the first.
pub(crate) fn batches_of<'w>(
    source: &dyn Source,
    n: usize,
    index: impl Fn(usize) -> usize + Sync,
    work: &mut Work<'w>,
    mut f: impl FnMut(usize, &mut [Column], &mut Work<'w>) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let shared = work.shared;
    let threads = shared.threads();
    // The first few show how much there is to read of each.
    let mut next = 0;
    let mut column = work.take();
    while next < n {
        let alone = next < FIRST_SERIES || source.in_memory();
        if !alone && work.is_worth_sharing(n - next, column.floats.len()) {
            break;
        }
        shared.check()?;
        source.column(index(next), work, &mut column)?;
        f(next, std::slice::from_mut(&mut column), work)?;
        next += 1;
    }
    work.give(column);
    if next == n {
        return Ok(());
    }
    let mut helpers: Vec<Work<'w>> = (0..threads).map(|_| work.fork()).collect();
    let mut columns: Vec<Column> = Vec::new();
    let mut batch = FIRST_SERIES * threads;
    let mut held = 0;
    while next < n {
        let size = batch.min(n - next);
        columns.resize_with(columns.len().max(size), Column::default);
        let share = size.div_ceil(threads);
        let run = |helper: &mut Work<'w>, first: usize, columns: &mut [Column]| {
            for (k, column) in columns.iter_mut().enumerate() {
                shared.check()?;
                source.column(index(first + k), helper, column)?;
            }
            Ok(())
        };
        let part = |(part, (helper, columns)): (usize, (&mut Work<'w>, &mut [Column]))| {
            run(helper, next + part * share, columns)
        };
        let results: Vec<Result<(), EngineError>> = match shared.lease() {
            Some(threads) => threads.run(|| {
                let parts = helpers.par_iter_mut().zip(columns[..size].par_chunks_mut(share));
                parts.enumerate().map(part).collect()
            }),
            None => {
                let parts = helpers.iter_mut().zip(columns[..size].chunks_mut(share));
                parts.enumerate().map(part).collect()
            }
        };
        // The first series that failed decides, not the first thread.
        results.into_iter().collect::<Result<(), _>>()?;
        let bytes = columns[..size].iter().map(Column::bytes).sum::<u64>().max(held);
        shared.budget.hold_bytes(bytes - held)?;
        held = bytes;
        f(next, &mut columns[..size], work)?;
        next += size;
        let values = columns[0].floats.len().max(1);
        batch = (BATCH_VALUES / values).clamp(threads, BATCH_SERIES);
    }
    shared.budget.release_bytes(held);
    helpers.into_iter().for_each(|helper| work.join(helper));
    Ok(())
}

/// Runs `f` for every item, side by side, each with work of its own; results in order of items.
pub(crate) fn map<'w, T: Sync, R: Send>(
    items: &[T],
    work: &mut Work<'w>,
    f: impl Fn(&T, &mut Work<'w>) -> Result<R, EngineError> + Sync,
) -> Result<Vec<R>, EngineError> {
    let shared = work.shared;
    if shared.threads() < 2 || items.len() < 2 {
        return items.iter().map(|item| f(item, work)).collect();
    }
    let fork = &*work;
    let forks: Vec<Work<'w>> = items.iter().map(|_| fork.fork()).collect();
    let one = |(item, mut helper): (&T, Work<'w>)| (f(item, &mut helper), helper);
    let results: Vec<(Result<R, EngineError>, Work<'w>)> = match shared.lease() {
        // Item by item: nobody is left with several while others have nothing to do.
        Some(threads) => {
            threads.run(|| items.par_iter().zip(forks).with_max_len(1).map(one).collect())
        }
        None => items.iter().zip(forks).map(one).collect(),
    };
    let mut out = Vec::with_capacity(items.len());
    for (result, helper) in results {
        work.join(helper);
        out.push(result?);
    }
    Ok(out)
}
