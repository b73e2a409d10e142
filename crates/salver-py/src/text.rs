//! Bytes of the wire as native strings and back: latin-1, a character a byte (PEP 3333, "Unicode Issues").

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::PyString;

/// `bytes` as a str.
pub(crate) fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.is_ascii() => PyString::new(py, text),
        _ => PyString::new(py, &bytes.iter().map(|byte| char::from(*byte)).collect::<String>()),
    }
}

/// `text` as bytes; `None` if it has a character beyond latin-1.
pub(crate) fn as_latin1(text: &str) -> Option<Cow<'_, [u8]>> {
    if text.is_ascii() {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    text.chars().map(|char| u8::try_from(char).ok()).collect::<Option<Vec<u8>>>().map(Cow::Owned)
}
