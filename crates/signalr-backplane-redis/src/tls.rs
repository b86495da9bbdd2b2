//! TLS: what is shown to the server, and what the server must show.
//!
//! Owns the certificates in the form that rustls takes, the check of the server's, and the words for what went wrong.
//! The cryptography is *ring*, chosen here and not by whatever else the process has installed.

use crate::options::{CertificateValidation, RedisOptions, ServerCertificate, SslProtocols, Stream};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use signalr_core::{BackplaneError, BackplaneErrorKind};
use std::fmt;
use std::io;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{Resumption, WebPkiServerVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    SupportedProtocolVersion, pki_types as rustls_pki_types,
};

/// How streams are secured.
#[derive(Clone)]
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    /// The name that certificates must have, instead of the server's address.
    name: Option<String>,
}

impl Tls {
    pub(crate) fn new(options: &RedisOptions) -> Result<Self, BackplaneError> {
        let provider = Arc::new(ring::default_provider());
        let certificates = options.certificates();
        let judge = Judge {
            usual: usual_check(certificates.certificate_authority.as_deref(), &provider)?,
            hook: certificates.validation.clone(),
            provider: provider.clone(),
        };
        if judge.usual.is_none() && judge.hook.is_none() {
            return Err(config("this system has no root certificates; give a certificate authority"));
        }
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions(options.ssl_protocols()))
            .map_err(|error| config(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(judge));
        let mut made = match (&certificates.client_certificate, &certificates.client_key) {
            (Some(chain), Some(key)) => {
                let chain = read_certificates("client certificate", chain)?;
                // What is wrong is said without the text, which is secret.
                let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes());
                let key = key.map_err(|_| config("the key of the client certificate cannot be read"))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| {
                    config(format!("the client certificate and its key cannot be used: {error}"))
                })?
            }
            _ => builder.with_no_client_auth(),
        };
        // A resumed session is one whose certificate nobody looks at.
        made.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(made), name: options.ssl_host().map(str::to_owned) })
    }

    /// Shakes hands on a stream to `host`. Cancel safe: the stream is closed.
    pub(crate) async fn secure(&self, host: &str, stream: Box<dyn Stream>) -> io::Result<Box<dyn Stream>> {
        let name = self.name.as_deref().unwrap_or(host);
        // A scope is of this machine's concern only.
        let name = name.split('%').next().unwrap_or(name).to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        let secured = TlsConnector::from(self.config.clone()).connect(name, stream).await?;
        Ok(Box::new(secured))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why TLS was refused, by this side or the other, if an error says so anywhere; with what to do next.
pub(crate) fn refusal(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<Error>() {
            return Some(format!("{error}; {}", advice(error)));
        }
        cause = inside(error);
    }
    None
}

/// What an error carries; I/O errors and shared ones hide that from `source`.
fn inside<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a (dyn std::error::Error + 'static)> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return error.get_ref().map(|inner| inner as _);
    }
    match error.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>() {
        Some(shared) => Some(&**shared),
        None => error.source(),
    }
}

fn advice(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "name the server as its certificate does, or set `ssl_host`",
        Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => {
            "the certificate validation of the application did not accept it"
        }
        Error::InvalidCertificate(_) => {
            "give the root that the server's certificate comes from as the certificate authority"
        }
        Error::AlertReceived(_) => {
            "the server refused: check the client certificate and the TLS versions on both sides"
        }
        Error::InvalidMessage(_) => {
            "the server does not speak TLS at this port; try `redis://`, or its TLS port"
        }
        _ => "check the TLS versions on both sides",
    }
}

fn versions(asked: SslProtocols) -> Vec<&'static SupportedProtocolVersion> {
    let known = [(SslProtocols::TLS12, &TLS12), (SslProtocols::TLS13, &TLS13)];
    known.into_iter().filter(|(bit, _)| asked.0 & bit.0 != 0).map(|(_, version)| version).collect()
}

/// The check against the given roots, or the system's; `None` when there is no root at all.
fn usual_check(
    authority: Option<&str>,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<WebPkiServerVerifier>>, BackplaneError> {
    let mut roots = RootCertStore::empty();
    match authority {
        Some(text) => {
            for certificate in read_certificates("certificate authority", text)? {
                roots
                    .add(certificate)
                    .map_err(|error| config(format!("the certificate authority cannot be used: {error}")))?;
            }
        }
        None => {
            // Systems carry roots that are of no use; those are left out.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Ok(None);
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    verifier.map(Some).map_err(|error| config(error.to_string()))
}

fn read_certificates(what: &str, text: &str) -> Result<Vec<CertificateDer<'static>>, BackplaneError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(config(format!("the {what} holds no certificate"))),
        Err(error) => Err(config(format!("the {what} cannot be read: {error}"))),
    }
}

fn config(text: impl Into<std::borrow::Cow<'static, str>>) -> BackplaneError {
    BackplaneError::new(BackplaneErrorKind::Config, text)
}

/// The usual check, and the application's word on top.
struct Judge {
    usual: Option<Arc<WebPkiServerVerifier>>,
    hook: Option<Arc<dyn CertificateValidation>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let usual = match &self.usual {
            Some(usual) => {
                usual.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        let Some(hook) = &self.hook else { return usual };
        let problem = usual.as_ref().err().map(Error::to_string);
        let chain: Vec<_> = intermediates.iter().map(|certificate| certificate.to_vec()).collect();
        let host = server_name.to_str();
        if hook.accept(&ServerCertificate::new(&host, end_entity, &chain, problem.as_deref())) {
            return Ok(ServerCertVerified::assertion());
        }
        usual.and(Err(CertificateError::ApplicationVerificationFailure.into()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judge").field("hook", &self.hook.is_some()).finish_non_exhaustive()
    }
}
