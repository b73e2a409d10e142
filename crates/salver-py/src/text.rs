//! Bytes of the wire as native strings and back: latin-1, a character a byte (PEP 3333, "Unicode Issues").
#![allow(unsafe_code)] // the library has no function for latin-1

use std::borrow::Cow;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// `bytes` as a str. Five or more are made for every request, and the interpreter's own way neither looks for UTF-8 nor copies twice.
///
/// # Panics
/// Where there is no memory for it.
pub(crate) fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    let length = bytes.len().cast_signed(); // no slice is longer than `isize::MAX`
    // SAFETY: the interpreter is attached, as `py` shows; it reads `length` bytes of `bytes`, and gives a new reference to a str, or
    // null and an exception, upon which `from_owned_ptr` panics.
    let text = unsafe {
        let decoded = ffi::PyUnicode_DecodeLatin1(bytes.as_ptr().cast(), length, std::ptr::null());
        Bound::from_owned_ptr(py, decoded)
    };
    text.cast_into().expect("what was decoded is a str")
}

/// `text` as bytes; `None` if it has a character beyond latin-1.
pub(crate) fn as_latin1(text: &str) -> Option<Cow<'_, [u8]>> {
    if text.is_ascii() {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    text.chars().map(|char| u8::try_from(char).ok()).collect::<Option<Vec<u8>>>().map(Cow::Owned)
}
