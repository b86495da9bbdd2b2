//! One request to the server's endpoints, however it came in: through a filter or through our own loop.

use crate::cors::{Cors, Verdict};
use crate::upgrade;
use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use signalr_transport::{Reply, Server, UPGRADE_IMPOSSIBLE};

/// The server with the settings that belong to this crate.
#[derive(Debug, Clone)]
pub(crate) struct Endpoints {
    pub(crate) server: Server,
    pub(crate) cors: Option<Cors>,
}

impl Endpoints {
    /// The answer, or `None` when the path is not ours. An upgrade is started here.
    pub(crate) async fn answer(&self, parts: &Parts, upgrade: Option<OnUpgrade>) -> Option<Response<Bytes>> {
        if !self.server.owns(parts.uri.path()) {
            return None;
        }
        let Some(cors) = &self.cors else { return self.respond(parts, upgrade).await };
        match cors.judge(&parts.method, &parts.headers) {
            Verdict::Answer(answer) => Some(answer),
            Verdict::Pass => self.respond(parts, upgrade).await,
            Verdict::Mark(marks) => {
                let mut answer = self.respond(parts, upgrade).await?;
                marks.apply(answer.headers_mut());
                Some(answer)
            }
        }
    }

    async fn respond(&self, parts: &Parts, upgrade: Option<OnUpgrade>) -> Option<Response<Bytes>> {
        Some(match self.server.respond(parts).await? {
            Reply::Answer(answer) => answer,
            Reply::Upgrade(ticket) => match upgrade {
                Some(upgrade) => {
                    let response = ticket.response().map(|()| Bytes::new());
                    upgrade::start(ticket, upgrade);
                    response
                }
                None => cannot_upgrade(),
            },
            _ => cannot_upgrade(),
        })
    }
}

/// The web server below offers no upgrade.
fn cannot_upgrade() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(UPGRADE_IMPOSSIBLE.as_bytes()));
    *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
    response
}
