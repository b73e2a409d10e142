//! `uri-host [ ":" port ]`, the value of `Host` and the authority of a target (RFC 9110 §7.2, RFC 3986 §3.2.2).
//!
//! Refused: user information, a list, a path, spaces, an empty host, an address in brackets that is not IPv6.

use std::net::Ipv6Addr;

use memchr::memchr;

use super::field;

/// A host and port that are well-formed; what the host means is not looked at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    /// The port, if one is written: the one of `x:` is none.
    pub(crate) port: Option<u16>,
}

impl Authority {
    pub(crate) fn parse(authority: &[u8]) -> Option<Self> {
        let rest = match authority.strip_prefix(b"[") {
            Some(literal) => {
                let (address, rest) = literal.split_at(memchr(b']', literal)?);
                str::from_utf8(address).ok()?.parse::<Ipv6Addr>().ok()?;
                rest.get(1..)?
            }
            None => {
                let (name, rest) = authority.split_at(name_length(authority)?);
                (!name.is_empty()).then_some(rest)?
            }
        };
        let port = match rest {
            b"" | b":" => None,
            [b':', digits @ ..] => Some(field::parse_length(digits)?.try_into().ok()?),
            _ => return None,
        };
        Some(Self { port })
    }
}

/// How long the `reg-name` or IPv4 address is that goes to a colon or to the end; without the comma, which a list of hosts would hide
/// behind.
fn name_length(authority: &[u8]) -> Option<usize> {
    let mut bytes = authority.iter();
    loop {
        let left = bytes.len();
        match bytes.next() {
            Some(b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~') => {}
            Some(b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=') => {}
            Some(b'%') => {
                let (high, low) = (bytes.next()?, bytes.next()?);
                if !(high.is_ascii_hexdigit() && low.is_ascii_hexdigit()) {
                    return None;
                }
            }
            None | Some(b':') => return Some(authority.len() - left),
            Some(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_port_and_nothing_else() {
        for (authority, port) in [
            ("localhost", Some(None)),
            ("localhost:", Some(None)),
            ("localhost:8000", Some(Some(8000))),
            ("0.0.0.0=5000", Some(None)), // `=` is a sub-delimiter
            ("a_b.%C3%A9~", Some(None)),
            ("[::1]", Some(None)),
            ("[::1]:65535", Some(Some(65_535))),
            ("[::ffff:1.2.3.4]:80", Some(Some(80))),
            ("", None),
            (":80", None),
            ("a:65536", None),
            ("a:+1", None),
            ("a:1:2", None),
            ("::1", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[::1%25eth0]", None),
            ("[v1.a]", None),
            ("[]", None),
            ("a]", None),
            ("user@a", None),
            ("user:1@a", None),
            ("a, b", None),
            ("a,b", None),
            ("a b", None),
            ("a/b", None),
            ("a?b", None),
            ("a#b", None),
            ("a\\b", None),
            ("a<b", None),
            ("a%2", None),
            ("a%zz", None),
            ("é", None),
        ] {
            assert_eq!(
                Authority::parse(authority.as_bytes()).map(|authority| authority.port),
                port,
                "{authority}"
            );
        }
    }
}
