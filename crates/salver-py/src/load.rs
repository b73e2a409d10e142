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
    let load = || -> PyResult<(String, Py<PyAny>)> {
        py.import("salver._load")?
            .call_method1("load", (&application.spec, said(application), factory))?
            .extract()
    };
    let (kind, object) = load().map_err(|error| StartError::new(error.value(py).to_string()))?;
    let kind = match kind.as_str() {
        "asgi" => Kind::Asgi,
        "handler" => Kind::Handler,
        _ => Kind::Wsgi,
    };
    Ok(Loaded { object, kind })
}

/// Loads it for [`load`] in copies of this process.
///
/// # Errors
/// As [`load`].
pub(crate) fn preload(py: Python<'_>, application: &Application, factory: bool) -> Result<(), StartError> {
    let arguments = (&application.spec, said(application), factory);
    let loaded = py.import("salver._load").and_then(|load| load.call_method1("preload", arguments));
    loaded.map(drop).map_err(|error| StartError::new(error.value(py).to_string()))
}

fn said(application: &Application) -> Option<&'static str> {
    application.kind.map(|kind| match kind {
        Kind::Asgi => "asgi",
        Kind::Handler => "handler",
        Kind::Wsgi => "wsgi",
    })
}
