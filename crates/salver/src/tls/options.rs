//! What TLS can be told.

use std::path::PathBuf;

use rustls::RootCertStore;

use super::pem;
use crate::seconds::Seconds;
use crate::start_error::StartError;

/// HTTPS: certificates, and what is asked of clients.
///
/// ```
/// let options = salver::tls::Options { tls_cert: vec!["cert.pem".into()], ..Default::default() };
/// assert_eq!(options.tls_handshake_timeout, 10.into());
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(clap::Args), group(skip))] // every module has an `Options`
pub struct Options {
    /// Serve HTTPS with this certificate and what vouches for it, in PEM; may be repeated: the client's name for the host chooses
    #[cfg_attr(feature = "cli", arg(long, alias = "certfile", value_name = "FILE"))]
    pub tls_cert: Vec<PathBuf>,
    /// The private key of --tls-cert, in PEM; without it the key is in the certificate's own file
    #[cfg_attr(feature = "cli", arg(long, alias = "keyfile", value_name = "FILE"))]
    pub tls_key: Vec<PathBuf>,
    /// A file whose content is the password of the private key
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE"))]
    pub tls_password_file: Option<PathBuf>,
    /// The authorities, in PEM, whose word on who a client is is taken
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE"))]
    pub client_ca: Option<PathBuf>,
    /// Whether clients show a certificate of --client-ca: none, optional or required [default: required with --client-ca]
    #[cfg_attr(feature = "cli", arg(long, value_name = "WHETHER"))]
    pub client_auth: Option<ClientAuth>,
    /// Time for a TLS handshake, in seconds; 0: for ever
    #[cfg_attr(feature = "cli", arg(long, value_name = "S", default_value_t = Self::default().tls_handshake_timeout))]
    pub tls_handshake_timeout: Seconds,
}

/// Whether clients show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum ClientAuth {
    /// Nobody is asked.
    None,
    /// Who has one may show it; a bad one ends the handshake.
    Optional,
    /// Who shows none is not served.
    Required,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tls_cert: Vec::new(),
            tls_key: Vec::new(),
            tls_password_file: None,
            client_ca: None,
            client_auth: None,
            tls_handshake_timeout: 10.into(),
        }
    }
}

impl Options {
    /// Whether clients are asked for a certificate.
    pub(super) fn asks_clients(&self) -> bool {
        self.client_ca.is_some() && self.client_auth != Some(ClientAuth::None)
    }

    /// The authorities of clients' certificates, and whether a client may have none; `None` where nobody is asked.
    pub(super) fn client_authorities(&self) -> Result<Option<(RootCertStore, bool)>, StartError> {
        let path = match (&self.client_ca, self.client_auth) {
            (_, Some(ClientAuth::None)) | (None, None) => return Ok(None),
            (Some(path), _) => path,
            (None, Some(_)) => {
                let message = "--client-auth: nobody can vouch for clients; add --client-ca FILE";
                return Err(StartError::new(message));
            }
        };
        let fails = |what: String| {
            let path = path.display();
            StartError::new(format!("--client-ca {path}: {what}; name a file of certificates in PEM"))
        };
        let mut authorities = RootCertStore::empty();
        for certificate in pem::certificates(path).map_err(&fails)? {
            authorities.add(certificate).map_err(|error| fails(error.to_string()))?;
        }
        Ok(Some((authorities, self.client_auth == Some(ClientAuth::Optional))))
    }

    /// The password of private keys.
    pub(super) fn password(&self) -> Result<Option<Vec<u8>>, StartError> {
        if self.tls_key.len() > self.tls_cert.len() {
            let message = "--tls-key: more keys than certificates; give each key its --tls-cert";
            return Err(StartError::new(message));
        }
        self.tls_password_file.as_deref().map(pem::password).transpose()
    }
}
