//! No TLS: in the place of `tls` where the crate is built without that feature. Of nothing here there is a value, so that what is done
//! with one is never reached.

use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::request::Peer;
use crate::server::Shared;

/// TLS as a server speaks it: not at all.
#[derive(Clone, Debug)]
pub enum Tls {}

/// A TLS session of a connection; no connection has one.
#[derive(Debug)]
pub enum Session {}

/// A connection within TLS; there is none.
#[derive(Debug)]
pub(crate) enum Stream {}

impl Tls {
    /// Nobody comes so far.
    pub(crate) fn serve(
        &self,
        _: TcpStream,
        _: Peer,
        _: Arc<Shared>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match *self {}
    }
}

impl Session {
    /// What programs would learn of it.
    pub fn variables(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        match *self {}
        #[expect(unreachable_code, reason = "says what would be iterated over")]
        std::iter::empty()
    }
}

impl Stream {
    /// The socket below, as `tokio_rustls` gives it.
    pub(crate) fn get_ref(&self) -> (&TcpStream, ()) {
        match *self {}
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        match *self {}
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }
}
