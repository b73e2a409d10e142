//! THE accept loop, whatever the listener.
//!
//! It never fails: out of descriptors it says so once a second at the most, waits, and goes on.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

use super::socket::Io;
use super::{Counted, Phase, Shared};
use crate::http1::conn::Connection;
use crate::listen::Listener;
use crate::request::{Local, Peer};
use crate::rfc::forwarded::Scheme;

/// One accept queue on its loop.
pub(super) struct Acceptor {
    queue: Queue,
    local: Arc<Local>,
    /// One descriptor kept back: given up when there are none left, so that open connections can still open files.
    reserve: Option<File>,
}

enum Queue {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Acceptor {
    /// Puts the queue onto the loop that is entered.
    pub(super) fn new(listener: Listener) -> io::Result<Self> {
        let Listener { socket, local } = listener;
        let descriptor = OwnedFd::from(socket);
        let queue = match *local {
            Local::Tcp(_) => Queue::Tcp(TcpListener::from_std(descriptor.into())?),
            Local::Unix(_) => Queue::Unix(UnixListener::from_std(descriptor.into())?),
        };
        Ok(Self { queue, local, reserve: reserve() })
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

    fn spawn(&self, io: Io, remote: Option<std::net::SocketAddr>, shared: &Arc<Shared>) {
        let peer = Peer { remote, local: Arc::clone(&self.local), scheme: Scheme::Http };
        let counted = Counted::new(shared);
        let connection = Connection::new(io, peer, Arc::clone(shared));
        tokio::spawn(async move {
            let _counted = counted;
            connection.run().await;
        });
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
    async fn accept(&self) -> io::Result<(Io, Option<std::net::SocketAddr>)> {
        match self {
            Self::Tcp(queue) => {
                queue.accept().await.map(|(socket, peer)| (Io::Tcp(socket), Some(unmapped(peer))))
            }
            Self::Unix(queue) => queue.accept().await.map(|(socket, _)| (Io::Unix(socket), None)),
        }
    }

    /// What is queued now, asked of the kernel itself rather than of what the loop has noticed.
    fn accept_queued(&self) -> Option<(Io, Option<std::net::SocketAddr>)> {
        let flags = rustix::net::SocketFlags::NONBLOCK | rustix::net::SocketFlags::CLOEXEC;
        match self {
            Self::Tcp(queue) => {
                let socket = std::net::TcpStream::from(rustix::net::accept_with(queue, flags).ok()?);
                let peer = socket.peer_addr().ok()?;
                Some((Io::Tcp(tokio::net::TcpStream::from_std(socket).ok()?), Some(unmapped(peer))))
            }
            Self::Unix(queue) => {
                let socket =
                    std::os::unix::net::UnixStream::from(rustix::net::accept_with(queue, flags).ok()?);
                Some((Io::Unix(tokio::net::UnixStream::from_std(socket).ok()?), None))
            }
        }
    }
}

/// An IPv4 client of a dual-stack socket, as IPv4.
fn unmapped(address: std::net::SocketAddr) -> std::net::SocketAddr {
    std::net::SocketAddr::new(address.ip().to_canonical(), address.port())
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
