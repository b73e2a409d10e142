//! Connections that become something else: 101 Switching Protocols (RFC 9110 §7.8, §15.2.2), and streams of HTTP/2 that do (RFC 8441).
//!
//! A handler answers with an [`Upgrade`] among the extensions of its response. The engine of HTTP/1 writes the head and hands the
//! connection over; that of HTTP/2 does so with the stream.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;

use crate::server::Shared;
use crate::server::clock::Deadline;
use crate::server::socket::Io;

/// What a connection becomes: an extension of the response that says so.
#[derive(Clone)]
pub(crate) struct Upgrade(Arc<Mutex<Option<Box<dyn Protocol>>>>);

/// A protocol that takes a connection over.
pub(crate) trait Protocol: Send + 'static {
    /// Runs until the connection is over; `received` is what came behind the request.
    fn run(self: Box<Self>, wire: Upgraded) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// A connection that was handed over, or a stream.
pub(crate) struct Upgraded {
    pub(crate) io: Io,
    pub(crate) shared: Arc<Shared>,
    /// Its one deadline; also what a stop wakes.
    pub(crate) deadline: Arc<Deadline>,
    /// What came behind the request.
    pub(crate) received: BytesMut,
}

impl Upgrade {
    pub(crate) fn new(protocol: impl Protocol) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(protocol)))))
    }

    /// The protocol; `None` if somebody has it already.
    pub(crate) fn take(&self) -> Option<Box<dyn Protocol>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl std::fmt::Debug for Box<dyn Protocol> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Protocol")
    }
}
