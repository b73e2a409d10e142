use proptest::prelude::*;

use super::*;

type Outcome = Result<Option<(Box<Head>, usize)>, Malformed>;

/// Feeds the first bytes up to each of `ends` in turn, until there is an outcome.
fn feed(bytes: &[u8], ends: impl IntoIterator<Item = usize>, limits: &Limits) -> Outcome {
    let mut reader = HeadReader::default();
    for end in ends {
        let outcome = reader.read(&bytes[..end], limits);
        if !matches!(outcome, Ok(None)) {
            return outcome;
        }
    }
    Ok(None)
}

fn assert_same(bytes: &[u8], how: &str, got: &Outcome, want: &Outcome) {
    let text = bytes.escape_ascii();
    match (got, want) {
        (Err(got), Err(want)) => {
            assert_eq!((got.status, &got.message), (want.status, &want.message), "{how}: {text}");
            // Of a line refused at its first byte the log shows what has come by then.
            assert!(got.line.starts_with(&want.line) || want.line.starts_with(&got.line), "{how}: {text}");
        }
        _ => assert_eq!(format!("{got:?}"), format!("{want:?}"), "{how}: {text}"),
    }
}

/// The outcome of `bytes`, which is the same whole, byte by byte, cut in two anywhere, and with a request behind it.
fn read(bytes: &[u8]) -> Outcome {
    let limits = Limits::default();
    let whole = feed(bytes, [bytes.len()], &limits);
    assert_same(bytes, "byte by byte", &feed(bytes, 0..=bytes.len(), &limits), &whole);
    for cut in 0..bytes.len() {
        assert_same(bytes, "cut in two", &feed(bytes, [cut, bytes.len()], &limits), &whole);
    }
    if !matches!(whole, Ok(None)) {
        let followed = [bytes, b"GET /next HTTP/1.1\r\nHost: next\r\n\r\n"].concat();
        assert_same(bytes, "followed", &feed(&followed, [followed.len()], &limits), &whole);
    }
    whole
}

fn status(bytes: impl AsRef<[u8]>) -> u16 {
    match read(bytes.as_ref()) {
        Ok(Some((_, used))) => {
            assert_eq!(used, bytes.as_ref().len());
            200
        }
        Ok(None) => 0,
        Err(malformed) => malformed.status.as_u16(),
    }
}

fn head(bytes: impl AsRef<[u8]>) -> Box<Head> {
    read(bytes.as_ref()).unwrap().unwrap().0
}

#[test]
fn request_lines() {
    for (line, want) in [
        ("GET / HTTP/1.1", 200),
        ("GET / HTTP/1.0", 200),
        ("GET / HTTP/1.32", 200),
        ("-blargh! / HTTP/1.1", 200),
        ("GET /a<b>\"\\^`{|} HTTP/1.1", 200),
        ("GET /é?ü#ö HTTP/1.1", 200),
        ("GET //a HTTP/1.1", 200),
        ("GET http://x HTTP/1.1", 200),
        ("GET HTTPS://[::1]:8443?a HTTP/1.1", 200),
        ("OPTIONS * HTTP/1.1", 200),
        ("CONNECT x:443 HTTP/1.1", 200),
        ("CONNECT [::1]:443 HTTP/1.1", 200),
        ("GET / HTTP/2.0", 505),
        ("GET / HTTP/9.9", 505),
        ("GET / HTTP/10.1", 505),
        ("GET /", 400),
        ("GET", 400),
        ("GET ", 400),
        (" ", 400),
        ("GET  HTTP/1.1", 400),
        ("GET  / HTTP/1.1", 400),
        ("GET /  HTTP/1.1", 400),
        ("GET / HTTP/1.1 ", 400),
        (" GET / HTTP/1.1", 400),
        ("GET\t/\tHTTP/1.1", 400),
        ("GET /a b HTTP/1.1", 400),
        ("GET /a\tb HTTP/1.1", 400),
        ("GET /a\x01 HTTP/1.1", 400),
        ("GET /a\x7f HTTP/1.1", 400),
        ("G(T / HTTP/1.1", 400),
        ("GÉT / HTTP/1.1", 400),
        ("GET: / HTTP/1.1", 400),
        ("GET / http/1.1", 400),
        ("GET / HTTP/1", 400),
        ("GET / HTTP/1.", 400),
        ("GET / HTTP/.1", 400),
        ("GET / HTTP/1.1.1", 400),
        ("GET / HTTP/1.+1", 400),
        ("GET / HTTP/-1.1", 400),
        ("GET / HTTP/0.9", 400),
        ("GET / HTTP/01.1", 400),
        ("GET / HTTP/1.1\x0b", 400),
        ("GET / HTTP/111111111111.1", 400),
        ("GET / FTP/1.1", 400),
        ("GET a HTTP/1.1", 400),
        ("GET ?a HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("OPTIONS ** HTTP/1.1", 400),
        ("GET x:443 HTTP/1.1", 400),
        ("CONNECT x HTTP/1.1", 400),
        ("CONNECT / HTTP/1.1", 400),
        ("CONNECT http://x:1 HTTP/1.1", 400),
        ("GET http:/x HTTP/1.1", 400),
        ("GET http:///x HTTP/1.1", 400),
        ("GET http://:80/ HTTP/1.1", 400),
        ("GET http://user@x/ HTTP/1.1", 400),
        ("GET http://a,b/ HTTP/1.1", 400),
        ("GET http://a\\b/ HTTP/1.1", 400),
        ("GET ftp://x/ HTTP/1.1", 400),
        ("PRI * HTTP/2.0", 400),
    ] {
        assert_eq!(status(format!("{line}\r\nHost: x\r\n\r\n")), want, "{line}");
    }
}

#[test]
fn fields() {
    for (fields, want) in [
        ("", 200),
        ("A:\r\n", 200),
        ("A:\t b \t\r\n", 200),
        ("!#$%&'*+-.^`|~9: b\r\n", 200),
        ("A: caf\u{e9}\r\n", 200),
        ("A b: c\r\n", 400),
        ("A : b\r\n", 400),
        ("A\t: b\r\n", 400),
        (": b\r\n", 400),
        ("A\r\n", 400),
        (" A: b\r\n", 400),
        ("A: b\r\n c\r\n", 400),
        ("A: b\r\n\tc: d\r\n", 400),
        ("A: b\r\n \r\n", 400),
        ("A\"B: c\r\n", 400),
        ("A(B): c\r\n", 400),
        ("\u{e9}: c\r\n", 400),
        ("A_\x01B: c\r\n", 400), // also where the name would be dropped
        ("A_B: c\x01\r\n", 400),
        ("A: b\x00\r\n", 400),
        ("A\x00: b\r\n", 400),
        ("A: b\x07\r\n", 400),
        ("A: b\x0b\r\n", 400),
        ("A: b\x1b[0m\r\n", 400),
        ("A: b\x7f\r\n", 400),
        ("A: b\n", 400),
        ("A: b\nC: d\r\n", 400),
        ("A: b\rC: d\r\n", 400),
        ("A: b\r\r\n", 400),
        ("A: b\n\r\n", 400),
        ("\n", 400),
        ("\r", 400),
    ] {
        assert_eq!(status(format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n")), want, "{fields:?}");
    }
}

#[test]
fn fields_that_frame() {
    for (fields, want) in [
        ("Content-Length: 5\r\n", 200),
        ("Content-Length: \t5 \r\n", 200),
        ("Content-Length: 9223372036854775807\r\n", 200),
        ("Content-Length: 9223372036854775808\r\n", 400),
        ("Content-Length: 18446744073709551621\r\n", 400),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", 400),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", 400),
        ("Content-Length: 5, 5\r\n", 400),
        ("Content-Length: 5,\r\n", 400),
        ("Content-Length: +5\r\n", 400),
        ("Content-Length: -0\r\n", 400),
        ("Content-Length: 0x5\r\n", 400),
        ("Content-Length: 1_0\r\n", 400),
        ("Content-Length: 1 0\r\n", 400),
        ("Content-Length: 5.0\r\n", 400),
        ("Content-Length:\r\n", 400),
        ("Content-Length: \u{b2}\r\n", 400),
        ("Transfer-Encoding: chunked\r\n", 200),
        ("Transfer-Encoding: CHUNKED\r\n", 200),
        ("Transfer-Encoding: gzip\r\n", 501),
        ("Transfer-Encoding: xchunked\r\n", 501),
        ("Transfer-Encoding: identity\r\n", 501),
        ("Transfer-Encoding: gzip, chunked\r\n", 501),
        ("Transfer-Encoding: gzip;q=1 , chunked\r\n", 501),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 501),
        ("Transfer-Encoding: chunked, gzip\r\n", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", 400),
        ("Transfer-Encoding: chunked, chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked,\r\n", 400),
        ("Transfer-Encoding: ,chunked\r\n", 400),
        ("Transfer-Encoding: chunked;a=b\r\n", 400),
        ("Transfer-Encoding: \"chunked\"\r\n", 400),
        ("Transfer-Encoding: chunked gzip\r\n", 400),
        ("Transfer-Encoding:\r\n", 400),
        ("Transfer-Encoding: \x0bchunked\r\n", 400),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400),
        ("Transfer-Encoding: gzip\r\nContent-Length: 5\r\n", 400),
        ("Content-Type: a/b\r\n", 200),
        ("Content-Type: a/b\r\nContent-Type: a/b\r\n", 400),
        ("Expect: 100-Continue\r\n", 200),
        ("Expect: 200-ok\r\n", 417),
        ("Expect: 100-continue, a=b\r\n", 417),
        ("Expect:\r\n", 417),
    ] {
        assert_eq!(status(format!("POST / HTTP/1.1\r\nHost: x\r\n{fields}\r\n")), want, "{fields:?}");
    }
    for (fields, want) in [
        ("", 200),
        ("Host: x\r\n", 200),
        ("Host: a b\r\n", 400),
        ("Expect: 200-ok\r\n", 200),
        ("Content-Length: 5\r\n", 200),
        ("Transfer-Encoding: chunked\r\n", 400),
    ] {
        assert_eq!(status(format!("POST / HTTP/1.0\r\n{fields}\r\n")), want, "1.0: {fields:?}");
    }
}

#[test]
fn hosts() {
    for (fields, want) in [
        ("Host: x:8000\r\n", 200),
        ("Host:\r\n", 200),
        ("hOST: [::1]\r\n", 200),
        ("", 400),
        ("Host: x\r\nHost: x\r\n", 400),
        ("Host: x, y\r\n", 400),
        ("Host: user@x\r\n", 400),
        ("Host: x/y\r\n", 400),
        ("Host: http://x\r\n", 400),
    ] {
        assert_eq!(status(format!("GET / HTTP/1.1\r\n{fields}\r\n")), want, "{fields:?}");
        assert_eq!(status(format!("GET http://z/ HTTP/1.1\r\n{fields}\r\n")), want, "{fields:?}");
    }
}

#[test]
fn an_absolute_target_names_the_host() {
    for (target, host, path, query) in [
        ("http://a:1/b?c", "a:1", "/b", Some("c")),
        ("HTTP://a", "a", "/", None),
        ("https://[::1]?c", "[::1]", "/", Some("c")),
        ("http://a#b", "a", "/", None),
        ("http://a//b", "a", "//b", None),
        ("/http://a", "x", "/http://a", None),
    ] {
        let head = head(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(head.headers.get_all(HOST).iter().collect::<Vec<_>>(), [host], "{target}");
        assert_eq!(head.target.path(), path.as_bytes(), "{target}");
        assert_eq!(head.target.query(), query.map(str::as_bytes), "{target}");
    }
    assert_eq!(head("GET http://a/ HTTP/1.0\r\n\r\n").headers[HOST], "a");
}

#[test]
fn what_a_head_says() {
    let head = head(
        "\r\nPUT /a?b#c HTTP/1.7\r\nHost: x\r\nX_Y: 1\r\nContent_Length: 7\r\nA: 1\r\na:  2 \r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    );
    assert_eq!(head.line, "PUT /a?b#c HTTP/1.7");
    assert_eq!(head.method, Method::PUT);
    assert_eq!(head.target.as_bytes(), b"/a?b#c");
    assert_eq!(head.version, Version::HTTP_11);
    assert_eq!(head.headers.get_all("a").iter().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(head.headers.keys_len(), 4, "names with `_` are dropped");
    assert_eq!(head.framing, Framing::Length(5));
    assert!(head.keep_alive && head.expect_continue && !head.keep_alive_asked);
}

#[test]
fn persistence() {
    for (version, connection, keep_alive, asked) in [
        ("1.1", "", true, false),
        ("1.0", "", false, false),
        ("1.1", "Connection: close\r\n", false, false),
        ("1.1", "Connection: x, Close\r\n", false, false),
        ("1.1", "Connection: closed\r\n", true, false),
        ("1.1", "Connection: keep-alive\r\n", true, true),
        ("1.0", "Connection: Keep-Alive\r\n", true, true),
        ("1.0", "Connection: keep-alive\r\nConnection: close\r\n", false, false),
    ] {
        let head = head(format!("GET / HTTP/{version}\r\nHost: x\r\n{connection}\r\n"));
        assert_eq!((head.keep_alive, head.keep_alive_asked), (keep_alive, asked), "{version} {connection}");
    }
}

#[test]
fn faults_are_told_before_the_head_is_whole() {
    for (bytes, want) in [
        (&b"\x16\x03\x01"[..], 400),
        (b"\x00", 400),
        (b"\n", 400),
        (b" ", 400),
        (b"\r\r", 400),
        (b"\r\n\n", 400),
        (b"\r\n\r\n\r\n\r\n\r\n", 400),
        (b"GET /\r\n", 400),
        (b"GET / HTTP/1.1\n", 400),
        (b"GET / HTTP/1.1\rH", 400),
        (b"GET\0", 400),
        (b"GET / HTTP/3.0\r\n", 505),
        (b"GET / HTTP/1.1\r\nA: b\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\rc", 400),
        (b"", 0),
        (b"\r\n\r\n\r\n\r\n", 0),
        (b"G", 0),
        (b"GET / HTTP/1.1\r", 0),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r", 0),
    ] {
        assert_eq!(status(bytes), want, "{}", bytes.escape_ascii());
    }
}

#[test]
fn http2_is_recognised() {
    let preface = |bytes: &[u8]| read(bytes).unwrap_err().is_http2_preface();
    assert!(preface(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    assert!(!preface(b"PRI * HTTP/2.0 \r\n\r\nSM\r\n\r\n"));
    assert!(!preface(b"GET * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
}

#[test]
fn limits() {
    let limits = Limits { request_line: 20, fields: 2, header_size: 60 };
    let long = "a".repeat(24);
    for (bytes, want) in [
        ("GET /aaaaaa HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 200),
        ("GET /aaaaaaa HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 414),
        (format!("GET /{long}"), 414),
        (format!("\r\n\r\nGET /{long}"), 414),
        ("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n".to_owned(), 200),
        ("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nC: d\r\n\r\n".to_owned(), 431),
        ("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nA_B: d\r\n\r\n".to_owned(), 431),
        (format!("GET / HTTP/1.1\r\nHost: x\r\nA: {long}\r\n\r\n"), 200),
        (format!("GET / HTTP/1.1\r\nHost: x\r\nA: {long}{long}\r\n\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nHost: x\r\nA: {long}{long}"), 431),
    ] {
        for ends in [(bytes.len()..=bytes.len()), (0..=bytes.len())] {
            let got = match feed(bytes.as_bytes(), ends, &limits) {
                Ok(head) => head.map_or(0, |_| 200),
                Err(malformed) => {
                    assert!(malformed.line.len() <= limits.request_line);
                    malformed.status.as_u16()
                }
            };
            assert_eq!(got, want, "{bytes:?}");
        }
    }
}

#[test]
fn messages_are_those_of_http_server() {
    let message = |bytes: &[u8]| read(bytes).unwrap_err().message;
    assert_eq!(message(b"GET /\x1b'\r\n"), r"Bad request syntax ('GET /\x1b\'')");
    assert_eq!(message(b"GET / HTTP/x\r\n"), "Bad request version ('HTTP/x')");
    assert_eq!(message(b"GET / HTTP/2.0\r\n"), "Invalid HTTP version (2.0)");
    assert!(message(&[b"GET", &[b'/'; 4000][..], b"\r\n"].concat()).len() < 200);
}

/// Bytes made of what heads are made of, and of what they are attacked with.
fn near_head() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "GET ", "/", "http://h", " HTTP/1.1\r\n", " HTTP/1.0\r\n", "Host: x\r\n", "\r\n", "\r", "\n", "\0", " ", ":", "\t", "a", "A_b: c\r\n",
            "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Connection: close\r\n", "Expect: 100-continue\r\n",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    let start = prop::sample::select(vec!["", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: x\r\n"]);
    (start, prop::collection::vec(piece, 0..12))
        .prop_map(|(start, pieces)| [start.as_bytes(), &pieces.concat()].concat())
}

proptest! {
    #[test]
    fn the_cuts_do_not_matter(bytes in near_head(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let limits = Limits { request_line: 40, fields: 4, header_size: 120 };
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([bytes.len()]).collect();
        ends.sort_unstable();
        let whole = feed(&bytes, [bytes.len()], &limits);
        assert_same(&bytes, "cut", &feed(&bytes, ends, &limits), &whole);
        if let Ok(Some((head, used))) = whole {
            prop_assert!(bytes[..used].ends_with(b"\r\n\r\n"));
            prop_assert!(head.headers.keys().all(|name| !name.as_str().contains('_')));
            // Whoever else reads it finds the same end.
            let mut fields = [httparse::EMPTY_HEADER; 8];
            let parsed = httparse::Request::new(&mut fields).parse(&bytes);
            prop_assert!(matches!(parsed, Ok(httparse::Status::Complete(end)) if end == used) || parsed.is_err());
        }
    }
}
