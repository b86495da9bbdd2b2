//! A socket in memory: what the client sends waits here for the pump, what the server writes waits here for the client.
//!
//! Owns both directions, their ends and the freeze. Does not split or parse anything. The server writes through
//! [`DirectWriter`], as it does to a real socket, so that inline writes are tested too.

use bytes::{Bytes, BytesMut};
use signalr_core::{DirectWriter, InputEnd};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

#[derive(Default)]
pub(crate) struct Pipe(Mutex<State>);

#[derive(Default)]
struct State {
    input: VecDeque<Bytes>,
    input_end: Option<InputEnd>,
    pump: Option<Waker>,
    ping: Option<Bytes>,
    output: Vec<u8>,
    output_ended: bool,
    reader: Option<Waker>,
    frozen: bool,
    gone: bool,
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Only plain assignments happen under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // The client's side

    pub(crate) fn send(&self, bytes: Bytes) {
        self.change(|state| {
            if state.input_end.is_none() && !bytes.is_empty() {
                state.input.push_back(bytes);
            }
        });
    }

    pub(crate) fn end_input(&self, end: InputEnd) {
        self.change(|state| {
            state.input_end.get_or_insert(end);
        });
    }

    /// The client has vanished: writing to it fails from now on.
    pub(crate) fn vanish(&self) {
        self.change(|state| {
            state.input_end.get_or_insert(InputEnd::Closed);
            state.gone = true;
        });
    }

    pub(crate) fn set_frozen(&self, frozen: bool) {
        self.change(|state| state.frozen = frozen);
    }

    /// What is sent every few seconds in the client's name.
    pub(crate) fn set_ping(&self, ping: Bytes) {
        self.lock().ping = Some(ping);
    }

    /// Moves what has arrived to `buffer`; false when nothing has and nothing more will.
    pub(crate) fn poll_read(&self, buffer: &mut BytesMut, cx: &Context<'_>) -> Poll<bool> {
        let mut state = self.lock();
        if !state.output.is_empty() {
            buffer.extend_from_slice(&std::mem::take(&mut state.output));
            return Poll::Ready(true);
        }
        if state.output_ended {
            return Poll::Ready(false);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Moves what has arrived to `buffer`.
    pub(crate) fn read_now(&self, buffer: &mut BytesMut) {
        buffer.extend_from_slice(&std::mem::take(&mut self.lock().output));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let pump = {
            let mut state = self.lock();
            change(&mut state);
            state.pump.clone()
        };
        if let Some(pump) = pump {
            pump.wake();
        }
    }

    // The server's side

    pub(crate) fn set_pump(&self, waker: &Waker) {
        self.lock().pump = Some(waker.clone());
    }

    pub(crate) fn take_input(&self) -> Option<Bytes> {
        self.lock().input.pop_front()
    }

    pub(crate) fn has_input(&self) -> bool {
        !self.lock().input.is_empty()
    }

    /// The end of input, once everything before it is taken.
    pub(crate) fn input_end(&self) -> Option<InputEnd> {
        let state = self.lock();
        state.input_end.filter(|_| state.input.is_empty())
    }

    pub(crate) fn ping(&self) {
        let mut state = self.lock();
        if let Some(ping) = state.ping.clone()
            && state.input_end.is_none()
        {
            state.input.push_back(ping);
        }
    }

    pub(crate) fn end_output(&self) {
        let reader = {
            let mut state = self.lock();
            state.output_ended = true;
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }
}

impl DirectWriter for Pipe {
    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.lock();
        if state.gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if state.frozen {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let before = state.output.len();
        slices.iter().for_each(|slice| state.output.extend_from_slice(slice));
        let written = state.output.len() - before;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
        Ok(written)
    }
}
