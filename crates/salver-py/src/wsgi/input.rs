//! `wsgi.input`: the request's body as a file that is read as it comes (PEP 3333, "Input and Error Streams").
//!
//! Reading is what sends `100 Continue`; a read that has to wait for the client waits without the interpreter's lock and
//! without a place among the calls.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memchr;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PySlice};
use salver::Body;
use salver::body::{BoxError, Stream};

use crate::exchange::Exchange;

/// The body of one request.
#[pyclass(frozen, module = "salver._salver")]
pub(crate) struct Input {
    exchange: Option<Arc<Exchange>>,
    content: Mutex<Content>,
}

struct Content {
    /// Received and not read.
    buffer: BytesMut,
    /// Where more comes from.
    source: Option<Stream>,
    /// Why no more will come.
    fault: Option<String>,
}

/// What a read is after.
#[derive(Clone, Copy)]
enum Until {
    End,
    Length(usize),
    /// At most so many bytes, and some of them.
    Some(usize),
    /// A line end, or so many bytes.
    Line(usize),
}

impl Input {
    /// A body that begins with `beginning` and goes on with `rest`.
    pub(crate) fn new(beginning: Bytes, rest: Body, exchange: Arc<Exchange>) -> PyResult<Self> {
        let source = match rest {
            Body::Stream(stream) => Some(stream),
            _ => None,
        };
        let content = Content { buffer: beginning.into(), source, fault: None };
        Ok(Self { exchange: Some(exchange), content: Mutex::new(content) })
    }

    /// The body of a request that has none.
    pub(crate) fn empty() -> Self {
        let content = Content { buffer: BytesMut::new(), source: None, fault: None };
        Self { exchange: None, content: Mutex::new(content) }
    }

    /// The next bytes, as many as `until` asks for or there are.
    fn take<'py>(&self, py: Python<'py>, until: Until) -> PyResult<Bound<'py, PyBytes>> {
        loop {
            let mut content = self.content();
            if let Some(count) = content.ready(until) {
                let bytes = PyBytes::new(py, content.buffer.get(..count).unwrap_or_default());
                content.buffer.advance(count);
                return Ok(bytes);
            }
            if let Some(fault) = &content.fault {
                return Err(PyOSError::new_err(fault.clone()));
            }
            drop(content);
            self.receive(py);
        }
    }

    /// Waits for more, or for the end.
    fn receive(&self, py: Python<'_>) {
        let Some(mut source) = self.content().source.take() else { return };
        let Some(exchange) = &self.exchange else { return };
        let received =
            py.detach(|| exchange.turns().wait(poll_fn(|cx| poll_more(source.as_mut(), cx, exchange))));
        let mut content = self.content();
        match received {
            Some(Ok(data)) => {
                content.buffer.extend_from_slice(&data);
                content.source = Some(source);
            }
            None => {}
            Some(Err(error)) => content.fault = Some(error.to_string()),
        }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The next data of `source`; a client that leaves is a fault.
fn poll_more(
    mut source: Pin<&mut (dyn http_body::Body<Data = Bytes, Error = BoxError> + Send)>,
    cx: &mut Context<'_>,
    exchange: &Exchange,
) -> Poll<Option<Result<Bytes, BoxError>>> {
    loop {
        match source.as_mut().poll_frame(cx) {
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Poll::Ready(Some(Ok(data)));
                }
            }
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
            Poll::Pending => {
                return exchange.poll_gone(cx).map(|_| Some(Err("the client has left".into())));
            }
        }
    }
}

impl Content {
    /// How many bytes `until` gets, once that can be said.
    fn ready(&self, until: Until) -> Option<usize> {
        let held = self.buffer.len();
        let is_over = self.source.is_none();
        let most = match until {
            Until::End => usize::MAX,
            Until::Length(most) | Until::Line(most) | Until::Some(most) => most,
        };
        if let Until::Some(_) = until
            && held > 0
        {
            return Some(held.min(most));
        }
        if let Until::Line(_) = until {
            let line = self.buffer.get(..held.min(most)).unwrap_or_default();
            if let Some(at) = memchr(b'\n', line) {
                return Some(at + 1);
            }
        }
        if held >= most {
            return Some(most);
        }
        // What was received before a fault is not handed out as if it were all.
        (is_over && (self.fault.is_none() || held == 0 && matches!(until, Until::Length(0)))).then_some(held)
    }
}

/// A size as files take it: `None` and negative ones are no limit.
fn size(size: Option<isize>) -> Option<usize> {
    size.and_then(|size| usize::try_from(size).ok())
}

/// Copies into `buffer` what `take` gives for its length.
fn fill<'py>(
    buffer: &Bound<'py, PyAny>,
    take: impl FnOnce(usize) -> PyResult<Bound<'py, PyBytes>>,
) -> PyResult<usize> {
    let py = buffer.py();
    let view =
        py.import("builtins")?.getattr("memoryview")?.call1((buffer,))?.call_method1("cast", ("B",))?;
    let bytes = take(view.len()?)?;
    let length = bytes.as_bytes().len();
    view.set_item(PySlice::new(py, 0, length.cast_signed(), 1), bytes)?;
    Ok(length)
}

#[pymethods]
impl Input {
    /// Some bytes, as they come; `b""` at the end.
    #[pyo3(signature = (size=None, /))]
    pub(crate) fn read1<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        self.take(py, Until::Some(self::size(size).unwrap_or(usize::MAX)))
    }

    #[pyo3(signature = (buffer, /))]
    fn readinto(&self, buffer: &Bound<'_, PyAny>) -> PyResult<usize> {
        fill(buffer, |length| self.take(buffer.py(), Until::Length(length)))
    }

    #[pyo3(signature = (buffer, /))]
    pub(crate) fn readinto1(&self, buffer: &Bound<'_, PyAny>) -> PyResult<usize> {
        fill(buffer, |length| self.take(buffer.py(), Until::Some(length)))
    }

    fn readable(&self) -> bool {
        true
    }

    fn writable(&self) -> bool {
        false
    }

    fn seekable(&self) -> bool {
        false
    }

    fn flush(&self) {}

    #[getter]
    fn closed(&self) -> bool {
        false
    }

    #[pyo3(signature = (size=None, /))]
    fn read<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        self.take(py, self::size(size).map_or(Until::End, Until::Length))
    }

    #[pyo3(signature = (size=None, /))]
    fn readline<'py>(&self, py: Python<'py>, size: Option<isize>) -> PyResult<Bound<'py, PyBytes>> {
        self.take(py, Until::Line(self::size(size).unwrap_or(usize::MAX)))
    }

    #[pyo3(signature = (hint=None, /))]
    fn readlines<'py>(&self, py: Python<'py>, hint: Option<isize>) -> PyResult<Bound<'py, PyList>> {
        let hint = size(hint).filter(|hint| *hint > 0).unwrap_or(usize::MAX);
        let lines = PyList::empty(py);
        let mut total = 0;
        while total < hint {
            let line = self.readline(py, None)?;
            if line.as_bytes().is_empty() {
                break;
            }
            total += line.as_bytes().len();
            lines.append(line)?;
        }
        Ok(lines)
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.readline(py, None)?;
        Ok((!line.as_bytes().is_empty()).then_some(line))
    }

    /// The connection is the server's to close.
    fn close(&self) {}
}
