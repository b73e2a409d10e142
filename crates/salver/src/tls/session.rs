//! What a handshake has settled, and what programs learn of it: the variables of Apache's mod_ssl.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, CommonState, ProtocolVersion, ServerConnection};
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{self, Oid};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use crate::civil::Civil;

/// A TLS session of a connection.
#[derive(Debug)]
pub struct Session {
    version: Option<ProtocolVersion>,
    suite: Option<CipherSuite>,
    /// The host that the client asked for (SNI).
    name: Option<String>,
    /// What the client's certificate says of it.
    client: Option<Vec<(String, String)>>,
}

impl Session {
    /// The host that the client asked for (SNI, RFC 6066 §3).
    pub fn server_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether the client has shown a certificate, which was good.
    pub fn has_client(&self) -> bool {
        self.client.is_some()
    }

    /// Names and values as mod_ssl has them: `SSL_PROTOCOL`, `SSL_CIPHER`, `SSL_TLS_SNI`, `SSL_CLIENT_VERIFY`, and of a client
    /// that has shown a certificate `SSL_CLIENT_S_DN`, `SSL_CLIENT_S_DN_CN`, `SSL_CLIENT_I_DN`, `SSL_CLIENT_M_SERIAL`,
    /// `SSL_CLIENT_V_START`, `SSL_CLIENT_V_END`, `SSL_CLIENT_SAN_DNS_0`, `SSL_CLIENT_SAN_Email_0`, `SSL_CLIENT_CERT`, …
    pub fn variables(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let verify = if self.has_client() { "SUCCESS" } else { "NONE" };
        let session = [
            ("SSL_PROTOCOL", self.version.map(|version| protocol(version).into())),
            ("SSL_CIPHER", self.suite.map(cipher)),
            ("SSL_TLS_SNI", self.name.as_deref().map(Cow::Borrowed)),
            ("SSL_CLIENT_VERIFY", Some(verify.into())),
        ];
        let session = session.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let client = self.client.iter().flatten();
        session.chain(client.map(|(name, value)| (name.as_str(), Cow::Borrowed(value.as_str()))))
    }

    /// Of a handshake that is over.
    pub(super) fn of(connection: &ServerConnection) -> Self {
        let state: &CommonState = connection;
        let client = state.peer_certificates().and_then(<[_]>::first);
        Self {
            version: state.protocol_version(),
            suite: state.negotiated_cipher_suite().map(|suite| suite.suite()),
            name: connection.server_name().map(str::to_owned),
            client: client.map(client_variables),
        }
    }
}

/// What a certificate says of its owner; it has passed rustls already.
fn client_variables(certificate: &CertificateDer<'_>) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    let mut set = |name: &str, value: String| variables.push((format!("SSL_CLIENT_{name}"), value));
    if let Ok((_, parsed)) = X509Certificate::from_der(certificate) {
        let serial = parsed.raw_serial().iter().map(|byte| format!("{byte:02X}"));
        set("M_VERSION", (parsed.version().0 + 1).to_string());
        set("M_SERIAL", serial.collect());
        set("V_START", time(parsed.validity().not_before));
        set("V_END", time(parsed.validity().not_after));
        for (whose, name) in [("S_DN", parsed.subject()), ("I_DN", parsed.issuer())] {
            set(whose, distinguished(name));
            for (kind, value) in numbered(name.iter_attributes().filter_map(parts)) {
                set(&format!("{whose}_{kind}"), value);
            }
        }
        let alternatives = parsed.subject_alternative_name().ok().flatten();
        let names = alternatives.iter().flat_map(|extension| &extension.value.general_names);
        let names = names.filter_map(|name| match name {
            GeneralName::DNSName(host) => Some(("DNS", *host)),
            GeneralName::RFC822Name(mail) => Some(("Email", *mail)),
            _ => None,
        });
        for (place, (kind, name)) in counted(names) {
            set(&format!("SAN_{kind}_{place}"), name.to_owned());
        }
    }
    set("CERT", pem(certificate));
    // SECURITY: an environment ends a value at a NUL; a name that holds one would pose as another.
    variables.retain(|(_, value)| !value.contains('\0'));
    variables
}

/// Each with how many of its kind came before it.
fn counted<'a>(
    names: impl Iterator<Item = (&'a str, &'a str)>,
) -> impl Iterator<Item = (usize, (&'a str, &'a str))> {
    let mut seen: Vec<&str> = Vec::new();
    names.map(move |(kind, name)| {
        let place = seen.iter().filter(|earlier| **earlier == kind).count();
        seen.push(kind);
        (place, (kind, name))
    })
}

/// As mod_ssl numbers parts of a name: `OU`, `OU_1`, …
fn numbered<'a>(parts: impl Iterator<Item = (&'a str, &'a str)>) -> impl Iterator<Item = (String, String)> {
    counted(parts).map(|(place, (kind, value))| {
        let kind = if place > 0 { format!("{kind}_{place}") } else { kind.to_owned() };
        (kind, value.to_owned())
    })
}

/// The abbreviation of an attribute's type, as mod_ssl spells it, and its value.
fn parts<'a>(attribute: &'a AttributeTypeAndValue<'a>) -> Option<(&'a str, &'a str)> {
    let value = attribute.as_str().ok()?;
    let kind = ATTRIBUTES.iter().find(|(oid, _)| attribute.attr_type() == oid)?.1;
    Some((kind, value))
}

/// A distinguished name as RFC 4514 writes it: the last part first.
fn distinguished(name: &X509Name<'_>) -> String {
    let mut sets: Vec<String> = name
        .iter_rdn()
        .map(|set| {
            let attributes = set.iter().map(|attribute| match parts(attribute) {
                Some((kind, value)) => {
                    format!("{}={}", if kind == "Email" { "emailAddress" } else { kind }, escaped(value))
                }
                None => {
                    let value: String =
                        attribute.as_slice().iter().map(|byte| format!("{byte:02X}")).collect();
                    format!("{}=#{value}", attribute.attr_type().to_id_string())
                }
            });
            attributes.collect::<Vec<_>>().join("+")
        })
        .collect();
    sets.reverse();
    sets.join(",")
}

/// RFC 4514 §2.4.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (place, char) in value.chars().enumerate() {
        match char {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', char]),
            ' ' if place == 0 || place == last => text.extend(['\\', char]),
            '#' if place == 0 => text.extend(['\\', char]),
            char if char.is_ascii_control() => text.push_str(&format!("\\{:02X}", u32::from(char))),
            char => text.push(char),
        }
    }
    text
}

/// As OpenSSL prints times: `Nov 23 06:27:00 2026 GMT`.
fn time(time: x509_parser::time::ASN1Time) -> String {
    let moment = Civil::of(time.timestamp());
    let Civil { year, day, hour, minute, second, .. } = moment;
    format!("{} {day:>2} {hour:02}:{minute:02}:{second:02} {year} GMT", moment.month_name())
}

fn pem(certificate: &[u8]) -> String {
    let text = STANDARD.encode(certificate);
    let lines: Vec<&str> =
        (0..text.len()).step_by(64).filter_map(|at| text.get(at..text.len().min(at + 64))).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn protocol(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_2 => "TLSv1.2",
        _ => "TLSv1.3",
    }
}

/// A cipher suite by the name OpenSSL gives it.
fn cipher(suite: CipherSuite) -> Cow<'static, str> {
    Cow::Borrowed(match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-ECDSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        other => return Cow::Owned(format!("{other:?}")),
    })
}

/// Parts of names that have a variable in mod_ssl.
static ATTRIBUTES: [(Oid<'static>, &str); 11] = [
    (oid_registry::OID_X509_COMMON_NAME, "CN"),
    (oid_registry::OID_X509_COUNTRY_NAME, "C"),
    (oid_registry::OID_X509_STATE_OR_PROVINCE_NAME, "ST"),
    (oid_registry::OID_X509_LOCALITY_NAME, "L"),
    (oid_registry::OID_X509_ORGANIZATION_NAME, "O"),
    (oid_registry::OID_X509_ORGANIZATIONAL_UNIT, "OU"),
    (oid_registry::OID_X509_GIVEN_NAME, "G"),
    (oid_registry::OID_X509_SURNAME, "S"),
    (oid_registry::OID_X509_SERIALNUMBER, "serialNumber"),
    (oid_registry::OID_DOMAIN_COMPONENT, "DC"),
    (oid_registry::OID_PKCS9_EMAIL_ADDRESS, "Email"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_so_that_it_can_be_read_back() {
        for (value, want) in [
            ("alice", "alice"),
            ("a, b", "a\\, b"),
            (" a ", "\\ a\\ "),
            ("#1", "\\#1"),
            ("a\nb", "a\\0Ab"),
            ("a+b=c", "a\\+b=c"),
            ("é", "é"),
            ("", ""),
        ] {
            assert_eq!(escaped(value), want);
        }
    }

    #[test]
    fn what_a_client_shows_has_mod_ssl_s_names() {
        let mut params = rcgen::CertificateParams::new(vec!["alice.test".into()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in [
            (rcgen::DnType::CountryName, "DE"),
            (rcgen::DnType::OrganizationName, "Ex, Ample"),
            (rcgen::DnType::CommonName, "alice"),
        ] {
            params.distinguished_name.push(kind, value);
        }
        params.serial_number = Some(rcgen::SerialNumber::from(vec![1, 0xAB]));
        params.not_before = rcgen::date_time_ymd(2020, 1, 2);
        let key = rcgen::KeyPair::generate().unwrap();
        let made = params.self_signed(&key).unwrap();
        let variables = client_variables(made.der());
        let of = |name: &str| {
            let found = variables.iter().find(|(found, _)| *found == format!("SSL_CLIENT_{name}"));
            found.map(|(_, value)| value.as_str())
        };
        for (name, want) in [
            ("S_DN", Some("CN=alice,O=Ex\\, Ample,C=DE")),
            ("S_DN_CN", Some("alice")),
            ("S_DN_O", Some("Ex, Ample")),
            ("I_DN_C", Some("DE")),
            ("M_SERIAL", Some("01AB")),
            ("M_VERSION", Some("3")),
            ("V_START", Some("Jan  2 00:00:00 2020 GMT")),
            ("SAN_DNS_0", Some("alice.test")),
            ("SAN_DNS_1", None),
        ] {
            assert_eq!(of(name), want, "{name}");
        }
        assert!(of("CERT").is_some_and(|pem| pem.starts_with("-----BEGIN CERTIFICATE-----\nMII")));
    }
}
