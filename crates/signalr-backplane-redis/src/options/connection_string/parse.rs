//! Reads connection strings as the library does: parts between commas, keys without regard to case, the last one wins.

use super::super::command_map::CommandMap;
use super::super::endpoint::Endpoint;
use super::super::error::RedisConfigError;
use super::super::secret::Secret;
use super::super::suggest::nearest;
use super::keys::{NAMES, OptionKey, find};
use super::{ConnectionString, values};

impl ConnectionString {
    /// Reads a connection string.
    ///
    /// # Errors
    ///
    /// Where the library throws: an empty string, an unknown option, a value of the wrong kind, a port out of range.
    pub fn parse(text: &str) -> Result<Self, RedisConfigError> {
        if text.trim().is_empty() {
            return Err(RedisConfigError::Empty);
        }
        let mut parsed = Self::default();
        let mut after_password = false;
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let result = parsed.read_part(part);
            result.map_err(|error| if after_password { hide_rest_of_password(error) } else { error })?;
            after_password = key_of(part).is_some_and(|key| key.eq_ignore_ascii_case("password"));
        }
        Ok(parsed)
    }

    fn read_part(&mut self, part: &str) -> Result<(), RedisConfigError> {
        let Some((key, value)) = part.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return self.read_endpoint(part);
        };
        // The name of a command is not trimmed at its end: the library does not, and so `$GET =X` changes nothing.
        if let Some(command) = key.strip_prefix('$') {
            self.change_command(command, value.trim(), part);
            return Ok(());
        }
        self.set(key.trim(), value.trim())
    }

    fn read_endpoint(&mut self, part: &str) -> Result<(), RedisConfigError> {
        match Endpoint::read(part)? {
            Some(endpoint) if self.endpoints.iter().any(|other| other.is_same(&endpoint)) => {}
            Some(endpoint) => self.endpoints.push(endpoint),
            None => self.ignored.push(part.to_owned()),
        }
        Ok(())
    }

    fn change_command(&mut self, command: &str, name: &str, part: &str) {
        if !CommandMap::knows(command) {
            self.ignored.push(part.to_owned());
            return;
        }
        self.command_map.get_or_insert_default().change(command, name);
    }

    /// Sets one option by the name and in the words of connection strings.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Result<(), RedisConfigError> {
        let unknown =
            || RedisConfigError::unknown_option(key, nearest(key, NAMES.iter().map(|(name, _)| *name)));
        match find(key).ok_or_else(unknown)? {
            OptionKey::AbortConnect => self.abort_on_connect_fail = Some(values::boolean(key, value)?),
            OptionKey::AllowAdmin => self.allow_admin = Some(values::boolean(key, value)?),
            OptionKey::AsyncTimeout => self.async_timeout = Some(values::at_least_one(key, value)?),
            OptionKey::ChannelPrefix => {
                self.channel_prefix = Some(value.to_owned()).filter(|text| !text.is_empty())
            }
            OptionKey::CheckCertificateRevocation => {
                self.check_certificate_revocation = Some(values::boolean(key, value)?);
            }
            OptionKey::ConfigChannel => self.configuration_channel = Some(value.to_owned()),
            OptionKey::ConfigCheckSeconds => self.config_check_seconds = Some(values::integer(key, value)?),
            OptionKey::ConnectRetry => self.connect_retry = Some(values::integer(key, value)?),
            OptionKey::ConnectTimeout => self.connect_timeout = Some(values::integer(key, value)?),
            OptionKey::DefaultDatabase => self.default_database = Some(values::integer(key, value)?),
            OptionKey::HighIntegrity => self.high_integrity = Some(values::boolean(key, value)?),
            OptionKey::KeepAlive => self.keep_alive = Some(values::integer(key, value)?),
            OptionKey::Name => self.client_name = Some(value.to_owned()),
            OptionKey::Password => self.password = Some(Secret::new(value)),
            OptionKey::Protocol => self.protocol = Some(values::protocol(key, value)?),
            OptionKey::Proxy => self.proxy = Some(values::proxy(key, value)?),
            OptionKey::ResolveDns => self.resolve_dns = Some(values::boolean(key, value)?),
            OptionKey::ServiceName => self.service_name = Some(value.to_owned()),
            OptionKey::SetLib => self.set_client_library = Some(values::boolean(key, value)?),
            OptionKey::Ssl => self.ssl = Some(values::boolean(key, value)?),
            OptionKey::SslHost => self.ssl_host = Some(value.to_owned()),
            OptionKey::SslProtocols => self.ssl_protocols = Some(values::ssl_protocols(key, value)?),
            OptionKey::SyncTimeout => self.sync_timeout = Some(values::at_least_one(key, value)?),
            OptionKey::TcpKeepAlive => self.tcp_keep_alive = Some(values::boolean(key, value)?),
            OptionKey::TieBreaker => self.tie_breaker = Some(value.to_owned()),
            OptionKey::Tunnel if value.is_empty() => self.tunnel = None,
            OptionKey::Tunnel => self.tunnel = Some(values::tunnel(key, value)?),
            OptionKey::User => self.user = Some(value.to_owned()),
            OptionKey::Version => self.default_version = Some(values::version(key, value)?),
            OptionKey::Obsolete => {}
        }
        Ok(())
    }
}

fn key_of(part: &str) -> Option<&str> {
    part.split_once('=').map(|(key, _)| key.trim())
}

/// What follows a password may be the rest of one with a comma in it: such a word is named only when it looks like
/// the slip of an option.
fn hide_rest_of_password(error: RedisConfigError) -> RedisConfigError {
    match error {
        RedisConfigError::UnknownOption { suggestion: None, .. }
        | RedisConfigError::InvalidEndpoint { .. }
        | RedisConfigError::InvalidPort { .. } => RedisConfigError::BrokenPassword,
        other => other,
    }
}
