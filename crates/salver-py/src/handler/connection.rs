//! `request` and `connection`: what a handler class takes for a socket. There is one request in it, then its end.
//!
//! A class that keeps `setup`, `handle` and `finish` as they are in `http.server` is *dressed*: its attributes come from the
//! head that has been read already. For any other the head is written out again, for its own `handle()` to read.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Version};
use pyo3::exceptions::PyOSError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PySlice, PyString, PyTuple};
use salver::http1::reply::write_name;
use salver::{Body, Local, Peer, Request};

use super::chunked;
use super::writer::Writer;
use crate::exchange::Exchange;
use crate::template;
use crate::text::latin1;
use crate::wsgi::input::Input;

/// One request, as the socket of its connection.
#[pyclass(frozen, module = "salver._salver")]
pub(crate) struct Connection {
    head: Head,
    exchange: Arc<Exchange>,
    /// The body, until somebody asks for the file it is read from.
    body: Mutex<Option<(Bytes, Body)>>,
    /// Where it is read from.
    input: Mutex<Option<Py<Input>>>,
    writer: Py<Writer>,
}

/// The head of a request.
struct Head {
    method: Method,
    /// The target below the mount, as sent.
    path: Vec<u8>,
    /// The target as sent.
    target: Vec<u8>,
    version: Version,
    headers: HeaderMap,
    peer: Peer,
}

impl Connection {
    /// `start` is what has been read of the body, `path` the target below the mount.
    pub(super) fn new(
        mut request: Request,
        start: Bytes,
        path: Vec<u8>,
        exchange: &Arc<Exchange>,
        writer: Py<Writer>,
    ) -> Self {
        let mut body = std::mem::take(&mut request.body);
        if matches!(body, Body::Stream(_)) && !request.headers.contains_key(CONTENT_LENGTH) {
            // Nothing says how long it is: the handler gets it in chunks, as it came.
            request.headers.insert(TRANSFER_ENCODING, http::HeaderValue::from_static("chunked"));
            body = chunked::framed(body);
        }
        let Request { method, target, version, headers, peer, .. } = request;
        let target = [target.origin(), target.as_bytes()].concat();
        Self {
            head: Head { method, path, target, version, headers, peer },
            exchange: Arc::clone(exchange),
            body: Mutex::new(Some((start, body))),
            input: Mutex::default(),
            writer,
        }
    }

    /// Where the body is read from; behind the head, where that has not been read by anybody.
    fn input<'py>(&self, py: Python<'py>, with_head: bool) -> PyResult<Bound<'py, Input>> {
        let lock = || self.input.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(input) = &*lock() {
            return Ok(input.bind(py).clone());
        }
        let (start, body) =
            self.body.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        let start = if with_head { self.head.written(&start).into() } else { start };
        let input = Bound::new(py, Input::new(start, body, Arc::clone(&self.exchange))?)?;
        *lock() = Some(input.clone().unbind());
        Ok(input)
    }
}

impl Head {
    fn line(&self) -> Vec<u8> {
        [self.method.as_str().as_bytes(), b" ", &self.target, b" ", self.version().as_bytes()].concat()
    }

    fn version(&self) -> &'static str {
        if self.version == Version::HTTP_10 { "HTTP/1.0" } else { "HTTP/1.1" }
    }

    /// Whether the connection ends with the answer, as `parse_request` decides it.
    fn closes(&self, keeps: bool) -> bool {
        let asked = |word: &[u8]| {
            let value = self.headers.get(CONNECTION);
            value.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(word))
        };
        asked(b"close") || !keeps || (self.version == Version::HTTP_10 && !asked(b"keep-alive"))
    }

    /// The head as it is on the wire, with `start` behind it.
    fn written(&self, start: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(512 + start.len());
        out.extend_from_slice(&self.line());
        out.extend_from_slice(b"\r\n");
        for (name, value) in &self.headers {
            write_name(&mut out, name);
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(start);
        out
    }
}

/// An address as Python's sockets have it.
pub(super) fn address<'py>(py: Python<'py>, address: Option<SocketAddr>) -> PyResult<Bound<'py, PyTuple>> {
    let Some(address) = address else { return ("", 0).into_pyobject(py) };
    let text = template::address(py, address.ip());
    match address {
        SocketAddr::V4(v4) => (text, v4.port()).into_pyobject(py),
        SocketAddr::V6(v6) => (text, v6.port(), v6.flowinfo(), v6.scope_id()).into_pyobject(py),
    }
}

#[pymethods]
impl Connection {
    /// Gives a handler what `parse_request` would have; what is asked for seldom is made when it is asked for. `keeps` says that
    /// its class speaks HTTP/1.1. Whether it may be asked to send `100 Continue`.
    fn dress(slf: &Bound<'_, Self>, handler: &Bound<'_, PyAny>, keeps: bool) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        let head = &this.head;
        handler.setattr(intern!(py, "connection"), slf)?;
        match head.method {
            Method::GET => handler.setattr(intern!(py, "command"), intern!(py, "GET"))?,
            _ => handler.setattr(intern!(py, "command"), head.method.as_str())?,
        }
        handler.setattr(intern!(py, "path"), latin1(py, &head.path))?;
        let is_old = head.version == Version::HTTP_10;
        let version = if is_old { intern!(py, "HTTP/1.0") } else { intern!(py, "HTTP/1.1") };
        handler.setattr(intern!(py, "request_version"), version)?;
        handler.setattr(intern!(py, "close_connection"), head.closes(keeps))?;
        handler.setattr(intern!(py, "wfile"), &this.writer)?;
        let expect = head.headers.get(EXPECT).filter(|_| keeps && !is_old);
        Ok(expect.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue")))
    }

    /// The request line.
    fn requestline<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        latin1(py, &self.head.line())
    }

    /// The request line as bytes, with its line end.
    fn raw_requestline<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &[&self.head.line()[..], b"\r\n"].concat())
    }

    /// Names and values, in order.
    fn fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let mut spelled = Vec::new();
        let fields = self.head.headers.iter().map(|(name, value)| {
            spelled.clear();
            write_name(&mut spelled, name);
            (latin1(py, &spelled), latin1(py, value.as_bytes())).into_pyobject(py)
        });
        PyList::new(py, fields.collect::<PyResult<Vec<_>>>()?)
    }

    /// The body as a file.
    fn rfile<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, Input>> {
        self.input(py, false)
    }

    /// The whole request as a file that is read, or its answer as one that is written.
    #[pyo3(signature = (mode="r", buffering=None, **_keywords))]
    fn makefile<'py>(
        &self,
        py: Python<'py>,
        mode: &str,
        buffering: Option<isize>,
        _keywords: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = buffering;
        if mode.contains('w') {
            return Ok(self.writer.bind(py).clone().into_any());
        }
        Ok(self.input(py, true)?.into_any())
    }

    #[pyo3(signature = (size, _flags=0, /))]
    fn recv<'py>(&self, py: Python<'py>, size: isize, _flags: i32) -> PyResult<Bound<'py, PyBytes>> {
        self.input(py, true)?.get().read1(py, Some(size))
    }

    #[pyo3(signature = (buffer, size=0, _flags=0, /))]
    fn recv_into(&self, buffer: &Bound<'_, PyAny>, size: isize, _flags: i32) -> PyResult<usize> {
        let py = buffer.py();
        let view = py.import("builtins")?.getattr("memoryview")?.call1((buffer,))?;
        let view = match usize::try_from(size) {
            Ok(size @ 1..) => view.get_item(PySlice::new(py, 0, size.cast_signed(), 1))?,
            _ => view,
        };
        self.input(py, true)?.get().readinto1(&view)
    }

    #[pyo3(signature = (data, _flags=0, /))]
    fn send(&self, data: &Bound<'_, PyAny>, _flags: i32) -> PyResult<usize> {
        self.writer.get().write(data)
    }

    #[pyo3(signature = (data, _flags=0, /))]
    fn sendall(&self, data: &Bound<'_, PyAny>, _flags: i32) -> PyResult<()> {
        self.writer.get().write(data).map(drop)
    }

    fn getpeername<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        address(py, self.head.peer.remote)
    }

    fn getsockname<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        address(py, local(&self.head.peer.local))
    }

    /// The server's own limits hold.
    fn settimeout(&self, _timeout: Bound<'_, PyAny>) {}

    fn gettimeout(&self) -> Option<f64> {
        None
    }

    fn setblocking(&self, _blocking: Bound<'_, PyAny>) {}

    #[pyo3(signature = (*_arguments))]
    fn setsockopt(&self, _arguments: &Bound<'_, PyTuple>) {}

    fn shutdown(&self, _how: Bound<'_, PyAny>) {}

    /// The connection is the server's to close.
    fn close(&self) {}

    /// There are other requests on the connection: its descriptor is the server's own.
    fn fileno(&self) -> PyResult<i32> {
        Err(PyOSError::new_err("the descriptor of a connection is the server's own; use rfile and wfile"))
    }
}

/// The address that was reached, if it is one of TCP.
pub(super) fn local(local: &Local) -> Option<SocketAddr> {
    match local {
        Local::Tcp(address) => Some(*address),
        Local::Unix(_) => None,
    }
}
