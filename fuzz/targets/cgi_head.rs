//! Any bytes as the head of a script's or handler's response: never a panic, the same whole and cut in two, and nothing that splits ours.
#![no_main]

use libfuzzer_sys::fuzz_target;
use salver::handler::cgi::head::{HeadReader, Kind, MOST_HEAD, Start};

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (start, cut, bytes) = input;
    let starts = [Start::Field, Start::StatusLine, Start::AnyStatusLine];
    let start = starts[usize::from(start) % starts.len()];
    let least = if start == Start::AnyStatusLine { 100 } else { 200 };
    let cut = usize::from(cut).min(bytes.len());
    let whole = HeadReader::new(start).read(bytes);

    let mut reader = HeadReader::new(start);
    let split = match reader.read(&bytes[..cut]) {
        Ok(None) => reader.read(bytes),
        early => early,
    };
    assert_eq!(split, whole);

    let Ok(Some((head, length))) = whole else { return };
    assert!(length <= MOST_HEAD && bytes[..length].ends_with(b"\n"));
    assert!(head.status.is_none_or(|status| (least..600).contains(&status.as_u16())));
    for (_, value) in &head.headers {
        assert!(!value.as_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
    if let Kind::LocalRedirect(location) = head.kind() {
        assert!(location.as_bytes().starts_with(b"/") && !location.as_bytes().starts_with(b"//"));
    }
});
