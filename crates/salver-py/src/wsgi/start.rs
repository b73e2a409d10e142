//! `start_response` and the `write` that it returns (PEP 3333, "The start_response() Callable").

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use pyo3::exceptions::{PyAssertionError, PyOSError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use salver::Body;

use super::bytes_of;
use super::head;
use crate::exchange::Exchange;
use crate::head::Head;

/// The callable of one request. It is also the `write` that it returns: called with one argument, it writes. (Two objects would
/// cost every request an allocation, for a thing that hardly any application uses.)
#[pyclass(frozen, module = "salver._salver")]
pub(crate) struct Start {
    exchange: Arc<Exchange>,
    head_only: bool,
    stage: Mutex<Stage>,
}

/// How far the answer has come.
enum Stage {
    /// The application has said nothing.
    Silent,
    /// It has said how the answer begins.
    Said(Head),
    /// That has left; `true` where nobody wants to see a body.
    Sent(bool),
}

/// What was said of the content of an answer.
#[derive(Clone, Copy)]
pub(crate) struct Said {
    /// Its length in bytes.
    pub(crate) declared: Option<u64>,
    /// There will be none on the wire.
    pub(crate) is_bodiless: bool,
}

impl Start {
    pub(crate) fn new(exchange: Arc<Exchange>, head_only: bool) -> Self {
        Self { exchange, head_only, stage: Mutex::new(Stage::Silent) }
    }

    /// What the application has said of its answer, if that waits for content.
    pub(crate) fn said(&self) -> Option<Said> {
        match &*self.stage() {
            Stage::Said(head) => Some(self.said_by(head)),
            Stage::Silent | Stage::Sent(_) => None,
        }
    }

    /// Answers, unless that was done: with `body`, or with pieces that follow. Whether nobody wants to see them.
    pub(crate) fn answer(&self, body: Option<Body>) -> PyResult<bool> {
        self.answer_by(|said| match body {
            // Too little content where a length was declared: a stream that ends early, not a body that hides it.
            Some(Body::Empty) if said.declared.is_some_and(|declared| declared > 0) && !said.is_bodiless => {
                self.exchange.body()
            }
            Some(body) => body,
            None => self.exchange.body(),
        })
    }

    /// Answers with content that is all there, with its length or as the application said it is; behind what `write` has sent, if it has.
    pub(crate) fn answer_whole(&self, py: Python<'_>, whole: Bytes) -> Result<(), super::Fault> {
        let length = whole.len() as u64;
        let mut whole = Some(whole);
        let is_bodiless = self.answer_by(|said| match said.declared.filter(|_| !said.is_bodiless) {
            // Too little: what there is goes out, and the connection ends, which tells the client.
            Some(declared) if declared > length => self.exchange.body(),
            Some(declared) if declared < length => {
                tracing::error!(
                    "an application gave {length} bytes and said Content-Length: {declared}; the rest is cut off"
                );
                let fits = usize::try_from(declared).unwrap_or(usize::MAX);
                whole.take().unwrap_or_default().slice(..fits).into()
            }
            _ => whole.take().unwrap_or_default().into(),
        })?;
        match whole.filter(|whole| !whole.is_empty() && !is_bodiless) {
            Some(whole) => Ok(self.exchange.push(whole, |wait| py.detach(wait))?),
            None => Ok(()),
        }
    }

    /// Answers, unless that was done, with the body that `choose` makes of what the application has said. Whether nobody wants to see it.
    fn answer_by(&self, choose: impl FnOnce(Said) -> Body) -> PyResult<bool> {
        let mut stage = self.stage();
        let head = match std::mem::replace(&mut *stage, Stage::Silent) {
            Stage::Said(head) => head,
            Stage::Sent(is_bodiless) => {
                *stage = Stage::Sent(is_bodiless);
                return Ok(is_bodiless);
            }
            Stage::Silent => {
                return Err(PyAssertionError::new_err(
                    "the application sent its body before it called start_response",
                ));
            }
        };
        let said = self.said_by(&head);
        *stage = Stage::Sent(said.is_bodiless);
        drop(stage);
        let body = choose(said);
        self.exchange.give(Ok(head.into_response(body)));
        Ok(said.is_bodiless)
    }

    fn said_by(&self, head: &Head) -> Said {
        Said { declared: head.declared, is_bodiless: self.head_only || head.is_bodiless() }
    }

    /// Sends one piece of the body; headers leave with the first that is not empty.
    pub(crate) fn send(&self, piece: &Bound<'_, PyBytes>) -> Result<(), super::Fault> {
        if piece.as_bytes().is_empty() {
            return Ok(());
        }
        if self.answer(None)? {
            return Ok(());
        }
        let bytes = bytes_of(piece.as_any())?;
        Ok(self.exchange.push(bytes, |wait| piece.py().detach(wait))?)
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(
        &self,
        status: &Bound<'_, PyAny>,
        headers: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        // Before the lock is taken: what is parsed may be code of the application, which may come here.
        let head = head::parse(status, headers);
        let mut stage = self.stage();
        match (&*stage, exc_info.filter(|info| !info.is_none())) {
            (Stage::Sent(_), Some(info)) => {
                drop(stage);
                Err(PyErr::from_value(info.cast::<PyTuple>()?.get_item(1)?))
            }
            (Stage::Said(_) | Stage::Sent(_), None) => {
                Err(PyAssertionError::new_err("start_response was called twice without exc_info"))
            }
            (Stage::Silent | Stage::Said(_), _) => {
                *stage = Stage::Said(head?);
                Ok(())
            }
        }
    }

    fn write(&self, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let data = data.cast::<PyBytes>().map_err(|_| super::not_bytes(data))?;
        match self.send(data) {
            Ok(()) => Ok(()),
            Err(super::Fault::Raised(error)) => Err(error),
            Err(super::Fault::Gone) => Err(PyOSError::new_err("the client has left")),
        }
    }
}

#[pymethods]
impl Start {
    #[pyo3(signature = (*args, status=None, headers=None, response_headers=None, exc_info=None))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        status: Option<Bound<'py, PyAny>>,
        headers: Option<Bound<'py, PyAny>>,
        response_headers: Option<Bound<'py, PyAny>>,
        exc_info: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, Self>> {
        let start = slf.get();
        // Asked for one that is not there, a tuple would make an exception of it, at every request.
        let at = |index: usize| (index < args.len()).then(|| args.get_item(index).ok()).flatten();
        if args.len() == 1 && status.is_none() && headers.is_none() && response_headers.is_none() {
            start.write(&args.get_item(0)?)?;
            return Ok(slf.clone());
        }
        let (status, headers) = (at(0).or(status), at(1).or(headers).or(response_headers));
        let (Some(status), Some(headers)) = (status, headers) else {
            return Err(PyTypeError::new_err("start_response takes a status, headers and perhaps exc_info"));
        };
        if args.len() > 3 {
            return Err(PyTypeError::new_err("start_response takes no more than three arguments"));
        }
        start.start(&status, &headers, at(2).or(exc_info).as_ref())?;
        Ok(slf.clone())
    }
}
