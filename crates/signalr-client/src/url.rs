//! Addresses: the parts of `http://host:port/path?query` that a client needs, and what it makes of them.
//!
//! Owns parsing and joining only. Nothing is resolved here.

use crate::error::ClientError;

/// A hub's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    /// Host name or address; IPv6 without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Begins with a slash.
    pub(crate) path: String,
    /// Without the question mark.
    pub(crate) query: String,
}

impl Url {
    /// Reads an address of scheme `http` or `ws`.
    pub(crate) fn parse(text: &str) -> Result<Self, ClientError> {
        let wrong = |why: &str| ClientError::Config(format!("'{}' is no usable address: {why}", shown(text)));
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("write http://host:port/path"))?;
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "ws" => {}
            "https" | "wss" => {
                return Err(wrong("this client has no TLS of its own; hand a TLS stream to connect_over"));
            }
            _ => return Err(wrong("the scheme is http or ws")),
        }
        if rest.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
            return Err(wrong("it holds a space or a control character"));
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
        let (host, port) = authority_parts(authority).ok_or_else(|| wrong("host or port is missing"))?;
        let path = if path.is_empty() { "/".to_owned() } else { path.to_owned() };
        Ok(Self { host, port, path, query: query.to_owned() })
    }

    /// The address of the negotiate endpoint.
    pub(crate) fn negotiate(&self) -> Self {
        let slash = if self.path.ends_with('/') { "" } else { "/" };
        let mut url = Self { path: format!("{}{slash}negotiate", self.path), ..self.clone() };
        if !url.query.split('&').any(|pair| pair.starts_with("negotiateVersion=")) {
            url.add_query("negotiateVersion", "1");
        }
        url
    }

    /// Appends a query parameter; the value is encoded.
    pub(crate) fn add_query(&mut self, name: &str, value: &str) {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.push_str(name);
        self.query.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                self.query.push(byte as char);
            } else {
                self.query.push_str(&format!("%{byte:02X}"));
            }
        }
    }

    /// The request target.
    pub(crate) fn target(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query) }
    }

    /// The value of the `Host` header.
    pub(crate) fn host_header(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == 80 { host } else { format!("{host}:{}", self.port) }
    }
}

fn authority_parts(authority: &str) -> Option<(String, u16)> {
    if authority.contains('@') {
        return None;
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        Some(port) => port.parse().ok()?,
        None => 80,
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

/// The part of an address that may be shown: a query can hold a token.
fn shown(text: &str) -> &str {
    text.split('?').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found() {
        let url = Url::parse("http://localhost:5000/chat?user=a").unwrap();
        assert_eq!((url.host.as_str(), url.port), ("localhost", 5000));
        assert_eq!(url.target(), "/chat?user=a");
        assert_eq!(url.negotiate().target(), "/chat/negotiate?user=a&negotiateVersion=1");
        let url = Url::parse("ws://[::1]").unwrap();
        assert_eq!((url.host_header().as_str(), url.target().as_str()), ("[::1]", "/"));
        assert_eq!(url.negotiate().target(), "/negotiate?negotiateVersion=1");
        assert_eq!(Url::parse("http://h?x=1").unwrap().target(), "/?x=1");
    }

    #[test]
    fn wrong_addresses_say_why_and_hide_the_query() {
        for wrong in [
            "chat",
            "ftp://h/",
            "https://h/",
            "http://",
            "http://:1/",
            "http://h:x/",
            "http://a@h/",
            "http://h/ x",
        ] {
            assert!(matches!(Url::parse(wrong), Err(ClientError::Config(_))), "{wrong}");
        }
        let error = Url::parse("https://h/chat?access_token=secret").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn query_values_are_encoded() {
        let mut url = Url::parse("http://h/").unwrap();
        url.add_query("id", "a b+c/ü");
        assert_eq!(url.query, "id=a%20b%2Bc%2F%C3%BC");
    }
}
