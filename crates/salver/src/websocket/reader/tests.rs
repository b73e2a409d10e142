use super::*;

/// A frame as a client sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut out = vec![first];
    match payload.len() {
        0..126 => out.push(0x80 | payload.len() as u8),
        126..65536 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(payload.len() as u16).to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

type Outcome = (Vec<Event>, Option<u16>);

/// What is read when the bytes come in pieces of this size.
fn read(wire: &[u8], piece: usize, deflate: bool) -> Outcome {
    let mut reader = Reader::new(1000, deflate);
    let (mut events, mut input) = (Vec::new(), BytesMut::new());
    for bytes in wire.chunks(piece.max(1)) {
        input.extend_from_slice(bytes);
        loop {
            match reader.read(&mut input) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(violation) => return (events, Some(violation.code)),
            }
        }
    }
    (events, None)
}

#[test]
fn messages_come_whole_however_they_are_cut() {
    let text = |text: &str| Event::Text(text.into());
    let cases: Vec<(&str, Vec<Vec<u8>>, Outcome)> = vec![
        ("text", vec![frame(0x81, b"Hello")], (vec![text("Hello")], None)),
        ("empty", vec![frame(0x81, b"")], (vec![text("")], None)),
        ("binary", vec![frame(0x82, &[0, 255])], (vec![Event::Binary(vec![0, 255].into())], None)),
        ("long", vec![frame(0x81, &[b'x'; 1000])], (vec![text(&"x".repeat(1000))], None)),
        ("pieces", vec![frame(1, b"Hel"), frame(0, b""), frame(0x80, b"lo")], (vec![text("Hello")], None)),
        (
            "a ping between",
            vec![frame(1, b"a"), frame(0x89, b"p"), frame(0x80, b"b")],
            (vec![Event::Ping("p".into()), text("ab")], None),
        ),
        ("a character in two", vec![frame(1, b"\xc3"), frame(0x80, b"\xbc")], (vec![text("ü")], None)),
        ("pong", vec![frame(0x8a, b"")], (vec![Event::Pong], None)),
        ("close", vec![frame(0x88, b"\x03\xe8bye")], (vec![Event::Close(Some((1000, "bye".into())))], None)),
        ("a bare close", vec![frame(0x88, b"")], (vec![Event::Close(None)], None)),
        ("close of one byte", vec![frame(0x88, b"\x03")], (vec![], Some(1002))),
        ("close with 1005", vec![frame(0x88, b"\x03\xed")], (vec![], Some(1002))),
        ("close with 999", vec![frame(0x88, b"\x03\xe7")], (vec![], Some(1002))),
        ("a reason that is no text", vec![frame(0x88, b"\x03\xe8\xff")], (vec![], Some(1007))),
        ("not UTF-8", vec![frame(0x81, b"\xff")], (vec![], Some(1007))),
        ("ends in a character", vec![frame(0x81, b"a\xc3")], (vec![], Some(1007))),
        ("a surrogate", vec![frame(0x81, b"\xed\xa0\x80")], (vec![], Some(1007))),
        ("too long", vec![frame(0x82, &[0; 1001])], (vec![], Some(1009))),
        ("too long in pieces", vec![frame(2, &[0; 600]), frame(0x80, &[0; 401])], (vec![], Some(1009))),
        ("no mask", vec![vec![0x81, 0x00]], (vec![], Some(1002))),
        ("reserved bit 1", vec![frame(0xc1, b"")], (vec![], Some(1002))),
        ("reserved bit 2", vec![frame(0xa1, b"")], (vec![], Some(1002))),
        ("reserved opcode", vec![frame(0x83, b"")], (vec![], Some(1002))),
        ("reserved control", vec![frame(0x8b, b"")], (vec![], Some(1002))),
        ("a continuation of nothing", vec![frame(0x80, b"")], (vec![], Some(1002))),
        ("a message amid another", vec![frame(1, b"a"), frame(0x81, b"b")], (vec![], Some(1002))),
        ("a ping in pieces", vec![frame(0x09, b"")], (vec![], Some(1002))),
        ("a long ping", vec![frame(0x89, &[0; 126])], (vec![], Some(1002))),
        ("a padded length", vec![vec![0x82, 0xfe, 0, 1, 0, 0, 0, 0, 0]], (vec![], Some(1002))),
        ("a huge length", vec![[&[0x82, 0xff][..], &[0xff; 8], &[0; 4]].concat()], (vec![], Some(1002))),
    ];
    for (name, frames, want) in cases {
        let wire = frames.concat();
        for piece in [1, 2, 3, 7, wire.len()] {
            assert_eq!(read(&wire, piece, false), want, "{name}, in pieces of {piece}");
        }
        let first = frame(0x81, b"before");
        let behind = read(&[first, wire].concat(), usize::MAX, false);
        assert_eq!(behind.0.first(), Some(&text("before")), "{name}, behind another");
        assert_eq!((&behind.0[1..], behind.1), (&want.0[..], want.1), "{name}, behind another");
    }
}

#[test]
fn packed_messages() {
    let packed = super::super::deflate::deflate(b"Hello");
    let hello = (vec![Event::Text("Hello".into())], None);
    assert_eq!(read(&frame(0xc1, &packed), 1, true), hello);
    let (front, back) = packed.split_at(2);
    assert_eq!(read(&[frame(0x41, front), frame(0x80, back)].concat(), 3, true), hello);
    assert_eq!(read(&frame(0x81, b"Hello"), 3, true), hello, "one that is not packed");
    assert_eq!(read(&[frame(0x01, b"a"), frame(0xc0, b"b")].concat(), 9, true).1, Some(1002));
    assert_eq!(read(&frame(0xc9, b""), 9, true).1, Some(1002), "a control frame is not");
    assert_eq!(read(&frame(0xc1, &[0xff; 9]), 9, true).1, Some(1007), "broken");
    let bomb = super::super::deflate::deflate(&[0; 100_000]);
    assert!(bomb.len() < 1000);
    assert_eq!(read(&frame(0xc2, &bomb), 99, true).1, Some(1009), "unpacks to too much");
    let broken = super::super::deflate::deflate(b"\xff");
    assert_eq!(read(&frame(0xc1, &broken), 99, true).1, Some(1007), "unpacks to no text");
}

#[test]
fn nothing_is_held_between_messages() {
    let (mut reader, mut input) = (Reader::new(10, false), BytesMut::from(&frame(1, b"ab")[..]));
    assert!(reader.is_at_rest());
    assert_eq!(reader.read(&mut input), Ok(None));
    assert!(!reader.is_at_rest());
    input.extend_from_slice(&frame(0x80, b""));
    assert_eq!(reader.read(&mut input), Ok(Some(Event::Text("ab".into()))));
    assert!(reader.is_at_rest() && input.is_empty());
}
