//! Who the client is behind proxies that we trust: `Forwarded` (RFC 7239), `X-Forwarded-For` and `X-Forwarded-Proto`.
//!
//! The list is walked from its right end, where the nearest proxy wrote, and only while the address before is trusted. A member
//! that is malformed, `unknown` or obfuscated ends the walk: what a client writes in front is never believed.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use super::list;

/// Peers whose word on the client is believed: networks, `*` (all), `unix` (peers on a Unix socket).
///
/// ```
/// use salver::rfc::forwarded::Trusted;
///
/// let trusted: Trusted = "127.0.0.1, ::1, 10.0.0.0/8".parse()?;
/// assert!(trusted.includes([10, 1, 2, 3].into()));
/// assert!(!trusted.includes([192, 0, 2, 1].into()));
/// # Ok::<(), salver::rfc::forwarded::BadTrusted>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusted {
    networks: Vec<IpNet>,
    /// Every address, and Unix sockets.
    all: bool,
    /// Peers on a Unix socket, which have no address.
    unix: bool,
}

/// What was given as a trusted peer is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no trusted peer: give an address (10.0.0.1), a network (10.0.0.0/8, fd00::/8), `unix` or `*`"
)]
pub struct BadTrusted(String);

/// The client at the far end of the trusted proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address.
    pub address: IpAddr,
    /// How it speaks to the outermost trusted proxy; `None` if nobody who is trusted says so.
    pub scheme: Option<Scheme>,
}

/// The scheme of the client's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Trusted {
    /// Whether a peer of this address is trusted. An IPv4 address within IPv6 is that IPv4 address.
    #[must_use]
    pub fn includes(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.all || self.networks.iter().any(|network| network.contains(&address))
    }

    /// Whether peers on a Unix socket are trusted: by `unix` or `*`.
    #[must_use]
    pub const fn includes_unix(&self) -> bool {
        self.all || self.unix
    }
}

impl FromStr for Trusted {
    type Err = BadTrusted;

    /// Reads a list separated by commas; an empty one trusts nobody.
    fn from_str(text: &str) -> Result<Self, BadTrusted> {
        let mut trusted = Self::default();
        for member in text.split(',').map(str::trim).filter(|member| !member.is_empty()) {
            match member {
                "*" => trusted.all = true,
                "unix" => trusted.unix = true,
                _ => {
                    let network = member.parse().or_else(|_| member.parse::<IpAddr>().map(IpNet::from));
                    trusted.networks.push(network.map_err(|_| BadTrusted(member.to_owned()))?);
                }
            }
        }
        Ok(trusted)
    }
}

impl Scheme {
    /// Its name in a URL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn parse(name: &[u8]) -> Option<Self> {
        [Self::Http, Self::Https]
            .into_iter()
            .find(|scheme| name.eq_ignore_ascii_case(scheme.as_str().as_bytes()))
    }
}

/// The client of a request that came from `peer`: itself, unless it is trusted and names another.
///
/// SECURITY: a proxy sets one of the two kinds of field and often passes the other on as the client wrote it. Where both are
/// there and name different clients, neither is believed.
#[must_use]
pub fn client(headers: &HeaderMap, peer: IpAddr, trusted: &Trusted) -> Client {
    let peer = peer.to_canonical();
    let itself = Client { address: peer, scheme: None };
    if !trusted.includes(peer) {
        return itself;
    }
    behind(headers, trusted).unwrap_or(itself)
}

/// The client of a request that came over a Unix socket; `None` if such peers are not trusted or name nobody.
#[must_use]
pub fn client_behind_unix(headers: &HeaderMap, trusted: &Trusted) -> Option<Client> {
    trusted.includes_unix().then(|| behind(headers, trusted)).flatten()
}

/// The client that a trusted peer names.
fn behind(headers: &HeaderMap, trusted: &Trusted) -> Option<Client> {
    let standard = headers.contains_key(FORWARDED).then(|| walk(hops(headers), trusted));
    let customary = headers.contains_key(X_FORWARDED_FOR).then(|| walk(x_hops(headers), trusted));
    match (standard, customary) {
        (Some(standard), Some(customary)) => {
            let (standard, customary) = (standard?, customary?);
            (standard.address == customary.address).then_some(customary)
        }
        (found, None) | (None, found) => found.flatten(),
    }
}

/// A proxy's word on whom it got the request from; `None` if it cannot be believed.
type Hop = Option<Client>;

/// Goes from the nearest hop outwards, up to the first address that is not trusted or the last that is told.
fn walk(hops: Vec<Hop>, trusted: &Trusted) -> Option<Client> {
    let mut found = None;
    for hop in hops.into_iter().rev() {
        let Some(client) = hop else { break };
        found = Some(client);
        if !trusted.includes(client.address) {
            break;
        }
    }
    found
}

/// The hops that `Forwarded` tells, the outermost first (RFC 7239 §4).
fn hops(headers: &HeaderMap) -> Vec<Hop> {
    let lines = headers.get_all(FORWARDED).into_iter();
    lines.flat_map(|value| list::split(value.as_bytes(), b',')).map(element).collect()
}

/// The hops that `X-Forwarded-For` tells, the outermost first, with the schemes of `X-Forwarded-Proto`.
fn x_hops(headers: &HeaderMap) -> Vec<Hop> {
    let mut hops: Vec<Hop> = members(headers, X_FORWARDED_FOR)
        .map(|node| Some(Client { address: address(node)?, scheme: None }))
        .collect();
    let schemes: Vec<_> = members(headers, X_FORWARDED_PROTO).map(Scheme::parse).collect();
    // A proxy that adds to the list of addresses either adds a scheme too or overwrites the one there is.
    let paired = schemes.len() == hops.len();
    let last = schemes.last().copied().flatten();
    for (position, hop) in hops.iter_mut().enumerate() {
        if let Some(client) = hop {
            client.scheme = if paired { schemes.get(position).copied().flatten() } else { last };
        }
    }
    hops
}

/// The members of a customary list. It knows no quotes, so a client cannot open one that swallows what a proxy appends.
fn members(headers: &HeaderMap, field: HeaderName) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(field).into_iter();
    let members = lines.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    members.map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// An element of `Forwarded`: `for=…;proto=…` and others, each at most once.
fn element(element: &[u8]) -> Hop {
    let (mut node, mut scheme) = (None, None);
    for pair in list::split(element, b';') {
        let (name, value) = list::parameter(pair)?;
        // Checked for every name: a quote that a client left open must not hide what a proxy wrote behind it.
        let value = unquoted(value)?;
        if name.eq_ignore_ascii_case(b"for") && node.replace(address(&value)?).is_some() {
            return None;
        }
        if name.eq_ignore_ascii_case(b"proto") && scheme.replace(Scheme::parse(&value)?).is_some() {
            return None;
        }
    }
    Some(Client { address: node?, scheme })
}

/// A token, or the content of a quoted string that is closed exactly at its end (RFC 9110 §5.6.4).
fn unquoted(value: &[u8]) -> Option<Vec<u8>> {
    let Some(quoted) = value.strip_prefix(b"\"") else {
        // More than tokens: proxies send addresses with colons and brackets without quotes.
        return (!value.iter().any(|byte| matches!(byte, b'"' | b'\\' | b' ' | b'\t')))
            .then(|| value.to_vec());
    };
    let mut content = Vec::with_capacity(quoted.len());
    let mut rest = quoted.iter();
    loop {
        match rest.next()? {
            b'"' => return rest.as_slice().is_empty().then_some(content),
            b'\\' => content.push(*rest.next()?),
            byte => content.push(*byte),
        }
    }
}

/// The address of a node: `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`, each but the second also with a port.
fn address(node: &[u8]) -> Option<IpAddr> {
    let node = str::from_utf8(node).ok()?;
    if let Ok(address) = node.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let (address, port) = match node.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (address.parse::<Ipv6Addr>().ok()?.to_canonical(), port)
        }
        None => {
            let (address, port) = node.split_at_checked(node.find(':')?)?;
            (IpAddr::V4(address.parse().ok()?), port)
        }
    };
    let is_port = |port: &str| {
        let obfuscated = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        port.parse::<u16>().is_ok() || port.starts_with('_') && port.as_bytes().iter().all(obfuscated)
    };
    (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some(address)
}

const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    /// The client that `lines` name to a server that trusts 10/8 and fd00::/8, as `address scheme`, from a peer at 10.0.0.1.
    fn named(lines: &[(HeaderName, &str)]) -> String {
        let trusted = "10.0.0.0/8, fd00::/8".parse().unwrap();
        let client = client(&headers(lines), [10, 0, 0, 1].into(), &trusted);
        format!("{} {}", client.address, client.scheme.map_or("-", Scheme::as_str))
    }

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn forwarded_is_walked_from_the_right() {
        for (value, client) in [
            ("for=192.0.2.1", "192.0.2.1 -"),
            ("For=192.0.2.1;Proto=HTTPS;by=10.0.0.1;host=x", "192.0.2.1 https"),
            ("for=\"192.0.2.1:4711\" ; proto=http", "192.0.2.1 http"),
            ("for=192.0.2.1:_p0rt", "192.0.2.1 -"),
            ("for=\"[2001:db8::1]:80\"", "2001:db8::1 -"),
            ("for=\"[2001:db8::1]\"", "2001:db8::1 -"),
            ("for=\"[::ffff:192.0.2.1]\"", "192.0.2.1 -"),
            ("for=\"192.0.2\\.1\"", "192.0.2.1 -"),
            ("for=198.51.100.9, for=192.0.2.1", "192.0.2.1 -"),
            ("for=192.0.2.1;proto=https, for=10.0.0.2;proto=http", "192.0.2.1 https"),
            ("for=192.0.2.1, for=\"[fd00::1]\", for=10.0.0.2", "192.0.2.1 -"),
            ("for=10.0.0.3, for=10.0.0.2", "10.0.0.3 -"),
            ("for=192.0.2.1, for=unknown, for=10.0.0.2;proto=https", "10.0.0.2 https"),
            ("for=192.0.2.1, for=_hidden", "10.0.0.1 -"),
            ("for=192.0.2.1, proto=https", "10.0.0.1 -"),
            ("for=192.0.2.1;for=192.0.2.2", "10.0.0.1 -"),
            ("for=192.0.2.1;proto=gopher", "10.0.0.1 -"),
            ("for=192.0.2.1;x=\"", "10.0.0.1 -"),
            ("for=192.0.2.1;x=\", for=192.0.2.2;proto=\"https\"", "10.0.0.1 -"),
            ("for=192.0.2.1;x=\"\\, for=192.0.2.2", "10.0.0.1 -"),
            ("for=192.0.2.1;x=\", for=\"[2001:db8::1]\"", "10.0.0.1 -"),
            ("for= 192.0.2.1", "10.0.0.1 -"),
            ("for=192.0.2.1:", "10.0.0.1 -"),
            ("for=192.0.2.1:99999", "10.0.0.1 -"),
            ("for=192.0.2.256", "10.0.0.1 -"),
            ("192.0.2.1", "10.0.0.1 -"),
            ("", "10.0.0.1 -"),
        ] {
            assert_eq!(named(&[(FORWARDED, value)]), client, "{value}");
        }
        assert_eq!(named(&[(FORWARDED, "for=192.0.2.1"), (FORWARDED, "for=10.0.0.2")]), "192.0.2.1 -");
    }

    #[test]
    fn the_customary_fields_are_walked_too() {
        for (addresses, schemes, client) in [
            ("192.0.2.1", "https", "192.0.2.1 https"),
            ("192.0.2.1", "", "192.0.2.1 -"),
            ("192.0.2.1", "wss", "192.0.2.1 -"),
            ("192.0.2.1, 10.0.0.2", "https", "192.0.2.1 https"),
            ("192.0.2.1, 10.0.0.2", "https, http", "192.0.2.1 https"),
            ("198.51.100.9, 192.0.2.1", "http, https", "192.0.2.1 https"),
            ("198.51.100.9, 192.0.2.1, 10.0.0.2", "http, https", "192.0.2.1 https"),
            ("2001:db8::1", "", "2001:db8::1 -"),
            ("[2001:db8::1]:80, 10.0.0.2:5", "", "2001:db8::1 -"),
            ("192.0.2.1:4711", "", "192.0.2.1 -"),
            ("192.0.2.1, unknown", "https", "10.0.0.1 -"),
            ("192.0.2.1, unknown, 10.0.0.2", "", "10.0.0.2 -"),
            ("", "https", "10.0.0.1 -"),
        ] {
            let lines = [(X_FORWARDED_FOR, addresses), (X_FORWARDED_PROTO, schemes)];
            assert_eq!(named(&lines), client, "{addresses} | {schemes}");
        }
    }

    #[test]
    fn two_tales_are_believed_only_where_they_agree() {
        for (standard, customary, client) in [
            ("for=192.0.2.1", "192.0.2.1", "192.0.2.1 -"),
            ("for=127.0.0.1", "192.0.2.1", "10.0.0.1 -"),
            ("for=192.0.2.1", "nonsense", "10.0.0.1 -"),
        ] {
            assert_eq!(named(&[(FORWARDED, standard), (X_FORWARDED_FOR, customary)]), client, "{standard}");
        }
    }

    #[test]
    fn only_trusted_peers_are_believed() {
        let headers = headers(&[(X_FORWARDED_FOR, "198.51.100.9, 192.0.2.1")]);
        for (trusted, peer, address) in [
            ("", "10.0.0.1", "10.0.0.1"),
            ("10.0.0.2", "10.0.0.1", "10.0.0.1"),
            ("10.0.0.1", "10.0.0.1", "192.0.2.1"),
            ("10.0.0.1,", "::ffff:10.0.0.1", "192.0.2.1"),
            ("::1 , 192.0.2.0/24", "::1", "198.51.100.9"),
            ("unix", "10.0.0.1", "10.0.0.1"),
            ("*", "10.0.0.1", "198.51.100.9"),
        ] {
            let client = client(&headers, peer.parse().unwrap(), &trusted.parse().unwrap());
            assert_eq!(client.address.to_string(), address, "{trusted:?} {peer}");
        }
        let behind_unix = |trusted: &str| client_behind_unix(&headers, &trusted.parse().unwrap());
        assert_eq!(behind_unix("10.0.0.0/8"), None);
        assert_eq!(behind_unix("unix").unwrap().address.to_string(), "192.0.2.1");
        assert_eq!(behind_unix("*").unwrap().address.to_string(), "198.51.100.9");
    }

    #[test]
    fn what_is_no_peer_is_told_with_the_mend() {
        for (text, wrong) in
            [("10.0.0.0/33", "10.0.0.0/33"), ("::1, localhost", "localhost"), ("10.0.0", "10.0.0")]
        {
            let error = text.parse::<Trusted>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{wrong:?} is no trusted peer: give ")), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_a_client_writes_in_front_is_never_believed(forged in "[ -~]{0,40}", honest in any::<u8>()) {
            let honest = format!("192.0.2.{honest}");
            let address = |field, value: &str| named(&[(field, value)]).split(' ').next().unwrap().to_owned();
            prop_assert_eq!(address(X_FORWARDED_FOR, &format!("{forged}, {honest}")), honest.as_str());
            // An open quote can make the list unreadable: then the client is the proxy, never one that the forger chose.
            let address = address(FORWARDED, &format!("{forged}, for={honest}"));
            prop_assert!(address == honest || address == "10.0.0.1", "{forged}: {address}");
        }
    }
}
