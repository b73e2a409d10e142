use proptest::prelude::*;

use super::*;

/// Content, how much was used and how it ended: `Ok(true)` is done, `Ok(false)` wants more.
#[derive(Debug, PartialEq)]
struct Outcome {
    content: Vec<u8>,
    used: usize,
    end: Result<bool, Fault>,
}

fn feed(framing: Framing, bytes: &[u8], ends: impl IntoIterator<Item = usize>) -> Outcome {
    let mut reader = BodyReader::new(framing);
    let (mut content, mut used) = (Vec::new(), 0);
    for end in ends {
        loop {
            match reader.next(&bytes[used..end]) {
                Ok(Step::Skip(length)) => {
                    assert_ne!(length, 0);
                    used += length;
                }
                Ok(Step::Data(length)) => {
                    assert_ne!(length, 0);
                    content.extend_from_slice(&bytes[used..used + length]);
                    used += length;
                }
                Ok(Step::More) => {
                    assert_eq!(used, end, "what is there is used");
                    break;
                }
                Ok(Step::End) => {
                    assert!(reader.is_done());
                    return Outcome { content, used, end: Ok(true) };
                }
                Err(fault) => {
                    assert!(reader.next(b"0\r\n\r\n").is_err(), "a broken body stays so");
                    return Outcome { content, used: 0, end: Err(fault) };
                }
            }
        }
    }
    Outcome { content, used, end: Ok(false) }
}

/// The outcome of `bytes`, which is the same however they are cut, and with a request behind them.
fn read(framing: Framing, bytes: &[u8]) -> Outcome {
    let whole = feed(framing, bytes, [bytes.len()]);
    let text = bytes.escape_ascii();
    assert_eq!(feed(framing, bytes, 0..=bytes.len()), whole, "byte by byte: {text}");
    for cut in 0..bytes.len() {
        assert_eq!(feed(framing, bytes, [cut, bytes.len()]), whole, "cut in two: {text}");
    }
    if whole.end != Ok(false) {
        let followed = [bytes, b"GET /next HTTP/1.1\r\n\r\n"].concat();
        assert_eq!(feed(framing, &followed, [followed.len()]), whole, "followed: {text}");
    }
    whole
}

#[test]
fn chunks() {
    for (bytes, want) in [
        ("0\r\n\r\n", Some("")),
        ("5\r\nhello\r\n6\r\n world\r\n000\r\n\r\n", Some("hello world")),
        ("0005\r\nhello\r\n0\r\n\r\n", Some("hello")),
        ("A\r\n0123456789\r\n0\r\n\r\n", Some("0123456789")),
        ("0000000000000001\r\na\r\n0\r\n\r\n", Some("a")),
        ("5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n", Some("hello")),
        ("5 ;a\r\nhello\r\n0\r\n\r\n", Some("hello")), // RFC 9112 §7.1.1 has a recipient take the space
        ("2\r\n\r\n\r\n0\r\n\r\n", Some("\r\n")),
        ("1\r\na\r\n0\r\nVary: *\r\nX_Y: z\r\n\r\n", Some("a")),
        ("\r\n", None),
        (" 5\r\nhello\r\n", None),
        ("5 \r\nhello\r\n", None),
        ("0x5\r\nhello\r\n", None),
        ("5_0\r\nhello\r\n", None),
        ("5_\r\nhello\r\n", None),
        ("+5\r\nhello\r\n", None),
        ("-5\r\nhello\r\n", None),
        ("g\r\n", None),
        (";a\r\n", None),
        ("00000000000000001\r\na\r\n", None),
        ("fffffffffffffffff\r\n", None),
        ("5\nhello\r\n", None),
        ("5\rhello\r\n", None),
        ("5\r\r\nhello\r\n", None),
        ("5;a\0b\r\nhello\r\n", None),
        ("5;a\x07\r\nhello\r\n", None),
        ("5;a=b\rc\r\nhello\r\n", None),
        ("5;a=b\nc\r\nhello\r\n", None),
        ("5\r\nhello0\r\n\r\n", None),
        ("5\r\nhello\n0\r\n\r\n", None),
        ("5\r\nhello\r0\r\n\r\n", None),
        ("5\r\nhello \r\n0\r\n\r\n", None),
        ("0\r\nA\r\n\r\n", None),
        ("0\r\n A: b\r\n\r\n", None),
        ("0\r\nA : b\r\n\r\n", None),
        ("0\r\nA: b\x01\r\n\r\n", None),
        ("0\r\nA: b\n\r\n", None),
        ("0\r\nHost: x\r\n\r\n", None),
        ("0\r\ncontent-length: 1\r\n\r\n", None),
        ("0\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        ("0\r\n\n", None),
    ] {
        let got = read(Framing::Chunked, bytes.as_bytes());
        match want {
            Some(content) => {
                let content = content.as_bytes().to_vec();
                assert_eq!(got, Outcome { content, used: bytes.len(), end: Ok(true) }, "{bytes:?}");
            }
            None => assert_eq!(got.end.map_err(|fault| fault.status.as_u16()), Err(400), "{bytes:?}"),
        }
    }
}

#[test]
fn a_body_that_has_not_ended_wants_more() {
    for bytes in
        ["", "5", "5\r", "5\r\nhel", "5\r\nhello", "5\r\nhello\r", "0\r\n", "0\r\nA: b\r\n", "0\r\n\r"]
    {
        assert_eq!(read(Framing::Chunked, bytes.as_bytes()).end, Ok(false), "{bytes:?}");
    }
    assert_eq!(read(Framing::Length(6), b"hello").end, Ok(false));
    // The largest size is believed only as far as bytes come.
    let got = read(Framing::Chunked, b"ffffffffffffffff\r\nhello");
    assert_eq!((&got.content[..], got.end), (&b"hello"[..], Ok(false)));
}

#[test]
fn counted_bodies() {
    for (framing, bytes, content) in
        [(Framing::None, "", ""), (Framing::Length(0), "", ""), (Framing::Length(5), "hello", "hello")]
    {
        let got = read(framing, bytes.as_bytes());
        assert_eq!(got, Outcome { content: content.into(), used: bytes.len(), end: Ok(true) }, "{framing:?}");
    }
}

#[test]
fn extensions_and_trailers_are_bounded() {
    let end = |bytes: &str| {
        let whole = feed(Framing::Chunked, bytes.as_bytes(), [bytes.len()]);
        assert_eq!(feed(Framing::Chunked, bytes.as_bytes(), 0..=bytes.len()), whole);
        whole.end.map_err(|fault| fault.status.as_u16())
    };
    // 16 KiB in all, in one chunk or in many.
    let half = "x".repeat(8 * 1024 - 1);
    assert_eq!(end(&format!("1;{half}\r\na\r\n0;{half}\r\n\r\n")), Ok(true));
    assert_eq!(end(&format!("1;{half}\r\na\r\n1;{half}\r\na\r\n0;\r\n\r\n")), Err(400));
    assert_eq!(end(&format!("1;{half}{half}{half}")), Err(400), "before the line ends");

    let many = |count| format!("0\r\n{}\r\n", "A: b\r\n".repeat(count));
    assert_eq!(end(&many(100)), Ok(true));
    assert_eq!(end(&many(101)), Err(431));
    assert_eq!(end(&format!("0\r\nA: {half}\r\n\r\n")), Ok(true));
    assert_eq!(end(&format!("0\r\nA: {half}\r\nA: {half}\r\n\r\n")), Err(431));
    assert_eq!(end(&format!("0\r\nA: {half}{half}{half}")), Err(431));
}

fn near_chunks() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => prop::sample::select(vec![
            "5\r\nhello\r\n", "1\r\na\r\n", "0\r\n", "\r\n", "\r", "\n", "3", ";a=b", "A: b\r\n", " ", "\0", "f", "ffffffff",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_cuts_do_not_matter(bytes in near_chunks(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([bytes.len()]).collect();
        ends.sort_unstable();
        prop_assert_eq!(feed(Framing::Chunked, &bytes, ends), feed(Framing::Chunked, &bytes, [bytes.len()]));
    }

    #[test]
    fn what_is_chunked_comes_back(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6)) {
        use crate::http1::reply::{CHUNK_END, LAST_CHUNK, chunk_head};
        let mut bytes = Vec::new();
        for piece in &pieces {
            bytes.extend_from_slice(&chunk_head(piece.len()));
            bytes.extend_from_slice(piece);
            bytes.extend_from_slice(CHUNK_END);
        }
        bytes.extend_from_slice(LAST_CHUNK);
        let got = read(Framing::Chunked, &bytes);
        prop_assert_eq!(got, Outcome { content: pieces.concat(), used: bytes.len(), end: Ok(true) });
    }
}
