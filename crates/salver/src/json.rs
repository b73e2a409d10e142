//! Strings of JSON (RFC 8259 §7), which is all of it that is written here.

/// Appends `text` as a string; letters stay as they are.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, 0..=0x1f | b'"' | b'\\')) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else { break };
        char(out, char::from(*byte));
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Appends `bytes` as a string of ASCII only, for the eyes of a terminal; bytes that are not UTF-8 are read as Latin-1.
pub(crate) fn ascii(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    match std::str::from_utf8(bytes) {
        Ok(text) => text.chars().for_each(|letter| char(out, letter)),
        Err(_) => bytes.iter().for_each(|byte| char(out, char::from(*byte))),
    }
    out.push(b'"');
}

fn char(out: &mut Vec<u8>, char: char) {
    match char {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        ' '..='~' => out.push(char as u8),
        _ => {
            for unit in char.encode_utf16(&mut [0; 2]) {
                let [high, low] = unit.to_be_bytes();
                out.extend_from_slice(b"\\u");
                out.extend_from_slice(&[hex(high >> 4), hex(high & 15), hex(low >> 4), hex(low & 15)]);
            }
        }
    }
}

fn hex(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(write: impl FnOnce(&mut Vec<u8>)) -> (String, Vec<u8>) {
        let mut out = Vec::new();
        write(&mut out);
        (serde_json::from_slice(&out).unwrap(), out)
    }

    #[test]
    fn ascii_reads_back_as_it_was() {
        for (bytes, want) in [
            (&b""[..], ""),
            (b"a\"\\\n\x1b\x7f", "a\"\\\n\u{1b}\u{7f}"),
            ("é😀\u{9b}".as_bytes(), "é😀\u{9b}"),
            (b"\xff\xe9", "ÿé"),
        ] {
            let (got, out) = read(|out| ascii(out, bytes));
            assert!(out.iter().all(|byte| matches!(byte, b' '..=b'~')), "{out:?}");
            assert_eq!(got, want);
        }
    }

    #[test]
    fn letters_stay_as_they_are() {
        let (_, out) = read(|out| string(out, "é\"\n"));
        assert_eq!(out, "\"é\\\"\\u000a\"".as_bytes());
    }

    proptest! {
        #[test]
        fn a_string_reads_back_as_it_was(text in any::<String>()) {
            prop_assert_eq!(read(|out| string(out, &text)).0, text.clone());
            prop_assert_eq!(read(|out| ascii(out, text.as_bytes())).0, text);
        }
    }
}
