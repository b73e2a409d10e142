//! What requests have in common, made once: dicts that each request has a copy of, and the text of an address.
//!
//! A dict is made with room for what a request adds: one that grows is made anew at every request. Nothing is made under a lock: what
//! makes an object of Python may run other code of Python, which may come here.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use salver::{Local, Request, Scheme};

/// A dict for each address, scheme and kind that requests came by.
pub(crate) struct Templates<K>(Mutex<Vec<Template<K>>>);

struct Template<K> {
    local: Arc<Local>,
    scheme: Scheme,
    kind: K,
    dict: Py<PyDict>,
}

impl<K> Default for Templates<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Copy + PartialEq> Templates<K> {
    /// A copy of the dict for a request of this `kind`; `make` makes the dict, for the first one that comes so.
    pub(crate) fn copy<'py>(
        &self,
        py: Python<'py>,
        request: &Request,
        kind: K,
        make: impl FnOnce(&Local, Scheme) -> PyResult<Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (local, scheme) = (&request.peer.local, request.peer.scheme);
        let is_like = |known: &&Template<K>| {
            Arc::ptr_eq(&known.local, local) && known.scheme == scheme && known.kind == kind
        };
        let known = self.all().iter().find(is_like).map(|known| known.dict.clone_ref(py));
        if let Some(known) = known {
            return known.bind(py).copy();
        }
        let dict = make(local, scheme)?;
        let kept = Template { local: Arc::clone(local), scheme, kind, dict: dict.clone().unbind() };
        let mut all = self.all();
        if all.len() < MOST {
            all.push(kept);
        }
        drop(all);
        dict.copy()
    }

    fn all(&self) -> MutexGuard<'_, Vec<Template<K>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has the table of `dict`, and of each copy of it, take more than the 21 entries of one of 32 places: up to 42.
pub(crate) fn give_room(dict: &Bound<'_, PyDict>) -> PyResult<()> {
    let spare: Vec<_> = (dict.len()..=FULL).map(|number| format!("room {number}")).collect();
    spare.iter().try_for_each(|name| dict.set_item(name, ()))?;
    spare.iter().try_for_each(|name| dict.del_item(name))
}

/// `address` as text; that of the last one is kept: most requests come from the same address as the one before, by one connection or
/// from one proxy.
pub(crate) fn address(py: Python<'_>, address: IpAddr) -> Bound<'_, PyString> {
    static LAST: Mutex<Option<(IpAddr, Py<PyString>)>> = Mutex::new(None);
    let last = || LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let known = last().as_ref().filter(|(known, _)| *known == address).map(|(_, text)| text.clone_ref(py));
    if let Some(known) = known {
        return known.into_bound(py);
    }
    let text = PyString::new(py, &address.to_string());
    let before = last().replace((address, text.clone().unbind()));
    drop(before); // without the lock
    text
}

/// More addresses and schemes than this are made anew each time.
const MOST: usize = 64;
/// How many entries a dict of 32 places takes before it grows.
const FULL: usize = 21;
