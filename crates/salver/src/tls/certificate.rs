//! One certificate with its key, and the names it is for.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::pem::{self, NoKey};
use crate::start_error::StartError;

/// A certificate, what vouches for it, and its private key, which are known to belong together.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    /// The names of hosts it is for, in lower case; one may begin with `*.`.
    names: Vec<String>,
    /// From when to when it is good, in seconds since 1970.
    validity: Range<i64>,
}

impl Certificate {
    /// Reads the certificate of `path`, whose key is in `key` or, without one, in the same file.
    ///
    /// # Errors
    /// One line: what cannot be read, does not belong together, or is not valid now.
    pub fn open(path: &Path, key: Option<&Path>, password: Option<&[u8]>) -> Result<Self, StartError> {
        let shown = path.display();
        let chain = pem::certificates(path).map_err(|what| {
            StartError::new(format!("--tls-cert {shown}: {what}; name a file with a certificate in PEM"))
        })?;
        let key_path = key.unwrap_or(path);
        let option = if key.is_some() { "--tls-key" } else { "--tls-cert" };
        let fails = |what: String, mend: &str| {
            StartError::new(format!("{option} {}: {what}; {mend}", key_path.display()))
        };
        let key = pem::key(key_path, password).map_err(|no_key| match no_key {
            NoKey::Wrong(what) if option == "--tls-cert" => fails(what, "name the key's file by --tls-key"),
            NoKey::Wrong(what) => fails(what, "name a file with a private key in PEM"),
            NoKey::Mend(what, mend) => fails(what, mend),
        })?;
        Self::new(chain, key).map_err(|wrong| match wrong {
            Wrong::Key(what) => {
                fails(what, "use an RSA key from 2048 bits on, ECDSA P-256 to P-521 or Ed25519")
            }
            Wrong::Match => {
                fails("not the key of its certificate".into(), "name the two that belong together")
            }
            Wrong::Certificate(what, mend) => StartError::new(format!("--tls-cert {shown}: {what}; {mend}")),
        })
    }

    /// A certificate of a chain, its own first, and its key.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn of(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, StartError> {
        Self::new(chain, key).map_err(|wrong| {
            StartError::new(match wrong {
                Wrong::Key(what) | Wrong::Certificate(what, _) => what,
                Wrong::Match => "the key is another certificate's".into(),
            })
        })
    }

    /// Whether it is for the host `name`, which is in lower case: by its own name, or by one for all of its domain (RFC 9525
    /// §6.3).
    pub fn is_for(&self, name: &str) -> bool {
        let domain = name.split_once('.').map(|(_, domain)| domain);
        self.names.iter().any(|own| match own.strip_prefix("*.") {
            Some(all) => domain == Some(all),
            None => own == name,
        })
    }

    /// From when on it is good, in seconds since 1970.
    pub fn not_before(&self) -> i64 {
        self.validity.start
    }

    /// When it ends, in seconds since 1970.
    pub fn not_after(&self) -> i64 {
        self.validity.end
    }

    fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, Wrong> {
        let key = aws_lc_rs::sign::any_supported_type(&key).map_err(|error| Wrong::Key(error.to_string()))?;
        let leaf = chain.first().ok_or_else(|| damaged("it is empty"))?;
        // Not rustls's own comparison: it refuses what it does not know, such as the answer to a challenge (RFC 8737 §3).
        if key.public_key().is_some_and(|public| !is_key_of(&public, leaf)) {
            return Err(Wrong::Match);
        }
        let (names, validity) = read(leaf, now())?;
        Ok(Self { key: Arc::new(CertifiedKey::new(chain, key)), names, validity })
    }
}

/// What is wrong with a certificate and its key.
enum Wrong {
    Key(String),
    Match,
    /// What is wrong, and the mend.
    Certificate(String, &'static str),
}

fn damaged(why: &str) -> Wrong {
    Wrong::Certificate(format!("the certificate is damaged ({why})"), "make or fetch it anew")
}

/// Whether a certificate is about this public key.
fn is_key_of(public: &[u8], certificate: &CertificateDer<'_>) -> bool {
    match X509Certificate::from_der(certificate) {
        Ok((_, parsed)) => parsed.public_key().raw == public,
        Err(_) => true, // which is told as what it is
    }
}

/// The names and the time of a certificate that is valid at `now`.
fn read(certificate: &CertificateDer<'_>, now: i64) -> Result<(Vec<String>, Range<i64>), Wrong> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| damaged(&error.to_string()))?;
    let validity = parsed.validity();
    let at = |time: x509_parser::time::ASN1Time| time.to_rfc2822().unwrap_or_else(|error| error);
    if validity.not_after.timestamp() < now {
        let what = format!("expired on {}", at(validity.not_after));
        return Err(Wrong::Certificate(what, "renew it"));
    }
    if validity.not_before.timestamp() > now {
        let what = format!("not valid before {}", at(validity.not_before));
        return Err(Wrong::Certificate(what, "set the clock or wait"));
    }
    let mut names = Vec::new();
    if let Ok(Some(alternatives)) = parsed.subject_alternative_name() {
        for name in &alternatives.value.general_names {
            if let GeneralName::DNSName(name) = name {
                names.push(name.to_ascii_lowercase());
            }
        }
    } else if let Some(name) = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok())
    {
        names.push(name.to_ascii_lowercase());
    }
    Ok((names, validity.not_before.timestamp()..validity.not_after.timestamp()))
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
