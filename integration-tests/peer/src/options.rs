//! Everything that `serve` can be told: the flags of `dotnet-peer serve` with their meaning.
//!
//! Owns the table of flags and their defaults. `None` leaves the
//! framework's default alone.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use signalr_protocol::Protocol;
use tracing_subscriber::filter::LevelFilter;

use crate::flags::{Flags, UsageError};

/// Name, kind of value (empty for a switch), what it sets.
const KNOWN: &[(&str, &str, &str)] = &[
    ("urls", "A;B", "addresses; else ASPNETCORE_URLS, else http://127.0.0.1:0"),
    ("hubs", "LIST", "suite,bench,scale: which hubs to map (default all)"),
    ("name", "TEXT", "what ScaleHub.GetServerName and /control/info answer"),
    ("redis", "STRING", "URL or connection string of a Redis backplane; else none"),
    ("redis-ca", "FILE", "the only root that is trusted for TLS to Redis, as PEM"),
    ("redis-cert", "FILE", "our certificate for Redis, as PEM"),
    ("redis-key", "FILE", "its key, as PEM"),
    ("prefix", "TEXT", "prefix of Redis channels"),
    ("protocols", "LIST", "json,messagepack: protocols in order of registration"),
    ("json-names", "KIND", "HubOptions::json_payloads: camel (default) or declared names"),
    ("lz4", "", "MessagePack with Lz4BlockArray"),
    ("detailed-errors", "", "HubOptions::detailed_errors"),
    ("handshake-timeout-ms", "N", "HubOptions::handshake_timeout"),
    ("keep-alive-ms", "N", "HubOptions::keep_alive_interval"),
    ("client-timeout-ms", "N", "HubOptions::client_timeout"),
    ("max-receive", "BYTES", "HubOptions::maximum_receive_message_size; 0 is unlimited"),
    ("stream-buffer", "N", "HubOptions::stream_buffer_capacity"),
    ("parallel", "N", "HubOptions::maximum_parallel_invocations"),
    ("stateful", "", "EndpointOptions::allow_stateful_reconnects (/default always has it)"),
    ("stateful-buffer", "BYTES", "HubOptions::stateful_reconnect_buffer_size"),
    ("disconnect-timeout-ms", "N", "ServerBuilder::disconnect_timeout"),
    ("poll-timeout-ms", "N", "EndpointOptions::poll_timeout"),
    ("send-timeout-ms", "N", "EndpointOptions::send_timeout; -1: never"),
    ("close-timeout-ms", "N", "EndpointOptions::close_timeout"),
    ("transport-buffer", "BYTES", "EndpointOptions::transport_max_buffer_size"),
    ("application-buffer", "BYTES", "EndpointOptions::application_max_buffer_size"),
    ("close-on-auth-expiry", "", "EndpointOptions::close_on_authentication_expiration"),
    ("token-life-ms", "N", "life of generated tokens (default 5000)"),
    ("log-level", "LEVEL", "none (default), trace, debug, info, warn, error"),
];

/// The settings.
#[derive(Debug)]
pub(crate) struct ServeOptions {
    pub(crate) addresses: Vec<Address>,
    pub(crate) hubs: Vec<String>,
    pub(crate) name: Option<String>,
    pub(crate) redis: Option<String>,
    pub(crate) redis_ca: Option<String>,
    pub(crate) redis_cert: Option<String>,
    pub(crate) redis_key: Option<String>,
    pub(crate) prefix: Option<String>,
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) has_declared_names: bool,
    pub(crate) lz4: bool,
    pub(crate) detailed_errors: bool,
    pub(crate) handshake_timeout: Option<Duration>,
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) client_timeout: Option<Duration>,
    pub(crate) max_receive: Option<usize>,
    pub(crate) stream_buffer: Option<usize>,
    pub(crate) parallel: Option<usize>,
    pub(crate) stateful: bool,
    pub(crate) stateful_buffer: Option<usize>,
    pub(crate) disconnect_timeout: Option<Duration>,
    pub(crate) send_timeout: Option<Duration>,
    pub(crate) close_timeout: Option<Duration>,
    pub(crate) poll_timeout: Option<Duration>,
    pub(crate) transport_buffer: Option<usize>,
    pub(crate) application_buffer: Option<usize>,
    pub(crate) close_on_auth_expiry: bool,
    pub(crate) token_life: Duration,
    pub(crate) log_level: Option<LevelFilter>,
    pub(crate) worker_threads: Option<usize>,
}

/// The text of `serve --help`.
pub(crate) fn help() -> String {
    let mut text =
        String::from("peer serve [flags]; every flag is also an environment variable: PEER_MAX_RECEIVE\n");
    for (name, value, help) in KNOWN {
        let flag = format!("--{name} {value}");
        text += &format!("  {flag:<30}{help}\n");
    }
    text + "  PEER_WORKER_THREADS           threads of the runtime (default: one per core)\n"
}

impl ServeOptions {
    /// Reads the arguments after `serve`, and the process's environment.
    pub(crate) fn parse(args: &[String]) -> Result<Self, UsageError> {
        Self::parse_in(args, |name| std::env::var(name).ok())
    }

    fn parse_in(args: &[String], environment: fn(&str) -> Option<String>) -> Result<Self, UsageError> {
        let is_switch =
            |name: &str| KNOWN.iter().find(|flag| flag.0 == name).map(|(_, value, ..)| value.is_empty());
        let flags = Flags::read(args, is_switch, environment)?;
        let given = flags.text("urls").or_else(|| environment("ASPNETCORE_URLS"));
        Ok(Self {
            addresses: addresses(given.as_deref().unwrap_or_default())?,
            hubs: flags.choices("hubs", &["suite", "bench", "scale"])?,
            name: flags.text("name"),
            redis: flags.text("redis"),
            redis_ca: flags.text("redis-ca"),
            redis_cert: flags.text("redis-cert"),
            redis_key: flags.text("redis-key"),
            prefix: flags.text("prefix"),
            protocols: protocols(&flags.choices("protocols", &["json", "messagepack"])?),
            has_declared_names: json_names(flags.text("json-names").as_deref())?,
            lz4: flags.switch("lz4")?,
            detailed_errors: flags.switch("detailed-errors")?,
            handshake_timeout: flags.milliseconds("handshake-timeout-ms", 1)?,
            keep_alive: flags.milliseconds("keep-alive-ms", 1)?,
            client_timeout: flags.milliseconds("client-timeout-ms", 1)?,
            max_receive: flags.size("max-receive", 0, i64::MAX)?,
            stream_buffer: flags.size("stream-buffer", 1, i64::from(i32::MAX))?,
            parallel: flags.size("parallel", 1, i64::from(i32::MAX))?,
            stateful: flags.switch("stateful")?,
            stateful_buffer: flags.size("stateful-buffer", 0, i64::MAX)?,
            disconnect_timeout: flags.milliseconds("disconnect-timeout-ms", 1)?,
            send_timeout: send_timeout(&flags)?,
            close_timeout: flags.milliseconds("close-timeout-ms", 0)?,
            poll_timeout: flags.milliseconds("poll-timeout-ms", 1)?,
            transport_buffer: flags.size("transport-buffer", 0, i64::MAX)?,
            application_buffer: flags.size("application-buffer", 0, i64::MAX)?,
            close_on_auth_expiry: flags.switch("close-on-auth-expiry")?,
            token_life: flags.milliseconds("token-life-ms", 1)?.unwrap_or(Duration::from_secs(5)),
            log_level: log_level(flags.text("log-level").as_deref())?,
            worker_threads: environment("PEER_WORKER_THREADS")
                .and_then(|text| text.parse().ok())
                .filter(|n| *n > 0),
        })
    }
}

/// Where to listen, and whether over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) socket: SocketAddr,
    pub(crate) secure: bool,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.socket)
    }
}

fn addresses(text: &str) -> Result<Vec<Address>, UsageError> {
    let text = if text.trim().is_empty() { "http://127.0.0.1:0" } else { text };
    text.split(';').map(str::trim).filter(|url| !url.is_empty()).map(address).collect()
}

fn address(url: &str) -> Result<Address, UsageError> {
    let wrong = || UsageError(format!("--urls: '{url}' is not an http or https address"));
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let secure = scheme.eq_ignore_ascii_case("https");
    if !secure && !scheme.eq_ignore_ascii_case("http") {
        return Err(wrong());
    }
    let authority = rest.split('/').next().unwrap_or_default();
    if let Ok(socket) = authority.parse() {
        return Ok(Address { socket, secure });
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| wrong())?),
        None => (authority, if secure { 443 } else { 80 }),
    };
    let ip = match host {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        "*" | "+" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        other => other.parse().map_err(|_| wrong())?,
    };
    Ok(Address { socket: SocketAddr::new(ip, port), secure })
}

fn protocols(names: &[String]) -> Vec<Protocol> {
    names.iter().map(|name| if name == "json" { Protocol::Json } else { Protocol::MessagePack }).collect()
}

fn json_names(text: Option<&str>) -> Result<bool, UsageError> {
    match text {
        None | Some("camel") => Ok(false),
        Some("declared") => Ok(true),
        Some(other) => Err(UsageError(format!("--json-names: '{other}' is neither camel nor declared"))),
    }
}

fn send_timeout(flags: &Flags) -> Result<Option<Duration>, UsageError> {
    match flags.number("send-timeout-ms", -1, i64::from(i32::MAX))? {
        Some(0) => Err(UsageError("--send-timeout-ms: 0 is not allowed, -1 is never".to_owned())),
        Some(-1) => Ok(Some(Duration::from_secs(u64::from(u32::MAX)))),
        number => Ok(number.map(|number| Duration::from_millis(number.unsigned_abs()))),
    }
}

fn log_level(text: Option<&str>) -> Result<Option<LevelFilter>, UsageError> {
    Ok(match text.map(str::to_lowercase).as_deref() {
        None | Some("" | "none") => None,
        Some("trace") => Some(LevelFilter::TRACE),
        Some("debug") => Some(LevelFilter::DEBUG),
        Some("info" | "information") => Some(LevelFilter::INFO),
        Some("warn" | "warning") => Some(LevelFilter::WARN),
        Some("error" | "critical") => Some(LevelFilter::ERROR),
        Some(_) => {
            let text = text.unwrap_or_default();
            return Err(UsageError(format!(
                "unknown log level '{text}' (none, trace, debug, info, warn, error)"
            )));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<ServeOptions, UsageError> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        ServeOptions::parse_in(&args, |_| None)
    }

    fn refused(args: &[&str]) -> String {
        parse(args).unwrap_err().0
    }

    #[test]
    fn defaults_leave_the_framework_alone() {
        let options = parse(&[]).unwrap();
        assert_eq!(options.addresses[0].to_string(), "http://127.0.0.1:0");
        assert_eq!(options.hubs, ["suite", "bench", "scale"]);
        assert_eq!(options.protocols, [Protocol::Json, Protocol::MessagePack]);
        assert_eq!((options.max_receive, options.send_timeout, options.log_level), (None, None, None));
    }

    #[test]
    fn addresses_are_read_in_the_reference_forms() {
        let options = parse(&["--urls", "http://localhost:81; HTTPS://[::1]:82 ;https://*"]).unwrap();
        let texts: Vec<String> = options.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["http://127.0.0.1:81", "https://[::1]:82", "https://[::]:443"]);
        assert_eq!(refused(&["--urls", "ftp://x"]), "--urls: 'ftp://x' is not an http or https address");
    }

    #[test]
    fn wrong_values_are_refused() {
        assert_eq!(refused(&["--send-timeout-ms", "0"]), "--send-timeout-ms: 0 is not allowed, -1 is never");
        assert_eq!(refused(&["--json-names", "x"]), "--json-names: 'x' is neither camel nor declared");
        assert!(refused(&["--poll-timeout-ms", "0"]).contains("at least 1"));
        assert_eq!(parse(&["--transport-buffer", "1"]).unwrap().transport_buffer, Some(1));
    }
}
