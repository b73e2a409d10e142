//! Any bytes as a `Range` field: every range is within the content, and the answer is never larger than about it.
#![no_main]

use http::HeaderValue;
use libfuzzer_sys::fuzz_target;
use salver::rfc::range::{MAX_RANGES, Ranges, content_range, parse, part_head, parts_end, parts_length};

fuzz_target!(|input: (u64, &[u8])| {
    let (length, value) = input;
    for value in [value, &[b"bytes=", value].concat()] {
        let ranges = match parse(value, length) {
            Ranges::Ignored | Ranges::Unsatisfiable => continue,
            Ranges::One(range) => vec![range],
            Ranges::Many(ranges) => ranges,
        };
        assert!(ranges.len() <= MAX_RANGES);
        assert!(ranges.iter().all(|range| range.start < range.end && range.end <= length));
        let total: u128 = ranges.iter().map(|range| u128::from(range.end - range.start)).sum();
        assert!(total <= length.into());

        let content_type = HeaderValue::from_static("text/plain");
        assert!(ranges.iter().all(|range| content_range(range, length).to_str().is_ok()));
        let heads = ranges.iter().map(|range| part_head("b", &content_type, range, length).len() as u128);
        let sent = heads.sum::<u128>() + total + parts_end("b").len() as u128;
        assert_eq!(u128::from(parts_length("b", &content_type, &ranges, length)), sent.min(u64::MAX.into()));
    }
});
