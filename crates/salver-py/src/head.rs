//! The head of an application's answer: what it says is checked before anything of it can leave.

use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use salver::http1::reply::{Reason, is_ours};
use salver::rfc::ows;
use salver::{Body, Response};

use crate::errors::too_many_headers;

/// A checked head.
#[derive(Debug)]
pub(crate) struct Head {
    status: StatusCode,
    /// Where it is not the usual one.
    reason: Option<Reason>,
    headers: HeaderMap,
    /// The length that the application declared, in bytes.
    pub(crate) declared: Option<u64>,
}

impl Head {
    /// A head without headers; room for `count` of them.
    pub(crate) fn new(status: StatusCode, reason: Option<Reason>, count: usize) -> Self {
        Self {
            status,
            reason,
            headers: HeaderMap::with_capacity(count.min(MOST_AT_ONCE) + OURS),
            declared: None,
        }
    }

    /// Adds a header; one that is the connection's own is dropped and logged.
    ///
    /// # Errors
    /// `ValueError`, raised in the application: it is no header, or no length, or a second one.
    pub(crate) fn add(&mut self, name: &[u8], value: &[u8]) -> PyResult<()> {
        let (name, value) = parse_field(name, value)?;
        if name == CONTENT_LENGTH {
            return self.declare(value);
        }
        if is_ours(&name) && !(name == CONNECTION && value.as_bytes().eq_ignore_ascii_case(b"close")) {
            // Applications behind a proxy's adapter name them by habit; what they say is the connection's to say.
            tracing::warn!("an application sent {name}, which is the connection's own: dropped");
            return Ok(());
        }
        self.headers.try_append(name, value).map_err(too_many_headers)?;
        Ok(())
    }

    /// SECURITY: two lengths, or one that is none, would let two readers disagree about where the response ends.
    fn declare(&mut self, value: HeaderValue) -> PyResult<()> {
        let digits =
            value.to_str().ok().filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
        match digits.and_then(|text| text.parse::<u64>().ok()) {
            Some(length) if self.declared.is_none() => {
                self.declared = Some(length);
                self.headers.try_insert(CONTENT_LENGTH, value).map_err(too_many_headers)?;
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

    /// Whether this is a stream of server-sent events, which only ends when somebody says so.
    pub(crate) fn is_event_stream(&self) -> bool {
        let kind = self.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        kind.get(..EVENT_STREAM.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(EVENT_STREAM))
    }

    /// The response, with `body`.
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

/// Room for `Server`, without which the headers would have to move for it.
const OURS: usize = 1;
/// More headers than these find their room as they come.
const MOST_AT_ONCE: usize = 64;
const EVENT_STREAM: &[u8] = b"text/event-stream";

/// Checks a header: a token, and a value without control characters.
///
/// # Errors
/// `ValueError`, raised in the application.
pub(crate) fn parse_field(name: &[u8], value: &[u8]) -> PyResult<(HeaderName, HeaderValue)> {
    let parsed = HeaderName::from_bytes(name)
        .map_err(|_| PyValueError::new_err(format!("'{}' is no name of a header", name.escape_ascii())))?;
    // RFC 9110 §5.5: space around a value is none of it, and by HTTP/2 it would make the whole response malformed.
    let value = HeaderValue::from_bytes(ows::trim(value)).map_err(|_| {
        PyValueError::new_err(format!("{parsed}: '{}' has control characters", value.escape_ascii()))
    })?;
    Ok((parsed, value))
}

/// That something the application said has the wrong type.
pub(crate) fn wrong_type(what: &str, want: &str, got: &Bound<'_, PyAny>) -> PyErr {
    let kind = got.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
    PyTypeError::new_err(format!("{what} is a {kind} and not {want}"))
}
