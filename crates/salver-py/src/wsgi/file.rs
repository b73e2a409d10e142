//! `wsgi.file_wrapper`: a file that leaves by `sendfile` where it can (PEP 3333, "Optional Platform-Specific File Handling").

use std::fs::File;

use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use salver::{Body, FileRange};

use crate::descriptor;

/// A file as the body of a response: iterated in blocks, or sent whole by the server.
#[pyclass(frozen, module = "salver")]
pub(crate) struct FileWrapper {
    #[pyo3(get)]
    filelike: Py<PyAny>,
    #[pyo3(get)]
    blksize: usize,
}

impl FileWrapper {
    /// What is left of the file, from its position on, if its bytes are those of its descriptor: a regular file that was opened
    /// in binary mode, and nothing that decodes or unpacks what it reads. `declared` is the length that was promised.
    pub(crate) fn range(&self, py: Python<'_>, declared: Option<u64>) -> PyResult<Option<Body>> {
        let file = self.filelike.bind(py);
        let io = py.import("io")?;
        // SECURITY: `gzip.GzipFile` and the like have a descriptor, too, whose bytes are not those that read() gives.
        let kind = file.get_type();
        if !kind.is(io.getattr("BufferedReader")?) && !kind.is(io.getattr("FileIO")?) {
            return Ok(None);
        }
        // `BufferedReader` is plain only over a plain file.
        let raw = if kind.is(io.getattr("FileIO")?) { file.clone() } else { file.getattr("raw")? };
        if !raw.get_type().is(io.getattr("FileIO")?) {
            return Ok(None);
        }
        let (Ok(number), Ok(position)) = (
            file.call_method0("fileno").and_then(|number| number.extract::<i32>()),
            file.call_method0("tell").and_then(|position| position.extract::<u64>()),
        ) else {
            return Ok(None);
        };
        let Some(file) = duplicate(number) else { return Ok(None) };
        let Ok(facts) = file.metadata() else { return Ok(None) };
        if !facts.is_file() {
            return Ok(None);
        }
        let left = facts.len().saturating_sub(position);
        let length = declared.map_or(left, |declared| declared.min(left));
        if declared.is_some_and(|declared| declared > left) {
            return Ok(None); // too short: the way of pieces tells the client
        }
        Ok(Some(Body::File(FileRange::new(file, position, length))))
    }
}

/// The open file behind a descriptor of the application's, as one of our own: it outlives the application's `close()`.
fn duplicate(number: i32) -> Option<File> {
    descriptor::borrow(number, |fd| fd.try_clone_to_owned().ok().map(File::from))
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (filelike, blksize=8192))]
    fn new(filelike: Py<PyAny>, blksize: usize) -> Self {
        Self { filelike, blksize }
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let block = self.filelike.bind(py).call_method1("read", (self.blksize,))?;
        match block.cast::<PyBytes>() {
            Ok(bytes) if bytes.as_bytes().is_empty() => Err(PyStopIteration::new_err(())),
            _ => Ok(block),
        }
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match self.filelike.bind(py).getattr_opt("close")? {
            Some(close) => close.call0().map(drop),
            None => Ok(()),
        }
    }
}
