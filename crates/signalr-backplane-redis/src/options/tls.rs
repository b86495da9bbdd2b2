//! The certificates of TLS connections to Redis, as PEM texts, and the hook that judges the server's.
//!
//! Holds texts; whoever dials turns them into the types of a TLS library, which appear nowhere in this crate's API.
//! Host name and versions are options of their own, because connection strings have them.

use super::error::RedisConfigError;
use super::secret::Secret;
use std::fmt;
use std::sync::Arc;

/// What a server showed, given to [`CertificateValidation`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ServerCertificate<'a> {
    /// The name that was asked for.
    pub host: &'a str,
    /// The server's certificate, in DER.
    pub certificate: &'a [u8],
    /// The certificates between the server's and the root, in DER.
    pub intermediates: &'a [Vec<u8>],
    /// What the usual check says: `None` when it passed, else the reason why it did not.
    pub problem: Option<&'a str>,
}

impl<'a> ServerCertificate<'a> {
    /// Puts together what a hook gets; for diallers and tests.
    pub fn new(
        host: &'a str,
        certificate: &'a [u8],
        intermediates: &'a [Vec<u8>],
        problem: Option<&'a str>,
    ) -> Self {
        Self { host, certificate, intermediates, problem }
    }
}

/// Judges a server's certificate: the guide's `CertificateValidation`. Called once per TLS handshake, after the usual
/// check, whatever that said; must not block.
///
/// Answering `true` to a certificate with a [`problem`](ServerCertificate::problem) lets anyone between the two ends
/// read and change everything. Accept known problems only, for example of a certificate that you recognise byte for byte.
pub trait CertificateValidation: Send + Sync {
    /// Whether the connection may go on.
    fn accept(&self, server: &ServerCertificate<'_>) -> bool;
}

impl<F: Fn(&ServerCertificate<'_>) -> bool + Send + Sync> CertificateValidation for F {
    fn accept(&self, server: &ServerCertificate<'_>) -> bool {
        self(server)
    }
}

/// The certificates of an encrypted connection. Default: no client certificate, and the roots of the system.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct TlsCertificates {
    /// The client's certificate chain in PEM, for servers that ask for one. `None`: none is shown.
    pub client_certificate: Option<String>,
    /// The key of the client's certificate in PEM.
    pub client_key: Option<Secret>,
    /// The roots to trust in PEM, instead of the system's.
    pub certificate_authority: Option<String>,
    /// Judges the server's certificate. `None`: the usual check decides.
    pub validation: Option<Arc<dyn CertificateValidation>>,
}

impl TlsCertificates {
    pub(crate) fn is_empty(&self) -> bool {
        let Self { client_certificate, client_key, certificate_authority, validation } = self;
        client_certificate.is_none()
            && client_key.is_none()
            && certificate_authority.is_none()
            && validation.is_none()
    }

    pub(crate) fn validate(&self) -> Result<(), RedisConfigError> {
        match (&self.client_certificate, &self.client_key) {
            (Some(_), None) | (None, Some(_)) => {
                return Err(RedisConfigError::impossible(
                    "a client certificate and its key come together",
                    "give both to `client_certificate`",
                ));
            }
            _ => {}
        }
        pem("client certificate", self.client_certificate.as_deref(), "CERTIFICATE")?;
        pem("key of the client certificate", self.client_key.as_ref().map(Secret::expose), "PRIVATE KEY")?;
        pem("certificate authority", self.certificate_authority.as_deref(), "CERTIFICATE")
    }
}

fn pem(name: &str, text: Option<&str>, label: &str) -> Result<(), RedisConfigError> {
    let Some(text) = text else { return Ok(()) };
    let fits = text.lines().any(|line| line.trim_start().starts_with("-----BEGIN ") && line.contains(label));
    if fits {
        return Ok(());
    }
    Err(RedisConfigError::impossible(
        format!("the {name} is not a PEM text with a `BEGIN {label}` line"),
        "give the contents of the file, not its name, and convert DER files with `openssl x509 -inform der`",
    ))
}

impl fmt::Debug for TlsCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client_certificate, client_key, certificate_authority, validation } = self;
        f.debug_struct("TlsCertificates")
            .field("client_certificate", &client_certificate.is_some())
            .field("client_key", client_key)
            .field("certificate_authority", &certificate_authority.is_some())
            .field("validation", &validation.is_some())
            .finish()
    }
}
