//! Interim responses: what a handler may tell its client before the answer (RFC 9110 §15.2, RFC 8297).

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
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
/// comes too late for its own is dropped. Nor does it cost a lock: hardly any request is told something.
#[derive(Debug, Default)]
pub(crate) struct Way {
    /// That of the request at hand; the connection alone changes it.
    number: AtomicU32,
    any: AtomicBool,
    /// Each with the number of the request it was meant for.
    hints: Mutex<Vec<(u32, HeaderMap)>>,
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
        if way.number.load(Ordering::Relaxed) == *number {
            way.hints().push((*number, headers));
            way.any.store(true, Ordering::Release);
        }
    }
}

impl Way {
    /// The way for the request that begins now.
    pub(crate) fn open(self: &Arc<Self>) -> Interim {
        Interim(Some((Arc::clone(self), self.number.load(Ordering::Relaxed))))
    }

    /// What was said since the last question.
    pub(crate) fn take(&self) -> Vec<HeaderMap> {
        if !self.any.load(Ordering::Relaxed) || !self.any.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        let number = self.number.load(Ordering::Relaxed);
        // Another thread may have said something at the moment in which its answer began.
        let said = std::mem::take(&mut *self.hints()).into_iter().filter(|(of, _)| *of == number);
        said.map(|(_, headers)| headers).collect()
    }

    /// The answer begins: nothing more is heard for this request.
    pub(crate) fn close(&self) {
        self.number.store(self.number.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        if self.any.load(Ordering::Relaxed) {
            self.hints().clear();
        }
    }

    fn hints(&self) -> MutexGuard<'_, Vec<(u32, HeaderMap)>> {
        self.hints.lock().unwrap_or_else(PoisonError::into_inner)
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
        let second = way.open();
        second.early_hints(HeaderMap::new());
        assert_eq!(way.take().len(), 1);
        // Said by another thread while the answer began: it had looked at the number before.
        way.close();
        way.hints().push((1, HeaderMap::new()));
        way.any.store(true, Ordering::Release);
        way.open().early_hints(HeaderMap::new());
        assert_eq!(way.take().len(), 1, "the third request's own");
    }
}
