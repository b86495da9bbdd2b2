//! Several SignalR servers in one process, joined by memory: for tests, for demonstrations, and as the pattern for
//! backplanes of other kinds.
//!
//! A [`MemoryBus`] is the fleet; each server gets a [`MemoryBackplane`] from it.
//!
//! # What it does with the contract
//!
//! | rule of [`Backplane`](signalr_core::Backplane) | here |
//! | --- | --- |
//! | order | one lock per hub: a publish is queued for all its receivers under it, so that all of them see one order, not only per topic |
//! | a place before `publish` returns | the queueing happens inside the call |
//! | never blocks | each server's hub has a queue and a task that delivers; nobody waits for another's delivery |
//! | ownership | a message is shared until delivery; the last receiver takes it without a copy |
//! | bounds | 64 MiB per queue; what finds no room is dropped for that server, logged, and its state is `Degraded` until the queue is empty |
//! | ticket | known at once: the number of servers that it was queued for |
//! | `receivers` | exact; `None` while this server is cut off |
//! | outages | [`MemoryBackplane::cut_off`] and [`MemoryBackplane::restore`], for tests of everything above |
//! | leaving | topics are given back, what is queued is delivered, then nothing more; dropping is a crash: nothing is delivered |
//!
//! # Example
//!
//! ```
//! use signalr_backplane_memory::MemoryBus;
//! use signalr_core::{HubLifetimeManager, ManagerOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), signalr_core::BackplaneError> {
//! let bus = MemoryBus::new();
//! let (first, second) = (bus.backplane(), bus.backplane());
//! let here = HubLifetimeManager::new("Chat", ManagerOptions::default());
//! here.join(&first).await?;
//! let there = HubLifetimeManager::new("Chat", ManagerOptions::default());
//! there.join(&second).await?;
//! # Ok(())
//! # }
//! ```

mod backplane;
mod bus;
mod member;
mod node;

pub use backplane::MemoryBackplane;
pub use bus::MemoryBus;
