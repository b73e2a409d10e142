//! Foreign bytes as they may stand in a log line: printable ASCII, one line, no terminal command.

/// Which bytes beside control bytes, the backslash and what is not ASCII are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quotes {
    /// `"` becomes `\"`.
    Escaped,
    /// `"` stays, as http.server leaves it.
    Kept,
}

/// Appends `bytes`: control bytes and those from 0x7f on as `\xNN`, a backslash doubled.
// SECURITY: http.server leaves 0xa0–0xff as they are; whether those are letters depends on the reader's encoding.
pub(super) fn text(out: &mut Vec<u8>, bytes: &[u8], quotes: Quotes) {
    let mut rest = bytes;
    loop {
        let plain = rest.iter().position(|byte| !is_plain(*byte, quotes)).unwrap_or(rest.len());
        let (before, after) = rest.split_at(plain);
        out.extend_from_slice(before);
        let Some((byte, after)) = after.split_first() else { return };
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            _ => out.extend_from_slice(&[b'\\', b'x', hex(byte >> 4), hex(byte & 15)]),
        }
        rest = after;
    }
}

fn is_plain(byte: u8, quotes: Quotes) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'\\' && (byte != b'"' || quotes == Quotes::Kept)
}

fn hex(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_one_line_of_ascii() {
        for (bytes, kept, escaped) in [
            (&b""[..], "", ""),
            (b"GET / HTTP/1.1", "GET / HTTP/1.1", "GET / HTTP/1.1"),
            (b"a\r\nb\x1b[31m", "a\\x0d\\x0ab\\x1b[31m", "a\\x0d\\x0ab\\x1b[31m"),
            (b"\\n\"", "\\\\n\"", "\\\\n\\\""),
            (b"\x7f\x80\xff\x00", "\\x7f\\x80\\xff\\x00", "\\x7f\\x80\\xff\\x00"),
        ] {
            let mut out = Vec::new();
            text(&mut out, bytes, Quotes::Kept);
            assert_eq!(String::from_utf8_lossy(&out), kept);
            out.clear();
            text(&mut out, bytes, Quotes::Escaped);
            assert_eq!(String::from_utf8_lossy(&out), escaped);
        }
    }
}
