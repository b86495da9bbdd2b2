//! Which server to connect to: between the options and the dialling.
//!
//! Owns the choice of the primary, the proof that it is one, and the news that it has moved. Where candidates come from
//! is a [`Resolver`]'s: the configuration ([`endpoints`]) or the Sentinels ([`sentinel`]). Connections are made by `dial`
//! and kept by the subscriber and the publisher, who leave when [`Route::moved`] tells them to.

mod endpoints;
mod gather;
mod role;
mod sentinel;

use crate::dial::{Link, Push, dial};
use crate::options::Topology;
use crate::pipe::Asker;
use crate::settings::{Address, Settings};
use async_trait::async_trait;
use gather::gather;
use redis::aio::MultiplexedConnection;
use role::{Check, Role};
use signalr_core::{BackplaneError, BackplaneErrorKind};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// Finds the servers that may be the one to use.
#[async_trait]
trait Resolver: Send + Sync {
    /// Who may be primary now. Asked anew for every connection. Cancel safe.
    async fn resolve(&self) -> Result<Candidates, BackplaneError>;

    /// Watches for as long as it is polled, and tells where the primary is when it has moved.
    async fn watch(&self, known: &watch::Sender<Known>);
}

/// Who may be primary.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidates {
    /// The likeliest first.
    addresses: Vec<Address>,
    epoch: u64,
}

/// Where the primary is, as far as this process knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Known {
    /// `None`: it has to be found out.
    address: Option<Address>,
    /// How new this is: Sentinels count their failovers. 0 where nobody counts.
    epoch: u64,
}

/// The way to the server to use, for both connections.
pub(crate) struct Route {
    resolver: Box<dyn Resolver>,
    check: Check,
    known: watch::Sender<Known>,
}

impl Route {
    pub(crate) fn new(settings: &Settings) -> Self {
        let (known, _) = watch::channel(Known::default());
        let role = settings.commands.role.clone();
        let (resolver, check): (Box<dyn Resolver>, _) = match &settings.topology {
            Topology::Sentinel { service_name } => {
                (Box::new(sentinel::Sentinels::new(settings, service_name)), Check::lenient(role))
            }
            Topology::Endpoints => (Box::new(endpoints::Endpoints::new(settings)), Check::strict(role)),
            Topology::Standalone | Topology::Cluster => {
                (Box::new(endpoints::Endpoints::first(settings)), Check::none())
            }
        };
        Self { resolver, check, known }
    }

    /// A connection to the server to use, and where that is. Takes at most the time to ask and the time to connect; less
    /// when the server moves meanwhile.
    ///
    /// # Errors
    /// Nobody can be asked, or nobody who may be primary is.
    pub(crate) async fn connect(
        &self,
        settings: &Settings,
        push: Option<Push>,
    ) -> Result<(Link, Address), BackplaneError> {
        let mut news = self.known.subscribe();
        news.mark_unchanged();
        let mut candidates = self.resolver.resolve().await?;
        // Both connections should agree; two servers may say that they are primary for a while.
        if let Some(known) = &self.known.borrow().address
            && let Some(place) = candidates.addresses.iter().position(|address| address == known)
        {
            candidates.addresses[..=place].rotate_right(1);
        }
        let epoch = candidates.epoch;
        let tries = candidates.addresses.into_iter().map(|address| {
            let push = push.clone();
            async move { self.connect_to(settings, address, push).await }
        });
        let (link, address) = tokio::select! {
            biased;
            (found, failed) = gather(tries, true) => match found.into_iter().next() {
                Some(found) => found,
                None => return Err(worst(failed)),
            },
            () = newer(&mut news, epoch) => return Err(unavailable("the primary has moved")),
        };
        self.known.send_replace(Known { address: Some(address.clone()), epoch });
        Ok((link, address))
    }

    /// Ready when a connection to this address has to be left because the primary is elsewhere, or is not known any more.
    /// Asks on `conn`, if there is one, whether its server still is primary. Cancel safe.
    pub(crate) async fn moved(
        &self,
        settings: &Settings,
        address: &Address,
        conn: Option<Asker>,
    ) -> BackplaneError {
        let mut known = self.known.subscribe();
        tokio::select! {
            // The sender lives as long as this value.
            _ = known.wait_for(|known| known.address.as_ref() != Some(address)) => {}
            () = self.demoted(settings, conn) => self.known.send_modify(|known| known.address = None),
        }
        unavailable("the primary has moved")
    }

    /// The server at this address has answered as only a replica does: both connections leave it and look for the primary.
    /// Without effect where there is nobody else to look for.
    pub(crate) fn doubt(&self, address: &Address) {
        self.known.send_if_modified(|known| {
            let is_believed = self.check.asks() && known.address.as_ref() == Some(address);
            if is_believed {
                known.address = None;
            }
            is_believed
        });
    }

    /// Watches for moves; never ends.
    pub(crate) async fn watch(&self) {
        self.resolver.watch(&self.known).await;
        std::future::pending().await
    }

    /// Where the primary is, if that is known.
    pub(crate) fn primary(&self) -> Option<Address> {
        self.known.borrow().address.clone()
    }

    /// Whether the server of this connection says that it is primary, or nobody says otherwise where it cannot be asked.
    /// As slow as the connection's own time-out.
    pub(crate) async fn is_primary(&self, conn: &mut MultiplexedConnection) -> bool {
        self.check.ask(conn).await == Role::Primary
    }

    async fn connect_to(
        &self,
        settings: &Settings,
        address: Address,
        push: Option<Push>,
    ) -> Result<(Link, Address), BackplaneError> {
        let link = dial(&settings.at(&address.host, address.port), push).await?;
        let asked = tokio::time::timeout(settings.connect_timeout, self.check.ask(&mut link.conn())).await;
        match asked.unwrap_or(Role::Silent) {
            Role::Primary => Ok((link, address)),
            Role::Replica => {
                Err(unavailable(&format!("Redis at {address} is a replica, and the primary is looked for")))
            }
            Role::Silent => Err(unavailable(&format!("Redis at {address} does not say its role"))),
            Role::Refused(why) => Err(BackplaneError::new(
                BackplaneErrorKind::Refused,
                format!("Redis at {address} does not say its role: {why}; grant ROLE to the user"),
            )),
        }
    }

    /// Ready when a server says that it is no primary any more. An operator may demote a server without closing anything,
    /// and it goes on to take messages, which reach nobody.
    async fn demoted(&self, settings: &Settings, conn: Option<Asker>) {
        let Some(mut conn) = conn.filter(|_| self.check.asks()) else { return std::future::pending().await };
        let mut looks = tokio::time::interval(settings.probe_period);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if matches!(self.check.ask(&mut conn).await, Role::Replica) {
                return;
            }
        }
    }
}

/// Ready when something newer than `epoch` became known.
async fn newer(news: &mut watch::Receiver<Known>, epoch: u64) {
    while news.changed().await.is_ok() {
        if news.borrow().epoch > epoch {
            return;
        }
    }
    std::future::pending().await
}

/// The error to report out of several: one that will not go away by itself before one that may.
fn worst(mut errors: Vec<BackplaneError>) -> BackplaneError {
    let last = errors.pop().unwrap_or_else(|| unavailable("there is no server to connect to"));
    errors.into_iter().find(|error| !error.is_transient()).filter(|_| last.is_transient()).unwrap_or(last)
}

fn unavailable(text: &str) -> BackplaneError {
    BackplaneError::new(BackplaneErrorKind::Unavailable, text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_stays_is_told_before_one_that_passes() {
        let refused = BackplaneError::new(BackplaneErrorKind::Refused, "refused");
        let errors = vec![unavailable("a"), refused.clone(), unavailable("b")];
        assert_eq!(worst(errors), refused);
        assert_eq!(worst(vec![unavailable("a"), unavailable("b")]), unavailable("b"));
        assert!(worst(Vec::new()).is_transient());
    }
}
