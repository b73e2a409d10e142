//! salver inside of CPython: the whole command, and applications called in process.
//!
//! An extension module, never an embedded interpreter: what runs is the user's own Python, with whatever it has installed. The
//! lock of the interpreter is held while application code runs and at no other time.
//!
//! - `head`, `pieces`: what an application answers with, checked, and on its way.
//! - `exchange`: one request between its connection and the application's thread; knows no Python.
//! - `forked`: copies of this process that an application makes.
//! - `wsgi`: PEP 3333.
//! - `handler`: classes of `http.server`.
//! - `engine`: a server for a socket of Python's.
//! - `asgi`: ASGI 3, on an asyncio loop whose selector drives the server.
//! - `command`: the command line with this process as host.

use pyo3::prelude::*;

mod asgi;
mod command;
mod descriptor;
mod engine;
mod errors;
mod exchange;
mod forked;
mod handler;
mod head;
mod hosted;
mod interrupt;
mod load;
mod pieces;
mod template;
mod text;
mod wsgi;

/// The extension below the package `salver`.
// The interpreter without its lock has not been tried: there it is to take the lock again.
#[pymodule(gil_used = true)]
mod _salver {
    #[pymodule_export]
    use super::command::{main, serve};
    #[pymodule_export]
    use super::engine::Engine;
    #[pymodule_export]
    use super::wsgi::file::FileWrapper;

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::forked::watch(module.py())?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
