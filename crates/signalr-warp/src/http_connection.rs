//! One HTTP connection of our own accept loop: endpoints first, then the user's routes.

use crate::endpoint::Endpoints;
use crate::patience::Patient;
use http::request::Parts;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use signalr_transport::PeerAddress;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use warp::filters::BoxedFilter;
use warp::reply::{Reply, Response as WarpResponse};

type Answering = Pin<Box<dyn Future<Output = WarpResponse> + Send>>;

/// The user's routes behind one call.
pub(crate) type Routes = Arc<dyn Fn(Request<Incoming>) -> Answering + Send + Sync>;

/// What every connection needs.
pub(crate) struct Http {
    pub(crate) endpoints: Endpoints,
    pub(crate) routes: Option<Routes>,
    pub(crate) header_timeout: Duration,
    pub(crate) write_timeout: Duration,
    /// No further request on connections that are open.
    pub(crate) stop: CancellationToken,
    /// Time is up.
    pub(crate) cut: CancellationToken,
}

/// A warp filter as [`Routes`].
pub(crate) fn routes(filter: BoxedFilter<(WarpResponse,)>) -> Routes {
    let service = TowerToHyperService::new(warp::service(filter));
    Arc::new(move |request| {
        let answer = service.call(request);
        Box::pin(async move {
            match answer.await {
                Ok(answer) => answer,
                Err(impossible) => match impossible {},
            }
        })
    })
}

impl Http {
    /// Serves one connection until it ends, is upgraded, or the server stops.
    pub(crate) async fn serve(self: Arc<Self>, stream: TcpStream, peer: PeerAddress) {
        // Answers, and above all events, leave when they are written. A socket that refuses works all the same.
        let _ = stream.set_nodelay(true);
        let service = service_fn(|request| self.answer(request, peer));
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.header_timeout);
        let stream = Patient::new(stream, self.write_timeout);
        let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection => ended,
                    () = self.cut.cancelled() => Ok(()),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "an HTTP connection failed");
        }
    }

    async fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: PeerAddress,
    ) -> Result<WarpResponse, Infallible> {
        request.extensions_mut().insert(peer);
        if self.endpoints.server.owns(request.uri().path()) {
            let upgrade = request.extensions_mut().remove::<OnUpgrade>();
            let (parts, body) = request.into_parts();
            return Ok(self.answer_endpoint(&parts, upgrade, body).await);
        }
        Ok(match &self.routes {
            Some(routes) => routes(request).await,
            None => StatusCode::NOT_FOUND.into_response(),
        })
    }

    async fn answer_endpoint(
        &self,
        parts: &Parts,
        upgrade: Option<OnUpgrade>,
        body: Incoming,
    ) -> WarpResponse {
        match self.endpoints.answer(parts, upgrade, body.into_data_stream()).await {
            Some(answer) => answer,
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }
}
