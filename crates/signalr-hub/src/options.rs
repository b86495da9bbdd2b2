//! The settings of a hub.

use crate::filter::{Filters, HubFilter};
use signalr_core::{ConnectInfo, DeliveryOrder, ManagerOptions, Policy, ProtocolSet};
use signalr_protocol::{Compression, PayloadStyle, Protocol};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Finds the user identifier of a new connection: called once, at the handshake.
pub type UserIdProvider = Arc<dyn Fn(&ConnectInfo) -> Option<String> + Send + Sync>;

/// Settings of a hub. The defaults are the reference's (B-10.1). Times are checked once per second, so they fire up to
/// one second late.
#[derive(Clone)]
#[non_exhaustive]
pub struct HubOptions {
    /// How long a client may take for its handshake. Default 15 s.
    pub handshake_timeout: Duration,
    /// How often a ping is sent. Default 15 s; keep it at half the client's server time-out or less.
    pub keep_alive_interval: Duration,
    /// How long a client that has pinged once may be silent. Default 30 s.
    pub client_timeout: Duration,
    /// The largest message taken, framing included, in bytes; `None` takes any size, which lets one client use as much
    /// memory as it likes. Default 32 KiB.
    pub maximum_receive_message_size: Option<usize>,
    /// How many plain calls of one client run at once. Default 1: in order, one after the other.
    pub maximum_parallel_invocations: usize,
    /// How many items of one stream from the client wait for the method that reads it ([`ClientStream`]). One more stops
    /// the reading from that client. Default 10.
    ///
    /// [`ClientStream`]: crate::ClientStream
    pub stream_buffer_capacity: usize,
    /// Bytes of messages that are kept for a client with stateful reconnect until it has confirmed them. Default
    /// 100,000. While a connected client has more to confirm, nothing more is written to it; a client that is away is
    /// given up when more than this waits for it. Costs that much memory per client that uses the feature, at most; the
    /// endpoint must allow it.
    pub stateful_reconnect_buffer_size: usize,
    /// Whether clients see names and texts of all errors. Default false; turn it on in development only.
    pub detailed_errors: bool,
    /// The protocols offered, for clients and for the fleet. Default: all that are compiled in; MessagePack needs the
    /// feature `messagepack`.
    pub protocols: Vec<Protocol>,
    /// How MessagePack payloads are written. Default: uncompressed.
    pub compression: Compression,
    /// The form of JSON payloads: names of members, enums, bytes. Default: as serde has it.
    pub json_payloads: PayloadStyle,
    /// The form of MessagePack payloads. Default: as serde has it.
    pub messagepack_payloads: PayloadStyle,
    /// What is promised about order with a backplane. Default [`DeliveryOrder::Ordered`].
    pub order: DeliveryOrder,
    /// How long a group change for a connection on another server may take. Default 30 s.
    pub group_timeout: Duration,
    /// How long a client may take to answer a question. Default 30 s.
    pub client_result_timeout: Duration,
    /// Finds the user identifier. Default: the name-identifier claim of the authenticated user.
    pub user_id: Option<UserIdProvider>,
    pub(crate) policies: BTreeMap<String, Arc<dyn Policy>>,
    pub(crate) filters: Filters,
}

impl Default for HubOptions {
    fn default() -> Self {
        let manager = ManagerOptions::default();
        Self {
            handshake_timeout: Duration::from_secs(15),
            keep_alive_interval: Duration::from_secs(15),
            client_timeout: Duration::from_secs(30),
            maximum_receive_message_size: Some(32 * 1024),
            maximum_parallel_invocations: 1,
            stream_buffer_capacity: 10,
            stateful_reconnect_buffer_size: 100_000,
            detailed_errors: false,
            protocols: Protocol::ALL.into_iter().filter(|protocol| protocol.is_available()).collect(),
            compression: Compression::None,
            json_payloads: PayloadStyle::SERDE,
            messagepack_payloads: PayloadStyle::SERDE,
            order: DeliveryOrder::default(),
            group_timeout: manager.group_timeout,
            client_result_timeout: manager.result_timeout,
            user_id: None,
            policies: BTreeMap::new(),
            filters: Filters::default(),
        }
    }
}

impl HubOptions {
    /// Sets the hook that finds the user identifier.
    pub fn user_id(&mut self, provider: impl Fn(&ConnectInfo) -> Option<String> + Send + Sync + 'static) {
        self.user_id = Some(Arc::new(provider));
    }

    /// Payloads in both protocols as ASP.NET Core has them by default ([`PayloadStyle::dotnet`]): what a fleet with such
    /// servers needs, so that clients see one spelling.
    pub fn dotnet_payloads(&mut self) {
        self.json_payloads = PayloadStyle::dotnet(Protocol::Json);
        self.messagepack_payloads = PayloadStyle::dotnet(Protocol::MessagePack);
    }

    /// Gives a policy a name, by which hubs and methods can refer to it (`authorize = "name"`): for policies that hold
    /// state of the running program. The latest of one name counts.
    pub fn policy(&mut self, name: impl Into<String>, policy: impl Policy) {
        self.policies.insert(name.into(), Arc::new(policy));
    }

    /// Adds a filter around calls and life-cycle events; it runs inside of those that were added before, so those of all
    /// hubs come before those of one hub. Default: none, which costs nothing.
    pub fn filter(&mut self, filter: impl HubFilter) {
        self.filters.add(filter);
    }

    /// Finds settings that cannot work.
    ///
    /// # Errors
    /// The first of them.
    pub fn check(&self) -> Result<(), HubOptionError> {
        let times = [
            ("handshake_timeout", self.handshake_timeout),
            ("keep_alive_interval", self.keep_alive_interval),
            ("client_timeout", self.client_timeout),
            ("group_timeout", self.group_timeout),
            ("client_result_timeout", self.client_result_timeout),
        ];
        if let Some((option, _)) = times.into_iter().find(|(_, time)| time.is_zero()) {
            return Err(HubOptionError::NoTime { option });
        }
        let counts = [
            ("maximum_parallel_invocations", self.maximum_parallel_invocations),
            ("stream_buffer_capacity", self.stream_buffer_capacity),
        ];
        if let Some((option, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(HubOptionError::NoRoom { option });
        }
        if self.maximum_receive_message_size == Some(0) {
            return Err(HubOptionError::NoMessages);
        }
        if self.protocols.is_empty() {
            return Err(HubOptionError::NoProtocol);
        }
        if let Some(missing) = self.protocols.iter().find(|protocol| !protocol.is_available()) {
            return Err(HubOptionError::NotBuiltIn { what: missing.name(), feature: missing.name() });
        }
        if !self.compression.is_available() {
            return Err(HubOptionError::NotBuiltIn { what: "compression", feature: "lz4" });
        }
        Ok(())
    }

    pub(crate) fn find_user(&self, info: &ConnectInfo) -> Option<String> {
        match &self.user_id {
            Some(provider) => provider(info),
            None => info.user.as_ref()?.id().map(str::to_owned),
        }
    }

    pub(crate) fn manager(&self) -> ManagerOptions {
        let mut options = ManagerOptions::default();
        options.protocols = ProtocolSet::new(&self.protocols, self.compression)
            .with_style(Protocol::Json, self.json_payloads)
            .with_style(Protocol::MessagePack, self.messagepack_payloads);
        options.order = self.order;
        options.group_timeout = self.group_timeout;
        options.result_timeout = self.client_result_timeout;
        options
    }
}

/// A setting of a hub that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubOptionError {
    /// A time of zero: everything would be too late.
    #[error("{option} is zero; give it some seconds, or a very long time to switch it off")]
    NoTime {
        /// The field.
        option: &'static str,
    },
    /// A count of zero: nothing could ever be done.
    #[error("{option} is zero; it must be at least 1")]
    NoRoom {
        /// The field.
        option: &'static str,
    },
    /// No message would be small enough.
    #[error("maximum_receive_message_size is zero; `None` takes any size")]
    NoMessages,
    /// No client could agree with the server.
    #[error("protocols is empty; leave it alone to offer all, or name one, for example `Protocol::Json`")]
    NoProtocol,
    /// Something that this build does not have.
    #[error(
        "{what} is not part of this build; turn on the feature `{feature}`, or take it out of the options"
    )]
    NotBuiltIn {
        /// What was asked for.
        what: &'static str,
        /// What it needs.
        feature: &'static str,
    },
}

impl fmt::Debug for HubOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubOptions")
            .field("maximum_parallel_invocations", &self.maximum_parallel_invocations)
            .field("maximum_receive_message_size", &self.maximum_receive_message_size)
            .field("protocols", &self.protocols)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut HubOptions)) -> String {
        let mut options = HubOptions::default();
        change(&mut options);
        options.check().unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_work_is_named() {
        assert_eq!(HubOptions::default().check(), Ok(()));
        let text = refused(|options| options.keep_alive_interval = Duration::ZERO);
        assert!(text.starts_with("keep_alive_interval is zero"), "{text}");
        let text = refused(|options| options.maximum_parallel_invocations = 0);
        assert_eq!(text, "maximum_parallel_invocations is zero; it must be at least 1");
        assert!(refused(|options| options.stream_buffer_capacity = 0).contains("at least 1"));
        assert!(refused(|options| options.maximum_receive_message_size = Some(0)).contains("`None`"));
        assert!(refused(|options| options.protocols.clear()).starts_with("protocols is empty"));
    }

    #[test]
    fn compression_needs_its_feature() {
        let options = HubOptions { compression: Compression::Lz4Block, ..HubOptions::default() };
        assert_eq!(options.check().is_ok(), Compression::Lz4Block.is_available());
    }
}
