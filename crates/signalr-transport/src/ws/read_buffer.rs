//! One read buffer per thread, so that idle connections need none.
//!
//! Owns the lending: a buffer is taken out while it is used, so that code which is entered again on the same thread
//! gets another one instead of a panic.

use std::cell::Cell;

/// Bytes that one read takes at most.
pub(crate) const READ_SIZE: usize = 64 * 1024;

thread_local! {
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// A buffer lent to one poll.
pub(crate) struct ReadBuffer(Box<[u8]>);

impl ReadBuffer {
    pub(crate) fn borrow() -> Self {
        Self(SPARE.take().unwrap_or_else(|| vec![0; READ_SIZE].into()))
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        // A thread that is ending has no cell any more; the buffer goes with it.
        let _ = SPARE.try_with(|spare| spare.set(Some(std::mem::take(&mut self.0))));
    }
}
