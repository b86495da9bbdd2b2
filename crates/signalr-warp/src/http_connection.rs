//! One HTTP connection of our own accept loop: endpoints first, then the user's routes.

use crate::body::Brisk;
use crate::endpoint::Endpoints;
use crate::http2;
use crate::patience::Patient;
use http::request::Parts;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use signalr_transport::PeerAddress;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
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
    pub(crate) body_timeout: Duration,
    pub(crate) write_timeout: Duration,
    /// Cleartext connections may begin with HTTP/2.
    pub(crate) has_prior_knowledge: bool,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<tokio_rustls::TlsAcceptor>,
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
        #[cfg(feature = "tls")]
        if let Some(acceptor) = &self.tls {
            return match tokio::time::timeout(self.header_timeout, acceptor.accept(stream)).await {
                Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                    self.serve_http2(stream, peer).await;
                }
                Ok(Ok(stream)) => self.serve_http1(stream, peer).await,
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake did not end in time"),
            };
        }
        if self.has_prior_knowledge {
            match tokio::time::timeout(self.header_timeout, http2::is_spoken(&stream)).await {
                Ok(true) => return self.serve_http2(stream, peer).await,
                Ok(false) => {}
                Err(_) => return,
            }
        }
        self.serve_http1(stream, peer).await;
    }

    async fn serve_http1<S>(&self, stream: S, peer: PeerAddress)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let service = service_fn(|request| self.answer(request, peer));
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.header_timeout);
        let stream = Patient::new(stream, self.write_timeout);
        let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
        self.drive(std::pin::pin!(connection), |connection| connection.graceful_shutdown()).await;
    }

    async fn serve_http2<S>(self: &Arc<Self>, stream: S, peer: PeerAddress)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let asked = Arc::new(AtomicBool::new(false));
        let (http, heard) = (self.clone(), asked.clone());
        let service = service_fn(move |request| {
            heard.store(true, Ordering::Relaxed);
            let http = http.clone();
            async move { http.answer(request, peer).await }
        });
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).enable_connect_protocol();
        builder.keep_alive_interval(self.header_timeout).keep_alive_timeout(self.header_timeout);
        let stream = Patient::new(stream, self.write_timeout);
        let connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        let driving = self.drive(connection, |connection| connection.graceful_shutdown());
        tokio::select! {
            () = driving => {}
            () = never_asked(&asked, self.header_timeout) => {
                tracing::debug!("a client sent no request in time");
            }
        }
    }

    /// Runs an HTTP connection; when the server stops, `end` tells it to finish what it has begun.
    async fn drive<C, E>(&self, mut connection: Pin<&mut C>, end: impl FnOnce(Pin<&mut C>))
    where
        C: Future<Output = Result<(), E>>,
        E: std::error::Error,
    {
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.stop.cancelled() => {
                end(connection.as_mut());
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
        http2::normalize(&mut request);
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
        let is_late = AtomicBool::new(false);
        let body = Brisk::new(body.into_data_stream(), self.body_timeout, &is_late);
        match self.endpoints.answer(parts, upgrade, body).await {
            Some(mut answer) => {
                if is_late.load(Ordering::Relaxed) {
                    *answer.status_mut() = StatusCode::REQUEST_TIMEOUT;
                }
                answer
            }
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

/// Ready when `limit` has passed and nothing was asked.
async fn never_asked(asked: &AtomicBool, limit: Duration) {
    tokio::time::sleep(limit).await;
    if asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}
