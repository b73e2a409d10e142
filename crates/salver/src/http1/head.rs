//! The head of a request: request line and fields (RFC 9112 §2–§5).
//!
//! Refused: bare CR, bare LF and NUL anywhere, folded lines, a field name that is not a token, control bytes in a value,
//! two lengths or types, a length beside a transfer coding, any coding but `chunked`, a request without exactly one good
//! `Host`. A fault that shows before the head is complete is told at once.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use memchr::{memchr, memchr3};

use super::authority::Authority;
use super::line::{Form, RequestLine};
use super::{Fault, Limits, field};
use crate::request::Target;
use crate::rfc::list;

/// A request head that passed every rule.
#[derive(Clone, Debug)]
pub struct Head {
    /// The request line as sent, without its line end.
    pub line: Bytes,
    /// The method, also one nobody knows.
    pub method: Method,
    /// The target as sent; of the absolute form what follows the authority.
    pub target: Target,
    /// HTTP/1.0 or HTTP/1.1; a higher minor version counts as 1.1 (RFC 9110 §2.5).
    pub version: Version,
    /// The fields without those whose name has a `_`; `Host` is the target's own authority where it has one.
    pub headers: HeaderMap,
    /// How the content is delimited.
    pub framing: Framing,
    /// Whether the connection persists after the answer: by version and `Connection` (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// Whether the client said `Connection: keep-alive`, which a server that speaks HTTP/1.0 waits for.
    pub keep_alive_asked: bool,
    /// Whether the client holds its content back for a `100 Continue` (RFC 9110 §10.1.1).
    pub expect_continue: bool,
}

/// How the content of a request is delimited (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// This many bytes follow; less than 2^63.
    Length(u64),
    /// It comes in chunks.
    Chunked,
}

/// Why a head is refused. Nothing that follows on the connection may be acted upon.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", status.as_u16())]
pub struct Malformed {
    /// The status to answer.
    pub status: StatusCode,
    /// Words for the client and the log; http.server's own where it has some.
    pub message: Cow<'static, str>,
    /// What was read of the request line, for the access log: at most [`Limits::request_line`] bytes.
    pub line: Bytes,
}

impl Malformed {
    /// Whether what came is the start of HTTP/2 with prior knowledge (RFC 9113 §3.4).
    pub fn is_http2_preface(&self) -> bool {
        *self.line == *b"PRI * HTTP/2.0"
    }
}

/// Reads one head, from as many pieces as it comes in.
///
/// ```
/// use salver::http1::{Limits, head::HeadReader};
///
/// let mut reader = HeadReader::default();
/// let bytes = b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\nrest";
/// assert!(reader.read(&bytes[..9], &Limits::default())?.is_none());
/// let (head, used) = reader.read(bytes, &Limits::default())?.expect("the head is whole");
/// assert_eq!((head.target.path(), &bytes[used..]), (&b"/a"[..], &b"rest"[..]));
/// # Ok::<(), salver::http1::head::Malformed>(())
/// ```
#[derive(Debug, Default)]
pub struct HeadReader {
    /// Up to here there is no line end but those of whole lines.
    scanned: usize,
    /// Where the line that is being read starts.
    line_start: usize,
    /// Empty lines skipped before the request line.
    skipped: usize,
    /// The request line, once it is whole, and where it stands.
    request_line: Option<(RequestLine, Range<usize>)>,
    /// How many fields were seen.
    fields: usize,
}

impl HeadReader {
    /// Reads on; `bytes` is everything received since the start of this head.
    ///
    /// `Ok(None)`: more is needed. `Ok(Some((head, used)))`: the head is whole and the first `used` bytes were it; the
    /// next head needs a new reader.
    ///
    /// # Errors
    /// [`Malformed`] at the first byte that no good head can have there.
    pub fn read(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<(Box<Head>, usize)>, Malformed> {
        self.read_lines(bytes, limits).map_err(|fault| self.malformed(bytes, limits, fault))
    }

    fn read_lines(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<(Box<Head>, usize)>, Fault> {
        while let Some(line) = self.next_line(bytes, limits)? {
            match &self.request_line {
                None if line.is_empty() => {
                    // RFC 9112 §2.2: an empty line before the request line should be ignored.
                    self.skipped += 1;
                    if self.skipped > MAX_SKIPPED {
                        return Err(Fault::bad("Bad request syntax ('')"));
                    }
                }
                None => {
                    let parsed = RequestLine::parse(bytes.get(line.clone()).unwrap_or_default())?;
                    self.request_line = Some((parsed, line));
                }
                Some((request_line, place)) if line.is_empty() => {
                    let raw =
                        Bytes::copy_from_slice(bytes.get(place.start..self.line_start).unwrap_or_default());
                    let head = assemble(&raw, request_line, place.len(), self.fields)?;
                    return Ok(Some((head, self.line_start)));
                }
                Some(_) => {
                    self.fields += 1;
                    if self.fields > limits.fields {
                        return Err(too_large("Too many headers"));
                    }
                }
            }
        }
        Ok(None)
    }

    /// The place of the next whole line, without its line end.
    fn next_line(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<Range<usize>>, Fault> {
        let found = memchr3(b'\r', b'\n', 0, bytes.get(self.scanned..).unwrap_or_default());
        let end = found.map_or(bytes.len(), |at| self.scanned + at);
        if self.request_line.is_none() {
            // What cannot begin a method is no HTTP (a TLS handshake): whoever sent it must not wait for a timeout.
            match bytes.get(self.line_start) {
                None | Some(b'\r') => {}
                Some(0x16) => return Err(Fault::bad("A TLS handshake came where plain HTTP is spoken")),
                Some(byte) if !field::is_token_byte(*byte) => return Err(Fault::bad("Bad request syntax")),
                Some(_) => {}
            }
            if end - self.line_start > limits.request_line {
                return Err(Fault::new(StatusCode::URI_TOO_LONG, "Request-URI Too Long"));
            }
        }
        if end > limits.header_size {
            return Err(too_large("Header section too long"));
        }
        self.scanned = end;
        match (bytes.get(end), bytes.get(end + 1)) {
            (None, _) | (Some(b'\r'), None) => Ok(None),
            (Some(b'\r'), Some(b'\n')) => {
                let line = self.line_start..end;
                self.line_start = end + 2;
                self.scanned = self.line_start;
                Ok(Some(line))
            }
            (Some(0), _) => Err(Fault::bad("NUL in the request head")),
            // SECURITY: RFC 9112 §2.2 allows a bare LF as a line end; another reader of the same bytes may not see it.
            _ => Err(Fault::bad("A line does not end in CR LF")),
        }
    }

    fn malformed(&self, bytes: &[u8], limits: &Limits, fault: Fault) -> Malformed {
        let line = bytes.get(self.skipped * 2..).unwrap_or_default();
        let line = line.get(..limits.request_line).unwrap_or(line);
        let line = line.get(..memchr3(b'\r', b'\n', 0, line).unwrap_or(line.len())).unwrap_or_default();
        Malformed { status: fault.status, message: fault.message, line: Bytes::copy_from_slice(line) }
    }
}

/// Makes a head of `raw`: whole lines, of which the first is the parsed request line and `fields` are fields. Boxed, since it is large and
/// goes from hand to hand.
fn assemble(
    raw: &Bytes,
    request_line: &RequestLine,
    line_len: usize,
    fields: usize,
) -> Result<Box<Head>, Fault> {
    let version = request_line.version;
    let (mut headers, noted) = parse_fields(raw, line_len + 2, fields)?;
    check_host(&headers, version)?;
    if noted.holds(Noted::CONTENT_TYPE) && list::lines(&headers, &CONTENT_TYPE).nth(1).is_some() {
        // An environ has room for one: which one a gateway or a filter before us saw cannot be known.
        return Err(Fault::bad("There is more than one Content-Type header"));
    }
    let target = match &request_line.form {
        Form::AsSent(place) => Target::new(raw.slice(place.clone())),
        Form::Absolute { origin, authority, rest } => {
            // RFC 9112 §3.2.2: a Host beside an absolute-form target is replaced, never compared.
            headers.insert(HOST, value_of(raw.slice(authority.clone()))?);
            Target::new(rooted(raw.slice(rest.clone()))).at(raw.slice(origin.clone()))
        }
    };
    let framing = match noted.holds(Noted::FRAMING) {
        true => field::framing(&headers, version)?,
        false => Framing::None,
    };
    let (close, keep_alive_asked) = match noted.holds(Noted::CONNECTION) {
        true => field::connection(&headers),
        false => (false, false),
    };
    let expect_continue = noted.holds(Noted::EXPECT) && expects_continue(&headers, version)?;
    // Made where it lies.
    let head = Head {
        line: raw.slice(..line_len),
        method: request_line.method.clone(),
        target,
        version,
        framing,
        keep_alive: !close && (keep_alive_asked || version == Version::HTTP_11),
        keep_alive_asked: keep_alive_asked && !close,
        expect_continue,
        headers,
    };
    Ok(Box::write(Box::new_uninit(), head))
}

/// Which of the fields that decide how a head is read there are: noted as they come, since most heads have one of them or none, and each
/// search costs as much as reading a line.
#[derive(Clone, Copy, Default)]
struct Noted(u8);

impl Noted {
    const CONNECTION: Self = Self(1);
    const CONTENT_TYPE: Self = Self(2);
    const EXPECT: Self = Self(4);
    const FRAMING: Self = Self(8);

    fn note(&mut self, name: &HeaderName) {
        self.0 |= match name {
            _ if *name == CONNECTION => Self::CONNECTION.0,
            _ if *name == CONTENT_TYPE => Self::CONTENT_TYPE.0,
            _ if *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING => Self::FRAMING.0,
            _ if *name == EXPECT => Self::EXPECT.0,
            _ => 0,
        };
    }

    fn holds(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// Reads the field lines from `start` on, up to the empty line.
fn parse_fields(raw: &Bytes, start: usize, fields: usize) -> Result<(HeaderMap, Noted), Fault> {
    let too_many = |_| too_large("Too many headers");
    let mut headers = HeaderMap::try_with_capacity(fields).map_err(too_many)?;
    let mut noted = Noted::default();
    let mut at = start;
    while let Some(length) = memchr(b'\r', raw.get(at..).unwrap_or_default()).filter(|length| *length > 0) {
        let line = raw.get(at..at + length).unwrap_or_default();
        let (name, value) = field::parse(line)?;
        let value = value_of(raw.slice(at + value.start..at + value.end))?;
        // SECURITY: an environ spells `-` as `_` too, so `Content_Length` could pose as another field (RFC 3875 §4.1.18).
        if !name.as_str().contains('_') {
            noted.note(&name);
            headers.try_append(name, value).map_err(too_many)?;
        }
        at += length + 2;
    }
    Ok((headers, noted))
}

fn value_of(value: Bytes) -> Result<HeaderValue, Fault> {
    HeaderValue::from_maybe_shared(value).map_err(|_| field::bad_value())
}

/// RFC 9112 §3.2: one good Host, which only HTTP/1.0 may leave out; an empty one is legal.
fn check_host(headers: &HeaderMap, version: Version) -> Result<(), Fault> {
    let mut hosts = list::lines(headers, &HOST);
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::HTTP_10 => Ok(()),
        (None, _) => Err(Fault::bad("The Host header is missing")),
        (Some(host), None) if host.is_empty() || Authority::parse(host.as_bytes()).is_some() => Ok(()),
        (Some(_), None) => Err(Fault::bad("The Host header is not a host and port")),
        (Some(_), Some(_)) => Err(Fault::bad("There is more than one Host header")),
    }
}

/// What follows the authority, as a target in origin form.
fn rooted(rest: Bytes) -> Bytes {
    match rest.first() {
        Some(b'/') => rest,
        None => Bytes::from_static(b"/"),
        Some(_) => [b"/", &rest[..]].concat().into(),
    }
}

/// RFC 9110 §10.1.1: the one expectation there is; HTTP/1.0 has none.
fn expects_continue(headers: &HeaderMap, version: Version) -> Result<bool, Fault> {
    let mut expected = false;
    for value in list::lines(headers, &EXPECT).filter(|_| version == Version::HTTP_11) {
        if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") {
            return Err(Fault::new(
                StatusCode::EXPECTATION_FAILED,
                "The only expectation met is 100-continue",
            ));
        }
        expected = true;
    }
    Ok(expected)
}

fn too_large(message: &'static str) -> Fault {
    Fault::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, message)
}

/// Empty lines that are skipped before a request line: some clients send one after a body.
const MAX_SKIPPED: usize = 4;

#[cfg(test)]
mod tests;
