//! Connection strings of StackExchange.Redis: `host:port,option=value,...`.
//!
//! Owns what the library's `ConfigurationOptions` holds after `Parse`: each option as it was written or `None`, so that
//! it can be written back in the library's own way. Whether Redis can be reached that way is judged later, by
//! `RedisOptions`. Everything here follows the library (2.13), checked entry by entry against its recorded answers.

mod effective;
mod keys;
mod parse;
mod values;
mod write;

use super::command_map::CommandMap;
use super::endpoint::Endpoint;
use super::secret::Secret;
use std::fmt;

pub(crate) use keys::{NAMES, option_name};
pub(crate) use values::boolean;
pub use values::{Proxy, RedisVersion, RespProtocol, SslProtocols};

/// What a connection string says, option by option; `None` where it is silent.
///
/// Reading accepts and refuses exactly what `ConfigurationOptions.Parse` does, which lets strange things pass: words
/// that are no addresses, negative times. [`RedisOptions`](super::RedisOptions) refuses those. Times are in milliseconds
/// unless said otherwise, as the library has them.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "each field is the option of the same name of RedisOptionsBuilder, or of the library"
)]
pub struct ConnectionString {
    pub endpoints: Vec<Endpoint>,
    pub abort_on_connect_fail: Option<bool>,
    pub allow_admin: Option<bool>,
    pub async_timeout: Option<i32>,
    pub channel_prefix: Option<String>,
    pub check_certificate_revocation: Option<bool>,
    pub client_name: Option<String>,
    pub command_map: Option<CommandMap>,
    pub config_check_seconds: Option<i32>,
    pub configuration_channel: Option<String>,
    pub connect_retry: Option<i32>,
    pub connect_timeout: Option<i32>,
    pub default_database: Option<i32>,
    pub default_version: Option<RedisVersion>,
    pub high_integrity: Option<bool>,
    /// In seconds.
    pub keep_alive: Option<i32>,
    pub password: Option<Secret>,
    pub protocol: Option<RespProtocol>,
    pub proxy: Option<Proxy>,
    pub resolve_dns: Option<bool>,
    pub service_name: Option<String>,
    pub set_client_library: Option<bool>,
    pub ssl: Option<bool>,
    pub ssl_host: Option<String>,
    pub ssl_protocols: Option<SslProtocols>,
    pub sync_timeout: Option<i32>,
    pub tcp_keep_alive: Option<bool>,
    pub tie_breaker: Option<String>,
    /// `http:host:port`.
    pub tunnel: Option<String>,
    pub user: Option<String>,
    /// Words that the library drops without a sound, because they are no addresses and no commands.
    pub ignored: Vec<String>,
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConnectionString").field(&self.to_text(false)).finish()
    }
}
