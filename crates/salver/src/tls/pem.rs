//! Certificates, private keys and passwords in files (RFC 7468, PKCS #8 of RFC 5958).
//!
//! Refused: keys under OpenSSL's encryption of old (`Proc-Type: 4,ENCRYPTED`), whose key derivation is one round of MD5.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::start_error::StartError;

/// What a file holds, which may be a pipe; one without end is not read to it.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(MOST + 1).read_to_end(&mut content)?;
    match content.len() as u64 > MOST {
        true => Err(io::Error::other("more than 4 MiB")),
        false => Ok(content),
    }
}

/// The certificates of a file, in their order; there is at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(path).map_err(|error| error.to_string())?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if found.is_empty() => Err("no certificate in it".into()),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("not PEM ({error})")),
    }
}

/// Why there is no private key.
pub(super) enum NoKey {
    /// What is wrong.
    Wrong(String),
    /// What is wrong, and the mend.
    Mend(String, &'static str),
}

/// The private key of a file.
pub(super) fn key(path: &Path, password: Option<&[u8]>) -> Result<PrivateKeyDer<'static>, NoKey> {
    let text = read(path).map_err(|error| NoKey::Wrong(error.to_string()))?;
    if let Some(sealed) = sealed(&text) {
        let Some(password) = password else {
            return Err(NoKey::Mend("the key has a password".into(), "add --tls-password-file FILE"));
        };
        return open(sealed, password);
    }
    if contains(&text, b"Proc-Type: 4,ENCRYPTED") {
        let what = "the key is encrypted in a way too weak to be read";
        return Err(NoKey::Mend(what.into(), "convert it: openssl pkcs8 -topk8 -in KEY -out NEW"));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| NoKey::Wrong("no private key in it".into()))
}

/// What a file of a password holds, without the end of its line.
pub(super) fn password(path: &Path) -> Result<Vec<u8>, StartError> {
    let mut content = read(path).map_err(|error| {
        let path = path.display();
        StartError::new(format!("--tls-password-file {path}: {error}; name a file that can be read"))
    })?;
    while matches!(content.last(), Some(b'\n' | b'\r')) {
        content.pop();
    }
    Ok(content)
}

/// The PEM block of an encrypted key.
fn sealed(text: &[u8]) -> Option<&str> {
    const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
    let text = std::str::from_utf8(text).ok()?;
    let block = text.get(text.find("-----BEGIN ENCRYPTED PRIVATE KEY-----")?..)?;
    block.get(..block.find(END)? + END.len())
}

fn open(sealed: &str, password: &[u8]) -> Result<PrivateKeyDer<'static>, NoKey> {
    let damaged =
        |error: &dyn std::fmt::Display| NoKey::Wrong(format!("the encrypted key is damaged ({error})"));
    let (_, document) = pkcs8::SecretDocument::from_pem(sealed).map_err(|error| damaged(&error))?;
    let info = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|error| damaged(&error))?;
    let key = info.decrypt(password).map_err(|_| {
        NoKey::Mend("the password does not open the key".into(), "correct the file of --tls-password-file")
    })?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

/// The largest file that is read, in bytes: all the authorities of a system are some 250 KB.
const MOST: u64 = 4 << 20;
