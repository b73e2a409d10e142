//! Byte ranges and the parts that carry several of them: RFC 9110 §14, §15.3.7.2.
//!
//! A field that is malformed, of another unit, a flood (more than 16 ranges) or asks for more bytes than there are is ignored:
//! the answer is the whole file, and never larger than about it.

use std::ops::Range;

use http::HeaderValue;

/// How many ranges are answered; a field with more is ignored (§14.2).
pub const MAX_RANGES: usize = 16;

/// What a `Range` field asks of content of a known length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// 200 with the whole content.
    Ignored,
    /// 416 with [`unsatisfied`].
    Unsatisfiable,
    /// 206 with these bytes and their [`content_range`].
    One(Range<u64>),
    /// 206 with a [`part_head`] before each of these, in the order asked for, and [`parts_end`] behind the last.
    Many(Vec<Range<u64>>),
}

/// Reads a `Range` field for content of `length` bytes. Every range given back is within it and not empty.
///
/// ```
/// use salver::rfc::range::{Ranges, parse};
///
/// assert_eq!(parse(b"bytes=0-9", 100), Ranges::One(0..10));
/// assert_eq!(parse(b"bytes=-5, 90-1000", 100), Ranges::Many(vec![95..100, 90..100]));
/// assert_eq!(parse(b"bytes=100-", 100), Ranges::Unsatisfiable);
/// ```
#[must_use]
pub fn parse(value: &[u8], length: u64) -> Ranges {
    let Some((unit, specs)) = value.trim_ascii().split_at_checked(UNIT.len()) else { return Ranges::Ignored };
    if !unit.eq_ignore_ascii_case(UNIT) {
        return Ranges::Ignored;
    }
    let specs = specs.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|spec| !spec.is_empty());
    let (mut seen, mut total) = (0, 0_u128);
    let mut ranges = Vec::new();
    for spec in specs {
        seen += 1;
        if seen > MAX_RANGES {
            return Ranges::Ignored;
        }
        match parse_one(spec, length) {
            None => return Ranges::Ignored,
            Some(range) if range.is_empty() => {}
            Some(range) => {
                total += u128::from(range.end - range.start);
                ranges.push(range);
            }
        }
    }
    match ranges.as_slice() {
        [] if seen == 0 => Ranges::Ignored,
        [] => Ranges::Unsatisfiable,
        [range] => Ranges::One(range.clone()),
        _ if total > length.into() => Ranges::Ignored,
        _ => Ranges::Many(ranges),
    }
}

/// The value of `Content-Range` for a part of content of `length` bytes (§14.4). `range` is one that [`parse`] gave.
#[must_use]
pub fn content_range(range: &Range<u64>, length: u64) -> HeaderValue {
    visible(format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1)))
}

/// The value of `Content-Range` for 416.
#[must_use]
pub fn unsatisfied(length: u64) -> HeaderValue {
    visible(format!("bytes */{length}"))
}

/// The value of `Content-Type` for several parts; `boundary` is of letters and digits and occurs in no part.
#[must_use]
pub fn parts_type(boundary: &str) -> HeaderValue {
    visible(format!("multipart/byteranges; boundary={boundary}"))
}

/// What comes before a part: its delimiter and its head.
#[must_use]
pub fn part_head(boundary: &str, content_type: &HeaderValue, range: &Range<u64>, length: u64) -> Vec<u8> {
    let content_range = content_range(range, length);
    let pieces: [&[u8]; 7] = [
        b"\r\n--",
        boundary.as_bytes(),
        b"\r\nContent-Type: ",
        content_type.as_bytes(),
        b"\r\nContent-Range: ",
        content_range.as_bytes(),
        b"\r\n\r\n",
    ];
    pieces.concat()
}

/// What comes behind the last part.
#[must_use]
pub fn parts_end(boundary: &str) -> Vec<u8> {
    format!("\r\n--{boundary}--\r\n").into_bytes()
}

/// The `Content-Length` of an answer in parts: every head, every part, the end.
#[must_use]
pub fn parts_length(boundary: &str, content_type: &HeaderValue, ranges: &[Range<u64>], length: u64) -> u64 {
    let parts = ranges.iter().map(|range| {
        let head = part_head(boundary, content_type, range, length).len() as u64;
        head.saturating_add(range.end.saturating_sub(range.start))
    });
    parts.fold(parts_end(boundary).len() as u64, u64::saturating_add)
}

/// One range within `length`, empty if it is not satisfiable; `None` if it is malformed.
fn parse_one(spec: &[u8], length: u64) -> Option<Range<u64>> {
    let dash = memchr::memchr(b'-', spec)?;
    let (first, last) = (spec.get(..dash)?, spec.get(dash + 1..)?);
    if first.is_empty() {
        let wanted = number(last)?;
        // The last bytes of nothing are satisfiable (§14.1.2), but no Content-Range can say so: the whole is sent.
        return (length > 0 || wanted == 0).then_some(length.saturating_sub(wanted)..length);
    }
    let first = number(first)?;
    let end = match last {
        b"" => length,
        _ => match number(last)? {
            last if last < first => return None,
            last => last.saturating_add(1).min(length),
        },
    };
    Some(first.min(end)..end)
}

/// A number of digits alone; one too large is as good as the largest, for no file is as long.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then_some(digit.wrapping_sub(b'0'))?;
        Some(number.saturating_mul(10).saturating_add(u64::from(digit)))
    })
}

fn visible(value: String) -> HeaderValue {
    HeaderValue::try_from(value).expect("made of visible ASCII and spaces")
}

const UNIT: &[u8] = b"bytes=";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn many(ranges: &[Range<u64>]) -> Ranges {
        Ranges::Many(ranges.to_vec())
    }

    #[test]
    fn ranges_of_a_hundred_bytes() {
        use Ranges::{Ignored, One, Unsatisfiable};
        for (value, ranges) in [
            ("bytes=0-9", One(0..10)),
            ("bytes=0-0", One(0..1)),
            ("bytes=10-", One(10..100)),
            ("bytes=-10", One(90..100)),
            ("bytes=-1000", One(0..100)),
            ("bytes=90-1000", One(90..100)),
            ("bytes=99-99999999999999999999999999", One(99..100)),
            ("BYTES=0-9", One(0..10)),
            (" bytes= 0-9 ,", One(0..10)),
            ("bytes=0-1,2-3", many(&[0..2, 2..4])),
            ("bytes=50-59 ,\t0-9,, -1", many(&[50..60, 0..10, 99..100])),
            ("bytes=0-9,200-", One(0..10)),
            ("bytes=0-9,-0", One(0..10)),
            ("bytes=0-59,40-79", many(&[0..60, 40..80])),
            ("bytes=0-,0-", Ignored),
            ("bytes=0-59,40-99", Ignored),
            ("bytes=100-", Unsatisfiable),
            ("bytes=100-200,300-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=99999999999999999999999999-", Unsatisfiable),
            ("bytes=9-0", Ignored),
            ("bytes=0-9,9-0", Ignored),
            ("bytes=", Ignored),
            ("bytes=,", Ignored),
            ("bytes=-", Ignored),
            ("bytes=5", Ignored),
            ("bytes=0-9-", Ignored),
            ("bytes=--5", Ignored),
            ("bytes=+0-9", Ignored),
            ("bytes=0 -9", Ignored),
            ("bytes=0x0-9", Ignored),
            ("bytes 0-9", Ignored),
            ("bytes =0-9", Ignored),
            ("lines=0-9", Ignored),
            ("0-9", Ignored),
            ("", Ignored),
        ] {
            assert_eq!(parse(value.as_bytes(), 100), ranges, "{value}");
        }
    }

    #[test]
    fn a_flood_is_answered_with_the_whole() {
        let flood = |count: usize| format!("bytes={}", vec!["0-0"; count].join(","));
        assert_eq!(parse(flood(16).as_bytes(), 100), Ranges::Many(vec![0..1; 16]));
        assert_eq!(parse(flood(17).as_bytes(), 100), Ranges::Ignored);
        assert_eq!(parse(flood(11).as_bytes(), 10), Ranges::Ignored);
        assert_eq!(parse(b"bytes=0-,0-", u64::MAX), Ranges::Ignored);
    }

    #[test]
    fn nothing_has_no_ranges() {
        for (value, ranges) in [
            ("bytes=0-", Ranges::Unsatisfiable),
            ("bytes=0-9", Ranges::Unsatisfiable),
            ("bytes=-0", Ranges::Unsatisfiable),
            ("bytes=-5", Ranges::Ignored),
        ] {
            assert_eq!(parse(value.as_bytes(), 0), ranges, "{value}");
        }
    }

    #[test]
    fn parts_are_framed_and_counted() {
        let plain = HeaderValue::from_static("text/plain");
        let head = part_head("b0", &plain, &(5..10), 100);
        assert_eq!(head, b"\r\n--b0\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-9/100\r\n\r\n");
        assert_eq!(parts_end("b0"), b"\r\n--b0--\r\n");
        let ranges = [5..10, 90..100];
        let sent =
            head.len() + 5 + part_head("b0", &plain, &(90..100), 100).len() + 10 + parts_end("b0").len();
        assert_eq!(parts_length("b0", &plain, &ranges, 100), sent as u64);
        assert_eq!(unsatisfied(100), "bytes */100");
        assert_eq!(parts_type("b0"), "multipart/byteranges; boundary=b0");
    }

    proptest! {
        #[test]
        fn ranges_are_within(specs in "[0-9 ,-]{0,40}", length in prop_oneof![0..100_u64, any::<u64>()]) {
            let ranges = match parse(format!("bytes={specs}").as_bytes(), length) {
                Ranges::Ignored | Ranges::Unsatisfiable => return Ok(()),
                Ranges::One(range) => vec![range],
                Ranges::Many(ranges) => ranges,
            };
            prop_assert!(ranges.len() <= MAX_RANGES);
            prop_assert!(ranges.iter().all(|range| range.start < range.end && range.end <= length));
            prop_assert!(ranges.iter().map(|range| u128::from(range.end - range.start)).sum::<u128>() <= length.into());
        }

        #[test]
        fn one_good_range_is_that_range(first in 0..1000_u64, last in 0..1000_u64, length in 0..1000_u64) {
            let ranges = match first {
                _ if last < first => Ranges::Ignored,
                _ if first >= length => Ranges::Unsatisfiable,
                _ => Ranges::One(first..length.min(last + 1)),
            };
            prop_assert_eq!(parse(format!("bytes={first}-{last}").as_bytes(), length), ranges);
        }
    }
}
