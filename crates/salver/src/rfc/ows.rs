//! Optional whitespace, OWS (RFC 9110 §5.6.3): spaces and tabs around what a field says.

/// `value` without OWS at its ends.
///
/// A CR or LF is none: it stays, and whoever takes the rest for a field's value refuses it. (`trim_ascii` of the standard library would
/// take it away.)
///
/// ```
/// assert_eq!(salver::rfc::ows::trim(b"\t text/plain "), b"text/plain");
/// ```
pub fn trim(value: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let start = value.iter().position(is_text).unwrap_or(value.len());
    let end = value.iter().rposition(is_text).map_or(start, |last| last + 1);
    value.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_and_tabs_and_nothing_else() {
        let table: &[(&[u8], &[u8])] = &[
            (b"", b""),
            (b"a", b"a"),
            (b" \t ", b""),
            (b" \ta b\t ", b"a b"),
            (b"\ra\n", b"\ra\n"),
            (b" \x0ba\x0c ", b"\x0ba\x0c"),
            (b"\xa0a\xa0", b"\xa0a\xa0"),
        ];
        for (value, expected) in table {
            assert_eq!(trim(value), *expected, "{value:?}");
        }
    }
}
