//! The head of a response, and the framing of its content (RFC 9112 §4, §6, §7.1).
//!
//! Where a message ends is decided here alone: what a handler says of framing or of the connection is not copied.
//! Line ends cannot be smuggled in: [`HeaderName`] holds token bytes only, [`HeaderValue`](http::HeaderValue) no control
//! byte but HTAB.

use std::io::Write as _;
use std::ops::Deref;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, ETAG, UPGRADE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, StatusCode, Version};

use super::field;
use crate::rfc::list;

mod prepared;

pub use prepared::Prepared;

/// What decides the framing of an answer beside the answer itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The version of the request.
    pub version: Version,
    /// The version this server speaks, which the status line says: HTTP/1.1, or HTTP/1.0 where it is told to.
    pub protocol: Version,
    /// Whether the method is HEAD.
    pub head_only: bool,
    /// Whether the connection may persist.
    pub keep_alive: bool,
}

/// How the content that follows a response head is delimited (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    /// No content may be sent, whatever there is.
    None,
    /// Exactly this many bytes are to be sent; with fewer the connection must be closed.
    Length(u64),
    /// Each piece between a [`chunk_head`] and [`CHUNK_END`], then [`LAST_CHUNK`].
    Chunked,
    /// The content ends where the connection does.
    UntilClose,
}

/// What a written head commits to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// How the content must be sent.
    pub framing: BodyFraming,
    /// Whether the connection persists afterwards.
    pub keep_alive: bool,
}

/// An extension of a response: a reason phrase of its own (RFC 9112 §4), where HTTP has one.
///
/// Invariant: without control bytes but HTAB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(Bytes);

impl Reason {
    /// A reason phrase; `None` if it holds a control byte.
    ///
    /// ```
    /// use salver::http1::reply::Reason;
    /// assert!(Reason::parse("Fine".into()).is_some());
    /// assert!(Reason::parse("Fine\r\nX: y".into()).is_none());
    /// ```
    pub fn parse(phrase: Bytes) -> Option<Self> {
        field::is_value(&phrase).then_some(Self(phrase))
    }
}

/// A response that cannot be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadReply {
    /// An interim status (1xx) is not an answer: the client would wait for one for ever.
    #[error("a handler answered with the interim status {0}: answer with one from 200 on")]
    Interim(u16),
}

/// Sent to a client that waits for it before it sends its content (RFC 9110 §15.2.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Follows the data of each chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// Ends a chunked body.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Appends status line, headers and the empty line to `out`.
///
/// `prepared` may hold the lines of `headers`; `length` is that of the content, if it is known; `date` a ready IMF-fixdate, left out
/// where the handler gave one.
///
/// # Errors
/// [`BadReply`], and nothing has been appended.
pub fn write_head(
    out: &mut Vec<u8>,
    asked: &Asked,
    (status, reason): (StatusCode, Option<&Reason>),
    headers: &HeaderMap,
    prepared: Option<&Prepared>,
    length: Option<u64>,
    date: &[u8],
) -> Result<Written, BadReply> {
    let prepared = prepared.and_then(|prepared| prepared.of(headers));
    let marks = prepared.map_or_else(|| Marks::of(headers), |(_, marks)| marks);
    let plan = Plan::of(asked, status, headers, marks, length)?;
    write_status(out, asked.protocol, status, reason);
    if !plan.dated {
        write_field(out, b"Date", date);
    }
    match prepared {
        Some((lines, _)) => out.extend_from_slice(lines),
        None => copy_fields(out, headers),
    }
    if let Some(length) = plan.content_length {
        write_field(out, b"Content-Length", itoa::Buffer::new().format(length).as_bytes());
    }
    let Written { framing, keep_alive } = plan.written;
    if framing == BodyFraming::Chunked {
        write_field(out, b"Transfer-Encoding", b"chunked");
    }
    if status == StatusCode::SWITCHING_PROTOCOLS {
        for protocol in list::lines(headers, &UPGRADE) {
            write_field(out, b"Upgrade", protocol.as_bytes());
        }
        write_field(out, b"Connection", b"upgrade");
    } else if !keep_alive && asked.protocol == Version::HTTP_11 {
        write_field(out, b"Connection", b"close");
    } else if keep_alive && asked.speaks() == Version::HTTP_10 {
        write_field(out, b"Connection", b"keep-alive");
    }
    out.extend_from_slice(b"\r\n");
    Ok(plan.written)
}

/// Appends a `103 Early Hints` (RFC 8297), which only a client of HTTP/1.1 may be sent.
pub fn write_early_hints(out: &mut Vec<u8>, headers: &HeaderMap) {
    write_status(out, Version::HTTP_11, StatusCode::EARLY_HINTS, None);
    copy_fields(out, headers);
    out.extend_from_slice(b"\r\n");
}

/// The head of 101 Switching Protocols; `headers` names the protocol in its `Upgrade` (RFC 9110 §7.8).
pub(crate) fn write_switching(out: &mut Vec<u8>, headers: &HeaderMap, date: &[u8]) {
    write_status(out, Version::HTTP_11, StatusCode::SWITCHING_PROTOCOLS, None);
    if !list::has(headers, &DATE) {
        write_field(out, b"Date", date);
    }
    write_field(out, b"Connection", b"Upgrade");
    for protocol in list::lines(headers, &UPGRADE) {
        write_field(out, b"Upgrade", protocol.as_bytes());
    }
    copy_fields(out, headers);
    out.extend_from_slice(b"\r\n");
}

/// What precedes the data of a chunk; an empty chunk would end the body, so `size` is not 0.
///
/// ```
/// use salver::http1::reply::chunk_head;
/// assert_eq!(*chunk_head(255), *b"ff\r\n");
/// ```
pub fn chunk_head(size: usize) -> ChunkHead {
    debug_assert_ne!(size, 0, "an empty chunk is the last");
    let mut bytes = [0; 18];
    let mut rest = bytes.as_mut_slice();
    write!(rest, "{size:x}\r\n").expect("16 digits and a line end fit");
    let length = 18 - rest.len();
    ChunkHead { bytes, length }
}

/// The size line of a chunk, as bytes.
#[derive(Clone, Copy, Debug)]
pub struct ChunkHead {
    bytes: [u8; 18],
    length: usize,
}

impl Deref for ChunkHead {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// What is to be said of framing; decided before anything is written.
pub(crate) struct Plan {
    pub(crate) content_length: Option<u64>,
    /// Whether the handler gave a date of its own.
    pub(crate) dated: bool,
    pub(crate) written: Written,
}

impl Plan {
    pub(crate) fn of(
        asked: &Asked,
        status: StatusCode,
        headers: &HeaderMap,
        marks: Marks,
        length: Option<u64>,
    ) -> Result<Self, BadReply> {
        let declared = || declared_length(headers);
        let (framing, content_length) = match status {
            StatusCode::SWITCHING_PROTOCOLS => (BodyFraming::None, None),
            _ if status.is_informational() => return Err(BadReply::Interim(status.as_u16())),
            // RFC 9110 §8.6: none on 204.
            StatusCode::NO_CONTENT => (BodyFraming::None, None),
            // RFC 9110 §15.3.6: 205 has no content and says so.
            StatusCode::RESET_CONTENT => (BodyFraming::None, Some(0)),
            // RFC 9110 §8.6: here it is the length that a 200 to GET would have, or not said. An empty body says nothing
            // of it: it may be empty because nothing will be sent.
            StatusCode::NOT_MODIFIED => (BodyFraming::None, declared()),
            _ if asked.head_only => {
                (BodyFraming::None, length.filter(|length| *length > 0).or_else(declared))
            }
            _ => match length.or_else(declared) {
                Some(length) => (BodyFraming::Length(length), Some(length)),
                None if asked.speaks() == Version::HTTP_11 => (BodyFraming::Chunked, None),
                None => (BodyFraming::UntilClose, None),
            },
        };
        let keep_alive = asked.keep_alive && !marks.close && framing != BodyFraming::UntilClose;
        Ok(Self { content_length, dated: marks.dated, written: Written { framing, keep_alive } })
    }
}

/// What the fields of a response ask of its head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    /// They hold a `Date`.
    dated: bool,
    /// They want the connection closed.
    close: bool,
}

impl Marks {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut marks = Self { dated: false, close: false };
        for (name, value) in headers {
            marks.dated |= name == DATE;
            marks.close |= name == CONNECTION && list::names(value, b"close");
        }
        marks
    }
}

impl Asked {
    /// The version both sides speak.
    fn speaks(&self) -> Version {
        self.version.min(self.protocol)
    }
}

/// The one valid `Content-Length` of a handler.
fn declared_length(headers: &HeaderMap) -> Option<u64> {
    let mut lengths = list::lines(headers, &CONTENT_LENGTH);
    match (lengths.next(), lengths.next()) {
        (Some(length), None) => field::parse_length(length.as_bytes()),
        _ => None,
    }
}

fn write_status(out: &mut Vec<u8>, protocol: Version, status: StatusCode, reason: Option<&Reason>) {
    out.extend_from_slice(if protocol == Version::HTTP_10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' '); // RFC 9112 §4: also where no reason follows
    let usual = || status.canonical_reason().unwrap_or_default().as_bytes();
    out.extend_from_slice(reason.map_or_else(usual, |Reason(reason)| reason));
    out.extend_from_slice(b"\r\n");
}

/// Copies what is the handler's to say, spelled as http.server and most servers do: scripts search for `Last-Modified`.
fn copy_fields(out: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers.iter().filter(|(name, _)| !is_ours(name)) {
        write_name(out, name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends a name as it is usually spelled: a capital at the start of each word.
///
/// ```
/// let mut out = Vec::new();
/// salver::http1::reply::write_name(&mut out, &http::header::LAST_MODIFIED);
/// assert_eq!(out, b"Last-Modified");
/// ```
pub fn write_name(out: &mut Vec<u8>, name: &HeaderName) {
    if let Some((_, spelled)) = SPELLED.iter().find(|(known, _)| known == name) {
        return out.extend_from_slice(spelled);
    }
    let start = out.len();
    out.extend_from_slice(name.as_str().as_bytes());
    let mut rest = out.get_mut(start..).unwrap_or_default();
    while let [first, ..] = rest {
        first.make_ascii_uppercase();
        let word = rest.iter().position(|byte| *byte == b'-').map_or(rest.len(), |dash| dash + 1);
        rest = rest.get_mut(word..).unwrap_or_default();
    }
}

/// Names whose usual spelling is not a capital at the start of each word.
static SPELLED: [(HeaderName, &[u8]); 2] = [(ETAG, b"ETag"), (WWW_AUTHENTICATE, b"WWW-Authenticate")];

/// Fields of the connection and its framing (RFC 9110 §7.6.1): a handler, or what it relays, does not know this connection.
pub fn is_ours(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(
        name,
        "connection" | "content-length" | "keep-alive" | "te" | "trailer" | "transfer-encoding" | "upgrade"
    ) || name.starts_with("proxy-")
}

/// One field line; `name` is as it goes out.
fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
