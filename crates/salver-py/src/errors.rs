//! What Python code raises, as an entry of the log.

use http::header::MaxSizeReached;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Logs `error` with its traceback, as one entry.
pub(crate) fn log(py: Python<'_>, what: &str, error: &PyErr) {
    let traceback = format(py, error).unwrap_or_else(|_| error.to_string());
    tracing::error!(traceback = %traceback, "{what}");
}

/// What an application hears that gave more headers than a head has room for.
pub(crate) fn too_many_headers(_: MaxSizeReached) -> PyErr {
    PyValueError::new_err("more headers than an answer can have: give fewer than 24576")
}

/// As the interpreter would print it.
pub(crate) fn format(py: Python<'_>, error: &PyErr) -> PyResult<String> {
    let lines = py
        .import("traceback")?
        .call_method1("format_exception", (error.get_type(py), error.value(py), error.traceback(py)))?;
    let text = PyString::new(py, "").call_method1("join", (lines,))?;
    // A lone surrogate in a message has no place in UTF-8.
    let bytes = text.call_method1("encode", ("utf-8", "backslashreplace"))?;
    Ok(String::from_utf8_lossy(&bytes.extract::<Vec<u8>>()?).into_owned())
}
