//! The endpoints as a warp filter.

use crate::cors::Cors;
use crate::endpoint::Endpoints;
use http::{HeaderMap, Method, Request, Uri, Version};
use hyper::upgrade::OnUpgrade;
use signalr_transport::{ExtendedConnect, PeerAddress, Server};
use warp::filters::BoxedFilter;
use warp::path::FullPath;
use warp::{Filter, Rejection, reject};

/// What the filters of this crate answer with.
pub type EndpointReply = warp::reply::Response;

/// A [`Server`] as warp routes.
pub trait ServerExt {
    /// All endpoints, negotiate and connect, as one filter. Other paths are rejected as not found, so that it can
    /// stand before or behind any other route.
    ///
    /// With `warp::serve` there is no graceful end of connections: call [`Server::stop`] when it returns. Peer
    /// addresses are known where a [`PeerAddress`] is in the request's extensions, as [`Serving`](crate::Serving)
    /// puts it there.
    fn routes(&self) -> BoxedFilter<(EndpointReply,)>;

    /// As [`ServerExt::routes`], with rules for requests of other origins.
    fn routes_with_cors(&self, cors: Cors) -> BoxedFilter<(EndpointReply,)>;
}

impl ServerExt for Server {
    fn routes(&self) -> BoxedFilter<(EndpointReply,)> {
        filter(Endpoints { server: self.clone(), cors: None })
    }

    fn routes_with_cors(&self, cors: Cors) -> BoxedFilter<(EndpointReply,)> {
        filter(Endpoints { server: self.clone(), cors: Some(cors) })
    }
}

fn filter(endpoints: Endpoints) -> BoxedFilter<(EndpointReply,)> {
    let ours = endpoints.clone();
    warp::path::full()
        .and_then(move |path: FullPath| {
            // Foreign paths are turned away before anything of the request is copied.
            let owned = ours.server.owns(path.as_str());
            async move { if owned { Ok(path) } else { Err(reject::not_found()) } }
        })
        .and(warp::method())
        .and(raw_query())
        .and(warp::header::headers_cloned())
        .and(marks())
        .and(warp::ext::optional::<OnUpgrade>())
        .and(warp::body::stream())
        .and_then(move |path, method, query, headers, marks: Marks, upgrade, body| {
            let endpoints = endpoints.clone();
            async move {
                let mut parts = parts(path, method, query, headers).ok_or_else(reject::not_found)?;
                marks.apply(&mut parts);
                endpoints.answer(&parts, upgrade, body).await.ok_or_else(reject::not_found)
            }
        })
        .boxed()
}

/// What the accept loop says of a request beside its head: filters see extensions only.
struct Marks {
    peer: Option<PeerAddress>,
    extended: Option<ExtendedConnect>,
    version: Option<Version>,
}

fn marks() -> impl Filter<Extract = (Marks,), Error = std::convert::Infallible> + Clone {
    warp::ext::optional()
        .and(warp::ext::optional())
        .and(warp::ext::optional())
        .map(|peer, extended, version| Marks { peer, extended, version })
}

impl Marks {
    fn apply(self, parts: &mut http::request::Parts) {
        self.peer.map(|peer| parts.extensions.insert(peer));
        self.extended.map(|extended| parts.extensions.insert(extended));
        parts.version = self.version.unwrap_or(parts.version);
    }
}

fn raw_query() -> impl Filter<Extract = (String,), Error = std::convert::Infallible> + Clone {
    warp::query::raw().or_else(|_: Rejection| async { Ok((String::new(),)) })
}

/// The request's parts again, from what filters can see of them.
fn parts(path: FullPath, method: Method, query: String, headers: HeaderMap) -> Option<http::request::Parts> {
    let target =
        if query.is_empty() { path.as_str().to_owned() } else { format!("{}?{query}", path.as_str()) };
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.uri = Uri::try_from(target).ok()?;
    parts.method = method;
    parts.headers = headers;
    Some(parts)
}
