//! An authority of the user's own, made once, and certificates of it for this machine's names and addresses.
//!
//! A certificate lasts a week, is made at each start and lives in memory; the authority lasts ten years. Whoever trusts it trusts
//! whoever can read its key, so that is the user's alone, and the authority can vouch for hosts only, not for further authorities.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use salver::StartError;
use salver::tls::{Certificate, Certificates};
use time::{Duration, OffsetDateTime};

use super::data::{self, Lock};

/// The authority, and what it vouches for at the moment.
#[derive(Debug)]
pub(super) struct Local {
    issuer: Issuer<'static, KeyPair>,
    /// The certificate that is served.
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    names: Vec<String>,
    not_after: OffsetDateTime,
}

/// Certificates of the authority, for the server.
pub(super) struct Source(pub(super) Arc<Local>);

/// Where the authority's certificate is: what has to be trusted.
pub(super) fn certificate_path(folder: &Path) -> PathBuf {
    folder.join("authority.pem")
}

impl Local {
    /// Reads the authority of `folder`, or makes it.
    ///
    /// # Errors
    /// The folder cannot be written, or what is in it is damaged.
    pub(super) fn open(folder: &Path) -> Result<Self, StartError> {
        let (certificate, key) = (certificate_path(folder), folder.join("authority.key"));
        let _one = Lock::wait(folder)?;
        if data::read(&certificate)?.is_none() || data::read(&key)?.is_none() {
            let (made, made_key) = make().map_err(|error| broken(folder, &error))?;
            data::write(&key, &made_key)?;
            data::write(&certificate, &made)?;
            tracing::info!(
                "made an authority of your own, {}; `salver trust` has it trusted",
                certificate.display()
            );
        }
        let (certificate, key) = (data::read(&certificate)?, data::read(&key)?);
        let issuer = KeyPair::from_pem(&key.unwrap_or_default())
            .and_then(|key| Issuer::from_ca_cert_pem(&certificate.unwrap_or_default(), key))
            .map_err(|error| broken(folder, &error))?;
        Ok(Self { issuer, current: Mutex::new(None) })
    }

    /// Whether the certificate ends soon, or this machine has other names and addresses by now.
    pub(super) fn is_outdated(&self) -> bool {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().is_none_or(|current| {
            current.not_after - OffsetDateTime::now_utc() < LIFE / 3 || current.names != names()
        })
    }

    /// A new certificate for the names and addresses of now.
    fn certify(&self) -> Result<Certificate, StartError> {
        let names = names();
        let cannot = |error: &dyn std::fmt::Display| {
            StartError::new(format!(
                "--tls: no certificate can be made: {error}; remove the authority's files"
            ))
        };
        let not_after = OffsetDateTime::now_utc() + LIFE;
        let made = (|| {
            let mut params = CertificateParams::default();
            params.distinguished_name = named("localhost");
            params.subject_alt_names = names.iter().filter_map(|name| alternative(name)).collect();
            params.not_before = OffsetDateTime::now_utc() - SKEW;
            params.not_after = not_after;
            params.use_authority_key_identifier_extension = true;
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            let key = KeyPair::generate()?;
            Ok::<_, rcgen::Error>((params.signed_by(&key, &self.issuer)?, key))
        })();
        let (made, key) = made.map_err(|error| cannot(&error))?;
        let certificate = Certificate::of(vec![made.der().clone()], key.into())?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(Current { names, not_after });
        Ok(certificate)
    }
}

impl Certificates for Source {
    fn load(&self) -> Result<Vec<Certificate>, StartError> {
        Ok(vec![self.0.certify()?])
    }
}

/// The authority's certificate and key, in PEM.
fn make() -> Result<(String, String), rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("salver local authority of {}", host()));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = OffsetDateTime::now_utc() - SKEW;
    params.not_after = OffsetDateTime::now_utc() + AUTHORITY_LIFE;
    let key = KeyPair::generate()?;
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

/// The names and addresses by which this machine is reached.
fn names() -> Vec<String> {
    let host = host();
    let mut names = vec!["localhost".into(), "127.0.0.1".into(), "::1".into()];
    if host != "localhost" {
        names.extend([format!("{}.local", host.split('.').next().unwrap_or(&host)), host]);
    }
    // Refused only by a sandbox; then others reach it by name.
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let mut addresses: Vec<IpAddr> = interfaces.iter().map(if_addrs::Interface::ip).collect();
    addresses.retain(|ip| !ip.is_loopback() && !matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local()));
    addresses.sort_unstable();
    names.extend(addresses.iter().map(ToString::to_string));
    names.dedup();
    names
}

fn alternative(name: &str) -> Option<SanType> {
    match name.parse() {
        Ok(ip) => Some(SanType::IpAddress(ip)),
        Err(_) => name.to_owned().try_into().ok().map(SanType::DnsName),
    }
}

fn host() -> String {
    let name = rustix::system::uname();
    name.nodename().to_str().ok().filter(|name| !name.is_empty()).unwrap_or("localhost").to_lowercase()
}

fn broken(folder: &Path, error: &rcgen::Error) -> StartError {
    let folder = folder.display();
    StartError::new(format!("--tls: the authority in {folder} is damaged: {error}; remove its two files"))
}

/// How long a certificate is good.
const LIFE: Duration = Duration::days(7);
/// How long the authority is.
const AUTHORITY_LIFE: Duration = Duration::days(3650);
/// By how much a client's clock may be behind ours.
const SKEW: Duration = Duration::hours(1);
