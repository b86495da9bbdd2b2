//! What HTTP/2 says in another way than HTTP/1.1, and telling the two apart.
//!
//! Owns no connection. Requests come from `http_connection`, and are then alike.

use http::header::{HOST, HeaderValue};
use http::{Request, Version};
use hyper::ext::Protocol;
use signalr_transport::ExtendedConnect;
use tokio::net::TcpStream;

/// Makes a request of HTTP/2 look as one of HTTP/1.1 does: its authority is a header, and an extended CONNECT for a
/// WebSocket (RFC 8441) is marked as such.
pub(crate) fn normalize<B>(request: &mut Request<B>) {
    if request.version() != Version::HTTP_2 {
        return;
    }
    if let Some(authority) = request.uri().authority()
        && !request.headers().contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(HOST, host);
    }
    // Filters can see extensions, and nothing of the version.
    request.extensions_mut().insert(Version::HTTP_2);
    if request.extensions().get::<Protocol>().is_some_and(|name| name.as_str() == "websocket") {
        request.extensions_mut().insert(ExtendedConnect);
    }
}

/// Whether a client begins with the preface of HTTP/2. Three bytes decide; a client that sends fewer at first speaks
/// HTTP/1.1.
pub(crate) async fn is_spoken(stream: &TcpStream) -> bool {
    let mut first = [0; 3];
    matches!(stream.peek(&mut first).await, Ok(3)) && first == *b"PRI"
}
