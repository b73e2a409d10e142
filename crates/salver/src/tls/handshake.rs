//! From a socket to a session, and to the protocol that is spoken in it.
//!
//! Who speaks plain HTTP to a port of HTTPS gets an answer in it: the site's guard refuses the request with a page that says where
//! to go. Who sends anything else gets TLS's own alert.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use rustls::server::Acceptor;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;

use super::session::Session;
use super::{Stream, Tls};
use crate::http1::conn::Connection;
use crate::http2;
use crate::request::Peer;
use crate::rfc::forwarded::Scheme;
use crate::server::Shared;
use crate::server::socket::Io;

/// What a client began with.
enum Greeted {
    Tls(Box<Stream>),
    /// A byte that begins no handshake.
    Plain(TcpStream),
}

impl Tls {
    /// Serves one connection to its end. Boxed, so that the task of a plain connection stays small; and so are the handshake, which is
    /// soon over, and HTTP/2, so that one of HTTP/1 that is idle does not keep room for them.
    pub(crate) fn serve(
        &self,
        socket: TcpStream,
        mut peer: Peer,
        shared: Arc<Shared>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let tls = self.clone();
        Box::pin(async move {
            match Box::pin(tls.greet_in_time(socket, &shared)).await {
                Ok(Greeted::Plain(socket)) => Connection::new(Io::from(socket), peer, shared).run(()).await,
                Ok(Greeted::Tls(stream)) => {
                    peer.scheme = Scheme::Https;
                    peer.tls = Some(Arc::new(Session::of(stream.get_ref().1)));
                    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(super::H2);
                    let io = Io::from(*stream);
                    match is_http2 {
                        true => Box::pin(http2::run(io, peer, shared, BytesMut::new())).await,
                        false => Connection::new(io, peer, shared).run(()).await,
                    }
                }
                Err(error) => tracing::debug!("a TLS handshake failed: {error}"),
            }
        })
    }

    async fn greet_in_time(&self, socket: TcpStream, shared: &Shared) -> io::Result<Greeted> {
        let deadline = shared.clock.deadline();
        deadline.arm(self.handshake_timeout().into());
        let mut hurried = false;
        let mut greeting = pin!(self.greet(socket, shared.speaks_http2()));
        poll_fn(|cx| {
            deadline.belongs_to(cx);
            if let Poll::Ready(greeted) = greeting.as_mut().poll(cx) {
                return Poll::Ready(greeted);
            }
            if shared.is_stopping() && !hurried {
                hurried = true;
                deadline.arm(HURRY);
            }
            match deadline.is_over() {
                true => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
                false => Poll::Pending,
            }
        })
        .await
    }

    async fn greet(&self, socket: TcpStream, http2: bool) -> io::Result<Greeted> {
        let mut first = [0];
        match socket.peek(&mut first).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ if first[0] != HANDSHAKE => return Ok(Greeted::Plain(socket)),
            _ => {}
        }
        let start = LazyConfigAcceptor::new(Acceptor::default(), socket).await?;
        let config = self.config_for(&start.client_hello(), http2);
        Ok(Greeted::Tls(Box::new(start.into_stream(config).await?)))
    }
}

/// The type of a TLS record that begins a connection (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;
/// How long a handshake may hold up a stop.
const HURRY: Duration = Duration::from_secs(2);
