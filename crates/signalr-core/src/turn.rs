//! A turn: one poll of a task, during which pushes to any connection are only queued, and at whose end they are
//! written, in one system call per connection.
//!
//! Owns the rule when the sender writes to the socket itself. The queue is the outbox's; the socket is the
//! transport's. Inline writes save a task switch per receiver, which is a quarter of the cost when the server is
//! quiet; writing each message at once would be ruinous under load, because nothing coalesces. Waiting for the end of
//! the turn gets both: a burst that arrived in one read leaves in one write.

use crate::connection::Connection;
use std::cell::RefCell;
use std::sync::Arc;

/// How many connections one turn writes to by itself; the tasks of the others are woken, so that a send to very many
/// does not hold one thread for long and other threads share the work.
const INLINE_LIMIT: usize = 1024;

thread_local! {
    static DIRTY: RefCell<Dirty> = const { RefCell::new(Dirty { depth: 0, connections: Vec::new() }) };
}

struct Dirty {
    depth: usize,
    connections: Vec<Arc<Connection>>,
}

/// A guard around one poll. Not `Send`: it belongs to the thread of the poll.
///
/// Turns nest; the outermost one writes.
#[derive(Debug)]
pub struct Turn(std::marker::PhantomData<*const ()>);

impl Turn {
    /// Begins a turn on this thread.
    pub fn enter() -> Turn {
        DIRTY.with_borrow_mut(|dirty| dirty.depth += 1);
        Turn(std::marker::PhantomData)
    }

    /// Remembers a connection whose outbox has something to write; false when no turn is on.
    pub(crate) fn remember(connection: &Arc<Connection>) -> bool {
        DIRTY.with_borrow_mut(|dirty| {
            let inside = dirty.depth > 0;
            if inside {
                dirty.connections.push(connection.clone());
            }
            inside
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut due = DIRTY.with_borrow_mut(|dirty| {
            dirty.depth -= 1;
            if dirty.depth == 0 { std::mem::take(&mut dirty.connections) } else { Vec::new() }
        });
        if due.is_empty() {
            return;
        }
        for (position, connection) in due.drain(..).enumerate() {
            connection.flush_for_sender(position < INLINE_LIMIT);
        }
        DIRTY.with_borrow_mut(|dirty| {
            // The buffer is used again, unless a flush queued something meanwhile or it grew very large.
            if dirty.connections.is_empty() && due.capacity() <= INLINE_LIMIT * 4 {
                dirty.connections = due;
            }
        });
    }
}
