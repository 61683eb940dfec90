//! Entries: the checked entries of a record, decoded one by one while iterating.

use super::Base;
use crate::encoding::{DecBuf, DecodeError};

pub(super) type Read<'a, T> = fn(&mut DecBuf<'a>, Base) -> Result<T, DecodeError>;

/// The entries of one record in order; every one of them is known to decode.
#[derive(Clone, Copy)]
pub struct Entries<'a, T> {
    rest: DecBuf<'a>,
    base: Base,
    read: Read<'a, T>,
}

impl<'a, T> Entries<'a, T> {
    /// Decodes every entry once to see that it can be; else says how many could.
    pub(super) fn check(
        body: DecBuf<'a>,
        base: Base,
        read: Read<'a, T>,
    ) -> Result<Entries<'a, T>, (usize, DecodeError)> {
        let mut ahead = body;
        let mut count = 0;
        while !ahead.is_empty() {
            read(&mut ahead, base).map_err(|err| (count, err))?;
            count += 1;
        }
        Ok(Entries { rest: body, base, read })
    }
}

impl<T> Iterator for Entries<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.rest.is_empty() {
            return None;
        }
        (self.read)(&mut self.rest, self.base).ok()
    }
}
