//! The head of a request of HTTP/2 (RFC 9113 §8.3), held to what HTTP/1 is held to. Pure.
//!
//! `h2` has refused what is malformed in the frames' own terms: pseudo-fields that are missing, twice or late, names in capitals,
//! fields of a connection, a length that is not the content's. Refused here: an authority beside another `Host`, or none; a target that
//! is no path; an extended CONNECT (RFC 8441) for anything but a WebSocket; a value with spaces around it; more fields than
//! `--limit-request-fields`; a path beyond `--limit-request-line`.

use std::borrow::Cow;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::ext::Protocol;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::http1::Limits;
use crate::http1::authority::Authority;
use crate::http1::field;
use crate::http1::head::Malformed;
use crate::request::Target;

/// A request head that passed every rule.
#[derive(Debug)]
pub(crate) struct Head {
    /// For the access log: the line that HTTP/1 would have.
    pub(crate) line: Bytes,
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) headers: HeaderMap,
    /// The declared length of the content.
    pub(crate) length: Option<u64>,
    /// Whether the client holds its content back for a `100 Continue`.
    pub(crate) expect_continue: bool,
}

impl Head {
    /// Reads what `h2` made of the header section.
    pub(crate) fn parse(parts: Parts, limits: &Limits) -> Result<Self, Malformed> {
        let Parts { method, uri, mut headers, extensions, .. } = parts;
        let protocol = extensions.get::<Protocol>().map(Protocol::as_str);
        let raw = match (&method, uri.path_and_query(), uri.authority()) {
            (&Method::CONNECT, _, Some(authority)) if protocol.is_none() => {
                Bytes::copy_from_slice(authority.as_str().as_bytes())
            }
            (_, Some(path), _) => Bytes::copy_from_slice(path.as_str().as_bytes()),
            _ => Bytes::new(),
        };
        let line = line(&method, &raw);
        let refuse = |status, message: &'static str| {
            let line = line.slice(..line.len().min(limits.request_line));
            Malformed { status, message: Cow::Borrowed(message), line }
        };
        let bad = |message| refuse(StatusCode::BAD_REQUEST, message);
        if line.len() > limits.request_line {
            return Err(refuse(StatusCode::URI_TOO_LONG, "Request-URI Too Long"));
        }
        // Crumbs of a cookie are one field that was cut up (RFC 9113 §8.2.3).
        let crumbs = headers.get_all(COOKIE).iter().count();
        if headers.len() - crumbs.saturating_sub(1) > limits.fields {
            return Err(refuse(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Too many headers"));
        }
        match &*raw {
            [b'/', ..] => {}
            b"*" if method == Method::OPTIONS => {}
            _ if method == Method::CONNECT
                && Authority::parse(&raw).is_some_and(|host| host.port.is_some()) => {}
            _ => return Err(bad("The path does not begin with a slash")),
        }
        if protocol.is_some_and(|protocol| protocol != "websocket") {
            let message = "The only protocol that a stream is opened for is websocket";
            return Err(refuse(StatusCode::NOT_IMPLEMENTED, message));
        }
        check_values(&headers).map_err(bad)?;
        let host = host(&headers, uri.authority().map(http::uri::Authority::as_str)).map_err(bad)?;
        headers.insert(HOST, host);
        let length = match only(&headers, &CONTENT_LENGTH)
            .map_err(|_| bad("There is more than one Content-Length header"))?
        {
            None => None,
            Some(value) => Some(
                field::parse_length(value).ok_or_else(|| bad("Content-Length is not a number of bytes"))?,
            ),
        };
        only(&headers, &CONTENT_TYPE).map_err(|_| bad("There is more than one Content-Type header"))?;
        let expect_continue = match headers.get(EXPECT).map(HeaderValue::as_bytes) {
            None => false,
            Some(value) if value.eq_ignore_ascii_case(b"100-continue") => true,
            Some(_) => {
                let message = "The only expectation met is 100-continue";
                return Err(refuse(StatusCode::EXPECTATION_FAILED, message));
            }
        };
        if crumbs > 1 {
            join_crumbs(&mut headers);
        }
        // SECURITY: an environ spells `-` as `_` too (RFC 3875 §4.1.18).
        let ambiguous: Vec<_> = headers.keys().filter(|name| name.as_str().contains('_')).cloned().collect();
        for name in ambiguous {
            headers.remove(name);
        }
        Ok(Self { line, method, target: Target::new(raw), headers, length, expect_continue })
    }
}

fn line(method: &Method, target: &[u8]) -> Bytes {
    [method.as_str().as_bytes(), b" ", target, b" HTTP/2.0"].concat().into()
}

/// RFC 9113 §8.2.1: no spaces around a value.
fn check_values(headers: &HeaderMap) -> Result<(), &'static str> {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let padded =
        |value: &HeaderValue| is_space(value.as_bytes().first()) || is_space(value.as_bytes().last());
    if headers.values().any(padded) { Err("A header's value begins or ends with a space") } else { Ok(()) }
}

/// RFC 9113 §8.3.1: the authority of the request; a `Host` beside it says the same.
fn host(headers: &HeaderMap, authority: Option<&str>) -> Result<HeaderValue, &'static str> {
    let host = only(headers, &HOST).map_err(|_| "There is more than one Host header")?;
    let found = match (authority, host) {
        (None, None) => return Err("The Host header is missing"),
        (Some(authority), Some(host)) if !authority.as_bytes().eq_ignore_ascii_case(host) => {
            return Err("The Host header is another than the request's authority");
        }
        (Some(authority), _) => authority.as_bytes(),
        (None, Some(host)) => host,
    };
    match Authority::parse(found) {
        Some(_) => HeaderValue::from_bytes(found).map_err(|_| "The Host header is not a host and port"),
        None => Err("The Host header is not a host and port"),
    }
}

/// RFC 9113 §8.2.3: put together again before anything else sees them.
fn join_crumbs(headers: &mut HeaderMap) {
    let mut joined = BytesMut::new();
    for crumb in headers.get_all(COOKIE) {
        if !joined.is_empty() {
            joined.put_slice(b"; ");
        }
        joined.put_slice(crumb.as_bytes());
    }
    if let Ok(cookie) = HeaderValue::from_maybe_shared(joined.freeze()) {
        headers.insert(COOKIE, cookie);
    }
}

/// The value of a field that may stand there once; `Err` where there are more.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h [u8]>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(()),
        (value, None) => Ok(value.map(HeaderValue::as_bytes)),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parse(method: &str, uri: &str, fields: &[(&str, &str)]) -> Result<Head, Malformed> {
        let mut request = Request::builder().method(method).uri(uri).body(()).unwrap();
        let (protocol, fields): (Vec<_>, Vec<_>) = fields.iter().partition(|(name, _)| *name == ":protocol");
        if let [(_, protocol)] = protocol[..] {
            request.extensions_mut().insert(Protocol::from(protocol));
        }
        for (name, value) in fields {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        let limits = Limits { request_line: 40, fields: 4, header_size: 1000 };
        Head::parse(request.into_parts().0, &limits)
    }

    #[test]
    fn what_http1_would_refuse_is_refused() {
        for (method, uri, fields, want) in [
            ("GET", "https://a.test/x?y", &[][..], Ok("GET /x?y HTTP/2.0")),
            ("GET", "https://a.test/x?y", &[("host", "A.test")], Ok("GET /x?y HTTP/2.0")),
            ("GET", "/x", &[("host", "a.test")], Ok("GET /x HTTP/2.0")),
            ("OPTIONS", "*", &[("host", "a.test")], Ok("OPTIONS * HTTP/2.0")),
            ("CONNECT", "a.test:443", &[], Ok("CONNECT a.test:443 HTTP/2.0")),
            ("CONNECT", "a.test", &[], Err(400)),
            ("CONNECT", "https://a.test/x", &[(":protocol", "websocket")], Ok("CONNECT /x HTTP/2.0")),
            ("CONNECT", "https://a.test/x", &[(":protocol", "connect-udp")], Err(501)),
            ("CONNECT", "https://a.test/x", &[], Err(400)),
            ("GET", "*", &[("host", "a.test")], Err(400)),
            ("GET", "/x", &[], Err(400)),
            ("GET", "/x", &[("host", "")], Err(400)),
            ("GET", "/x", &[("host", "a"), ("host", "a")], Err(400)),
            ("GET", "https://a.test/x", &[("host", "b.test")], Err(400)),
            ("GET", "https://user@a.test/x", &[], Err(400)),
            ("GET", "/x", &[("host", "a"), ("x", " 1")], Err(400)),
            ("GET", "/x", &[("host", "a"), ("x", "1\t")], Err(400)),
            ("POST", "/x", &[("host", "a"), ("content-length", "1"), ("content-length", "1")], Err(400)),
            ("POST", "/x", &[("host", "a"), ("content-length", "+1")], Err(400)),
            ("POST", "/x", &[("host", "a"), ("content-type", "a/b"), ("content-type", "a/b")], Err(400)),
            ("POST", "/x", &[("host", "a"), ("expect", "something")], Err(417)),
            ("GET", "/x1234567890123456789012345678901234567890", &[("host", "a")], Err(414)),
            ("GET", "/x", &[("host", "a"), ("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")], Err(431)),
            (
                "GET",
                "/x",
                &[("host", "a"), ("cookie", "1"), ("cookie", "2"), ("cookie", "3"), ("b", "1")],
                Ok("GET /x HTTP/2.0"),
            ),
        ] {
            let got = parse(method, uri, fields);
            let got = got.as_ref().map(|head| &head.line[..]).map_err(|malformed| malformed.status.as_u16());
            assert_eq!(got, want.map(str::as_bytes), "{method} {uri} {fields:?}");
        }
    }

    #[test]
    fn a_head_is_what_a_handler_of_http1_would_see() {
        let fields = [("cookie", "a=1"), ("x_y", "1"), ("cookie", "b=2"), ("expect", "100-Continue")];
        let head = parse("PUT", "https://a.test:8443/x", &fields).unwrap();
        assert_eq!(head.headers[HOST], "a.test:8443");
        assert_eq!(head.headers[COOKIE], "a=1; b=2");
        assert!(!head.headers.contains_key("x_y") && head.expect_continue && head.length.is_none());
        assert_eq!(head.target.path(), b"/x");
    }
}
