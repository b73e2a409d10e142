//! The opening handshake by HTTP/1.1 (RFC 6455 §4.2) and by HTTP/2 (RFC 8441 §5), and the offer of permessage-deflate (RFC 7692 §5).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use sha1::{Digest as _, Sha1};

use super::run::Socket;
use super::{Link, Options};
use crate::body::Body;
use crate::error::Error;
use crate::handler::Response;
use crate::request::Request;
use crate::rfc::list;
use crate::upgrade::Upgrade;

/// A request to open a WebSocket.
#[derive(Clone, Debug)]
pub struct Handshake {
    opening: Opening,
    /// The subprotocols that the client speaks, as it prefers them.
    pub protocols: Vec<String>,
    deflate: bool,
}

/// How a WebSocket is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Opening {
    /// The connection becomes one: 101 with this `Sec-WebSocket-Accept`.
    Switch(HeaderValue),
    /// A stream of HTTP/2 becomes one: 200.
    Stream,
}

impl Handshake {
    /// The handshake that `request` is; `None` if it asks for no WebSocket.
    ///
    /// # Errors
    /// It asks for one, and wrongly: 400; for another version than 13: 426.
    pub fn parse(request: &Request) -> Result<Option<Self>, Error> {
        let headers = &request.headers;
        let is_stream = request.version == Version::HTTP_2 && request.method == Method::CONNECT;
        if !is_stream && !asks_to_switch(request) {
            return Ok(None);
        }
        if !is_stream && request.method != Method::GET {
            return Err(bad("A WebSocket is opened with GET"));
        }
        if headers.get(SEC_WEBSOCKET_VERSION).map(HeaderValue::as_bytes) != Some(b"13") {
            return Err(Error::new(
                StatusCode::UPGRADE_REQUIRED,
                "This server speaks WebSocket of version 13",
            )
            .with_header(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")));
        }
        let opening = if is_stream { Opening::Stream } else { Opening::Switch(accept(headers)?) };
        let protocols = items(headers, &SEC_WEBSOCKET_PROTOCOL).map(|item| latin1(item.trim_ascii()));
        let protocols = protocols.filter(|protocol| !protocol.is_empty()).collect();
        let deflate = items(headers, &SEC_WEBSOCKET_EXTENSIONS).any(is_deflate);
        Ok(Some(Self { opening, protocols, deflate }))
    }

    /// The response that accepts it: from then on `link` speaks with the client.
    pub fn accept(
        self,
        link: Arc<Link>,
        protocol: Option<HeaderValue>,
        mut headers: HeaderMap,
        options: &Options,
    ) -> Response {
        let deflate = self.deflate && options.ws_per_message_deflate;
        let status = match self.opening {
            Opening::Stream => StatusCode::OK,
            Opening::Switch(accept) => {
                headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
                StatusCode::SWITCHING_PROTOCOLS
            }
        };
        headers.remove(SEC_WEBSOCKET_EXTENSIONS);
        if deflate {
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(DEFLATE));
        }
        if let Some(protocol) = protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response.extensions_mut().insert(Upgrade::new(Socket::new(link, deflate, options)));
        response
    }
}

/// Whether the request asks that its connection become a WebSocket.
fn asks_to_switch(request: &Request) -> bool {
    request.version == Version::HTTP_11
        && holds(&request.headers, &UPGRADE, "websocket")
        && holds(&request.headers, &CONNECTION, "upgrade")
}

/// The `Sec-WebSocket-Accept` for the request's key (RFC 6455 §4.2.2).
fn accept(headers: &HeaderMap) -> Result<HeaderValue, Error> {
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let (Some(key), None) = (keys.next(), keys.next()) else {
        return Err(bad("One Sec-WebSocket-Key is needed"));
    };
    if !STANDARD.decode(key.as_bytes()).is_ok_and(|key| key.len() == 16) {
        return Err(bad("Sec-WebSocket-Key is not 16 bytes of base64"));
    }
    let digest = Sha1::new().chain_update(key.as_bytes()).chain_update(GUID).finalize();
    Ok(HeaderValue::try_from(STANDARD.encode(digest)).expect("base64 is printable"))
}

fn bad(why: &'static str) -> Error {
    Error::new(StatusCode::BAD_REQUEST, why)
}

/// Whether a list of tokens has this one.
fn holds(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    list::lines(headers, name).any(|line| list::names(line, token.as_bytes()))
}

fn items<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
}

/// Whether an offer is one of permessage-deflate that we can take. A window of ours smaller than usual is more than we promise; all else
/// concerns what we do without: neither side keeps anything from one message to the next.
fn is_deflate(offer: &[u8]) -> bool {
    let mut parts = offer.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(b"permessage-deflate"));
    named
        && parts.all(|part| {
            let name = part.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii_end();
            let value = part.get(name.len()..).unwrap_or_default().trim_ascii();
            let value = value.strip_prefix(b"=").map(|value| value.trim_ascii());
            match name {
                b"server_no_context_takeover" | b"client_no_context_takeover" => value.is_none(),
                b"server_max_window_bits" => matches!(value, Some(b"15" | b"\"15\"")),
                b"client_max_window_bits" => value.is_none_or(|value| {
                    let value =
                        value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
                    matches!(value, b"8" | b"9" | b"10" | b"11" | b"12" | b"13" | b"14" | b"15")
                }),
                _ => false,
            }
        })
}

/// SECURITY: bytes beyond ASCII are one character each, never a fault.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const DEFLATE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

#[cfg(test)]
mod tests {
    use super::*;

    fn request(fields: &[(&'static str, &[u8])]) -> Request {
        let mut request = Request::get("/");
        for (name, value) in fields {
            request.headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        request
    }

    const WHOLE: [(&str, &[u8]); 4] = [
        ("upgrade", b"WebSocket"),
        ("connection", b"keep-alive, Upgrade"),
        ("sec-websocket-version", b"13"),
        ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    #[test]
    fn the_key_is_answered_as_the_rfc_has_it() {
        let handshake = Handshake::parse(&request(&WHOLE)).unwrap().unwrap();
        let accept = HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(handshake.opening, Opening::Switch(accept));
        assert!(!handshake.deflate);
    }

    #[test]
    fn a_stream_of_http2_needs_no_key() {
        let mut stream =
            Request { method: Method::CONNECT, version: Version::HTTP_2, ..request(&[WHOLE[2]]) };
        assert_eq!(Handshake::parse(&stream).unwrap().unwrap().opening, Opening::Stream);
        stream.headers.clear();
        assert_eq!(Handshake::parse(&stream).unwrap_err().status(), 426);
        let get = Request { version: Version::HTTP_2, ..request(&WHOLE) };
        assert!(Handshake::parse(&get).unwrap().is_none(), "HTTP/2 has no Upgrade");
    }

    #[test]
    fn what_is_wrong_is_refused_and_what_is_something_else_is_not() {
        for (drop, add, want) in [
            ("upgrade", None, Ok(false)),
            ("connection", None, Ok(false)),
            ("upgrade", Some(("upgrade", &b"h2c"[..])), Ok(false)),
            ("sec-websocket-version", None, Err(426)),
            ("sec-websocket-version", Some(("sec-websocket-version", &b"8"[..])), Err(426)),
            ("sec-websocket-key", None, Err(400)),
            ("", Some(("sec-websocket-key", &b"dGhlIHNhbXBsZSBub25jZQ=="[..])), Err(400)),
            ("sec-websocket-key", Some(("sec-websocket-key", &b"c2hvcnQ="[..])), Err(400)),
            ("sec-websocket-key", Some(("sec-websocket-key", &b"\x80\xff"[..])), Err(400)),
            ("", Some(("sec-websocket-protocol", &b"\x80\xff, chat"[..])), Ok(true)),
            ("", Some(("sec-websocket-extensions", &b"\xff;;==,\"\x80"[..])), Ok(true)),
        ] {
            let fields: Vec<_> = WHOLE.into_iter().filter(|(name, _)| *name != drop).chain(add).collect();
            let got = Handshake::parse(&request(&fields)).map(|handshake| handshake.is_some());
            assert_eq!(got.map_err(|error| error.status().as_u16()), want, "{drop} {add:?}");
        }
        let mut post = request(&WHOLE);
        post.method = Method::POST;
        assert_eq!(Handshake::parse(&post).unwrap_err().status(), 400);
    }

    #[test]
    fn offers_of_deflate_that_can_be_taken() {
        for (offer, taken) in [
            (&b"permessage-deflate"[..], true),
            (b"permessage-deflate; client_max_window_bits", true),
            (b"permessage-deflate; client_max_window_bits=10", true),
            (b"permessage-deflate; client_max_window_bits=\"9\"", true),
            (b"permessage-deflate; client_max_window_bits=7", false),
            (b"permessage-deflate; client_no_context_takeover; server_no_context_takeover", true),
            (b"permessage-deflate; server_no_context_takeover=1", false),
            (b"permessage-deflate; server_max_window_bits=10", false),
            (b"permessage-deflate; server_max_window_bits=15", true),
            (b"permessage-deflate; unknown", false),
            (b"x-webkit-deflate-frame", false),
        ] {
            assert_eq!(is_deflate(offer), taken, "{}", offer.escape_ascii());
        }
    }
}
