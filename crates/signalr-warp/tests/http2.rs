//! HTTP/2 as clients see it: negotiate, Server-Sent Events, and WebSockets by extended CONNECT (RFC 8441), in the clear
//! and over TLS.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(unreachable_pub, dead_code, reason = "shared by several test programs, each of which uses a part")]
mod support;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{RecvStream, SendStream};
use http::{Method, Request, StatusCode};
use signalr_transport::{EndpointOptions, Server};
use signalr_warp::{Cors, ServeOptions, ServerExt, Serving};
use std::sync::Arc;
use std::time::Duration;
use support::{Echo, Running, start, until, within};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

fn in_the_clear(serving: Serving) -> Serving {
    let mut options = ServeOptions::default();
    options.http2_prior_knowledge = true;
    options.header_timeout = Duration::from_secs(2);
    options.cors = Some(Cors::new().origin("https://page.example").build().unwrap());
    serving.with_options(options)
}

/// An HTTP/2 connection; it lives as long as the sender.
async fn http2<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> SendRequest<Bytes> {
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender.ready().await.unwrap()
}

async fn tcp(server: &Running) -> TcpStream {
    TcpStream::connect(server.address).await.unwrap()
}

fn request(method: Method, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(format!("https://chat.example{path}"))
}

async fn whole(mut body: RecvStream) -> String {
    let mut all = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        all.extend_from_slice(&piece);
    }
    String::from_utf8(all).unwrap()
}

/// Opens a WebSocket by extended CONNECT; the answer's status and the two directions of its stream.
async fn open(
    sender: &mut SendRequest<Bytes>,
    path: &str,
    origin: Option<&str>,
) -> (StatusCode, SendStream<Bytes>, RecvStream) {
    // Clients must wait for the server's settings, which say that it can.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !sender.is_extended_connect_protocol_enabled() {
        assert!(tokio::time::Instant::now() < deadline, "too late: the server's settings");
        tokio::task::yield_now().await;
    }
    let mut request = request(Method::CONNECT, path).header("sec-websocket-version", "13");
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    let mut request = request.body(()).unwrap();
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    let (answer, outgoing) = sender.send_request(request, false).unwrap();
    let (head, body) = answer.await.unwrap().into_parts();
    assert!(!head.headers.contains_key("sec-websocket-accept"));
    (head.status, outgoing, body)
}

/// A client's text frame; a mask of zeros leaves the text readable.
fn text_frame(text: &str) -> Bytes {
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
    frame.extend_from_slice(text.as_bytes());
    frame.into()
}

/// The next `length` bytes of the server.
async fn read(body: &mut RecvStream, length: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < length {
        let piece = within("bytes of the server", body.data()).await.unwrap().unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        all.extend_from_slice(&piece);
    }
    all
}

async fn echoes(sender: &mut SendRequest<Bytes>) {
    let (status, mut outgoing, mut incoming) = open(sender, "/echo", None).await;
    assert_eq!(status, StatusCode::OK);
    outgoing.send_data(text_frame("hello"), false).unwrap();
    assert_eq!(read(&mut incoming, 7).await, b"\x81\x05hello");
    outgoing.send_data(text_frame("!"), false).unwrap();
    assert_eq!(
        read(&mut incoming, 4).await,
        b"\x88\x02\x03\xe8",
        "Close 1000 when the application has ended"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_socket_runs_over_an_extended_connect() {
    let server = start(EndpointOptions::new(), in_the_clear).await;
    let mut sender = http2(tcp(&server).await).await;
    echoes(&mut sender).await;
    echoes(&mut sender).await;
    drop(sender);
    until("both connections are gone", || server.server.connections() == 0).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_socket_runs_over_an_extended_connect_to_routes_of_a_filter() {
    let inner = Server::builder().endpoint("/inner", Arc::new(Echo), EndpointOptions::new()).build();
    let routes = inner.routes();
    let server = start(EndpointOptions::new(), |serving| in_the_clear(serving).with_routes(routes)).await;
    let mut sender = http2(tcp(&server).await).await;
    let (status, mut outgoing, mut incoming) = open(&mut sender, "/inner", None).await;
    assert_eq!(status, StatusCode::OK);
    outgoing.send_data(text_frame("hello"), false).unwrap();
    assert_eq!(read(&mut incoming, 7).await, b"\x81\x05hello");
    drop((outgoing, incoming, sender));
    inner.stop(Duration::from_secs(5)).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn negotiate_events_and_posts_share_the_connection() {
    let server = start(EndpointOptions::new(), in_the_clear).await;
    let mut sender = http2(tcp(&server).await).await;
    let negotiate = request(Method::POST, "/echo/negotiate?negotiateVersion=1").body(()).unwrap();
    let (answer, _) = sender.send_request(negotiate, true).unwrap();
    let document = whole(answer.await.unwrap().into_body()).await;
    let token =
        document.split("\"connectionToken\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let path = format!("/echo?id={token}");
    let events = request(Method::GET, &path).header("accept", "text/event-stream").body(()).unwrap();
    let (answer, _) = sender.send_request(events, true).unwrap();
    let mut events = answer.await.unwrap().into_body();
    assert_eq!(read(&mut events, 3).await, b":\r\n");
    let (answer, mut body) =
        sender.send_request(request(Method::POST, &path).body(()).unwrap(), false).unwrap();
    body.send_data(Bytes::from_static(b"hello"), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
    assert_eq!(read(&mut events, 15).await, b"data: hello\r\n\r\n");
    drop((sender, events));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_over_http_1_is_refused_here_too() {
    let server = start(EndpointOptions::new(), in_the_clear).await;
    let mut sender = http2(tcp(&server).await).await;
    let (status, _, body) = open(&mut sender, "/echo?id=unknown", None).await;
    assert_eq!((status, whole(body).await.as_str()), (StatusCode::NOT_FOUND, "No Connection with that ID"));
    let (status, ..) = open(&mut sender, "/echo", Some("https://evil.example")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, ..) = open(&mut sender, "/echo", Some("https://chat.example")).await;
    assert_eq!(status, StatusCode::OK, "the server's own page");
    let plain = request(Method::PUT, "/echo").body(()).unwrap();
    let (answer, _) = sender.send_request(plain, true).unwrap();
    assert_eq!(answer.await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    drop(sender);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_says_good_bye_to_web_sockets_over_http_2() {
    let server = start(EndpointOptions::new(), in_the_clear).await;
    let mut sender = http2(tcp(&server).await).await;
    let (_, outgoing, mut incoming) = open(&mut sender, "/echo", None).await;
    let stopping = tokio::spawn(server.stop());
    assert_eq!(read(&mut incoming, 9).await, b"\x81\x03bye\x88\x02\x03\xe8");
    drop((outgoing, incoming, sender));
    within("the server stops", stopping).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_nothing_is_ended() {
    let server = start(EndpointOptions::new(), in_the_clear).await;
    let (sender, connection) = h2::client::handshake(tcp(&server).await).await.unwrap();
    // Ends although the sender is still there.
    let _ = within("the end of an idle connection", connection).await;
    drop(sender);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_1_clients_are_served_beside() {
    let server = start(EndpointOptions::new(), in_the_clear).await;
    let mut socket = server.connect("/echo").await;
    let answer = support::blocking(move || {
        socket.send("hello".into()).unwrap();
        socket.read().unwrap().into_text().unwrap()
    });
    assert_eq!(answer.await.as_str(), "hello");
    server.stop().await;
}

#[cfg(feature = "tls")]
mod over_tls {
    use super::*;
    use signalr_warp::{Tls, TlsError};
    use tokio_rustls::TlsConnector;
    use tokio_rustls::client::TlsStream;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore};

    struct Identity {
        certificate: CertificateDer<'static>,
        tls: Tls,
    }

    fn identity() -> Identity {
        let made = rcgen::generate_simple_self_signed(["chat.example".to_owned()]).unwrap();
        let tls =
            Tls::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap();
        Identity { certificate: made.cert.der().clone(), tls }
    }

    async fn secure(server: &Running, identity: &Identity, protocol: &[u8]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(identity.certificate.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from("chat.example").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, tcp(server).await).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn http_2_is_offered_and_carries_web_sockets() {
        let identity = identity();
        let tls = identity.tls.clone();
        let server = start(EndpointOptions::new(), |serving| serving.with_tls(tls)).await;
        let stream = secure(&server, &identity, b"h2").await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut sender = http2(stream).await;
        echoes(&mut sender).await;
        drop(sender);
        server.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_web_socket_over_http_1_is_upgraded() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let identity = identity();
        let tls = identity.tls.clone();
        let server = start(EndpointOptions::new(), |serving| serving.with_tls(tls)).await;
        let mut stream = secure(&server, &identity, b"http/1.1").await;
        // The first frame comes in the same record as the request.
        let mut bytes =
            b"GET /echo HTTP/1.1\r\nhost: chat.example\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
            sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                .to_vec();
        bytes.extend_from_slice(&text_frame("early"));
        stream.write_all(&bytes).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\x81\x05early") {
            let read = within("the echo", stream.read_buf(&mut answer)).await.unwrap();
            assert!(read > 0, "ended after {:?}", String::from_utf8_lossy(&answer));
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "));
        drop(stream);
        server.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_without_tls_is_ended() {
        let server = start(EndpointOptions::new(), |serving| serving.with_tls(identity().tls)).await;
        let answer = server.request("GET /echo HTTP/1.1\r\nhost: x\r\n\r\n".to_owned()).await;
        assert!(!answer.contains("HTTP/1.1"), "{answer:?}");
        server.stop().await;
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let made = rcgen::generate_simple_self_signed(["chat.example".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["chat.example".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let refused = |certificate: &str, key: &str| {
            Tls::from_pem(certificate.as_bytes(), key.as_bytes()).expect_err("it is refused")
        };
        assert!(matches!(refused("", &key), TlsError::Certificate(_)));
        assert!(matches!(refused(&certificate, "nonsense"), TlsError::Key(_)));
        assert!(matches!(refused(&other.cert.pem(), &key), TlsError::Config(_)));
        assert!(matches!(Tls::from_files("/nowhere", "/nowhere"), Err(TlsError::File { .. })));
    }
}
