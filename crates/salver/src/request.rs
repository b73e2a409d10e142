//! One request as a handler gets it.
//!
//! Not `http::Request`: its `Uri` refuses targets that clients really send (`/a<b`) and forgets how they were spelled,
//! and gateways must pass the target on as sent (REQUEST_URI, RFC 3875 §4.1).

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Version};

use crate::body::Body;
use crate::interim::Interim;
use crate::rfc::forwarded::Scheme;
use crate::tls::Session;

/// One request: a checked head and a body that is read when asked for.
///
/// ```
/// use salver::{Body, Request};
///
/// let upload = Request { method: http::Method::PUT, body: Body::from("content"), ..Request::get("/file") };
/// assert_eq!(upload.body.len(), Some(7));
/// ```
#[derive(Debug)]
pub struct Request {
    /// The method, also one we do not know (RFC 9110 §9). CONNECT to a path asks for a WebSocket (RFC 8441 §4).
    pub method: Method,
    /// The request target as sent.
    pub target: Target,
    /// HTTP/1.0, HTTP/1.1 or HTTP/2.
    pub version: Version,
    /// The header section. Names with `_` never get here; `Host` is that of the target where it names one.
    pub headers: HeaderMap,
    /// The content; reading it is what sends `100 Continue`.
    pub body: Body,
    /// Who sent it, and to which of our addresses.
    pub peer: Peer,
    /// What may be said before the answer.
    pub interim: Interim,
}

/// A request target, byte for byte as sent (RFC 9112 §3.2): in origin form or `*`, and the origin of the absolute form beside it.
///
/// ```
/// use salver::Target;
/// let target = Target::new(bytes::Bytes::from("/a%20b?x=1"));
/// assert_eq!(target.path(), b"/a%20b");
/// assert_eq!(target.query(), Some(&b"x=1"[..]));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Target {
    raw: Bytes,
    /// `scheme://authority` of the absolute form (RFC 9112 §3.2.2), as sent; empty in every other.
    origin: Bytes,
    /// Where the path ends: at the first `?` or `#`.
    path_end: usize,
}

/// The two ends of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The client's address; `None` on a Unix socket.
    pub remote: Option<SocketAddr>,
    /// The address of ours that it reached.
    pub local: Arc<Local>,
    /// How it speaks to us, or to the trusted proxy before us.
    pub scheme: Scheme,
    /// The TLS session between it and us; `None` in the clear.
    pub tls: Option<Arc<Session>>,
}

/// An address this server listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A Unix socket and its path, which is empty for what has no address.
    Unix(std::path::PathBuf),
}

impl Request {
    /// A GET of `target` from nowhere, to try a handler without a server.
    ///
    /// ```
    /// let request = salver::Request::get("/a?b");
    /// assert_eq!(request.target.path(), b"/a");
    /// ```
    pub fn get(target: impl Into<Bytes>) -> Self {
        Self {
            method: Method::GET,
            target: Target::new(target.into()),
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
            body: Body::Empty,
            peer: Peer {
                remote: None,
                local: Arc::new(Local::Unix(std::path::PathBuf::new())),
                scheme: Scheme::Http,
                tls: None,
            },
            interim: Interim::default(),
        }
    }
}

impl Target {
    /// Splits a target; `raw` has been checked by the HTTP parser.
    pub fn new(raw: Bytes) -> Self {
        let path_end = raw.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(raw.len());
        Self { raw, origin: Bytes::new(), path_end }
    }

    /// The same target behind `origin`, which is `scheme://authority` of the absolute form as sent.
    #[must_use]
    pub fn at(mut self, origin: Bytes) -> Self {
        self.origin = origin;
        self
    }

    /// `scheme://authority` as sent, where the request named them in its target; empty if not.
    pub fn origin(&self) -> &[u8] {
        &self.origin
    }

    /// The whole target as sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.raw
    }

    /// The path as sent: neither decoded nor normalised.
    pub fn path(&self) -> &[u8] {
        self.raw.get(..self.path_end).unwrap_or_default()
    }

    /// The query as sent, without its `?`; a fragment is cut off.
    pub fn query(&self) -> Option<&[u8]> {
        let rest = self.raw.get(self.path_end..)?.strip_prefix(b"?")?;
        rest.split(|byte| *byte == b'#').next()
    }
}

impl Local {
    /// The port of a TCP address.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(address) => Some(address.port()),
            Self::Unix(_) => None,
        }
    }

    /// The address of an interface, of a TCP address.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Local {
    /// As a URL: `http://127.0.0.1:8000/`, or `unix:PATH`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "http://{address}/"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.raw.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_cut_at_the_query_and_the_fragment() {
        for (raw, path, query) in [
            ("/", "/", None),
            ("/a?b", "/a", Some("b")),
            ("/a?", "/a", Some("")),
            ("/a?b?c", "/a", Some("b?c")),
            ("/a?b#c", "/a", Some("b")),
            ("/a#b?c", "/a", None),
            ("*", "*", None),
        ] {
            let target = Target::new(Bytes::from(raw));
            assert_eq!(target.path(), path.as_bytes(), "{raw}");
            assert_eq!(target.query(), query.map(str::as_bytes), "{raw}");
        }
    }
}
