//! Whether people on other servers are in reach: the backplane's state as a stream that the page can follow.
//!
//! Owns no connection; the state is the hub's, the stream goes to one page.

use futures_util::stream::{BoxStream, StreamExt, empty, once, unfold};
use signalr::core::{BackplaneState, Events};
use signalr::prelude::*;

/// True while others can be reached: now, and whenever it changes. Ends at once on a lone server.
pub(crate) fn reach<H>(hub: &HubHandle<H>) -> BoxStream<'static, bool> {
    match hub.context().and_then(|hub| hub.backplane_state()) {
        None => empty().boxed(),
        Some(state) => changes(state).boxed(),
    }
}

fn changes(state: Events) -> impl Stream<Item = bool> {
    let first = in_reach(state.current());
    let later = unfold((state, first), |(mut state, before)| async move {
        loop {
            let now = in_reach(state.changed().await?);
            if now != before {
                return Some((now, (state, now)));
            }
        }
    });
    once(async move { first }).chain(later)
}

fn in_reach(state: BackplaneState) -> bool {
    state == BackplaneState::Up
}
