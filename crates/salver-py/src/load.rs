//! Loading applications: `salver._load` does it in Python, and prints what the application's own code raised.

use pyo3::prelude::*;
use salver::StartError;
use salver_cli::applications::{Application, Kind};

/// Something loaded, and what it turned out to be.
pub(crate) struct Loaded {
    pub(crate) object: Py<PyAny>,
    pub(crate) kind: Kind,
}

/// Loads what `application` names; a `factory` is called for it.
///
/// # Errors
/// One line with the mend.
pub(crate) fn load(py: Python<'_>, application: &Application, factory: bool) -> Result<Loaded, StartError> {
    let said = application.kind.map(|kind| match kind {
        Kind::Asgi => "asgi",
        Kind::Handler => "handler",
        Kind::Wsgi => "wsgi",
    });
    let load = || -> PyResult<(String, Py<PyAny>)> {
        py.import("salver._load")?.call_method1("load", (&application.spec, said, factory))?.extract()
    };
    let (kind, object) = load().map_err(|error| StartError::new(error.value(py).to_string()))?;
    let kind = match kind.as_str() {
        "asgi" => Kind::Asgi,
        "handler" => Kind::Handler,
        _ => Kind::Wsgi,
    };
    Ok(Loaded { object, kind })
}
