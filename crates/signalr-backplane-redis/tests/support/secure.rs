//! Certificates made on the spot, and servers of Redis that ask for them, or for users and passwords.

use super::{RedisServer, free_port};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A root that certificates come from.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM texts.
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "the root of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn root(&self) -> String {
        self.0.pem()
    }

    /// A certificate for these names and addresses.
    pub fn identity(&self, names: &[&str]) -> Identity {
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        // One that has the root's name would count as its own issuer.
        params.distinguished_name.push(DnType::CommonName, "one of a test");
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// A directory that vanishes with the value.
pub struct Directory(PathBuf);

impl Directory {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("signalr-redis-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left behind does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A Redis with a port for TLS, next to a plain one that tests command it by.
pub struct TlsServer {
    pub plain: RedisServer,
    pub port: u16,
    pub authority: Authority,
    _files: Directory,
}

impl TlsServer {
    /// `arguments` are words of the command line; `names` are those of its certificate.
    pub fn start(names: &[&str], arguments: &[&str]) -> Self {
        let (authority, files) = (Authority::new(), Directory::new());
        let own = authority.identity(names);
        let fixed = [
            ("--tls-ca-cert-file", files.write("ca.pem", &authority.root())),
            ("--tls-cert-file", files.write("cert.pem", &own.certificate)),
            ("--tls-key-file", files.write("key.pem", &own.key)),
        ];
        let mut all: Vec<_> = fixed.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
        all.extend(arguments.iter().map(|word| (*word).to_owned()));
        for _ in 0..20 {
            let port = free_port();
            let all = [all.as_slice(), &["--tls-port".to_owned(), port.to_string()]].concat();
            if let Some(plain) = RedisServer::try_start(&all) {
                return Self { plain, port, authority, _files: files };
            }
        }
        panic!("redis-server did not start on any of 20 pairs of ports; was it built with TLS?");
    }
}

/// Gives a user the rights that the crate's manual names, for channels with this prefix, and takes those of everybody
/// else.
pub fn restrict(server: &RedisServer, user: &str, password: &str, prefix: &str) {
    restrict_to("+hello", server, user, password, prefix);
}

/// The same on a server that has no `HELLO`.
pub fn restrict_without_hello(server: &RedisServer, user: &str, password: &str, prefix: &str) {
    restrict_to("", server, user, password, prefix);
}

fn restrict_to(hello: &str, server: &RedisServer, user: &str, password: &str, prefix: &str) {
    let rules = format!(
        "ACL SETUSER {user} reset on >{password} resetchannels &{prefix}* \
         -@all {hello} +auth +publish +subscribe +unsubscribe +pubsub|numsub"
    );
    assert_eq!(server.ask(&rules), "+OK");
}
