//! TLS (RFC 8446, RFC 5246) by rustls: certificates and who chooses among them, clients that show one, the handshake.
//!
//! Refused: versions before 1.2, suites without forward secrecy, renegotiation, data before the handshake is over (0-RTT), a
//! client that takes longer than `--tls-handshake-timeout`. What is wrong with a certificate or key is said before anything is
//! bound; at a reload the old ones stay.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ProducesTickets, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::seconds::Seconds;
use crate::start_error::StartError;

mod certificate;
mod choice;
mod handshake;
mod options;
mod pem;
mod session;

pub use certificate::Certificate;
use choice::Choice;
pub use options::{ClientAuth, Options};
pub use session::Session;

/// Where certificates come from; asked at the start and at each [`Tls::reload`].
///
/// ```
/// use salver::StartError;
/// use salver::tls::{Certificate, Certificates};
///
/// struct Stored(std::path::PathBuf);
///
/// impl Certificates for Stored {
///     fn load(&self) -> Result<Vec<Certificate>, StartError> {
///         Ok(vec![Certificate::open(&self.0, None, None)?])
///     }
/// }
/// ```
pub trait Certificates: Send + Sync + 'static {
    /// The certificates as they are now.
    ///
    /// # Errors
    /// One line for people: what is wrong with one, where, and the mend.
    fn load(&self) -> Result<Vec<Certificate>, StartError>;

    /// The certificate that answers a TLS-ALPN-01 challenge for `name` (RFC 8737), if one is under way.
    fn challenge(&self, name: &str) -> Option<Certificate> {
        let _ = name;
        None
    }
}

/// TLS as a server speaks it; cheap to clone, and all clones are reloaded together.
///
/// ```no_run
/// use salver::tls::{Options, Tls};
///
/// let options = Options { tls_cert: vec!["cert.pem".into()], ..Options::default() };
/// let tls = Tls::open(&options)?;
/// let server = salver::Server::new(salver::Site::new()).tls(tls.clone());
/// tls.reload()?; // whenever the files have changed
/// # Ok::<(), salver::StartError>(())
/// ```
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

/// A connection within TLS.
pub(crate) type Stream = TlsStream<TcpStream>;

struct Inner {
    options: Options,
    sources: Vec<Box<dyn Certificates>>,
    provider: Arc<CryptoProvider>,
    /// What seals session tickets. Without client certificates it outlives a reload, and so do sessions.
    tickets: Arc<dyn ProducesTickets>,
    /// What new connections are greeted with.
    config: ArcSwap<ServerConfig>,
    /// One reload at a time: a later one must not be overtaken by an earlier.
    reloading: Mutex<()>,
}

impl Tls {
    /// Reads the certificates, keys and authorities that `options` name.
    ///
    /// # Errors
    /// One line: a file that cannot be read or is none, a key that is another certificate's, an expired certificate, …
    pub fn open(options: &Options) -> Result<Self, StartError> {
        Self::with(options, Vec::new())
    }

    /// The same, with certificates of `sources` beside those of files.
    ///
    /// # Errors
    /// As [`Tls::open`], and what a source says.
    pub fn with(options: &Options, sources: Vec<Box<dyn Certificates>>) -> Result<Self, StartError> {
        let mut all: Vec<Box<dyn Certificates>> = Vec::new();
        if !options.tls_cert.is_empty() {
            all.push(Box::new(options.clone()));
        }
        all.extend(sources);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tickets = tickets()?;
        let config = configure(options, &all, &provider, &tickets)?;
        Ok(Self(Arc::new(Inner {
            options: options.clone(),
            sources: all,
            provider,
            tickets,
            config: ArcSwap::from_pointee(config),
            reloading: Mutex::new(()),
        })))
    }

    /// Reads everything anew, for connections to come; those that are open go on as they are.
    ///
    /// # Errors
    /// As [`Tls::open`]; the old certificates stay then.
    pub fn reload(&self) -> Result<(), StartError> {
        let inner = &*self.0;
        let _one = inner.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        // SECURITY: a ticket vouches for a client's certificate. Where authorities may have changed, none is honoured on.
        let tickets = match inner.options.asks_clients() {
            true => tickets()?,
            false => Arc::clone(&inner.tickets),
        };
        let config = configure(&inner.options, &inner.sources, &inner.provider, &tickets)?;
        inner.config.store(Arc::new(config));
        Ok(())
    }

    /// What a client that begins so is greeted with.
    fn config_for(&self, hello: &ClientHello<'_>, http2: bool) -> Arc<ServerConfig> {
        let challenged = hello.alpn().is_some_and(|mut offered| offered.any(|name| name == ACME_TLS));
        let certificate = || self.0.sources.iter().find_map(|source| source.challenge(hello.server_name()?));
        match challenged.then(certificate).flatten() {
            None if http2 => self.0.config.load_full(),
            None => {
                let mut config = ServerConfig::clone(&self.0.config.load());
                config.alpn_protocols.retain(|name| name != H2);
                Arc::new(config)
            }
            Some(certificate) => Arc::new(challenge(certificate, &self.0.provider)),
        }
    }

    /// Time for a handshake.
    fn handshake_timeout(&self) -> Seconds {
        self.0.options.tls_handshake_timeout
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("options", &self.0.options).finish_non_exhaustive()
    }
}

/// Everything a new connection is greeted with.
fn configure(
    options: &Options,
    sources: &[Box<dyn Certificates>],
    provider: &Arc<CryptoProvider>,
    tickets: &Arc<dyn ProducesTickets>,
) -> Result<ServerConfig, StartError> {
    let mut certificates = Vec::new();
    for source in sources {
        certificates.extend(source.load()?);
    }
    let choice = Choice::new(certificates);
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| StartError::new(format!("TLS: {error}; this build of salver lacks a suite")))?;
    let builder = match options.client_authorities()? {
        None => builder.with_no_client_auth(),
        Some((authorities, optional)) => {
            builder.with_client_cert_verifier(verifier(options, authorities, optional, provider)?)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(choice));
    config.ticketer = Arc::clone(tickets);
    config.alpn_protocols = alpn();
    Ok(config)
}

fn verifier(
    options: &Options,
    authorities: RootCertStore,
    optional: bool,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, StartError> {
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), Arc::clone(provider));
    let builder = if optional { builder.allow_unauthenticated() } else { builder };
    builder.build().map_err(|error| {
        let file = options.client_ca.as_deref().unwrap_or("".as_ref()).display();
        StartError::new(format!("--client-ca {file}: {error}; name a file of certificates of authorities"))
    })
}

/// What is offered (RFC 7301), in the order of preference. HTTP/1.0 is for `curl -0`.
fn alpn() -> Vec<Vec<u8>> {
    let offered: &[&[u8]] = &[H2, b"http/1.1", b"http/1.0"];
    offered.iter().map(|name| name.to_vec()).collect()
}

/// How a TLS-ALPN-01 challenge is met: with its certificate and nothing else (RFC 8737 §3).
fn challenge(certificate: Certificate, provider: &Arc<CryptoProvider>) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .expect("it could when the server started")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Choice::new(vec![certificate])));
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    config
}

/// Session tickets under a key of this process's own, which is replaced every six hours. A ticket is good for the host it was
/// given for and no other: rustls compares the names.
fn tickets() -> Result<Arc<dyn ProducesTickets>, StartError> {
    rustls::crypto::aws_lc_rs::Ticketer::new()
        .map_err(|error| StartError::new(format!("TLS: no random numbers from the system: {error}")))
}

/// What `--tls-cert` names is one source among others.
impl Certificates for Options {
    fn load(&self) -> Result<Vec<Certificate>, StartError> {
        let password = self.password()?;
        let certificates = self.tls_cert.iter().enumerate().map(|(place, cert)| {
            let key = self.tls_key.get(place).map(PathBuf::as_path);
            Certificate::open(cert, key, password.as_deref())
        });
        certificates.collect()
    }
}

/// HTTP/2 within TLS (RFC 9113 §3.1).
const H2: &[u8] = b"h2";
/// What whoever checks a domain offers (RFC 8737 §6.2).
const ACME_TLS: &[u8] = b"acme-tls/1";
