//! Certificates made on the spot, as the files that Redis and its clients read.
//!
//! Owns the keys. The folder is the caller's; nothing outlives it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// A root, a server's and a client's certificate from it, and a server's certificate that nobody trusts.
#[derive(Debug)]
pub struct Secrets {
    folder: PathBuf,
}

impl Secrets {
    pub(super) fn make(folder: &Path) -> Result<Self> {
        let secrets = Self { folder: folder.to_owned() };
        let authority = authority("the root of a test")?;
        secrets.write("ca.pem", &authority.pem())?;
        secrets.issue(&authority, "server", "127.0.0.1")?;
        secrets.issue(&authority, "client", "server-1")?;
        secrets.issue(&self::authority("somebody else")?, "stranger", "127.0.0.1")?;
        Ok(secrets)
    }

    /// The file with the root that both sides trust.
    pub fn authority(&self) -> String {
        self.file("ca.pem")
    }

    /// A certificate's and its key's file: of `server`, `client` or `stranger`.
    pub fn identity(&self, name: &str) -> (String, String) {
        (self.file(&format!("{name}.pem")), self.file(&format!("{name}.key")))
    }

    fn issue(&self, authority: &CertifiedIssuer<'_, KeyPair>, name: &str, host: &str) -> Result<()> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![host.to_owned()])?;
        // One that has the root's name would count as its own issuer.
        params.distinguished_name.push(DnType::CommonName, name);
        self.write(&format!("{name}.pem"), &params.signed_by(&key, authority)?.pem())?;
        self.write(&format!("{name}.key"), &key.serialize_pem())
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.folder.join(name), text)?)
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

fn authority(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}
