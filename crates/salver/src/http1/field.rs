//! Field lines (RFC 9112 §5) and the fields that say where a message ends (§6).

use std::ops::Range;

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, StatusCode, Version};

use super::Fault;
use super::head::Framing;
use crate::rfc::list;

/// Splits a line without its line end into the name and the place of the value. The value's bytes are not looked at:
/// [`http::HeaderValue`] refuses every control byte but HTAB.
pub(super) fn parse(line: &[u8]) -> Result<(HeaderName, Range<usize>), Fault> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        // RFC 9112 §5.2 and §2.2: neither a folded line nor one that hides from another reader.
        return Err(Fault::bad("A header line begins with a space"));
    }
    let colon = line.iter().position(|byte| *byte == b':'); // names are short: a loop is through before `memchr` has begun
    let colon = colon.ok_or_else(|| Fault::bad("A header line has no colon"))?;
    let (name, value) = line.split_at(colon);
    // Every byte is a token's, so there is no space before the colon (§5.1) either.
    let name = HeaderName::from_bytes(name).map_err(|_| Fault::bad("A header's name is not a token"))?;
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = 1 + value.iter().skip(1).take_while(|byte| is_space(byte)).count();
    let end = value.len() - value.iter().rev().take_while(|byte| is_space(byte)).count();
    Ok((name, colon + start..colon + end.max(start)))
}

/// RFC 9110 §5.5: a value holds no control byte but HTAB.
pub(super) fn is_value(value: &[u8]) -> bool {
    value.iter().all(|byte| matches!(byte, b'\t' | b' '..=0x7E | 0x80..))
}

pub(super) fn bad_value() -> Fault {
    Fault::bad("A header's value holds a control byte")
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 9112 §6.3, without its leniencies.
pub(super) fn framing(headers: &HeaderMap, version: Version) -> Result<Framing, Fault> {
    let mut lengths = list::lines(headers, &CONTENT_LENGTH);
    let length = lengths.next();
    if list::has(headers, &TRANSFER_ENCODING) {
        // SECURITY: two readers that believe different ones of the two take the content for a request.
        if length.is_some() {
            return Err(Fault::bad("Content-Length beside Transfer-Encoding"));
        }
        if version == Version::HTTP_10 {
            return Err(Fault::bad("Transfer-Encoding in HTTP/1.0"));
        }
        return transfer_encoding(headers).map(|()| Framing::Chunked);
    }
    let Some(length) = length else { return Ok(Framing::None) };
    if lengths.next().is_some() {
        return Err(Fault::bad("There is more than one Content-Length header"));
    }
    parse_length(length.as_bytes())
        .map(Framing::Length)
        .ok_or_else(|| Fault::bad("Content-Length is not a number of bytes"))
}

/// Digits and nothing else, below 2^63 so that no reader's signed number turns negative.
pub(crate) fn parse_length(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    let mut length: u64 = 0;
    for digit in digits {
        let digit = digit.is_ascii_digit().then_some(u64::from(digit & 0x0F))?;
        length = length.checked_mul(10)?.checked_add(digit)?;
    }
    (length < 1 << 63).then_some(length)
}

/// `chunked` once and nothing else. Another coding is one we do not know: 501 (RFC 9112 §6.1).
fn transfer_encoding(headers: &HeaderMap) -> Result<(), Fault> {
    let malformed = || Fault::bad("Transfer-Encoding is malformed");
    let mut chunked = false;
    let mut unknown = false;
    for value in list::lines(headers, &TRANSFER_ENCODING) {
        for coding in value.as_bytes().split(|byte| *byte == b',') {
            let name = coding.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            if chunked || name.is_empty() || !name.iter().all(|byte| is_token_byte(*byte)) {
                return Err(malformed()); // nothing may follow `chunked`
            }
            match name.eq_ignore_ascii_case(b"chunked") {
                true if coding.contains(&b';') => return Err(malformed()), // it has no parameters (§7.1)
                true => chunked = true,
                false => unknown = true,
            }
        }
    }
    if unknown {
        return Err(Fault::new(StatusCode::NOT_IMPLEMENTED, "The only transfer coding known is chunked"));
    }
    Ok(())
}

/// Whether `Connection` says `close`, and whether it says `keep-alive` (RFC 9112 §9.3).
pub(super) fn connection(headers: &HeaderMap) -> (bool, bool) {
    let (mut close, mut keep_alive) = (false, false);
    for value in list::lines(headers, &CONNECTION) {
        close |= list::names(value, b"close");
        keep_alive |= list::names(value, b"keep-alive");
    }
    (close, keep_alive)
}
