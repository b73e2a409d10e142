//! What `receive()` and `send()` return: awaitables that are done at once where they can be, and otherwise wait by way of a future
//! of the loop's, as a coroutine would. They have a coroutine's methods, so `asyncio.create_task(receive())` works.

use std::sync::Arc;

use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// One conversation between an application and its client.
pub(crate) trait Channel: Send + Sync + 'static {
    /// The next message for the application, if there is one; `None`: it must wait.
    fn receive(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>>;

    /// Whether what was sent has left so far that more may be.
    fn has_room(&self) -> PyResult<bool>;

    /// A new future of the loop's.
    fn future<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>>;

    /// Has `future` woken when there is something new.
    fn wake_later(&self, future: Py<PyAny>);
}

/// An awaitable that asks its channel.
#[pyclass(frozen, module = "salver._salver")]
pub(crate) struct Waiting {
    channel: Arc<dyn Channel>,
    what: What,
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Message,
    Room,
}

/// An awaitable that is done.
#[pyclass(frozen, module = "salver._salver")]
pub(crate) struct Done;

impl Waiting {
    pub(crate) fn new(channel: Arc<dyn Channel>, what: What) -> Self {
        Self { channel, what }
    }

    fn poll(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        match self.what {
            What::Message => self.channel.receive(py),
            What::Room => Ok(self.channel.has_room()?.then(|| py.None())),
        }
    }

    /// A future to wait for; the end, with the result, is a `StopIteration`.
    fn step(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if let Some(done) = self.poll(py)? {
            return Err(PyStopIteration::new_err((done,)));
        }
        let future = self.channel.future(py)?;
        future.setattr(intern!(py, "_asyncio_future_blocking"), true)?;
        self.channel.wake_later(future.clone().unbind());
        // What came between the two is not slept over.
        if let Some(done) = self.poll(py)? {
            return Err(PyStopIteration::new_err((done,)));
        }
        Ok(future.unbind())
    }
}

#[pymethods]
impl Waiting {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.step(py)
    }

    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.step(py)
    }

    /// A cancellation, mostly: it goes to whoever waits.
    #[pyo3(signature = (kind, value=None, traceback=None))]
    fn throw(
        &self,
        kind: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        Err(thrown(kind, value, traceback))
    }

    fn close(&self) {}
}

#[pymethods]
impl Done {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self) -> Option<Py<PyAny>> {
        None
    }

    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        Err(PyStopIteration::new_err((py.None(),)))
    }

    #[pyo3(signature = (kind, value=None, traceback=None))]
    fn throw(
        &self,
        kind: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        Err(thrown(kind, value, traceback))
    }

    fn close(&self) {}
}

/// The exception that the arguments of a generator's `throw()` mean.
fn thrown(
    kind: Bound<'_, PyAny>,
    value: Option<Bound<'_, PyAny>>,
    traceback: Option<Bound<'_, PyAny>>,
) -> PyErr {
    let py = kind.py();
    let value = value.filter(|value| !value.is_none());
    let made = if kind.is_instance_of::<PyType>() {
        match value {
            Some(value) if value.is_instance(&kind).unwrap_or(false) => Ok(value),
            Some(value) => kind.call1((value,)),
            None => kind.call0(),
        }
    } else {
        Ok(kind)
    };
    let error = match made {
        Ok(error) if error.is_instance_of::<pyo3::exceptions::PyBaseException>() => PyErr::from_value(error),
        Ok(_) => PyRuntimeError::new_err("throw() takes an exception"),
        Err(error) => error,
    };
    if let Some(traceback) = traceback.filter(|traceback| !traceback.is_none())
        && let Ok(traceback) = traceback.cast_into()
    {
        error.set_traceback(py, Some(traceback));
    }
    error
}
