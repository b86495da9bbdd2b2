//! The backplane as users hold it.
//!
//! Owns joining and the choice between waiting and going on when Redis does not answer at the start.

use crate::engine::Engine;
use crate::health::{Link, Links, RedisEvents};
use crate::hub::RedisHub;
use crate::member::{Member, arrivals};
use crate::options::{RedisConfigError, RedisOptions};
use crate::parcel::{invalid, unavailable};
use crate::pool::RedisPool;
use crate::settings::Settings;
use crate::stats::RedisCounters;
use crate::wire::{Channels, Codec};
use async_trait::async_trait;
use signalr_core::{Backplane, BackplaneError, BackplaneErrorKind, BackplaneHub, Events, HubJoin, Topic};
use std::fmt;
use std::sync::Arc;

/// One server's way into a fleet that is joined by Redis. Serves all hubs of the server with two connections.
///
/// The connections live as long as this value or any hub that joined through it.
pub struct RedisBackplane {
    engine: Arc<Engine>,
    pool: RedisPool,
}

impl RedisBackplane {
    /// A backplane on the Redis that this names: a URL, `redis://[[user]:password@]host[:port][/database]`, or a
    /// StackExchange.Redis connection string.
    ///
    /// With a URL it returns before Redis answers, state `Starting`; a Redis that is away is waited for in the
    /// background, with the outage rules in force. With a connection string it waits, and fails, as the reference does,
    /// unless that says `abortConnect=false`. Must be called inside a tokio runtime. Cancel safe.
    ///
    /// # Errors
    /// The text cannot be read, or asks for something that this version does not have; or Redis cannot be reached and
    /// that was to be an error.
    pub async fn connect(text: &str) -> Result<Self, BackplaneError> {
        let options = RedisOptions::parse(text);
        let config =
            |error: RedisConfigError| BackplaneError::new(BackplaneErrorKind::Config, error.to_string());
        Self::new(options.map_err(config)?).await
    }

    /// A backplane with these options; see [`RedisBackplane::connect`].
    ///
    /// # Errors
    /// The options ask for something that this version does not have; or Redis cannot be reached and
    /// [`RedisOptions::abort_on_connect_fail`] makes that an error.
    pub async fn new(options: RedisOptions) -> Result<Self, BackplaneError> {
        let settings = Settings::new(&options)?;
        let (wait, attempts) = (settings.abort_on_connect_fail, settings.connect_retry.max(1));
        let engine = Engine::start(settings);
        let pool = RedisPool::new(&engine.shared)?;
        if wait {
            answered(&engine, attempts).await?;
        }
        Ok(Self { engine, pool })
    }

    /// How the backplane is, now and from now on.
    pub fn state(&self) -> Events {
        self.engine.shared.health.state()
    }

    /// What happens to the connections, from now on.
    pub fn events(&self) -> RedisEvents {
        self.engine.shared.health.events()
    }

    /// Connections for occasional work with keys on the same Redis; at most [`RedisOptions::pool_size`], made when they
    /// are asked for. Clones share them. With Sentinel or several endpoints they lead to the server that is primary when they
    /// are asked for; in a Cluster each node has its own, and keys find their owners: see [`RedisPool::get_for`]. The
    /// backplane does not use it for messages.
    pub fn pool(&self) -> RedisPool {
        self.pool.clone()
    }

    /// What was published, received and lost so far, all hubs together.
    pub fn counters(&self) -> RedisCounters {
        self.engine.shared.stats.snapshot()
    }
}

#[async_trait]
impl Backplane for RedisBackplane {
    async fn join(&self, hub: HubJoin) -> Result<Arc<dyn BackplaneHub>, BackplaneError> {
        let shared = &self.engine.shared;
        let node: Arc<str> = node_name().into();
        let channels = Channels::new(shared.settings.prefix.as_str(), hub.name.as_ref());
        let probe = channels.name(&Topic::Fleet(format!("probe:{node}").into())).map_err(invalid)?;
        let member = Member::new(node.clone(), Codec::new(channels), hub.sink).map_err(invalid)?;
        shared.registry.join(&member, probe.into());
        // From here on dropping the hub undoes everything.
        let hub = RedisHub::new(self.engine.clone(), member);
        let links = tried(&self.engine).await;
        if matches!(links.publisher, Link::Lost(_)) && !shared.settings.accepts_pending() {
            return Err(unavailable());
        }
        let own = [Topic::All, Topic::Groups, Topic::Ack(node.clone()), Topic::Return(node), arrivals()];
        hub.subscribe(&own).await?;
        Ok(Arc::new(hub))
    }
}

impl fmt::Debug for RedisBackplane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackplane")
            .field("settings", &self.engine.shared.settings)
            .finish_non_exhaustive()
    }
}

/// Waits until the first attempt of both connections has ended, one way or the other.
async fn tried(engine: &Engine) -> Links {
    let mut links = engine.shared.health.links();
    let done = |links: &Links| links.publisher != Link::Connecting && links.subscriber != Link::Connecting;
    // An attempt ends by its own time-out; the sender lives as long as the engine.
    match links.wait_for(done).await {
        Ok(links) => links.clone(),
        Err(_) => Links::default(),
    }
}

/// Waits until both connections are up, or so many attempts of one have failed.
async fn answered(engine: &Engine, attempts: u32) -> Result<(), BackplaneError> {
    let mut links = engine.shared.health.links();
    loop {
        {
            let links = links.borrow_and_update();
            let lost = [&links.publisher, &links.subscriber].into_iter().find_map(Link::error);
            match lost {
                // What is refused now is refused next time.
                Some(error) if links.failures() >= attempts || !error.is_transient() => {
                    return Err(error.clone());
                }
                Some(_) => {}
                None if links.publisher == Link::Up && links.subscriber == Link::Up => return Ok(()),
                None => {}
            }
        }
        if links.changed().await.is_err() {
            return Err(unavailable());
        }
    }
}

/// As the reference names servers: the machine and 32 random hex digits.
fn node_name() -> String {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let machine = match machine.trim() {
        "" => "server",
        name => name,
    };
    let mut random = [0; 16];
    // Without a source of chance the name of a connection id, which has another source, would be no better.
    if getrandom::fill(&mut random).is_err() {
        return format!("{machine}_{}", signalr_core::new_id());
    }
    format!("{machine}_{:032x}", u128::from_be_bytes(random))
}
