//! THE accept loop, whatever the listener.
//!
//! It never fails: out of descriptors it says so once a second at the most, waits, and goes on.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;

use super::plain::Plain;
use super::socket::Io;
use super::transport::Transport;
use super::{Counted, Phase, Shared};
use crate::http1::conn::Connection;
use crate::listen::{self, AnyListener};
use crate::request::{Local, Peer};
use crate::rfc::forwarded::Scheme;

/// One accept queue on its loop.
pub(super) struct Acceptor {
    queue: Queue,
    channel: Channel,
    /// One descriptor kept back: given up when there are none left, so that open connections can still open files.
    reserve: Option<File>,
}

/// How much a queue's connections let others read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    /// TLS, where the server speaks it.
    Secure,
    Clear,
}

enum Queue {
    Tcp(TcpListener, Arc<Local>),
    Unix(UnixListener, Arc<Local>),
    Own(Box<dyn AnyListener>),
}

impl Acceptor {
    /// Puts the queue onto the loop that is entered.
    pub(super) fn new(queue: listen::Queue) -> io::Result<Self> {
        let (queue, channel) = match queue {
            listen::Queue::Own(listener) => (Queue::Own(listener), Channel::Clear),
            listen::Queue::Socket { socket, local, clear } => {
                let descriptor = OwnedFd::from(socket);
                match *local {
                    Local::Tcp(_) => (
                        Queue::Tcp(TcpListener::from_std(descriptor.into())?, local),
                        if clear { Channel::Clear } else { Channel::Secure },
                    ),
                    Local::Unix(_) => {
                        (Queue::Unix(UnixListener::from_std(descriptor.into())?, local), Channel::Clear)
                    }
                }
            }
        };
        Ok(Self { queue, channel, reserve: reserve() })
    }

    /// Accepts until a stop, and then what is queued; the queue is closed only when it is empty.
    pub(super) async fn run(mut self, shared: Arc<Shared>, mut phase: watch::Receiver<Phase>) {
        loop {
            if *phase.borrow() == Phase::Serving && !self.holds_reserve() {
                self.recover(&Errno::MFILE.into()).await;
                continue;
            }
            let accepted = tokio::select! {
                biased;
                accepted = self.queue.accept() => Some(accepted),
                _ = phase.wait_for(|phase| *phase > Phase::Serving) => None,
            };
            match accepted {
                Some(Ok((io, peer))) => self.spawn(io, peer, &shared),
                Some(Err(error)) => self.recover(&error).await,
                None => break,
            }
        }
        while let Some((io, peer)) = self.queue.accept_queued() {
            self.spawn(io, peer, &shared);
        }
    }

    fn spawn(&self, io: Io, peer: Peer, shared: &Arc<Shared>) {
        let counted = Counted::new(shared);
        let io = match (&shared.tls, self.channel, io) {
            (Some(tls), Channel::Secure, Io::Plain(Plain::Tcp(socket))) => {
                let served = tls.serve(socket, peer, Arc::clone(shared));
                tokio::spawn(async move {
                    let _counted = counted;
                    served.await;
                });
                return;
            }
            (_, _, io) => io,
        };
        tokio::spawn(Connection::new(io, peer, Arc::clone(shared)).run(counted));
    }

    /// Takes the reserve back before anybody is let in: what became free meanwhile belongs to those who are here.
    fn holds_reserve(&mut self) -> bool {
        self.reserve = self.reserve.take().or_else(reserve);
        self.reserve.is_some()
    }

    /// What a failed accept asks for: nothing if one client has left again, patience if the system is short of something.
    async fn recover(&mut self, error: &io::Error) {
        let errno = Errno::from_io_error(error);
        if matches!(
            errno,
            Some(Errno::CONNABORTED | Errno::INTR | Errno::PROTO | Errno::NETDOWN | Errno::HOSTUNREACH)
        ) {
            return;
        }
        self.reserve = None;
        if may_complain() {
            let mend = match errno {
                Some(Errno::MFILE) => "; raise `ulimit -n`",
                Some(Errno::NFILE) => "; raise the sysctl fs.file-max",
                _ => "",
            };
            tracing::error!("new connections have to wait: {error}{mend}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Queue {
    async fn accept(&mut self) -> io::Result<(Io, Peer)> {
        match self {
            Self::Tcp(queue, local) => {
                queue.accept().await.map(|(socket, remote)| (Io::from(socket), peer(Some(remote), local)))
            }
            Self::Unix(queue, local) => {
                queue.accept().await.map(|(socket, _)| (Io::from(socket), peer(None, local)))
            }
            Self::Own(listener) => Ok(owned(listener.accept().await)),
        }
    }

    /// What is queued now, asked of the kernel itself rather than of what the loop has noticed.
    fn accept_queued(&mut self) -> Option<(Io, Peer)> {
        let flags = rustix::net::SocketFlags::NONBLOCK | rustix::net::SocketFlags::CLOEXEC;
        match self {
            Self::Tcp(queue, local) => {
                let socket = std::net::TcpStream::from(rustix::net::accept_with(queue, flags).ok()?);
                let remote = socket.peer_addr().ok()?;
                Some((Io::from(TcpStream::from_std(socket).ok()?), peer(Some(remote), local)))
            }
            Self::Unix(queue, local) => {
                let socket =
                    std::os::unix::net::UnixStream::from(rustix::net::accept_with(queue, flags).ok()?);
                Some((Io::from(UnixStream::from_std(socket).ok()?), peer(None, local)))
            }
            Self::Own(listener) => {
                let accepted = listener.accept().as_mut().poll(&mut Context::from_waker(Waker::noop()));
                match accepted {
                    Poll::Ready(accepted) => Some(owned(accepted)),
                    Poll::Pending => None,
                }
            }
        }
    }
}

fn owned((io, peer): (Box<dyn Transport>, Peer)) -> (Io, Peer) {
    (Io::own(io), peer)
}

fn peer(remote: Option<SocketAddr>, local: &Arc<Local>) -> Peer {
    Peer { remote: remote.map(unmapped), local: Arc::clone(local), scheme: Scheme::Http, tls: None }
}

/// An IPv4 client of a dual-stack socket, as IPv4.
fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether a second has gone by since any loop of the process complained: what they are short of they are all short of.
fn may_complain() -> bool {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let may = last.is_none_or(|last| last.elapsed() >= Duration::from_secs(1));
    if may {
        *last = Some(Instant::now());
    }
    may
}

/// Something harmless that takes a descriptor.
fn reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

/// How long accepting rests when the system is short of something.
const PAUSE: Duration = Duration::from_millis(100);
