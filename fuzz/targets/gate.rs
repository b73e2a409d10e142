//! The gate of HTTP/2: never a panic, the same verdict whole and cut in two anywhere, and that of a reader that has all of it.
#![no_main]

use std::cell::Cell;
use std::time::{Duration, Instant};

use h2::Reason;
use libfuzzer_sys::fuzz_target;
use salver::http2::gate::{Gate, Refused};

const PREFACE: usize = 24;
const HEADER: usize = 9;

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let cut = usize::from(cut).min(bytes.len());
    let whole = judge(bytes, bytes.len());
    let parts = judge(bytes, cut);
    assert_eq!(whole.map(|(_, reason)| reason), parts.map(|(_, reason)| reason));
    if let (Some((whole, _)), Some((parts, _))) = (whole, parts) {
        // Of a header in two pieces the first has passed.
        assert!(whole <= parts && parts < whole + HEADER && parts <= bytes.len());
    }
    if let Some((at, reason)) = wrong(bytes) {
        assert_eq!(whole, Some((at, reason)));
    } else {
        assert!(whole.is_none_or(|(_, reason)| reason == Reason::ENHANCE_YOUR_CALM));
    }
});

/// How much is let in before the refusal, if there is one, of bytes that come up to `cut` and then all.
fn judge(bytes: &[u8], cut: usize) -> Option<(usize, Reason)> {
    let start = Instant::now();
    let clock = Cell::new(start);
    let mut gate = Gate::new(start);
    let (first, rest) = bytes.split_at(cut);
    let mut before = 0;
    for piece in [first, rest] {
        match gate.admit(piece, || clock.replace(clock.get() + Duration::from_millis(1))) {
            Ok(()) => before += piece.len(),
            Err(Refused { admitted, reason }) => return Some((before + admitted, reason)),
        }
    }
    None
}

/// The first frame whose size or place is wrong, by RFC 9113 §3.4, §4.2 and §6; nothing where too many ask nothing before it.
fn wrong(bytes: &[u8]) -> Option<(usize, Reason)> {
    let (mut at, mut idle) = (PREFACE, 0);
    while let Some([high, middle, low, kind, flags, ..]) = bytes.get(at..at + HEADER) {
        let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
        if at == PREFACE && *kind != 4 {
            return Some((at, Reason::PROTOCOL_ERROR));
        }
        let fits = match (kind, flags & 1) {
            (2, _) => length == 5,
            (3 | 8, _) => length == 4,
            (4, 1) => length == 0,
            (4, _) => length % 6 == 0,
            (6, _) => length == 8,
            (7, _) => length >= 8,
            _ => true,
        };
        if !fits || length > 1 << 14 {
            return Some((at, Reason::FRAME_SIZE_ERROR));
        }
        idle += u32::from(!matches!((kind, length, flags & 1), (1 | 8 | 9, ..) | (0, 1.., _) | (0, _, 1)));
        if idle > 1000 {
            return None;
        }
        at += HEADER + length;
    }
    None
}
