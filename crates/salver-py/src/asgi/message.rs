//! What an application says of its answer, checked before anything of it can leave (ASGI, "HTTP & WebSocket Message Format").

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use salver::http1::reply::is_ours;
use salver::{Body, FileRange, Response};

use crate::descriptor;
use crate::wsgi::bytes_of;

/// A checked head.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The length that the application declared, in bytes.
    pub(crate) declared: Option<u64>,
}

impl Head {
    /// Reads the `status` and `headers` of a message.
    ///
    /// # Errors
    /// `KeyError`, `TypeError` or `ValueError`, raised in the application: the first thing that is wrong.
    pub(crate) fn parse(message: &Bound<'_, PyDict>) -> PyResult<Self> {
        let py = message.py();
        let status = message.get_item(intern!(py, "status"))?;
        let status = status.ok_or_else(|| PyKeyError::new_err("status"))?;
        let code: u16 = status.extract().map_err(|_| wrong_type("status", "an int", &status))?;
        let status = StatusCode::from_u16(code).ok().filter(|status| !status.is_informational());
        let status =
            status.ok_or_else(|| PyValueError::new_err(format!("{code} is no status of an answer")))?;
        let mut head = Self { status, headers: HeaderMap::new(), declared: None };
        if let Some(fields) = message.get_item(intern!(py, "headers"))?.filter(|fields| !fields.is_none()) {
            for field in fields.try_iter()? {
                head.add(&field?)?;
            }
        }
        Ok(head)
    }

    fn add(&mut self, field: &Bound<'_, PyAny>) -> PyResult<()> {
        let (name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair(field)?;
        let name = name.cast::<PyBytes>().map_err(|_| wrong_type("a header's name", "bytes", &name))?;
        let value = value.cast::<PyBytes>().map_err(|_| wrong_type("a header's value", "bytes", &value))?;
        let (name, value) = parse_field(name.as_bytes(), value.as_bytes())?;
        if name == CONTENT_LENGTH {
            return self.declare(value);
        }
        if is_ours(&name) && !(name == CONNECTION && value.as_bytes().eq_ignore_ascii_case(b"close")) {
            // Frameworks behind a proxy's adapter name them by habit; what they say is the connection's to say.
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

    /// Whether this is a stream of server-sent events, which only ends when somebody says so.
    pub(crate) fn is_event_stream(&self) -> bool {
        let kind = self.headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        kind.get(..EVENT_STREAM.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(EVENT_STREAM))
    }

    pub(crate) fn into_response(self, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

const EVENT_STREAM: &[u8] = b"text/event-stream";

/// The name and value of a header: of a tuple, a list, or whatever else has two parts.
pub(crate) fn pair<'py>(field: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    if let Ok(pair) = field.extract() {
        return Ok(pair);
    }
    let wrong = || wrong_type("a header", "a pair", field);
    let parts: PyResult<Vec<Bound<'py, PyAny>>> = field.try_iter().map_err(|_| wrong())?.collect();
    <[_; 2]>::try_from(parts?).map(|[name, value]| (name, value)).map_err(|_| wrong())
}

/// Checks a header: a token, and a value without control characters.
pub(crate) fn parse_field(name: &[u8], value: &[u8]) -> PyResult<(HeaderName, HeaderValue)> {
    let parsed = HeaderName::from_bytes(name)
        .map_err(|_| PyValueError::new_err(format!("\"{}\" is no name of a header", name.escape_ascii())))?;
    let parsed_value = HeaderValue::from_bytes(value).map_err(|_| {
        PyValueError::new_err(format!("{parsed}: \"{}\" has control characters", value.escape_ascii()))
    })?;
    Ok((parsed, parsed_value))
}

/// The `body` of a message, and whether more follows.
pub(crate) fn body(message: &Bound<'_, PyDict>) -> PyResult<(Bytes, bool)> {
    let py = message.py();
    let bytes = match message.get_item(intern!(py, "body"))?.filter(|body| !body.is_none()) {
        None => Bytes::new(),
        Some(body) => bytes_like(&body, "body")?,
    };
    let more = message.get_item(intern!(py, "more_body"))?;
    Ok((bytes, more.map_or(Ok(false), |more| more.is_truthy())?))
}

/// Bytes, or what can be read as such.
pub(crate) fn bytes_like(object: &Bound<'_, PyAny>, what: &str) -> PyResult<Bytes> {
    if object.is_instance_of::<PyBytes>() {
        return bytes_of(object);
    }
    if object.is_instance_of::<PyString>() || object.hasattr("__index__")? {
        return Err(wrong_type(what, "bytes", object));
    }
    let bytes = object.py().get_type::<PyBytes>().call1((object,));
    bytes_of(&bytes.map_err(|_| wrong_type(what, "bytes", object))?)
}

/// The file that `http.response.pathsend` names, whole.
pub(crate) fn file(message: &Bound<'_, PyDict>) -> PyResult<FileRange> {
    let py = message.py();
    let path = message.get_item(intern!(py, "path"))?.ok_or_else(|| PyKeyError::new_err("path"))?;
    let os = py.import("os")?;
    let flags: i32 = os.getattr("O_RDONLY")?.extract()?;
    let number: i32 = os.call_method1("open", (&path, flags))?.extract()?;
    let file = descriptor::borrow(number, |fd| fd.try_clone_to_owned().ok().map(File::from));
    os.call_method1("close", (number,))?;
    let facts = file.as_ref().and_then(|file| file.metadata().ok()).filter(std::fs::Metadata::is_file);
    match (file, facts) {
        (Some(file), Some(facts)) => Ok(FileRange { file: Arc::new(file), offset: 0, length: facts.len() }),
        _ => Err(PyValueError::new_err(format!("{path} is no plain file"))),
    }
}

/// That something has the wrong type.
pub(crate) fn wrong_type(what: &str, want: &str, got: &Bound<'_, PyAny>) -> PyErr {
    let kind = got.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
    PyTypeError::new_err(format!("{what} is a {kind} and not {want}"))
}
