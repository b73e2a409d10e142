//! What an application says of its answer, checked before anything of it can leave (ASGI, "HTTP & WebSocket Message Format").

use std::fs::File;

use bytes::Bytes;
use http::header::LINK;
use http::{HeaderMap, StatusCode};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use rustix::fs::OFlags;
use salver::FileRange;

use crate::head::{Head, parse_field, wrong_type};
use crate::wsgi::bytes_of;
use crate::{descriptor, errors};

/// Reads the `status` and `headers` of a message.
///
/// # Errors
/// `KeyError`, `TypeError` or `ValueError`, raised in the application: the first thing that is wrong.
pub(crate) fn head(message: &Bound<'_, PyDict>) -> PyResult<Head> {
    let py = message.py();
    let status = message.get_item(intern!(py, "status"))?;
    let status = status.ok_or_else(|| PyKeyError::new_err("status"))?;
    let code: u16 = status.extract().map_err(|_| wrong_type("status", "an int", &status))?;
    let status = StatusCode::from_u16(code).ok().filter(|status| !status.is_informational());
    let status = status.ok_or_else(|| PyValueError::new_err(format!("{code} is no status of an answer")))?;
    let mut head = Head::new(status, None, FIELDS);
    each_field(message, |name, value| head.add(name, value))?;
    Ok(head)
}

/// Gives `take` the name and value of each header of a message.
pub(crate) fn each_field(
    message: &Bound<'_, PyDict>,
    mut take: impl FnMut(&[u8], &[u8]) -> PyResult<()>,
) -> PyResult<()> {
    let fields = message.get_item(intern!(message.py(), "headers"))?;
    let Some(fields) = fields.filter(|fields| !fields.is_none()) else { return Ok(()) };
    for field in fields.try_iter()? {
        let (name, value) = pair(&field?)?;
        let name = name.cast::<PyBytes>().map_err(|_| wrong_type("a header's name", "bytes", &name))?;
        let value = value.cast::<PyBytes>().map_err(|_| wrong_type("a header's value", "bytes", &value))?;
        take(name.as_bytes(), value.as_bytes())?;
    }
    Ok(())
}

/// The name and value of a header: of a tuple, a list, or whatever else has two parts.
fn pair<'py>(field: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    if let Ok(pair) = field.extract() {
        return Ok(pair);
    }
    let wrong = || wrong_type("a header", "a pair", field);
    let parts: PyResult<Vec<Bound<'py, PyAny>>> = field.try_iter().map_err(|_| wrong())?.collect();
    <[_; 2]>::try_from(parts?).map(|[name, value]| (name, value)).map_err(|_| wrong())
}

/// The headers of `http.response.early_hint`: a `Link` for each of its `links`.
pub(crate) fn links(message: &Bound<'_, PyDict>) -> PyResult<HeaderMap> {
    let links = message.get_item(intern!(message.py(), "links"))?;
    let mut headers = HeaderMap::new();
    for link in links.ok_or_else(|| PyKeyError::new_err("links"))?.try_iter()? {
        let link = link?;
        let link = link.cast::<PyBytes>().map_err(|_| wrong_type("a link", "bytes", &link))?;
        let (name, value) = parse_field(LINK.as_str().as_bytes(), link.as_bytes())?;
        headers.try_append(name, value).map_err(errors::too_many_headers)?;
    }
    Ok(headers)
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
    // SECURITY: without O_NONBLOCK a FIFO would hold up the event loop until somebody writes to it.
    let flags = (OFlags::RDONLY | OFlags::NONBLOCK).bits();
    let number: i32 = os.call_method1("open", (&path, flags))?.extract()?;
    let file = descriptor::borrow(number, |fd| fd.try_clone_to_owned().ok().map(File::from));
    os.call_method1("close", (number,))?;
    let facts = file.as_ref().and_then(|file| file.metadata().ok()).filter(std::fs::Metadata::is_file);
    match (file, facts) {
        (Some(file), Some(facts)) => Ok(FileRange::new(file, 0, facts.len())),
        _ => Err(PyValueError::new_err(format!("{path} is no plain file"))),
    }
}

/// How many headers an answer has room for at first.
const FIELDS: usize = 8;
