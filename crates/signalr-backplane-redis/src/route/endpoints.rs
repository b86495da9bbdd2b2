//! The servers that the configuration names: one, or several of which one is primary.
//!
//! Owns nothing but the list. With several, whoever says that it is primary is used, the first in the list if there are
//! two; that one of them was demoted is noticed by asking it (see `Route`).

use super::{Candidates, Known, Resolver};
use crate::settings::{Address, Settings};
use async_trait::async_trait;
use signalr_core::BackplaneError;
use tokio::sync::watch;

pub(super) struct Endpoints(Vec<Address>);

impl Endpoints {
    pub(super) fn new(settings: &Settings) -> Self {
        Self(settings.endpoints.clone())
    }

    pub(super) fn first(settings: &Settings) -> Self {
        Self(settings.endpoints.iter().take(1).cloned().collect())
    }
}

#[async_trait]
impl Resolver for Endpoints {
    async fn resolve(&self) -> Result<Candidates, BackplaneError> {
        Ok(Candidates { addresses: self.0.clone(), epoch: 0 })
    }

    async fn watch(&self, _: &watch::Sender<Known>) {}
}
