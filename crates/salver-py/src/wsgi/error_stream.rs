//! `wsgi.errors`: a text file that is the log, an entry a line.

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// The stream of one application; what was written without a line end waits for it, or for `flush()`.
#[pyclass(frozen, module = "salver._salver")]
pub(crate) struct ErrorStream(Mutex<String>);

impl ErrorStream {
    pub(crate) fn new() -> Self {
        Self(Mutex::default())
    }

    fn log(line: &str) {
        tracing::error!(target: "wsgi.errors", "{line}");
    }
}

#[pymethods]
impl ErrorStream {
    fn write(&self, text: &Bound<'_, PyAny>) -> PyResult<usize> {
        let text =
            text.cast::<PyString>().map_err(|_| PyTypeError::new_err("wsgi.errors.write() takes a str"))?;
        let text = text.to_string_lossy();
        let mut rest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for part in text.split_inclusive('\n') {
            rest.push_str(part.strip_suffix('\n').unwrap_or(part));
            if part.ends_with('\n') || rest.len() > LONGEST {
                Self::log(&std::mem::take(&mut *rest));
            }
        }
        Ok(text.chars().count())
    }

    fn writelines(&self, lines: &Bound<'_, PyAny>) -> PyResult<()> {
        for line in lines.try_iter()? {
            self.write(&line?)?;
        }
        Ok(())
    }

    fn flush(&self) {
        let rest = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if !rest.is_empty() {
            Self::log(&rest);
        }
    }

    fn isatty(&self) -> bool {
        false
    }

    fn writable(&self) -> bool {
        true
    }

    #[getter]
    fn encoding(&self) -> &'static str {
        "utf-8"
    }
}

/// A line is logged at this length at the latest, in bytes.
const LONGEST: usize = 64 * 1024;
