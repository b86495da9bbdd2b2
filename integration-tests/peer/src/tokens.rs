//! HS256 bearer tokens under a key that is new for every process.
//!
//! Owns making and checking. Clocks may differ by five minutes, as the reference's bearer package allows.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use signalr_core::User;

const CLOCK_SKEW: i64 = 300;

/// Makes and checks tokens.
pub(crate) struct Tokens {
    key: Hmac<Sha256>,
    life: Duration,
}

impl Tokens {
    pub(crate) fn new(life: Duration) -> Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| anyhow!("no random key: {error}"))?;
        Ok(Self { key: Hmac::new_from_slice(&key)?, life })
    }

    /// A token for a user.
    pub(crate) fn create(&self, name: &str) -> String {
        let now = SystemTime::now();
        let claims = json!({
            "nameid": name,
            "nbf": seconds(now),
            "exp": seconds(now + self.life),
            "iss": "SignalRTestServer",
            "aud": "SignalRTests",
        });
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let signed = format!("{}.{}", encode(r#"{"alg":"HS256","typ":"JWT"}"#), encode(&claims.to_string()));
        let signature = self.sign(&signed).finalize().into_bytes();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The user of a good token.
    pub(crate) fn read(&self, token: &str) -> Option<User> {
        let (signed, signature) = token.rsplit_once('.')?;
        self.sign(signed).verify_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        let (head, claims) = signed.split_once('.')?;
        let decode = |part| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        let (head, claims) = (decode(head)?, decode(claims)?);
        let expires = claims["exp"].as_i64()?;
        let now = seconds(SystemTime::now());
        let is_early = claims["nbf"].as_i64().is_some_and(|from| from > now + CLOCK_SKEW);
        if head["alg"] != "HS256" || expires < now - CLOCK_SKEW || is_early {
            return None;
        }
        let mut user = User::with_claims(claims.as_object()?.iter().map(claim).collect());
        user.expires = u64::try_from(expires).ok().map(|expires| UNIX_EPOCH + Duration::from_secs(expires));
        Some(user)
    }

    fn sign(&self, text: &str) -> Hmac<Sha256> {
        self.key.clone().chain_update(text)
    }
}

fn claim((name, value): (&String, &Value)) -> (String, String) {
    let kind = if name == "nameid" || name == "sub" { User::NAME_IDENTIFIER } else { name };
    (kind.to_owned(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_good_for_one_process_and_not_for_ever() {
        let tokens = Tokens::new(Duration::from_secs(5)).unwrap();
        let token = tokens.create("ada");
        assert_eq!(tokens.read(&token).unwrap().id(), Some("ada"));
        assert!(Tokens::new(Duration::from_secs(5)).unwrap().read(&token).is_none());
        assert!(tokens.read(&token[..token.len() - 1]).is_none());
        assert!(tokens.read("a.b").is_none());
    }
}
