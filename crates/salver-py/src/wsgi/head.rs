//! What an application says by `start_response`: a status line and headers as native strings (PEP 3333, "The start_response() Callable").

use bytes::Bytes;
use http::StatusCode;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};
use salver::http1::reply::Reason;

use crate::head::{Head, wrong_type};
use crate::text::as_latin1;

/// Checks what `start_response` was given.
///
/// # Errors
/// `TypeError` or `ValueError`, raised in the application: the first thing that is wrong.
pub(crate) fn parse(status: &Bound<'_, PyAny>, fields: &Bound<'_, PyAny>) -> PyResult<Head> {
    let line = status.cast::<PyString>().map_err(|_| wrong_type("status", "a str", status))?;
    let (status, reason) = parse_status(line.to_cow()?.as_ref())?;
    let fields = fields.cast::<PyList>().map_err(|_| wrong_type("headers", "a list", fields))?;
    let mut head = Head::new(status, reason, fields.len());
    for field in fields {
        with_field(&field, |name, value| head.add(name, value))?;
    }
    Ok(head)
}

/// Gives `take` the bytes of a header's name and value.
pub(super) fn with_field<T>(
    field: &Bound<'_, PyAny>,
    take: impl FnOnce(&[u8], &[u8]) -> PyResult<T>,
) -> PyResult<T> {
    let pair = field.cast::<PyTuple>().map_err(|_| wrong_type("a header", "a tuple", field))?;
    let (name, value) = (pair.get_borrowed_item(0)?, pair.get_borrowed_item(1)?);
    let name = name.cast::<PyString>().map_err(|_| wrong_type("a header's name", "a str", &name))?;
    let value = value.cast::<PyString>().map_err(|_| wrong_type("a header's value", "a str", &value))?;
    let (name, value) = (name.to_cow()?, value.to_cow()?);
    let bytes = as_latin1(&value)
        .ok_or_else(|| PyValueError::new_err(format!("{name}: {value:?} has characters beyond latin-1")))?;
    take(name.as_bytes(), &bytes)
}

/// Reads `200 OK`; the reason is kept where it is not the usual one.
pub(crate) fn parse_status(line: &str) -> PyResult<(StatusCode, Option<Reason>)> {
    let wrong =
        || PyValueError::new_err(format!("{line:?} is no status; give three digits, a space and a reason"));
    let (code, reason) = line.split_at_checked(3).ok_or_else(wrong)?;
    let status = StatusCode::from_bytes(code.as_bytes()).map_err(|_| wrong())?;
    if status.is_informational() {
        return Err(PyValueError::new_err(format!("{line:?} is an interim status, and no answer")));
    }
    let reason = reason.strip_prefix(' ').ok_or_else(wrong)?;
    if status.canonical_reason() == Some(reason) || reason.is_empty() {
        return Ok((status, None));
    }
    let reason =
        as_latin1(reason).and_then(|text| Reason::parse(Bytes::copy_from_slice(&text))).ok_or_else(wrong)?;
    Ok((status, Some(reason)))
}
