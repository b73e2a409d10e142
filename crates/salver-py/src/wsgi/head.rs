//! What an application says by `start_response`: a status line and headers, checked before anything of it can leave.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};
use salver::http1::reply::{Reason, is_ours};
use salver::{Body, Response};

use crate::text::as_latin1;

/// A checked head.
#[derive(Debug)]
pub(crate) struct Head {
    status: StatusCode,
    reason: Option<Reason>,
    headers: HeaderMap,
    /// The length that the application declared.
    pub(crate) declared: Option<u64>,
}

impl Head {
    /// Checks what `start_response` was given.
    ///
    /// # Errors
    /// `TypeError` or `ValueError`, raised in the application: the first thing that is wrong.
    pub(crate) fn parse(status: &Bound<'_, PyAny>, fields: &Bound<'_, PyAny>) -> PyResult<Self> {
        let line = status.cast::<PyString>().map_err(|_| wrong_type("status", "a str", status))?;
        let (status, reason) = parse_status(line.to_cow()?.as_ref())?;
        let fields = fields.cast::<PyList>().map_err(|_| wrong_type("headers", "a list", fields))?;
        let mut head =
            Self { status, reason, headers: HeaderMap::with_capacity(fields.len()), declared: None };
        for field in fields {
            head.add(&field)?;
        }
        Ok(head)
    }

    fn add(&mut self, field: &Bound<'_, PyAny>) -> PyResult<()> {
        let pair = field.cast::<PyTuple>().map_err(|_| wrong_type("a header", "a tuple", field))?;
        let (name, value) = (pair.get_borrowed_item(0)?, pair.get_borrowed_item(1)?);
        let name = name.cast::<PyString>().map_err(|_| wrong_type("a header's name", "a str", &name))?;
        let value = value.cast::<PyString>().map_err(|_| wrong_type("a header's value", "a str", &value))?;
        let (name, value) = parse_field(name.to_cow()?.as_ref(), value.to_cow()?.as_ref())?;
        if name == CONTENT_LENGTH {
            return self.declare(value);
        }
        if is_ours(&name) && !(name == CONNECTION && value.as_bytes().eq_ignore_ascii_case(b"close")) {
            tracing::warn!("an application sent {name}, which is the connection's own: dropped");
            return Ok(());
        }
        self.headers.append(name, value);
        Ok(())
    }

    /// SECURITY: two lengths, or one that is none, would let two readers disagree about where the response ends.
    fn declare(&mut self, value: HeaderValue) -> PyResult<()> {
        let digits =
            value.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
        match digits.and_then(|text| text.parse::<u64>().ok()) {
            Some(length) if self.declared.is_none() => {
                self.declared = Some(length);
                self.headers.insert(CONTENT_LENGTH, value);
                Ok(())
            }
            Some(_) => Err(PyValueError::new_err("Content-Length stands twice among the headers")),
            None => Err(PyValueError::new_err(format!("Content-Length: {value:?} is no length"))),
        }
    }

    /// Whether a response of this status has no content, whatever the application gives (RFC 9110 §6.4.1).
    pub(crate) fn is_bodiless(&self) -> bool {
        matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    }

    pub(crate) fn into_response(self, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if let Some(reason) = self.reason {
            response.extensions_mut().insert(reason);
        }
        response
    }
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

/// Checks a header: a token, and a value without control characters.
pub(crate) fn parse_field(name: &str, value: &str) -> PyResult<(HeaderName, HeaderValue)> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| PyValueError::new_err(format!("{name:?} is no name of a header")))?;
    let bytes = as_latin1(value)
        .ok_or_else(|| PyValueError::new_err(format!("{name}: {value:?} has characters beyond latin-1")))?;
    let value = HeaderValue::from_bytes(&bytes)
        .map_err(|_| PyValueError::new_err(format!("{name}: {value:?} has control characters")))?;
    Ok((parsed, value))
}

fn wrong_type(what: &str, want: &str, got: &Bound<'_, PyAny>) -> PyErr {
    let kind = got.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
    PyTypeError::new_err(format!("start_response: {what} is a {kind} and not {want}"))
}
