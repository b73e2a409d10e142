//! One finished request → its line. Pure: the time comes in as text, as the format spells it.

use std::io::Write as _;
use std::net::IpAddr;
use std::process;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use percent_encoding::percent_decode;

use super::Details;
use super::escape::{self, Quotes};
use super::format::{Piece, Pieces};
use crate::json;
use crate::request::{Local, Target};

/// All a line can tell of a request that is over.
pub(super) struct Entry<'a> {
    pub(super) details: &'a Details,
    pub(super) status: StatusCode,
    /// Bytes of content that were sent.
    pub(super) bytes: u64,
    /// Whether that was all of it.
    pub(super) complete: bool,
    pub(super) took: Duration,
}

/// http.server's line; an error page's words come first, on a line of their own.
pub(super) fn python(
    out: &mut Vec<u8>,
    details: &Details,
    time: &str,
    status: StatusCode,
    message: Option<&str>,
) {
    let prefix = |out: &mut Vec<u8>| {
        host(out, details);
        put(out, format_args!(" - - [{time}] "));
    };
    if let Some(message) = message {
        prefix(out);
        put(out, format_args!("code {}, message ", status.as_u16()));
        escape::text(out, message.as_bytes(), Quotes::Kept);
        out.push(b'\n');
    }
    prefix(out);
    out.push(b'"');
    escape::text(out, &details.line, Quotes::Kept);
    put(out, format_args!("\" {} -\n", status.as_u16()));
}

/// One JSON object; what is not known is `null`.
pub(super) fn json(out: &mut Vec<u8>, entry: &Entry<'_>, time: &str) {
    let details = entry.details;
    let target = details.target.as_ref();
    let remote = details.remote.map(|remote| remote.ip().to_canonical().to_string());
    let field = |place| details.request_field(place).map(HeaderValue::as_bytes);
    let texts = [
        ("time", Some(time.as_bytes())),
        ("remote", remote.as_deref().map(str::as_bytes)),
        ("request", Some(&details.line[..])),
        ("method", word(&details.line, 0)),
        ("path", target.map(Target::path)),
        ("query", target.and_then(Target::query)),
        ("referer", field(0)),
        ("user_agent", field(1)),
    ];
    for (place, (name, text)) in texts.into_iter().enumerate() {
        put(out, format_args!("{}\"{name}\":", if place == 0 { '{' } else { ',' }));
        match text {
            Some(text) => json::ascii(out, text),
            None => out.extend_from_slice(b"null"),
        }
    }
    let (status, bytes, complete) = (entry.status.as_u16(), entry.bytes, entry.complete);
    put(out, format_args!(",\"status\":{status},\"bytes\":{bytes},\"complete\":{complete},\"seconds\":"));
    decimal(out, entry.took);
    out.extend_from_slice(b"}\n");
}

/// The line of a format with atoms. What comes from the client cannot end a quoted piece.
pub(super) fn pieces(out: &mut Vec<u8>, pieces: &Pieces, entry: &Entry<'_>, time: &str) {
    for piece in &pieces.list {
        one(out, piece, entry, time);
    }
    out.push(b'\n');
}

fn one(out: &mut Vec<u8>, piece: &Piece, entry: &Entry<'_>, time: &str) {
    let details = entry.details;
    let target = details.target.as_ref();
    match piece {
        // SECURITY: one line an event, also where the format itself holds a line end.
        Piece::Text(text) => out.extend(text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r'))),
        Piece::Host => host(out, details),
        Piece::Ident => out.push(b'-'),
        Piece::User(place) => foreign(out, details.request_field(*place).and_then(user).as_deref()),
        Piece::Time => out.extend_from_slice(time.as_bytes()),
        Piece::RequestLine => escape::text(out, &details.line, Quotes::Escaped),
        Piece::Method => foreign(out, word(&details.line, 0)),
        Piece::Target => foreign(out, target.map(Target::as_bytes)),
        Piece::Path => {
            let path: Option<Vec<u8>> = target.map(|target| percent_decode(target.path()).collect());
            foreign(out, path.as_deref());
        }
        Piece::Query => {
            escape::text(out, target.and_then(Target::query).unwrap_or_default(), Quotes::Escaped)
        }
        Piece::Protocol => foreign(out, word(&details.line, 2)),
        Piece::Status => number(out, entry.status.as_u16().into()),
        Piece::Bytes => number(out, entry.bytes),
        Piece::BytesOrDash if entry.bytes == 0 => out.push(b'-'),
        Piece::BytesOrDash => number(out, entry.bytes),
        Piece::Seconds => number(out, entry.took.as_secs()),
        Piece::Millis => number(out, u64::try_from(entry.took.as_millis()).unwrap_or(u64::MAX)),
        Piece::Micros => number(out, u64::try_from(entry.took.as_micros()).unwrap_or(u64::MAX)),
        Piece::Decimal => decimal(out, entry.took),
        Piece::Process => put(out, format_args!("<{}>", process::id())),
        Piece::Scheme => out.extend_from_slice(details.scheme.as_str().as_bytes()),
        Piece::RemotePort => port(out, details.remote.map(|remote| remote.port())),
        Piece::LocalPort => port(
            out,
            match details.local.as_deref() {
                Some(Local::Tcp(address)) => Some(address.port()),
                _ => None,
            },
        ),
        Piece::RequestField(place) => foreign(out, details.request_field(*place).map(HeaderValue::as_bytes)),
        Piece::ResponseField(place) => {
            let value = details.response_fields.get(*place).and_then(Option::as_ref);
            foreign(out, value.map(HeaderValue::as_bytes));
        }
    }
}

/// The client's address; `-` on a Unix socket, where gunicorn writes nothing and shifts every column after it.
fn host(out: &mut Vec<u8>, details: &Details) {
    match details.remote.map(|remote| remote.ip().to_canonical()) {
        Some(IpAddr::V4(address)) => {
            for (place, octet) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    out.push(b'.');
                }
                number(out, octet.into());
            }
        }
        Some(IpAddr::V6(address)) => put(out, format_args!("{address}")),
        None => out.push(b'-'),
    }
}

fn port(out: &mut Vec<u8>, port: Option<u16>) {
    match port {
        Some(port) => number(out, port.into()),
        None => out.push(b'-'),
    }
}

/// Text from outside, `-` for none.
fn foreign(out: &mut Vec<u8>, text: Option<&[u8]>) {
    match text {
        Some(text) => escape::text(out, text, Quotes::Escaped),
        None => out.push(b'-'),
    }
}

fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn decimal(out: &mut Vec<u8>, took: Duration) {
    put(out, format_args!("{}.{:06}", took.as_secs(), took.subsec_micros()));
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to memory does not fail");
}

/// A word of a request line that has three.
fn word(line: &[u8], place: usize) -> Option<&[u8]> {
    let mut words = line.split(|byte| *byte == b' ');
    let found = words.clone().nth(place).filter(|word| !word.is_empty());
    if words.by_ref().count() == 3 { found } else { None }
}

/// The user name in Basic credentials (RFC 7617 §2).
fn user(authorization: &HeaderValue) -> Option<Vec<u8>> {
    let (scheme, credentials) = authorization.as_bytes().split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let mut decoded = base64(credentials.trim_ascii())?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    decoded.truncate(colon);
    (!decoded.is_empty()).then_some(decoded)
}

/// RFC 4648 §4, padding optional.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    for byte in text.get(..text.len() - padding)? {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::finish::log::format::{Format, Plan};

    fn details(line: &str, target: Option<&str>) -> Details {
        Details {
            remote: Some("[::ffff:192.0.2.7]:4000".parse().unwrap()),
            local: Some(Arc::new(Local::Tcp("127.0.0.1:8000".parse().unwrap()))),
            line: Bytes::copy_from_slice(line.as_bytes()),
            target: target.map(|target| Target::new(Bytes::copy_from_slice(target.as_bytes()))),
            request_fields: Vec::new(),
            response_fields: Vec::new(),
            since: None,
            scheme: crate::Scheme::Http,
        }
    }

    fn entry<'a>(details: &'a Details, bytes: u64) -> Entry<'a> {
        let took = Duration::from_micros(2_034_567);
        Entry { details, status: StatusCode::OK, bytes, complete: true, took }
    }

    fn written(format: &str, entry: &Entry<'_>) -> String {
        let mut out = Vec::new();
        match format.parse::<Format>().unwrap().plan {
            Plan::Pieces(list) => pieces(&mut out, &list, entry, "[now]"),
            Plan::Json => json(&mut out, entry, "[now]"),
            Plan::Python => python(&mut out, entry.details, "now", entry.status, None),
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_atom_tells_its_thing() {
        let pid = format!("<{}>", process::id());
        let mut details = details("GET /a%20b?x=\"1 HTTP/1.1", Some("/a%20b?x=\"1"));
        details.request_fields = vec![Some(HeaderValue::from_static("it's \"me\"\\"))];
        details.response_fields = vec![Some(HeaderValue::from_static("tag"))];
        for (atom, want) in [
            ("h", "192.0.2.7"),
            ("l", "-"),
            ("u", "-"),
            ("t", "[now]"),
            ("r", "GET /a%20b?x=\\\"1 HTTP/1.1"),
            ("m", "GET"),
            ("U", "/a b"),
            ("q", "x=\\\"1"),
            ("H", "HTTP/1.1"),
            ("s", "200"),
            ("b", "12"),
            ("B", "12"),
            ("f", "it's \\\"me\\\"\\\\"),
            ("a", "it's \\\"me\\\"\\\\"),
            ("T", "2"),
            ("M", "2034"),
            ("D", "2034567"),
            ("L", "2.034567"),
            ("p", &pid),
            ("{etag}o", "tag"),
            ("{RAW_URI}e", "/a%20b?x=\\\"1"),
            ("{REMOTE_PORT}e", "4000"),
            ("{SERVER_PORT}e", "8000"),
        ] {
            assert_eq!(written(&format!("%({atom})s"), &entry(&details, 12)), format!("{want}\n"), "{atom}");
        }
    }

    #[test]
    fn the_named_formats_are_those_of_other_servers() {
        let details = details("GET / HTTP/1.1", Some("/"));
        for (format, want) in [
            ("python", "192.0.2.7 - - [now] \"GET / HTTP/1.1\" 200 -\n"),
            ("common", "192.0.2.7 - - [now] \"GET / HTTP/1.1\" 200 -\n"),
            ("combined", "192.0.2.7 - - [now] \"GET / HTTP/1.1\" 200 - \"-\" \"-\"\n"),
            (
                "json",
                "{\"time\":\"[now]\",\"remote\":\"192.0.2.7\",\"request\":\"GET / HTTP/1.1\",\"method\":\"GET\",\
                 \"path\":\"/\",\"query\":null,\"referer\":null,\"user_agent\":null,\"status\":200,\"bytes\":0,\
                 \"complete\":true,\"seconds\":2.034567}\n",
            ),
        ] {
            assert_eq!(written(format, &entry(&details, 0)), want);
        }
    }

    #[test]
    fn a_malformed_request_is_one_line_in_every_format() {
        let mut details = details("GET\r\n\x1b[2J\"", None);
        details.remote = None;
        for format in ["python", "common", "combined", "json", "%(r)s %(m)s %(U)s %(q)s %(H)s", "a\nb %(r)s"]
        {
            let line = written(format, &entry(&details, 0));
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            assert!(line.trim_end().bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line}");
        }
    }

    #[test]
    fn an_error_page_s_words_precede_the_line() {
        let mut out = Vec::new();
        let details = details("GET /\\x HTTP/1.1", None);
        python(&mut out, &details, "T", StatusCode::NOT_FOUND, Some("File not found"));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "192.0.2.7 - - [T] code 404, message File not found\n192.0.2.7 - - [T] \"GET /\\\\x HTTP/1.1\" 404 -\n"
        );
    }

    #[test]
    fn the_user_of_basic_credentials_is_found() {
        for (value, want) in [
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Some("Aladdin")),
            ("basic  YTpi", Some("a")),
            ("Basic YTo", Some("a")),
            ("Basic OmI=", None),
            ("Basic YQ==", None),
            ("Basic !", None),
            ("Bearer QWxhZGRpbg==", None),
            ("B", None),
        ] {
            let found = user(&HeaderValue::from_static(value));
            assert_eq!(found.as_deref(), want.map(str::as_bytes), "{value}");
        }
    }
}
