//! Writes connection strings in the library's own way: its order of options, its spelling, nothing that was not set.

use super::ConnectionString;
use super::values::RespProtocol;
use crate::options::endpoint::Endpoint;
use crate::options::secret::Secret;
use std::fmt::Display;

impl ConnectionString {
    /// The string that the library's `ToString(includePassword)` gives, but for one thing: a host with an `@` in it,
    /// which is a URL taken for a name, shows its secret in the library and not here. Without the password `*****`
    /// stands in its place.
    pub fn to_text(&self, include_password: bool) -> String {
        let mut parts = Parts(Vec::new());
        for endpoint in &self.endpoints {
            parts.push(endpoint_text(endpoint, include_password));
        }
        self.identity(&mut parts, include_password);
        self.encryption(&mut parts);
        self.rest(&mut parts);
        parts.0.join(",")
    }

    fn identity(&self, parts: &mut Parts, include_password: bool) {
        parts.text("name", self.client_name.as_deref());
        parts.text("serviceName", self.service_name.as_deref());
        parts.shown("keepAlive", self.keep_alive);
        parts.shown("syncTimeout", self.sync_timeout);
        parts.shown("asyncTimeout", self.async_timeout);
        parts.boolean("allowAdmin", self.allow_admin);
        parts.shown("version", self.default_version);
        parts.shown("connectTimeout", self.connect_timeout);
        parts.text("user", self.user.as_deref());
        let password = self.password.as_ref().map(Secret::expose);
        let hide = !include_password && password.is_some_and(|password| !password.is_empty());
        parts.text("password", if hide { Some("*****") } else { password });
        parts.text("tiebreaker", self.tie_breaker.as_deref());
    }

    fn encryption(&self, parts: &mut Parts) {
        parts.boolean("ssl", self.ssl);
        parts.shown("sslProtocols", self.ssl_protocols.map(|set| set.to_string().replace(',', "|")));
        parts.boolean("checkCertificateRevocation", self.check_certificate_revocation);
        parts.text("sslHost", self.ssl_host.as_deref());
    }

    fn rest(&self, parts: &mut Parts) {
        parts.text("configChannel", self.configuration_channel.as_deref());
        parts.boolean("abortConnect", self.abort_on_connect_fail);
        parts.boolean("resolveDns", self.resolve_dns);
        parts.text("channelPrefix", self.channel_prefix.as_deref());
        parts.shown("connectRetry", self.connect_retry);
        parts.shown("proxy", self.proxy);
        parts.shown("configCheckSeconds", self.config_check_seconds);
        parts.shown("defaultDatabase", self.default_database);
        parts.boolean("setlib", self.set_client_library);
        parts.boolean("highIntegrity", self.high_integrity);
        parts.shown("protocol", self.protocol.map(protocol_text));
        parts.boolean("tcpKeepAlive", self.tcp_keep_alive);
        parts.text("tunnel", self.tunnel.as_deref());
        for change in self.command_map.iter().flat_map(|map| map.parts()) {
            parts.push(change);
        }
    }
}

struct Parts(Vec<String>);

impl Parts {
    fn push(&mut self, part: String) {
        if !part.trim().is_empty() {
            self.0.push(part);
        }
    }

    fn text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.trim().is_empty()) {
            self.0.push(format!("{key}={value}"));
        }
    }

    fn shown(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.0.push(format!("{key}={value}"));
        }
    }

    fn boolean(&mut self, key: &str, value: Option<bool>) {
        self.text(key, value.map(|value| if value { "True" } else { "False" }));
    }
}

fn endpoint_text(endpoint: &Endpoint, include_password: bool) -> String {
    match endpoint {
        Endpoint::Name { host, .. } if !include_password && host.contains('@') => "*****".to_owned(),
        endpoint => endpoint.to_string(),
    }
}

fn protocol_text(protocol: RespProtocol) -> &'static str {
    match protocol {
        RespProtocol::Resp2 => "resp2",
        RespProtocol::Resp3 => "resp3",
    }
}
