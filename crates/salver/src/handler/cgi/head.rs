//! The head of a script's response (RFC 3875 §6): bytes in, values out.
//!
//! Refused: no field at all, a line that is no field, folded lines, control bytes (a bare CR would split the response), more
//! than 64 KiB, a status that is none or stands twice, a `Content-Length` that is none or stands twice.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::http1::reply::Reason;
use crate::rfc::ows;

/// What a script says before its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The `Status` field, or the status line of an `nph-` script; `None` if there was none.
    pub status: Option<StatusCode>,
    /// The reason of a status line, where it is not the usual one.
    pub reason: Option<Reason>,
    /// Every other field, in order.
    pub headers: HeaderMap,
}

/// How a head begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With a field: the server makes the status line.
    Field,
    /// With `HTTP/1.1 200 OK`: an `nph-` script speaks HTTP by itself (RFC 3875 §5).
    StatusLine,
    /// The same, and the status may be interim, as a head may follow a head, or one from 600 to 999: what writes it is a server's
    /// own handler.
    AnyStatusLine,
}

/// What a response is, by its head (RFC 3875 §6.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is for the client, with this status.
    Client(StatusCode),
    /// A lone `Location: /path`: the server answers what a GET of it would.
    LocalRedirect(HeaderValue),
}

/// Why a head is none; the words are for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHead {
    /// The empty line came first.
    #[error("its output begins with an empty line where a header such as Content-Type belongs")]
    Empty,
    /// It ended within the head.
    #[error("its output ended before the empty line that ends its headers")]
    Cut,
    /// More than [`MOST_HEAD`].
    #[error("its headers are longer than 64 KiB")]
    TooLong,
    /// A line is no `Name: value`.
    #[error("line {0} of its output is no header")]
    Line(usize),
    /// The status is no number from 200 to 599, or stands twice.
    #[error("line {0} of its output is no status of an answer, or the second one")]
    Status(usize),
    /// The `Content-Length` is no number, or stands twice.
    #[error("its Content-Length is no number, or stands twice")]
    Length,
}

/// Reads a head as it comes; a head that comes in many pieces is scanned once.
#[derive(Clone, Copy, Debug)]
pub struct HeadReader {
    start: Start,
    scanned: usize,
}

impl HeadReader {
    /// A reader for one head.
    pub fn new(start: Start) -> Self {
        Self { start, scanned: 0 }
    }

    /// Looks at all that has come so far: the head and its length, or `None` if more has to come.
    ///
    /// ```
    /// use salver::handler::cgi::head::{HeadReader, Start};
    ///
    /// let output = b"Content-Type: text/plain\n\nhello";
    /// let (head, length) = HeadReader::new(Start::Field).read(output)?.expect("a whole head");
    /// assert_eq!(head.headers["content-type"], "text/plain");
    /// assert_eq!(&output[length..], b"hello");
    /// # Ok::<(), salver::handler::cgi::head::BadHead>(())
    /// ```
    ///
    /// # Errors
    /// [`BadHead`], whatever would follow.
    pub fn read(&mut self, output: &[u8]) -> Result<Option<(Head, usize)>, BadHead> {
        let Some(length) = self.end(output) else {
            return if output.len() > MOST_HEAD { Err(BadHead::TooLong) } else { Ok(None) };
        };
        if length > MOST_HEAD {
            return Err(BadHead::TooLong);
        }
        let head = parse(output.get(..length).unwrap_or_default(), self.start)?;
        Ok(Some((head, length)))
    }

    /// Where the empty line ends.
    fn end(&mut self, output: &[u8]) -> Option<usize> {
        loop {
            let rest = output.get(self.scanned..)?;
            let line = memchr::memchr(b'\n', rest)?;
            self.scanned += line + 1;
            if matches!(rest.get(..line), Some(b"" | b"\r")) {
                return Some(self.scanned);
            }
        }
    }
}

impl Head {
    /// What the response is.
    pub fn kind(&self) -> Kind {
        match (self.status, self.headers.get(LOCATION)) {
            (None, Some(location)) if self.headers.len() == 1 && is_local(location) => {
                Kind::LocalRedirect(location.clone())
            }
            (None, Some(_)) => Kind::Client(StatusCode::FOUND),
            (status, _) => Kind::Client(status.unwrap_or(StatusCode::OK)),
        }
    }
}

/// A path of this server; `//host/` is one of another.
fn is_local(location: &HeaderValue) -> bool {
    location.as_bytes().starts_with(b"/") && !location.as_bytes().starts_with(b"//")
}

/// Reads a head up to and with its empty line.
fn parse(head: &[u8], start: Start) -> Result<Head, BadHead> {
    let mut lines =
        head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).zip(1..);
    let mut parsed = Head { status: None, reason: None, headers: HeaderMap::new() };
    if start != Start::Field {
        let line = lines.next().map(|(line, _)| line).unwrap_or_default();
        let (status, reason) = status_line(line).ok_or(BadHead::Status(1))?;
        if start == Start::StatusLine && !is_final(status) {
            return Err(BadHead::Status(1));
        }
        (parsed.status, parsed.reason) = (Some(status), reason);
    }
    for (line, number) in lines.take_while(|(line, _)| !line.is_empty()) {
        let (name, value) = field(line).ok_or(BadHead::Line(number))?;
        if name == "status" && start != Start::AnyStatusLine {
            let status = parsed.status.is_none().then(|| status(value.as_bytes())).flatten();
            let status = status.filter(|status| is_final(*status));
            parsed.status = Some(status.ok_or(BadHead::Status(number))?);
            continue;
        }
        let first = parsed.headers.try_append(&name, value).map(|had| !had).map_err(|_| BadHead::TooLong)?;
        if !first && name == LOCATION {
            return Err(BadHead::Line(number)); // the client would go to either
        }
    }
    if parsed.status.is_none() && parsed.headers.is_empty() {
        return Err(BadHead::Empty);
    }
    let mut lengths = parsed.headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next().map(|length| length.as_bytes());
    if lengths.next().is_some() || length.is_some_and(|length| !is_number(length)) {
        return Err(BadHead::Length);
    }
    Ok(parsed)
}

fn field(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = memchr::memchr(b':', line)?;
    let (name, value) = line.split_at(colon);
    // SECURITY: `HeaderName` takes tokens only and `HeaderValue` no CR, so neither can split the response.
    let name = HeaderName::from_bytes(name).ok()?;
    let value = HeaderValue::from_bytes(ows::trim(value.get(1..)?)).ok()?;
    Some((name, value))
}

/// `HTTP/1.1 200 OK`.
fn status_line(line: &[u8]) -> Option<(StatusCode, Option<Reason>)> {
    let rest = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "))?;
    let status = status(rest)?;
    let reason = rest.get(4..).unwrap_or_default();
    if reason.is_empty() || status.canonical_reason().is_some_and(|usual| usual.as_bytes() == reason) {
        return Some((status, None));
    }
    Some((status, Some(Reason::parse(Bytes::copy_from_slice(reason))?)))
}

/// `200`, or `200 OK`.
fn status(value: &[u8]) -> Option<StatusCode> {
    let (code, reason) = value.split_at_checked(3)?;
    let ends = reason.is_empty() || reason.starts_with(b" ");
    StatusCode::from_bytes(code).ok().filter(|_| ends)
}

/// Whether a status is one of an answer (RFC 9110 §15).
fn is_final(status: StatusCode) -> bool {
    (200..600).contains(&status.as_u16())
}

fn is_number(value: &[u8]) -> bool {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits && std::str::from_utf8(value).is_ok_and(|text| text.parse::<u64>().is_ok())
}

/// The most bytes a head may have.
pub const MOST_HEAD: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: &[u8], start: Start) -> Result<Option<(Head, usize)>, BadHead> {
        let whole = HeadReader::new(start).read(output);
        let mut reader = HeadReader::new(start);
        let split = (0..=output.len()).find_map(|end| reader.read(&output[..end]).transpose()).transpose();
        assert_eq!(split, whole, "byte by byte: {:?}", output.escape_ascii().to_string());
        whole
    }

    #[test]
    fn heads_that_are_some() {
        let found = Kind::Client(StatusCode::FOUND);
        let ok = Kind::Client(StatusCode::OK);
        let local = Kind::LocalRedirect(HeaderValue::from_static("/a?b"));
        let cases: &[(&str, Kind, usize)] = &[
            ("Content-Type: text/html\n\n", ok.clone(), 1),
            ("Content-Type: text/html\r\n\r\n", ok.clone(), 1),
            ("Content-Type:text/html\r\nX: \r\n\n", ok.clone(), 2),
            ("Set-Cookie: a=1\nSet-Cookie: b=2\n\n", ok.clone(), 2),
            ("Status: 404\n\n", Kind::Client(StatusCode::NOT_FOUND), 0),
            ("Status: 404 Not here\nX: y\n\n", Kind::Client(StatusCode::NOT_FOUND), 1),
            ("Location: /a?b\n\n", local, 1),
            ("Location: //evil/\n\n", found.clone(), 1),
            ("Location: http://x/\n\n", found.clone(), 1),
            ("Location: /a\nSet-Cookie: x=y\n\n", found.clone(), 2),
            ("Status: 302\nLocation: /a\n\n", found, 1),
            ("Status: 201\nLocation: /a\n\n", Kind::Client(StatusCode::CREATED), 1),
            ("Content-Length: 12\n\n", ok, 1),
        ];
        for (output, kind, fields) in cases {
            let behind = format!("{output}\nbehind: it\n\n");
            let (head, length) = HeadReader::new(Start::Field).read(behind.as_bytes()).unwrap().unwrap();
            assert_eq!(
                (head.kind(), head.headers.len(), length),
                (kind.clone(), *fields, output.len()),
                "{output:?}"
            );
            assert_eq!(read(output.as_bytes(), Start::Field), Ok(Some((head, length))), "{output:?}");
        }
    }

    #[test]
    fn heads_that_are_none() {
        let long = format!("X: {}\n\n", "y".repeat(MOST_HEAD));
        let cases: &[(&str, BadHead)] = &[
            ("\n", BadHead::Empty),
            ("\r\nbody", BadHead::Empty),
            ("garbage\n\n", BadHead::Line(1)),
            ("HTTP/1.1 200 OK\nX: y\n\n", BadHead::Line(1)),
            ("X: y\n folded: z\n\n", BadHead::Line(2)),
            ("X : y\n\n", BadHead::Line(1)),
            (": y\n\n", BadHead::Line(1)),
            ("X: a\rSet-Cookie: b\n\n", BadHead::Line(1)),
            ("X: a\r\r\n\n", BadHead::Line(1)),
            ("X: a\0b\n\n", BadHead::Line(1)),
            ("Location: /a\nLocation: /b\n\n", BadHead::Line(2)),
            ("Status: abc\n\n", BadHead::Status(1)),
            ("Status: 100\n\n", BadHead::Status(1)),
            ("Status: 600\n\n", BadHead::Status(1)),
            ("Status: 2000\n\n", BadHead::Status(1)),
            ("Status: 200\nStatus: 200\n\n", BadHead::Status(2)),
            ("Content-Length: x\n\n", BadHead::Length),
            ("Content-Length: -1\n\n", BadHead::Length),
            ("Content-Length: 1\nContent-Length: 1\n\n", BadHead::Length),
            ("Content-Length: 99999999999999999999\n\n", BadHead::Length),
        ];
        for (output, bad) in cases {
            assert_eq!(read(output.as_bytes(), Start::Field), Err(*bad), "{output:?}");
        }
        assert_eq!(HeadReader::new(Start::Field).read(long.as_bytes()), Err(BadHead::TooLong));
        assert_eq!(HeadReader::new(Start::Field).read(&[b'x'; MOST_HEAD + 1]), Err(BadHead::TooLong));
        assert_eq!(read(b"X: y\n", Start::Field), Ok(None));
    }

    #[test]
    fn a_script_that_speaks_http_begins_with_a_status_line() {
        for (output, status) in [
            ("HTTP/1.1 200 OK\r\nX: y\r\n\r\n", Some(200)),
            ("HTTP/1.0 404\n\n", Some(404)),
            ("HTTP/1.1 100 Continue\n\n", None),
            ("HTTP/1.1 600 X\n\n", None),
            ("HTTP/2 200 OK\n\n", None),
            ("X: y\n\n", None),
            ("HTTP/1.1 200 OK\nStatus: 201\n\n", None),
            ("HTTP/1.1 200 a\rb\n\n", None),
        ] {
            let head = read(output.as_bytes(), Start::StatusLine).ok().flatten();
            let found = head.and_then(|(head, _)| head.status).map(|status| status.as_u16());
            assert_eq!(found, status, "{output:?}");
        }
    }

    #[test]
    fn a_handler_of_a_server_may_write_any_status_line() {
        for (output, want) in [
            ("HTTP/1.1 200 OK\r\n\r\n", Some((200, None, 0))),
            ("HTTP/1.0 200 ok\r\nX: y\r\n\r\n", Some((200, Some("ok"), 1))),
            ("HTTP/1.1 299\r\n\r\n", Some((299, None, 0))),
            ("HTTP/1.1 299 \r\n\r\n", Some((299, None, 0))),
            ("HTTP/1.1 100 Continue\r\n\r\n", Some((100, None, 0))),
            ("HTTP/1.1 999 Odd\r\n\r\n", Some((999, Some("Odd"), 0))),
            ("HTTP/1.1 200 OK\r\nStatus: fine\r\n\r\n", Some((200, None, 1))),
            ("HTTP/1.1 200 a\rb\r\n\r\n", None),
            ("HTTP/1.1 099 X\r\n\r\n", None),
            ("X: y\r\n\r\n", None),
            ("\r\n", None),
        ] {
            let read = read(output.as_bytes(), Start::AnyStatusLine).ok().flatten();
            let found =
                read.map(|(head, _)| (head.status.unwrap().as_u16(), head.reason, head.headers.len()));
            let reason = |text: &'static str| Reason::parse(Bytes::from_static(text.as_bytes())).unwrap();
            assert_eq!(
                found,
                want.map(|(status, text, fields)| (status, text.map(reason), fields)),
                "{output:?}"
            );
        }
    }
}
