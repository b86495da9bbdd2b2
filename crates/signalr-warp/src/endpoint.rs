//! One request to the server's endpoints, however it came in: through a filter or through our own loop.

use crate::cors::{Cors, Verdict};
use crate::upgrade;
use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use http::request::Parts;
use http::{Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use signalr_transport::{EventStream, Reply, Server, UPGRADE_IMPOSSIBLE};
use std::convert::Infallible;
use warp::reply::{Reply as _, Response as WarpResponse};

/// The server with the settings that belong to this crate.
#[derive(Debug, Clone)]
pub(crate) struct Endpoints {
    pub(crate) server: Server,
    pub(crate) cors: Option<Cors>,
}

impl Endpoints {
    /// The answer, or `None` when the path is not ours. An upgrade is started here; the body is read only where a
    /// connection wants it.
    pub(crate) async fn answer<S, B, E>(
        &self,
        parts: &Parts,
        upgrade: Option<OnUpgrade>,
        body: S,
    ) -> Option<WarpResponse>
    where
        S: Stream<Item = Result<B, E>>,
        B: Buf,
    {
        if !self.server.owns(parts.uri.path()) {
            return None;
        }
        let Some(cors) = &self.cors else { return self.respond(parts, upgrade, body).await };
        match cors.judge(parts) {
            Verdict::Answer(answer) => Some(answer.into_response()),
            Verdict::Pass => self.respond(parts, upgrade, body).await,
            Verdict::Mark(marks) => {
                let mut answer = self.respond(parts, upgrade, body).await?;
                marks.apply(answer.headers_mut());
                Some(answer)
            }
        }
    }

    async fn respond<S, B, E>(
        &self,
        parts: &Parts,
        upgrade: Option<OnUpgrade>,
        body: S,
    ) -> Option<WarpResponse>
    where
        S: Stream<Item = Result<B, E>>,
        B: Buf,
    {
        Some(match self.server.respond(parts).await? {
            Reply::Answer(answer) => answer.into_response(),
            Reply::Events(events) => stream(events),
            Reply::Upload(ticket) => ticket.receive(body).await.into_response(),
            Reply::Upgrade(ticket) => match upgrade {
                Some(upgrade) => {
                    let response = ticket.response().map(|()| Bytes::new());
                    upgrade::start(ticket, upgrade);
                    response.into_response()
                }
                None => cannot_upgrade(),
            },
            _ => cannot_upgrade(),
        })
    }
}

/// The web server below offers no upgrade.
fn cannot_upgrade() -> WarpResponse {
    let mut response = Response::new(Bytes::from_static(UPGRADE_IMPOSSIBLE.as_bytes()));
    *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
    response.into_response()
}

/// A response whose body goes out piece by piece.
fn stream(events: Response<EventStream>) -> WarpResponse {
    let (head, body) = events.into_parts();
    let mut response = warp::reply::stream(body.map(Ok::<_, Infallible>)).into_response();
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}
