//! Which certificate a client is shown: by the name it asks for (SNI, RFC 6066 §3) and the signatures it can check.

use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;

/// Certificates in the order in which they were given.
#[derive(Debug)]
pub(super) struct Choice(Vec<Certificate>);

impl Choice {
    pub(super) fn new(certificates: Vec<Certificate>) -> Self {
        Self(certificates)
    }

    /// The first that is for `name` and can be checked; where none is for it, the first that can be checked, so that a client
    /// can say whose certificate it got instead. The same for a client that names nobody: one that came by an address.
    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let name = name.map(str::to_ascii_lowercase);
        let named = |certificate: &&Certificate| name.as_deref().is_some_and(|name| certificate.is_for(name));
        let checked = |certificate: &&Certificate| certificate.key.key.choose_scheme(schemes).is_some();
        let by_name = self.0.iter().filter(named).find(checked);
        by_name.or_else(|| self.0.iter().find(checked)).map(|found| Arc::clone(&found.key))
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};

    use super::*;

    fn certificate(names: &[&str], algorithm: &'static rcgen::SignatureAlgorithm) -> Certificate {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let made = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        Certificate::of(vec![made.der().clone()], key.into()).unwrap()
    }

    #[test]
    fn the_name_chooses_then_what_can_be_checked() {
        let all = [
            certificate(&["a.test"], &PKCS_ECDSA_P256_SHA256),
            certificate(&["*.b.test", "b.test"], &PKCS_ED25519),
            certificate(&["x.b.test"], &PKCS_ECDSA_P256_SHA256),
        ];
        let choice = Choice::new(all.to_vec());
        let both = [SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ED25519];
        for (name, schemes, want) in [
            (Some("a.test"), &both[..], Some(0)),
            (Some("A.Test"), &both, Some(0)),
            (Some("b.test"), &both, Some(1)),
            (Some("x.b.test"), &both, Some(1)),
            (Some("x.b.test"), &both[..1], Some(2)),
            (Some("x.y.b.test"), &both, Some(0)),
            (Some("elsewhere"), &both, Some(0)),
            (None, &both, Some(0)),
            (Some("a.test"), &both[1..], Some(1)),
            (None, &[SignatureScheme::RSA_PSS_SHA256], None),
        ] {
            let found = choice.choose(name, schemes);
            let want: Option<&Certificate> = want.and_then(|place: usize| all.get(place));
            let same = match (&found, want) {
                (Some(found), Some(want)) => Arc::ptr_eq(found, &want.key),
                (None, None) => true,
                _ => false,
            };
            assert!(same, "{name:?} {schemes:?}");
        }
    }
}
