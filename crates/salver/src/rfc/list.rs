//! Field lines, and lists and parameters in their values: RFC 9110 §5.3, §5.6.1, §5.6.4, §5.6.6.
//!
//! A separator within a quoted string is none. Nothing is refused here: a string that is not closed goes to the end.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The values of all lines of a field, in their order. Most messages have none, and a look at the few names there are takes a
/// fraction of the time of a search in the map.
pub(crate) fn lines<'h>(headers: &'h HeaderMap, field: &HeaderName) -> impl Iterator<Item = &'h HeaderValue> {
    headers.iter().filter(move |(name, _)| *name == field).map(|(_, value)| value)
}

/// Whether there is a line of a field.
pub(crate) fn has(headers: &HeaderMap, field: &HeaderName) -> bool {
    headers.keys().any(|name| name == field)
}

/// Whether a line that is a list of tokens names this one, in any case.
pub(crate) fn names(line: &HeaderValue, token: &[u8]) -> bool {
    let mut named = line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    named.any(|named| named.eq_ignore_ascii_case(token))
}

/// The members of a list separated by `separator`, without the white space around them; empty ones are left out.
pub(super) fn split(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let members = value.split(move |byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => return !quoted && *byte == separator,
        }
        false
    });
    members.map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

/// A parameter `name=value`; the value still has its quotes. No white space is allowed around the `=`.
pub(super) fn parameter(member: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = memchr::memchr(b'=', member)?;
    Some((member.get(..equals)?, member.get(equals + 1..)?))
}

/// A quality value (§12.4.2) in thousandths; `None` if malformed.
pub(super) fn quality(value: &[u8]) -> Option<u16> {
    let (whole, fraction) = match value {
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        [whole] => (whole, &[][..]),
        _ => return None,
    };
    let mut thousandths = match whole {
        b'0' => 0,
        b'1' => 1000,
        _ => return None,
    };
    for (digit, unit) in fraction.iter().zip([100, 10, 1]) {
        thousandths += u16::from(digit.is_ascii_digit().then_some(digit.wrapping_sub(b'0'))?) * unit;
    }
    (thousandths <= 1000).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT, VARY};

    use super::*;

    #[test]
    fn all_lines_of_a_field_are_found_in_their_order() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("vary", "a"), ("x-vary", "b"), ("vary", "c"), ("accept-encoding", "d"), ("vary", "e")]
        {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        assert_eq!(lines(&headers, &VARY).collect::<Vec<_>>(), ["a", "c", "e"]);
        assert_eq!(lines(&headers, &HeaderName::from_static("x-vary")).collect::<Vec<_>>(), ["b"]);
        assert_eq!(lines(&headers, &ACCEPT).count(), 0);
        assert!(has(&headers, &VARY) && !has(&headers, &ACCEPT));
    }

    #[test]
    fn separators_in_quotes_are_none() {
        for (value, members) in [
            ("a, b ,\tc", &["a", "b", "c"][..]),
            (" ,, a,", &["a"]),
            ("a=\"b,c\",d", &["a=\"b,c\"", "d"]),
            ("a=\"\\\",b\",c", &["a=\"\\\",b\"", "c"]),
            ("a\\,b", &["a\\", "b"]),
            ("a=\"b,c", &["a=\"b,c"]),
            ("", &[]),
        ] {
            let split: Vec<_> =
                split(value.as_bytes(), b',').map(|member| str::from_utf8(member).unwrap()).collect();
            assert_eq!(split, members, "{value}");
        }
    }

    #[test]
    fn qualities_are_read_strictly() {
        for (value, thousandths) in [
            ("1", Some(1000)),
            ("1.000", Some(1000)),
            ("0", Some(0)),
            ("0.", Some(0)),
            ("0.5", Some(500)),
            ("0.05", Some(50)),
            ("0.123", Some(123)),
            ("1.001", None),
            ("0.1234", None),
            ("2", None),
            (".5", None),
            ("-1", None),
            ("0.x", None),
            ("", None),
        ] {
            assert_eq!(quality(value.as_bytes()), thousandths, "{value}");
        }
    }
}
