//! Interim responses: what a handler may tell its client before the answer (RFC 9110 §15.2, RFC 8297).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderMap;

/// The way of a request's early hints to its connection; the default one leads nowhere.
///
/// ```
/// let request = salver::Request::get("/");
/// assert!(!request.interim.is_heard(), "there is no connection");
/// request.interim.early_hints(http::HeaderMap::new()); // so this does nothing
/// ```
#[derive(Clone, Debug, Default)]
pub struct Interim(Option<(Arc<Way>, u32)>);

/// A connection's end of it. One serves all its requests, so that a request costs no allocation: each has a number, and what
/// comes too late for its own is dropped.
#[derive(Debug, Default)]
pub(crate) struct Way {
    any: AtomicBool,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    number: u32,
    hints: Vec<HeaderMap>,
}

impl Interim {
    /// Whether what is said here can reach the client: on HTTP/1.1 and HTTP/2, until the answer begins.
    pub fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// Sends `103 Early Hints` with these headers; dropped if the answer has begun. The task of the request has to be woken by
    /// the caller, if it is not running.
    pub fn early_hints(&self, headers: HeaderMap) {
        let Some((way, number)) = &self.0 else { return };
        let mut queue = way.queue();
        if queue.number == *number {
            queue.hints.push(headers);
            way.any.store(true, Ordering::Release);
        }
    }
}

impl Way {
    /// The way for the request that begins now.
    pub(crate) fn open(self: &Arc<Self>) -> Interim {
        Interim(Some((Arc::clone(self), self.queue().number)))
    }

    /// What was said since the last question.
    pub(crate) fn take(&self) -> Vec<HeaderMap> {
        if !self.any.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        std::mem::take(&mut self.queue().hints)
    }

    /// The answer begins: nothing more is heard for this request.
    pub(crate) fn close(&self) {
        let mut queue = self.queue();
        queue.number = queue.number.wrapping_add(1);
        queue.hints.clear();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_too_late_is_not_taken_for_the_next_request_s() {
        let way = Arc::new(Way::default());
        let first = way.open();
        first.early_hints(HeaderMap::new());
        assert_eq!(way.take().len(), 1);
        assert_eq!(way.take().len(), 0);
        way.close();
        first.early_hints(HeaderMap::new());
        assert_eq!(way.take().len(), 0);
        way.open().early_hints(HeaderMap::new());
        assert_eq!(way.take().len(), 1);
    }
}
