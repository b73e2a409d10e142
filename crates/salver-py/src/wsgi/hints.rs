//! `wsgi.early_hints`: headers ahead of the answer, as gunicorn has it (RFC 8297).

use std::sync::Arc;

use http::HeaderMap;
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::head::with_field;
use crate::errors::too_many_headers;
use crate::exchange::Exchange;
use crate::head::parse_field;

/// The callable of one request; the default one says nothing to nobody.
#[pyclass(frozen, module = "salver._salver")]
#[derive(Default)]
pub(crate) struct EarlyHints(Option<Arc<Exchange>>);

impl EarlyHints {
    /// Those of a request whose client can hear them.
    pub(crate) fn new(exchange: Arc<Exchange>) -> Self {
        Self(Some(exchange))
    }
}

#[pymethods]
impl EarlyHints {
    /// Sends `103 Early Hints` with `headers`, a list of names and values; once the answer has begun it does nothing.
    fn __call__(&self, headers: &Bound<'_, PyList>) -> PyResult<()> {
        let mut fields = HeaderMap::new();
        for field in headers {
            let (name, value) = with_field(&field, parse_field)?;
            fields.try_append(name, value).map_err(too_many_headers)?;
        }
        if let Some(exchange) = &self.0 {
            exchange.hint(fields);
        }
        Ok(())
    }
}
