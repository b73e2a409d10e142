//! The request line (RFC 9112 §3): `method SP target SP version`, each space exactly one.

use std::ops::Range;

use http::{Method, StatusCode, Version};
use memchr::{memchr, memchr3};

use super::Fault;
use super::authority::Authority;

/// A request line that passed every rule; places are offsets into it.
#[derive(Debug)]
pub(super) struct RequestLine {
    pub(super) method: Method,
    pub(super) form: Form,
    pub(super) version: Version,
}

/// Where the target stands (RFC 9112 §3.2).
#[derive(Debug)]
pub(super) enum Form {
    /// In origin form, or the authority of CONNECT, or the `*` of OPTIONS.
    AsSent(Range<usize>),
    /// `http://authority` and what follows, which may be nothing.
    Absolute { origin: Range<usize>, authority: Range<usize>, rest: Range<usize> },
}

impl RequestLine {
    pub(super) fn parse(line: &[u8]) -> Result<Self, Fault> {
        let is_space = |byte: &u8| *byte == b' ';
        // RFC 9113 §3.4: HTTP/2 chose this line so that it is refused here.
        let (method_end, target_end) = match (line.iter().position(is_space), line.iter().rposition(is_space))
        {
            (Some(first), Some(last)) if first < last && line != b"PRI * HTTP/2.0" => (first, last),
            _ => return Err(bad_syntax(line)), // and HTTP/0.9, which has no version
        };
        let version = parse_version(line.get(target_end + 1..).unwrap_or_default())?;
        let place = method_end + 1..target_end;
        let target = line.get(place.clone()).unwrap_or_default();
        if target.iter().any(|byte| *byte <= b' ' || *byte == 0x7F) {
            return Err(bad_syntax(line));
        }
        let method = line.get(..method_end).unwrap_or_default();
        let method = Method::from_bytes(method).map_err(|_| bad_syntax(line))?;
        let form = Form::parse(&method, target, place).ok_or_else(|| bad_target(target))?;
        Ok(Self { method, form, version })
    }
}

impl Form {
    /// `place` is where `target` stands.
    fn parse(method: &Method, target: &[u8], place: Range<usize>) -> Option<Self> {
        if method == Method::CONNECT {
            // RFC 9110 §9.3.6: the port is not optional.
            Authority::parse(target)?.port?;
            return Some(Self::AsSent(place));
        }
        match target {
            [b'/', ..] => return Some(Self::AsSent(place)),
            b"*" => return (method == Method::OPTIONS).then_some(Self::AsSent(place)),
            _ => {}
        }
        let scheme = [&b"http://"[..], b"https://"].into_iter().find(|scheme| {
            target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })?;
        let start = place.start + scheme.len();
        let after = target.get(scheme.len()..)?;
        let length = memchr3(b'/', b'?', b'#', after).unwrap_or(after.len());
        Authority::parse(after.get(..length)?)?;
        let (authority, rest) = (start..start + length, start + length..place.end);
        Some(Self::Absolute { origin: place.start..authority.end, authority, rest })
    }
}

/// RFC 9112 §2.3, and as http.server reads it: a minor version above 1 is 1.1, a major one above 1 is not ours.
fn parse_version(version: &[u8]) -> Result<Version, Fault> {
    match version {
        b"HTTP/1.1" => return Ok(Version::HTTP_11),
        b"HTTP/1.0" => return Ok(Version::HTTP_10),
        _ => {}
    }
    let bad = || Fault::bad(format!("Bad request version ({})", quoted(version)));
    let number = version.strip_prefix(b"HTTP/").ok_or_else(bad)?;
    let dot = memchr(b'.', number).ok_or_else(bad)?;
    let (major, minor) = (number.get(..dot).unwrap_or_default(), number.get(dot + 1..).unwrap_or_default());
    let is_number = |digits: &[u8]| matches!(digits.len(), 1..=10) && digits.iter().all(u8::is_ascii_digit);
    match major {
        _ if !is_number(major) || !is_number(minor) => Err(bad()),
        b"1" if minor.iter().all(|digit| *digit == b'0') => Ok(Version::HTTP_10),
        b"1" => Ok(Version::HTTP_11),
        [b'0', ..] => Err(bad()),
        _ => {
            let message = format!("Invalid HTTP version ({})", number.escape_ascii());
            Err(Fault::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, message))
        }
    }
}

fn bad_syntax(line: &[u8]) -> Fault {
    Fault::bad(format!("Bad request syntax ({})", quoted(line)))
}

fn bad_target(target: &[u8]) -> Fault {
    Fault::bad(format!("Bad request target ({})", quoted(target)))
}

/// Foreign bytes for a message: printable, and not longer than a reader wants.
fn quoted(bytes: &[u8]) -> String {
    match bytes.get(..QUOTED) {
        None => format!("'{}'", bytes.escape_ascii()),
        Some(start) => format!("'{}'…", start.escape_ascii()),
    }
}

/// How many bytes of a bad line a message repeats.
const QUOTED: usize = 100;
