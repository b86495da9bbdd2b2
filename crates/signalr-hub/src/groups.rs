//! Group membership from hub code.
//!
//! Owns nothing but the names; membership is the lifetime manager's.

use crate::context::ContextInner;
use crate::error::HubResult;
use signalr_core::{ConnectionId, HubLifetimeManager};
use std::fmt;
use std::sync::Arc;

/// Groups, seen from outside a hub: by connection id, on whichever server the connection is.
#[derive(Debug, Clone)]
pub struct Groups {
    manager: Arc<HubLifetimeManager>,
}

impl Groups {
    pub(crate) fn new(manager: Arc<HubLifetimeManager>) -> Self {
        Self { manager }
    }

    /// Puts a connection into a group. Group names are case sensitive; adding twice changes nothing.
    ///
    /// With a backplane it returns when the membership is in force. Not cancel safe.
    ///
    /// # Errors
    /// [`GroupError`](signalr_core::GroupError), to be found with
    /// [`HubError::downcast_ref`](crate::HubError::downcast_ref).
    pub async fn add(&self, connection: impl Into<ConnectionId>, group: impl AsRef<str>) -> HubResult<()> {
        Ok(self.manager.add_to_group(&connection.into(), group.as_ref()).await?)
    }

    /// Takes a connection out of a group; one that is not in it is no error.
    ///
    /// # Errors
    /// As [`Groups::add`].
    pub async fn remove(&self, connection: impl Into<ConnectionId>, group: impl AsRef<str>) -> HubResult<()> {
        Ok(self.manager.remove_from_group(&connection.into(), group.as_ref()).await?)
    }
}

/// Groups, seen from a hub method.
#[derive(Clone)]
pub struct CallerGroups {
    context: Arc<ContextInner>,
}

impl CallerGroups {
    pub(crate) fn new(context: Arc<ContextInner>) -> Self {
        Self { context }
    }

    fn all(&self) -> Groups {
        Groups::new(self.context.manager.clone())
    }

    /// Puts the caller into a group; see [`Groups::add`].
    ///
    /// # Errors
    /// As [`Groups::add`].
    pub async fn add(&self, group: impl AsRef<str>) -> HubResult<()> {
        self.all().add(self.context.connection.id().clone(), group).await
    }

    /// Takes the caller out of a group.
    ///
    /// # Errors
    /// As [`Groups::add`].
    pub async fn remove(&self, group: impl AsRef<str>) -> HubResult<()> {
        self.all().remove(self.context.connection.id().clone(), group).await
    }

    /// Puts another connection into a group.
    ///
    /// # Errors
    /// As [`Groups::add`].
    pub async fn add_connection(&self, id: impl Into<ConnectionId>, group: impl AsRef<str>) -> HubResult<()> {
        self.all().add(id, group).await
    }

    /// Takes another connection out of a group.
    ///
    /// # Errors
    /// As [`Groups::add`].
    pub async fn remove_connection(
        &self,
        id: impl Into<ConnectionId>,
        group: impl AsRef<str>,
    ) -> HubResult<()> {
        self.all().remove(id, group).await
    }
}

impl fmt::Debug for CallerGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CallerGroups").field(self.context.connection.id()).finish()
    }
}
