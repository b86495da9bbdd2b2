//! How many connections a server takes, in all and of one client: ours, the reference has no such limits.
//!
//! Owns the counts and who a client is. What is counted holds a [`Room`] and gives it back when it is dropped. The
//! answers to those who are refused are `answer`'s.

use crate::respond::PeerAddress;
use http::request::Parts;
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Limits of a whole server. All are off by default and then cost nothing. A request above a limit of all clients is
/// answered with status 503, above one of its own client with 429, and counted as `signalr.server.refused_requests`; it may
/// be tried again. Long polls and resumed sockets of connections that are there already are always let in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Negotiated connections that wait for their transport, which they may for the disconnect time-out.
    pub pending: Option<usize>,
    /// The same, of one client.
    pub pending_per_client: Option<usize>,
    /// Connections that have their transport.
    pub connections: Option<usize>,
    /// The same, of one client.
    pub connections_per_client: Option<usize>,
    /// Which address a request is counted for; `None` is not counted by client. Default [`peer_address`]: behind a proxy that
    /// is the proxy, so that one needs [`forwarded_address`] or a function of one's own. Addresses of IPv6 are counted by
    /// their first 64 bits, which is what one client usually has.
    pub client_address: fn(&Parts) -> Option<IpAddr>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pending: None,
            pending_per_client: None,
            connections: None,
            connections_per_client: None,
            client_address: peer_address,
        }
    }
}

/// The address of the socket, where the web server puts a [`PeerAddress`] into the request.
pub fn peer_address(request: &Parts) -> Option<IpAddr> {
    request.extensions.get::<PeerAddress>().map(|peer| peer.remote.ip())
}

/// What one trusted proxy in front says: the last address of `X-Forwarded-For`, else that of the socket. Only for servers
/// that clients cannot reach without the proxy: they can send the header, too.
pub fn forwarded_address(request: &Parts) -> Option<IpAddr> {
    let headers = request.headers.get_all("x-forwarded-for");
    let last = headers.iter().next_back().and_then(|value| value.to_str().ok()?.rsplit(',').next());
    last.and_then(|text| text.trim().parse().ok()).or_else(|| peer_address(request))
}

/// Which limit a request is above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    ForAll,
    ForClient,
}

/// The counts of a server.
#[derive(Debug)]
pub(crate) struct Crowds {
    client_address: fn(&Parts) -> Option<IpAddr>,
    pending: Arc<Crowd>,
    connections: Arc<Crowd>,
}

impl Crowds {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            client_address: limits.client_address,
            pending: Crowd::new(limits.pending, limits.pending_per_client),
            connections: Crowd::new(limits.connections, limits.connections_per_client),
        }
    }

    /// Room for one more that waits for its transport; `None` where nothing is limited.
    pub(crate) fn pending(&self, request: &Parts) -> Result<Option<Box<Room>>, Full> {
        self.enter(&self.pending, request)
    }

    /// Room for one more connection; `None` where nothing is limited.
    pub(crate) fn connection(&self, request: &Parts) -> Result<Option<Box<Room>>, Full> {
        self.enter(&self.connections, request)
    }

    fn enter(&self, crowd: &Arc<Crowd>, request: &Parts) -> Result<Option<Box<Room>>, Full> {
        if crowd.limit.is_none() && crowd.per_client.is_none() {
            return Ok(None);
        }
        let client = crowd.per_client.and_then(|_| (self.client_address)(request)).map(network);
        crowd.enter(client).map(|room| Some(Box::new(room)))
    }
}

/// One count and its limits.
#[derive(Debug)]
struct Crowd {
    limit: Option<usize>,
    per_client: Option<usize>,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    /// Only clients that have some.
    of_clients: HashMap<IpAddr, usize>,
}

impl Crowd {
    fn new(limit: Option<usize>, per_client: Option<usize>) -> Arc<Self> {
        Arc::new(Self { limit, per_client, counts: Mutex::default() })
    }

    fn enter(self: &Arc<Self>, client: Option<IpAddr>) -> Result<Room, Full> {
        let mut counts = self.counts();
        let of_client = client.and_then(|client| counts.of_clients.get(&client)).copied().unwrap_or_default();
        if client.is_some() && self.per_client.is_some_and(|limit| of_client >= limit) {
            return Err(Full::ForClient);
        }
        if self.limit.is_some_and(|limit| counts.all >= limit) {
            return Err(Full::ForAll);
        }
        counts.all += 1;
        if let Some(client) = client {
            counts.of_clients.insert(client, of_client + 1);
        }
        Ok(Room { crowd: self.clone(), client })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Nothing below a lock can panic half-way.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that is counted, until it is dropped.
pub(crate) struct Room {
    crowd: Arc<Crowd>,
    client: Option<IpAddr>,
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut counts = self.crowd.counts();
        counts.all -= 1;
        if let Some(client) = self.client
            && let Some(count) = counts.of_clients.get_mut(&client)
        {
            *count -= 1;
            if *count == 0 {
                counts.of_clients.remove(&client);
            }
        }
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room").finish_non_exhaustive()
    }
}

/// What is counted as one client.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn request(peer: &str, forwarded: &[&str]) -> Parts {
        let mut builder = Request::builder();
        for value in forwarded {
            builder = builder.header("X-Forwarded-For", *value);
        }
        let peer = PeerAddress { remote: peer.parse().unwrap(), local: None };
        builder.extension(peer).body(()).unwrap().into_parts().0
    }

    #[test]
    fn rooms_are_given_back_and_clients_without_any_are_forgotten() {
        let limits = Limits { pending: Some(3), pending_per_client: Some(2), ..Limits::default() };
        let crowds = Crowds::new(&limits);
        let enter = |peer: &str| crowds.pending(&request(peer, &[]));
        let first = enter("[2001:db8::1]:1").unwrap();
        let _second = enter("[2001:db8::2]:1").unwrap();
        assert_eq!(enter("[2001:db8::3]:1").unwrap_err(), Full::ForClient);
        let _third = enter("[2001:db8:0:1::3]:1").unwrap();
        assert_eq!(enter("1.2.3.4:1").unwrap_err(), Full::ForAll);
        drop(first);
        drop(enter("[::ffff:1.2.3.4]:1").unwrap());
        assert_eq!(crowds.pending.counts().of_clients.len(), 2);
        assert!(crowds.connection(&request("1.2.3.4:1", &[])).unwrap().is_none());
    }

    #[test]
    fn a_proxys_word_is_the_last_one() {
        let of =
            |forwarded: &[&str]| forwarded_address(&request("9.9.9.9:1", forwarded)).unwrap().to_string();
        assert_eq!(of(&["1.1.1.1, 2.2.2.2"]), "2.2.2.2");
        assert_eq!(of(&["1.1.1.1", "3.3.3.3, ::1"]), "::1");
        assert_eq!(of(&["1.1.1.1, unknown"]), "9.9.9.9");
        assert_eq!(of(&[]), "9.9.9.9");
    }
}
