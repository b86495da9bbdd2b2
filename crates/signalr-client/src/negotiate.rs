//! Negotiation as a client does it: asks, follows redirections, and ends with the address and token to connect with.
//!
//! Owns the decision. Documents are `signalr-protocol`'s, requests `http`'s.

use crate::error::ClientError;
use crate::http;
use crate::url::Url;
use signalr_protocol::negotiate::NegotiateResponse;
use tokio::net::TcpStream;

const WHAT: &str = "negotiate";
/// As in the official clients.
const MAX_REDIRECTIONS: usize = 100;

/// What negotiation decided.
pub(crate) struct Negotiated {
    /// Where to open the WebSocket, the connection's token included.
    pub(crate) url: Url,
    /// The bearer token to use from now on.
    pub(crate) token: Option<String>,
    pub(crate) connection_id: Option<String>,
}

/// Negotiates over plain TCP.
pub(crate) async fn negotiate(
    url: &Url,
    token: Option<&str>,
    headers: &[(String, String)],
) -> Result<Negotiated, ClientError> {
    let mut url = url.clone();
    let mut token = token.map(str::to_owned);
    for _ in 0..MAX_REDIRECTIONS {
        let body = ask(&url.negotiate(), token.as_deref(), headers).await?;
        let answer = NegotiateResponse::parse(&body).map_err(|error| ClientError::bad_answer(WHAT, error))?;
        match decide(&url, answer)? {
            Step::Connect(url, connection_id) => return Ok(Negotiated { url, token, connection_id }),
            Step::Again(other, new_token) => {
                url = other;
                token = new_token.or(token);
            }
        }
    }
    Err(ClientError::bad_answer(WHAT, "too many redirections"))
}

enum Step {
    Connect(Url, Option<String>),
    Again(Url, Option<String>),
}

fn decide(url: &Url, answer: NegotiateResponse<'_>) -> Result<Step, ClientError> {
    if let Some(error) = answer.error {
        return Err(ClientError::Refused(error.into_owned()));
    }
    if let Some(other) = answer.url {
        return Ok(Step::Again(Url::parse(&other)?, answer.access_token.map(|token| token.into_owned())));
    }
    let transports = answer.available_transports.unwrap_or_default();
    if !transports.iter().any(|offer| offer.transport == "WebSockets") {
        return Err(ClientError::bad_answer(
            WHAT,
            "WebSockets are not offered, and nothing else is spoken here",
        ));
    }
    let id = answer.connection_id.map(|id| id.into_owned());
    let token = answer.connection_token.map(|token| token.into_owned()).or_else(|| id.clone());
    let token = token.ok_or_else(|| ClientError::bad_answer(WHAT, "there is no connection token"))?;
    let mut url = url.clone();
    url.add_query("id", &token);
    Ok(Step::Connect(url, id))
}

async fn ask(url: &Url, token: Option<&str>, headers: &[(String, String)]) -> Result<Vec<u8>, ClientError> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut all =
        vec![("Content-Length", "0"), ("Connection", "close"), ("X-Requested-With", "XMLHttpRequest")];
    all.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
    all.extend(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let mut stream = TcpStream::connect((url.host.as_str(), url.port)).await.map_err(ClientError::io)?;
    let mut rest = Vec::new();
    let head = http::exchange(&mut stream, &http::request("POST", url, &all), WHAT, &mut rest).await?;
    if head.status != 200 {
        return Err(ClientError::Status { what: WHAT, status: head.status });
    }
    http::read_body(&mut stream, &head, WHAT, rest).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(document: &str) -> Result<Step, ClientError> {
        let url = Url::parse("http://h/chat?a=1").unwrap();
        decide(&url, NegotiateResponse::parse(document.as_bytes()).unwrap())
    }

    #[test]
    fn the_token_goes_into_the_query_and_redirections_are_followed() {
        let document = r#"{"negotiateVersion":1,"connectionId":"i","connectionToken":"t+","availableTransports":[{"transport":"WebSockets","transferFormats":["Text"]}]}"#;
        let Ok(Step::Connect(url, id)) = step(document) else { panic!("no connection") };
        assert_eq!((url.target().as_str(), id.as_deref()), ("/chat?a=1&id=t%2B", Some("i")));
        let Ok(Step::Again(url, token)) = step(r#"{"url":"http://o:1/x","accessToken":"s"}"#) else {
            panic!("no redirection")
        };
        assert_eq!((url.host.as_str(), token.as_deref()), ("o", Some("s")));
    }

    #[test]
    fn refusals_are_told() {
        assert!(matches!(step(r#"{"error":"no"}"#), Err(ClientError::Refused(text)) if text == "no"));
        let document = r#"{"negotiateVersion":0,"connectionId":"i","availableTransports":[{"transport":"LongPolling","transferFormats":["Text"]}]}"#;
        assert!(matches!(step(document), Err(ClientError::BadAnswer { .. })));
    }
}
