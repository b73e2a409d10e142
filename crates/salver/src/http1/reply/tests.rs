use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const DATE: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";

const ASKED: Asked =
    Asked { version: Version::HTTP_11, protocol: Version::HTTP_11, head_only: false, keep_alive: true };

fn map(fields: &[(&'static str, &str)]) -> HeaderMap {
    fields
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect()
}

fn write(
    asked: Asked,
    status: u16,
    fields: &[(&'static str, &str)],
    length: Option<u64>,
) -> (String, Written) {
    let mut out = Vec::new();
    let status = StatusCode::from_u16(status).unwrap();
    let written = write_head(&mut out, &asked, (status, None), &map(fields), None, length, DATE).unwrap();
    (String::from_utf8(out).unwrap(), written)
}

#[test]
fn a_whole_head() {
    let (head, written) = write(ASKED, 200, &[("content-type", "text/html"), ("etag", "\"1\"")], Some(5));
    assert_eq!(
        head,
        "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/html\r\nETag: \"1\"\r\nContent-Length: 5\r\n\r\n"
    );
    assert_eq!(written, Written { framing: BodyFraming::Length(5), keep_alive: true });
}

#[test]
fn each_word_of_a_name_begins_with_a_capital() {
    for (name, spelled) in [
        ("x", "X"),
        ("content-security-policy", "Content-Security-Policy"),
        ("x--y-", "X--Y-"),
        ("-x", "-X"),
        ("1-b", "1-B"),
        ("etag", "ETag"),
        ("www-authenticate", "WWW-Authenticate"),
    ] {
        let mut out = b"before-".to_vec();
        write_name(&mut out, &HeaderName::from_static(name));
        assert_eq!(str::from_utf8(&out).unwrap(), format!("before-{spelled}"));
    }
}

#[test]
fn the_status_line() {
    assert!(write(ASKED, 404, &[], None).0.starts_with("HTTP/1.1 404 Not Found\r\n"));
    assert!(write(ASKED, 299, &[], None).0.starts_with("HTTP/1.1 299 \r\n"));
    let old = Asked { protocol: Version::HTTP_10, ..ASKED };
    assert!(write(old, 200, &[], None).0.starts_with("HTTP/1.0 200 OK\r\n"));
}

/// What is said of framing and of the connection, for each combination that matters.
#[test]
fn framing() {
    use BodyFraming::{Chunked, Length, None as Nothing, UntilClose};
    let head_only = Asked { head_only: true, ..ASKED };
    let old_client = Asked { version: Version::HTTP_10, ..ASKED };
    let old_server = Asked { protocol: Version::HTTP_10, ..ASKED };
    let last = Asked { keep_alive: false, ..ASKED };
    let declared: &[_] = &[("content-length", "7")];
    let twice: &[_] = &[("content-length", "7"), ("content-length", "7")];
    for (asked, status, fields, length, framing, lines) in [
        (ASKED, 200, &[][..], Some(5), Length(5), "Content-Length: 5"),
        (ASKED, 200, &[], Some(0), Length(0), "Content-Length: 0"),
        (ASKED, 200, &[], None, Chunked, "Transfer-Encoding: chunked"),
        (ASKED, 200, declared, None, Length(7), "Content-Length: 7"),
        (ASKED, 200, declared, Some(5), Length(5), "Content-Length: 5"),
        (ASKED, 200, twice, None, Chunked, "Transfer-Encoding: chunked"),
        (ASKED, 200, &[("content-length", "+7")], None, Chunked, "Transfer-Encoding: chunked"),
        (ASKED, 200, &[("transfer-encoding", "gzip")], Some(5), Length(5), "Content-Length: 5"),
        (
            ASKED,
            200,
            &[("connection", "x, Close")],
            Some(5),
            Length(5),
            "Content-Length: 5|Connection: close",
        ),
        (ASKED, 200, &[("connection", "x")], Some(5), Length(5), "Content-Length: 5"),
        (ASKED, 101, &[("upgrade", "a")], None, Nothing, "Upgrade: a|Connection: upgrade"),
        (ASKED, 200, &[("upgrade", "a")], Some(5), Length(5), "Content-Length: 5"),
        (ASKED, 204, declared, Some(5), Nothing, ""),
        (ASKED, 205, declared, Some(5), Nothing, "Content-Length: 0"),
        (ASKED, 304, &[], Some(5), Nothing, ""),
        (ASKED, 304, declared, Some(0), Nothing, "Content-Length: 7"),
        (ASKED, 304, &[], None, Nothing, ""),
        (head_only, 200, &[], Some(5), Nothing, "Content-Length: 5"),
        (head_only, 200, declared, Some(5), Nothing, "Content-Length: 5"),
        (head_only, 200, declared, Some(0), Nothing, "Content-Length: 7"),
        (head_only, 200, declared, None, Nothing, "Content-Length: 7"),
        (head_only, 200, &[], Some(0), Nothing, ""),
        (head_only, 200, &[], None, Nothing, ""),
        (last, 200, &[], Some(5), Length(5), "Content-Length: 5|Connection: close"),
        (last, 200, &[], None, Chunked, "Transfer-Encoding: chunked|Connection: close"),
        (old_client, 200, &[], Some(5), Length(5), "Content-Length: 5|Connection: keep-alive"),
        (old_client, 200, &[], None, UntilClose, "Connection: close"),
        (old_server, 200, &[], Some(5), Length(5), "Content-Length: 5|Connection: keep-alive"),
        (old_server, 200, &[], None, UntilClose, ""),
        (Asked { keep_alive: false, ..old_server }, 200, &[], Some(5), Length(5), "Content-Length: 5"),
    ] {
        let case = format!("{asked:?} {status} {fields:?} {length:?}");
        let (head, written) = write(asked, status, fields, length);
        let got: Vec<_> = head.split_terminator("\r\n").skip(2).filter(|line| !line.is_empty()).collect();
        assert_eq!(got.join("|"), lines, "{case}");
        assert_eq!(written.framing, framing, "{case}");
        let closes = lines.contains("close") || framing == UntilClose || !asked.keep_alive;
        assert_eq!(written.keep_alive, !closes, "{case}");
    }
}

#[test]
fn an_interim_status_is_no_answer() {
    for status in [StatusCode::CONTINUE, StatusCode::PROCESSING, StatusCode::EARLY_HINTS] {
        let mut out = Vec::new();
        let bad =
            write_head(&mut out, &ASKED, (status, None), &HeaderMap::new(), None, None, DATE).unwrap_err();
        assert_eq!(bad, BadReply::Interim(status.as_u16()));
        assert!(out.is_empty());
    }
}

#[test]
fn a_handler_may_set_the_date_but_not_the_hop() {
    let fields =
        [("date", "x"), ("te", "y"), ("trailer", "y"), ("keep-alive", "y"), ("proxy-connection", "y")];
    assert_eq!(
        write(ASKED, 200, &fields, Some(0)).0,
        "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn early_hints() {
    let mut out = Vec::new();
    write_early_hints(&mut out, &map(&[("link", "</a>; rel=preload"), ("content-length", "5")]));
    assert_eq!(out, b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n");
}

#[test]
fn chunk_heads() {
    for (size, want) in [(1, "1\r\n"), (15, "f\r\n"), (16, "10\r\n"), (0x1_0000, "10000\r\n")] {
        assert_eq!(*chunk_head(size), *want.as_bytes());
    }
    assert_eq!(*chunk_head(usize::MAX), *format!("{:x}\r\n", usize::MAX).as_bytes());
}

#[test]
fn a_value_cannot_hold_a_line_end() {
    // `write_head` copies values unseen: this is what it relies on.
    for byte in (0..=0x1F).filter(|byte| *byte != b'\t').chain([0x7F]) {
        assert!(HeaderValue::from_bytes(&[b'a', byte]).is_err(), "{byte:#x}");
        assert!(HeaderName::from_bytes(&[b'a', byte]).is_err(), "{byte:#x}");
    }
}

fn any_headers() -> impl Strategy<Value = HeaderMap> {
    let name = prop_oneof![
        prop::sample::select(vec![
            "connection",
            "content-length",
            "transfer-encoding",
            "upgrade",
            "date",
            "trailer"
        ])
        .prop_map(str::to_owned),
        "[a-z!#$%&'*+.^_`|~-]{1,12}",
    ];
    let value = prop_oneof![
        prop::sample::select(vec!["close", "chunked", "5", "x"]).prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..12),
    ];
    prop::collection::vec((name, value), 0..8).prop_map(|fields| {
        let parse = |(name, value): (String, Vec<u8>)| {
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(&value).ok()?))
        };
        fields.into_iter().filter_map(parse).collect()
    })
}

proptest! {
    #[test]
    fn what_was_prepared_is_what_would_be_written(
        headers in any_headers(),
        other in any_headers(),
        change in 0..5,
    ) {
        let prepared = Prepared::new(headers.clone());
        let mut said = headers.clone();
        match (change, headers.iter().next(), other.iter().next()) {
            (1, _, Some((name, value))) => drop(said.insert(name.clone(), value.clone())),
            (2, _, Some((name, value))) => drop(said.append(name.clone(), value.clone())),
            (3, Some((name, _)), _) => drop(said.remove(name)),
            (4, Some((name, value)), _) if headers.get_all(name).iter().count() == 1 => {
                said.insert(name.clone(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            _ => prop_assert!(prepared.of(&said).is_some()),
        }
        let write = |prepared| {
            let mut out = Vec::new();
            write_head(&mut out, &ASKED, (StatusCode::OK, None), &said, prepared, Some(5), DATE).unwrap();
            out
        };
        prop_assert_eq!(write(Some(&prepared)).escape_ascii().to_string(), write(None).escape_ascii().to_string());
    }

    #[test]
    fn another_parser_reads_what_is_written(
        status in 200_u16..1000,
        headers in any_headers(),
        length in any::<Option<u64>>(),
        flags in any::<[bool; 4]>(),
    ) {
        let version = |old| if old { Version::HTTP_10 } else { Version::HTTP_11 };
        let [old_client, old_server, head_only, keep_alive] = flags;
        let asked = Asked { version: version(old_client), protocol: version(old_server), head_only, keep_alive };
        let mut out = Vec::new();
        let status = StatusCode::from_u16(status).unwrap();
        let written = write_head(&mut out, &asked, (status, None), &headers, None, length, DATE).unwrap();

        let mut fields = [httparse::EMPTY_HEADER; 16];
        let mut response = httparse::Response::new(&mut fields);
        prop_assert_eq!(response.parse(&out), Ok(httparse::Status::Complete(out.len())));
        prop_assert_eq!(response.code, Some(status.as_u16()));
        let values = |name: &str| -> Vec<&[u8]> {
            let of_name = response.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
            of_name.map(|field| field.value).collect()
        };
        let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
        match written.framing {
            BodyFraming::None => prop_assert!(lengths.len() <= 1 && codings.is_empty()),
            BodyFraming::Length(length) => {
                let length = length.to_string();
                prop_assert_eq!(lengths, [length.as_bytes()]);
                prop_assert!(codings.is_empty());
            }
            BodyFraming::Chunked => prop_assert!(lengths.is_empty() && codings == [b"chunked"]),
            BodyFraming::UntilClose => {
                prop_assert!(lengths.is_empty() && codings.is_empty() && !written.keep_alive);
            }
        }
        let kept = headers.iter().filter(|(name, _)| !is_ours(name)).count();
        let ours = usize::from(!headers.contains_key("date"));
        let framing = values("content-length").len() + codings.len() + values("connection").len();
        prop_assert_eq!(response.headers.len(), kept + ours + framing);
    }
}
