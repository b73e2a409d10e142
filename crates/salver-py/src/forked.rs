//! Processes that an application forks: one that comes back from its call is none of ours.
//!
//! It would be a copy of one thread of the server, with its sockets and nobody to end it. Whoever forks in a call ends the copy
//! (`os._exit`), or has it become another program, before the call returns; `subprocess` and `multiprocessing` do.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// How often this process is a copy of another one.
static COPIES: AtomicU64 = AtomicU64::new(0);

/// Has every copy of this process know that it is one.
pub(crate) fn watch(py: Python<'_>) -> PyResult<()> {
    let hooks = PyDict::new(py);
    hooks.set_item("after_in_child", wrap_pyfunction!(copied, py)?)?;
    py.import("os")?.call_method("register_at_fork", (), Some(&hooks)).map(drop)
}

#[pyfunction]
fn copied() {
    COPIES.fetch_add(1, Ordering::Relaxed);
}

/// What tells a process from its copies.
pub(crate) fn mark() -> u64 {
    COPIES.load(Ordering::Relaxed)
}

/// Ends this process if it is a copy of the one that had this mark.
pub(crate) fn end_copy(mark: u64) {
    if COPIES.load(Ordering::Relaxed) == mark {
        return;
    }
    let ended: PyResult<()> = Python::attach(|py| {
        let os = py.import("os")?;
        // Locks of our logs may be held by threads that the copy does not have.
        let _ = os.call_method1("write", (2, SAID));
        os.call_method1("_exit", (1,)).map(drop)
    });
    if ended.is_err() {
        std::process::abort();
    }
}

const SAID: &[u8] = b"salver: error: a process that the application forked came back from its call, and is ended; end it by os._exit\n";
