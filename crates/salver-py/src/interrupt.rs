//! Raising an exception in a thread that does not come back by itself.
#![allow(unsafe_code)] // PyO3 has no safe wrapper of the one call that does it

use std::cell::Cell;
use std::ffi::c_long;
use std::time::Duration;

use pyo3::exceptions::PyTimeoutError;
use pyo3::prelude::*;
use salver_cli::worker::Worker;

thread_local! {
    static IDENT: Cell<u64> = const { Cell::new(0) };
}

/// The interpreter's number of this thread (`threading.get_ident()`); 0 if it does not say.
pub(crate) fn ident() -> u64 {
    if IDENT.get() == 0 {
        let asked: PyResult<u64> =
            Python::attach(|py| py.import("threading")?.call_method0("get_ident")?.extract());
        IDENT.set(asked.unwrap_or(0));
    }
    IDENT.get()
}

/// Raises `TimeoutError` in the thread with this number, as soon as it runs Python again. Done on a thread of its own: the
/// interpreter's lock may not be free for a long time.
pub(crate) fn raise(ident: u64) {
    let Some(ident) = c_long::try_from(ident).ok().filter(|ident| *ident != 0) else { return };
    let raise = move || {
        Python::attach(|py| {
            let error = py.get_type::<PyTimeoutError>();
            // SAFETY: the lock is held; the call looks the number up among living threads, and takes a reference of its own.
            unsafe { pyo3::ffi::PyThreadState_SetAsyncExc(ident, error.as_ptr()) };
        });
    };
    if let Err(error) = std::thread::Builder::new().name("salver-interrupt".into()).spawn(raise) {
        tracing::error!("the application's thread cannot be interrupted: {error}; look at `ulimit -u`");
    }
}

/// Has the supervisor replace this worker if `is_stuck` says so after a moment: the exception that was raised in its call did not
/// end it.
pub(crate) fn replace_if_stuck(is_stuck: impl Fn() -> bool + Send + 'static) {
    let Some(worker) = Worker::current() else { return };
    let wait = move || {
        std::thread::sleep(AFTER_INTERRUPT);
        if is_stuck() {
            worker.please_replace("a call of the application was silent for --timeout, and does not end");
        }
    };
    if let Err(error) = std::thread::Builder::new().name("salver-stuck".into()).spawn(wait) {
        tracing::error!("a stuck worker cannot be noticed: {error}; look at `ulimit -u`");
    }
}

/// What a call has to end when an exception was raised in it.
const AFTER_INTERRUPT: Duration = Duration::from_secs(1);
