//! A source of connections of one's own: TLS, a tunnel, a pipe in memory.
//!
//! What it accepts is served as a socket is, by the same accept loop and the same driver. Only `sendfile` is missing there.

use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::request::{Local, Peer};
use crate::server::transport::Transport;

/// Where connections come from, if not from a socket of [`Listeners::open`](super::Listeners::open).
///
/// [`Listeners::push`](super::Listeners::push) puts one beside the sockets.
///
/// ```
/// use salver::listen::{Listener, Listeners};
/// use salver::{Local, Peer, Scheme};
/// use tokio::io::DuplexStream;
///
/// /// Connections within the process.
/// struct Pipes(tokio::sync::mpsc::Receiver<DuplexStream>);
///
/// impl Listener for Pipes {
///     type Io = DuplexStream;
///
///     fn local(&self) -> Local {
///         Local::Unix(Default::default()) // it has no address
///     }
///
///     async fn accept(&mut self) -> (DuplexStream, Peer) {
///         match self.0.recv().await {
///             Some(pipe) => (pipe, Peer { remote: None, local: self.local().into(), scheme: Scheme::Http, tls: None }),
///             None => std::future::pending().await, // nobody is left who could connect
///         }
///     }
/// }
///
/// # fn main() -> Result<(), salver::StartError> {
/// let (connect, pipes) = tokio::sync::mpsc::channel(8);
/// let mut listeners = Listeners::open(&[], 1)?;
/// listeners.push(Pipes(pipes));
/// let running = salver::Server::new(salver::Site::new()).start(listeners)?;
/// # drop(connect);
/// # Ok(())
/// # }
/// ```
pub trait Listener: Send + 'static {
    /// A connection. It is shut down (`poll_shutdown`) at its end, unless its client does not read.
    type Io: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// What [`Running::locals`](crate::Running::locals) says of it.
    fn local(&self) -> Local;

    /// The next connection, and whose it is.
    ///
    /// Never fails: it logs, waits a moment and tries again, and is pending for ever when there will be no more. What takes its
    /// time with one client (a TLS handshake) belongs into the connection's first `poll_read`, so that nobody waits for
    /// it. It runs on a loop of the server; the future is dropped when the server stops, after a last poll.
    fn accept(&mut self) -> impl Future<Output = (Self::Io, Peer)> + Send;
}

/// Any [`Listener`].
pub(crate) trait AnyListener: Send {
    fn accept(&mut self) -> Accepted<'_>;
}

/// The next connection of [`AnyListener`].
pub(crate) type Accepted<'l> = Pin<Box<dyn Future<Output = (Box<dyn Transport>, Peer)> + Send + 'l>>;

impl<L: Listener> AnyListener for L {
    fn accept(&mut self) -> Accepted<'_> {
        Box::pin(async move {
            let (io, peer) = Listener::accept(self).await;
            (Box::new(io) as Box<dyn Transport>, peer)
        })
    }
}
