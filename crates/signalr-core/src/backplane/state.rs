//! How a backplane is, as a value that can be read and watched.

use tokio::sync::watch;

/// The state of a backplane, for readiness, policies and people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackplaneState {
    /// Not connected yet for the first time.
    Starting,
    /// Sends and receives.
    Up,
    /// Works in part: sends or receives, not both, or something was dropped lately.
    Degraded,
    /// Neither sends nor receives.
    Down,
}

/// A view of a backplane's state. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Events(watch::Receiver<BackplaneState>);

/// The backplane's end of [`Events`].
#[derive(Debug)]
pub struct StateSender(watch::Sender<BackplaneState>);

impl Events {
    /// A state, with the means to change it.
    pub fn new(state: BackplaneState) -> (StateSender, Self) {
        let (sender, receiver) = watch::channel(state);
        (StateSender(sender), Self(receiver))
    }

    /// The state now.
    pub fn current(&self) -> BackplaneState {
        *self.0.borrow()
    }

    /// Waits for the next change and returns the new state; `None` when the backplane is gone. Changes that follow each
    /// other quickly may be seen as one. Cancel safe.
    pub async fn changed(&mut self) -> Option<BackplaneState> {
        self.0.changed().await.ok()?;
        Some(*self.0.borrow_and_update())
    }
}

impl StateSender {
    /// Sets the state; watchers are told only when it differs.
    pub fn set(&self, state: BackplaneState) {
        self.0.send_if_modified(|old| std::mem::replace(old, state) != state);
    }

    /// Another view.
    pub fn subscribe(&self) -> Events {
        Events(self.0.subscribe())
    }
}
