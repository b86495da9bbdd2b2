//! TLS of our own accept loop: certificate and key, and what is offered to clients.
//!
//! Owns reading of PEM and the defaults. The handshake is rustls'; what runs over it is `http_connection`'s business.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// What is spoken over TLS, in the order of preference.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The server's side of TLS: see [`Serving::with_tls`](crate::Serving::with_tls). TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
}

impl Tls {
    /// From a certificate chain, the server's own certificate first, and its private key (PKCS #8, PKCS #1 or SEC 1),
    /// both in PEM.
    ///
    /// # Errors
    /// Something is missing or malformed, or key and certificate do not belong together.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(TlsError::Certificate)?;
        if chain.is_empty() {
            return Err(TlsError::Certificate(pem::Error::NoItemsFound));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::Key)?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(TlsError::Config)?;
        Ok(Self::from_config(config))
    }

    /// As [`Tls::from_pem`], from two files.
    ///
    /// # Errors
    /// A file cannot be read, or as [`Tls::from_pem`].
    pub fn from_files(certificates: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        Self::from_pem(&read(certificates.as_ref())?, &read(key.as_ref())?)
    }

    /// From a whole rustls configuration: client certificates, several host names, certificates that change. Without ALPN
    /// protocols of its own it offers HTTP/2 and HTTP/1.1.
    pub fn from_config(mut config: ServerConfig) -> Self {
        if config.alpn_protocols.is_empty() {
            config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        }
        Self { config: Arc::new(config) }
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.config.clone().into()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::File { path: path.to_owned(), source })
}

impl fmt::Debug for Tls {
    /// Nothing of the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("alpn", &self.config.alpn_protocols.len()).finish_non_exhaustive()
    }
}

/// Why a certificate or a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read: check its path and its rights.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// The system's own error.
        source: std::io::Error,
    },
    /// The certificates are not PEM, or there are none: a section `BEGIN CERTIFICATE` is needed.
    #[error("no certificate could be read, PEM with BEGIN CERTIFICATE is needed: {0}")]
    Certificate(#[source] pem::Error),
    /// The key is not PEM, or there is none: a section `BEGIN PRIVATE KEY` is needed.
    #[error("no private key could be read, PEM with BEGIN PRIVATE KEY is needed: {0}")]
    Key(#[source] pem::Error),
    /// rustls refuses them: often key and certificate do not belong together.
    #[error("certificate and key cannot be used together: {0}")]
    Config(#[source] rustls::Error),
}
