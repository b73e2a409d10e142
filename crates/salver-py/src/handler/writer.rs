//! `wfile`: what a handler writes to.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use pyo3::exceptions::{PyBrokenPipeError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::wire::{End, Fault, Wire};
use crate::exchange::Exchange;
use crate::wsgi::bytes_of;

/// The answer of one request as a file that is written; nothing is buffered, so `flush` has nothing to do.
#[pyclass(frozen, module = "salver._salver")]
pub(crate) struct Writer {
    exchange: Arc<Exchange>,
    wire: Mutex<Wire>,
}

impl Writer {
    pub(super) fn new(exchange: Arc<Exchange>, head_only: bool, logs: bool) -> Self {
        let wire = Mutex::new(Wire::new(Arc::clone(&exchange), head_only, logs));
        Self { exchange, wire }
    }

    /// How the answer stands when its handler has ended.
    pub(super) fn end(&self) -> End {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner).end()
    }

    fn send(&self, py: Python<'_>, data: Bytes) -> PyResult<()> {
        // A second thread that writes meanwhile must not hold the interpreter's lock while it waits for this one's write.
        let sent = match self.wire.try_lock() {
            Ok(mut wire) => wire.write(data, &mut |piece| self.exchange.push(piece, |wait| py.detach(wait))),
            Err(std::sync::TryLockError::Poisoned(poisoned)) => {
                let push = &mut |piece| self.exchange.push(piece, |wait| py.detach(wait));
                poisoned.into_inner().write(data, push)
            }
            Err(std::sync::TryLockError::WouldBlock) => {
                return Err(PyOSError::new_err(
                    "another thread writes to this answer; write from one at once",
                ));
            }
        };
        sent.map_err(|fault| match fault {
            Fault::Broken(why) => PyValueError::new_err(why),
            Fault::Gone => PyBrokenPipeError::new_err("the client has left"),
        })
    }
}

#[pymethods]
impl Writer {
    /// Writes all of `data`, which is bytes or a buffer of them.
    pub(super) fn write(&self, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let py = data.py();
        let bytes = match data.cast::<PyBytes>() {
            Ok(bytes) => bytes_of(bytes.as_any())?,
            Err(_) if data.hasattr("__index__")? || data.is_instance_of::<pyo3::types::PyString>() => {
                let kind = data.get_type().name()?;
                let message = format!("a bytes-like object is required, not '{kind}'");
                return Err(pyo3::exceptions::PyTypeError::new_err(message));
            }
            Err(_) => bytes_of(&py.get_type::<PyBytes>().call1((data,))?)?,
        };
        let length = bytes.len();
        self.send(py, bytes)?;
        Ok(length)
    }

    fn writelines(&self, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        for line in lines.try_iter()? {
            self.write(&line?)?;
        }
        Ok(())
    }

    fn flush(&self) {}

    /// The connection is the server's to close.
    fn close(&self) {}

    fn readable(&self) -> bool {
        false
    }

    fn writable(&self) -> bool {
        true
    }

    fn seekable(&self) -> bool {
        false
    }

    fn isatty(&self) -> bool {
        false
    }

    #[getter]
    fn closed(&self) -> bool {
        false
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __exit__(&self, _kind: Bound<'_, PyAny>, _value: Bound<'_, PyAny>, _traceback: Bound<'_, PyAny>) {}
}
