//! The addresses a server listens on: TCP, Unix sockets, and sockets inherited from whoever started the process.
//!
//! Everything that can fail fails here, before the first request. A port is taken when it is bound, and answers when it is served:
//! as long as nobody serves it, clients are refused and do not wait for a server that may never start. Each loop gets a listener of its own for each TCP address
//! (an accept queue a loop, `SO_REUSEPORT`); Unix and inherited sockets have one queue, which the loops share. Connections that
//! come in another way have a [`Listener`].

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::path::Path;
use std::sync::Arc;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::request::Local;
use crate::start_error::StartError;

mod address;
mod inherited;
mod own;
mod pass;
mod socket_file;

pub use address::Address;
pub(crate) use own::AnyListener;
pub use own::Listener;
pub use pass::Asked;
pub use socket_file::SocketFile;

/// Bound sockets, ready to be served.
///
/// ```
/// use salver::listen::{Address, Listeners};
///
/// let listeners = Listeners::open(&["127.0.0.1:0".parse::<Address>()?], 1)?;
/// assert_eq!(listeners.locals().count(), 1);
/// # Ok::<(), salver::StartError>(())
/// ```
pub struct Listeners {
    bound: Vec<Bound>,
    own: Vec<(Local, Box<dyn AnyListener>)>,
    loops: usize,
}

/// One address and its accept queues.
#[derive(Debug)]
struct Bound {
    /// What was asked for; a name or "everywhere" may have become several of these.
    address: Address,
    local: Local,
    queues: Vec<Socket>,
    /// Not for HTTPS, also in a server that speaks it.
    clear: bool,
    /// Removes a socket file of ours at the end, when nobody has the socket any more.
    file: Option<Arc<SocketFile>>,
}

/// One accept queue, for one loop.
pub(crate) enum Queue {
    Socket { socket: Socket, local: Arc<Local>, clear: bool },
    Own(Box<dyn AnyListener>),
}

/// Queues, a list a loop, and what has to live as long as they are served.
pub(crate) type Queues = (Vec<Vec<Queue>>, Vec<Arc<SocketFile>>);

impl Listeners {
    /// Binds every address, for `loops` event loops. Names are resolved and bound at each of their addresses.
    ///
    /// # Errors
    /// One line that names the address and the mend: a port that is taken, a name that is unknown, …
    pub fn open(addresses: &[Address], loops: usize) -> Result<Self, StartError> {
        let loops = loops.max(1);
        Self { bound: Vec::new(), own: Vec::new(), loops }.open_again(addresses, None)
    }

    /// Binds what of `addresses` is not bound yet.
    fn bind(&mut self, address: &Address) -> Result<(), StartError> {
        let first = self.bound.len();
        match address {
            Address::Everywhere(port) => self.bind_everywhere(*port)?,
            Address::Tcp { host, port } => self.bind_name(host, port.unwrap_or(0))?,
            Address::Unix(path) => self.bind_unix(path)?,
            Address::Inherited(fd) => {
                let (socket, local) = inherited::adopt(*fd)?;
                let queues = shared(socket, self.loops).map_err(|error| cannot_listen(address, &error))?;
                self.bound.push(Bound { address: address.clone(), local, queues, clear: false, file: None });
            }
        }
        for bound in self.bound.iter_mut().skip(first) {
            bound.address = address.clone();
        }
        Ok(())
    }

    /// Binds `port` beside each TCP address that is open, for plain HTTP also where the server speaks HTTPS: there it sends
    /// whoever comes to https. 0 takes a free port.
    ///
    /// # Errors
    /// As [`Listeners::open`].
    pub fn open_clear(&mut self, port: u16) -> Result<(), StartError> {
        self.open_clear_like(port, &[])
    }

    /// The same, with what of `before` is bound so already.
    fn open_clear_like(&mut self, port: u16, before: &[Bound]) -> Result<(), StartError> {
        let beside: Vec<IpAddr> = self.locals_for_tls().filter_map(Local::ip).collect();
        let mut free = port;
        for (place, ip) in beside.iter().enumerate() {
            if beside.iter().take(place).any(|earlier| earlier == ip) {
                continue;
            }
            let address = Address::Tcp { host: ip.to_string(), port: Some(port) };
            match before.iter().find(|bound| bound.clear && bound.address == address) {
                Some(bound) => self.bound.push(bound.try_clone()?),
                None => {
                    free = self.bind_tcp(SocketAddr::new(*ip, free), &ip.to_string())?;
                    let bound = self.bound.last_mut().expect("it has just been bound");
                    (bound.clear, bound.address) = (true, address);
                }
            }
        }
        Ok(())
    }

    /// The addresses that are HTTPS's in a server that speaks it: those of TCP, but what [`Listeners::open_clear`] opened.
    pub(crate) fn locals_for_tls(&self) -> impl Iterator<Item = &Local> {
        let bound = self.bound.iter().filter(|bound| !bound.clear && matches!(bound.local, Local::Tcp(_)));
        bound.map(|bound| &bound.local)
    }

    /// The ports that [`Listeners::open_clear`] opened.
    pub(crate) fn clear_ports(&self) -> impl Iterator<Item = u16> {
        self.bound.iter().filter(|bound| bound.clear).filter_map(|bound| bound.local.port())
    }

    /// Adds a listener of one's own. One loop serves it: where they are to have a queue each, push one for each.
    pub fn push(&mut self, listener: impl Listener) {
        self.own.push((listener.local(), Box::new(listener)));
    }

    /// The bound addresses, with the ports they really have; then those of listeners that were pushed.
    pub fn locals(&self) -> impl Iterator<Item = &Local> {
        self.bound.iter().map(|bound| &bound.local).chain(self.own.iter().map(|(local, _)| local))
    }

    /// How many loops the queues were made for.
    pub fn loops(&self) -> usize {
        self.loops
    }

    /// Has the sockets take connections from now on, as [`Server::start`](crate::Server::start) does; nothing changes for those
    /// that do. Unix sockets have listened since they were bound: a file that refuses clients is what a dead server leaves.
    ///
    /// # Errors
    /// Somebody else has got the port meanwhile.
    pub fn listen(&self) -> Result<(), StartError> {
        for bound in &self.bound {
            if let (Local::Tcp(local), false) = (&bound.local, matches!(bound.address, Address::Inherited(_)))
            {
                bound
                    .queues
                    .iter()
                    .try_for_each(listen_on)
                    .map_err(|error| cannot_bind(&local.ip().to_string(), local.port(), &error))?;
            }
        }
        Ok(())
    }

    /// The queues, a list a loop, and what has to live as long as they are served.
    pub(crate) fn into_queues(self) -> Result<Queues, StartError> {
        self.listen()?;
        let mut loops: Vec<Vec<Queue>> = (0..self.loops).map(|_| Vec::new()).collect();
        let mut files = Vec::new();
        for bound in self.bound {
            for (queues, socket) in loops.iter_mut().zip(bound.queues) {
                // A local address a loop: its reference count is touched at every request.
                let local = Arc::new(bound.local.clone());
                queues.push(Queue::Socket { socket, local, clear: bound.clear });
            }
            files.extend(bound.file);
        }
        for (place, (_, listener)) in self.own.into_iter().enumerate() {
            if let Some(queues) = loops.get_mut(place % self.loops) {
                queues.push(Queue::Own(listener));
            }
        }
        Ok((loops, files))
    }

    /// All interfaces: IPv4, and IPv6 where the machine has it.
    fn bind_everywhere(&mut self, port: u16) -> Result<(), StartError> {
        let port = self.bind_tcp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), "0.0.0.0")?;
        let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        if let Err(error) = self.bind_tcp(v6, "::") {
            tracing::debug!("IPv6 is not served: {error}");
        }
        Ok(())
    }

    fn bind_name(&mut self, host: &str, port: u16) -> Result<(), StartError> {
        let found = (host, port).to_socket_addrs().map_err(|error| {
            StartError::new(format!(
                "--bind {host}: the name does not resolve ({error}); give an address of this machine"
            ))
        })?;
        let mut addresses: Vec<SocketAddr> = found.collect();
        addresses.sort_by_key(SocketAddr::is_ipv6); // IPv4 first, as http.server prints it
        addresses.dedup();
        let mut port = port;
        for mut address in addresses {
            address.set_port(port);
            port = self.bind_tcp(address, host)?;
        }
        Ok(())
    }

    /// Binds one address, a queue a loop; returns the port.
    fn bind_tcp(&mut self, address: SocketAddr, host: &str) -> Result<u16, StartError> {
        let ipv4_everywhere = |bound: &Bound| match &bound.local {
            Local::Tcp(other) => other.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Local::Unix(_) => false,
        };
        let only_v6 = self.bound.iter().any(ipv4_everywhere);
        let fails = |error: io::Error| cannot_bind(host, address.port(), &error);
        // The first socket is bound alone: with SO_REUSEPORT from the start a second server of the same user would
        // silently share the port instead of hearing that it is taken.
        let first = tcp_socket(address, only_v6).map_err(fails)?;
        first.bind(&address.into()).map_err(fails)?;
        let local = first.local_addr().map_err(fails)?.as_socket().unwrap_or(address);
        let mut queues = vec![first];
        for first in &queues {
            // In any case, so that queues can be added later.
            first.set_reuse_port(true).map_err(fails)?;
            // With it the kernel would give the port to others, too, until somebody listens.
            first.set_reuse_address(false).map_err(fails)?;
        }
        for _ in 1..self.loops {
            queues.push(another_queue(local, only_v6).map_err(fails)?);
        }
        let address = Address::Everywhere(0); // `bind` puts in what was asked for
        self.bound.push(Bound { address, local: Local::Tcp(local), queues, clear: false, file: None });
        Ok(local.port())
    }

    fn bind_unix(&mut self, path: &Path) -> Result<(), StartError> {
        let fails = |error: io::Error| {
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            let mend = match error.kind() {
                io::ErrorKind::NotFound => format!("create {} or choose another path", folder.display()),
                io::ErrorKind::PermissionDenied => {
                    format!("allow this user to write to {} or choose another path", folder.display())
                }
                _ => "choose another path".into(),
            };
            StartError::new(format!("--bind unix:{}: {error}; {mend}", path.display()))
        };
        let address = SockAddr::unix(path).map_err(|_| {
            let shown = path.display();
            StartError::new(format!(
                "--bind unix:{shown}: too long for a socket; choose a path below 108 bytes"
            ))
        })?;
        socket_file::remove_stale(path, &address)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(fails)?;
        socket.bind(&address).map_err(fails)?;
        let file = Arc::new(SocketFile::new(path));
        socket.listen(BACKLOG).map_err(fails)?;
        socket.set_nonblocking(true).map_err(fails)?;
        let queues = shared(socket, self.loops).map_err(fails)?;
        let (address, local) = (Address::Unix(path.into()), Local::Unix(path.into()));
        self.bound.push(Bound { address, local, queues, clear: false, file: Some(file) });
        Ok(())
    }
}

impl std::fmt::Debug for Listeners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.locals()).finish()
    }
}

fn tcp_socket(address: SocketAddr, only_v6: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    socket.set_reuse_address(true)?; // a restart must not wait for old connections to time out
    socket.set_tcp_nodelay(true)?; // connections inherit it, which saves them a system call
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Has a bound socket take connections.
fn listen_on(queue: &Socket) -> io::Result<()> {
    queue.set_reuse_address(true)?; // connections inherit it: they are not in the way of a restart
    queue.listen(BACKLOG)
}

/// One more queue for the bound `address`; it does not listen yet.
fn another_queue(address: SocketAddr, only_v6: bool) -> io::Result<Socket> {
    let socket = tcp_socket(address, only_v6)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// The same queue for each of `loops` loops.
fn shared(socket: Socket, loops: usize) -> io::Result<Vec<Socket>> {
    let mut queues = (1..loops).map(|_| socket.try_clone()).collect::<io::Result<Vec<_>>>()?;
    queues.push(socket);
    Ok(queues)
}

fn cannot_bind(host: &str, port: u16, error: &io::Error) -> StartError {
    StartError::new(match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("port {port} of {host} is taken; stop what uses it or choose another port")
        }
        io::ErrorKind::PermissionDenied => {
            format!("port {port} of {host} is not allowed to this user; choose one from 1024 on")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("--bind {host}: not an address of this machine; `ip address` lists them")
        }
        _ => format!("cannot listen on {host} port {port}: {error}"),
    })
}

fn cannot_listen(address: &Address, error: &io::Error) -> StartError {
    StartError::new(format!("--bind {address}: {error}"))
}

/// How many connections may wait to be accepted; the kernel takes the lesser of this and `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn open(address: &str, loops: usize) -> Result<Listeners, StartError> {
        Listeners::open(&[address.parse().unwrap()], loops)
    }

    fn port(listeners: &Listeners) -> u16 {
        match listeners.locals().next() {
            Some(Local::Tcp(address)) => address.port(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_loop_has_a_queue_and_a_taken_port_is_refused() {
        let first = open("127.0.0.1:0", 4).unwrap();
        assert_eq!(first.bound[0].queues.len(), 4);
        for loops in [1, 4] {
            let error = open(&format!("127.0.0.1:{}", port(&first)), loops).unwrap_err();
            assert!(error.to_string().contains("is taken; stop what uses it"), "{error}");
        }
    }

    #[test]
    fn a_port_is_taken_from_the_start_and_answers_when_it_is_served() {
        let first = open("127.0.0.1:0", 2).unwrap();
        let address = ("127.0.0.1", port(&first));
        let refused = std::net::TcpStream::connect(address).map_err(|error| error.kind());
        assert_eq!(refused.err(), Some(io::ErrorKind::ConnectionRefused));
        let other = std::net::TcpListener::bind(address).map_err(|error| error.kind());
        assert_eq!(
            other.err(),
            Some(io::ErrorKind::AddrInUse),
            "SO_REUSEADDR, as the standard library sets it"
        );
        first.listen().unwrap();
        std::net::TcpStream::connect(address).unwrap();
        // A connection that lives on is not in the way of a restart.
        let client = std::net::TcpStream::connect(address).unwrap();
        let accepted: Vec<_> = first.bound[0].queues.iter().filter_map(|queue| queue.accept().ok()).collect();
        drop(first);
        open(&format!("127.0.0.1:{}", address.1), 1).expect("the port is free, but for connections");
        drop((client, accepted));
    }

    #[test]
    fn everywhere_is_both_families_on_one_port() {
        let listeners = Listeners::open(&[Address::Everywhere(0)], 2).unwrap();
        let ports: Vec<_> = listeners
            .locals()
            .map(|local| match local {
                Local::Tcp(address) => address.port(),
                Local::Unix(_) => panic!(),
            })
            .collect();
        assert!(!ports.is_empty() && ports.iter().all(|port| *port == ports[0] && *port != 0), "{ports:?}");
    }

    #[test]
    fn a_stale_socket_file_is_taken_over_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let address = format!("unix:{}", path.display());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let live = open(&address, 2).unwrap();
        assert!(open(&address, 1).unwrap_err().to_string().contains("is in use"));
        drop(live);
        assert!(!path.exists(), "a socket file goes with its server");
        std::fs::write(&path, "mine").unwrap();
        assert!(open(&address, 1).unwrap_err().to_string().contains("is no socket"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn a_socket_file_whose_server_does_not_keep_up_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let busy = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        let address = socket2::SockAddr::unix(&path).unwrap();
        busy.bind(&address).unwrap();
        busy.listen(0).unwrap();
        let client = || Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None).unwrap();
        let clients: Vec<_> =
            std::iter::repeat_with(client).take_while(|client| client.connect(&address).is_ok()).collect();
        let (told, answer) = std::sync::mpsc::channel();
        let shown = format!("unix:{}", path.display());
        std::thread::spawn(move || told.send(open(&shown, 1).map(drop).map_err(|error| error.to_string())));
        let answer = answer.recv_timeout(std::time::Duration::from_secs(10));
        drop(busy); // whoever waits for it gets on
        assert!(!clients.is_empty() && path.exists());
        assert!(answer.expect("an answer at once").unwrap_err().contains("is in use"));
    }

    #[test]
    fn a_socket_file_that_another_server_bound_since_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let first = open(&format!("unix:{}", path.display()), 1).unwrap();
        std::fs::rename(&path, folder.path().join("old")).unwrap(); // keeps the inode taken
        let _second = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(first);
        assert!(path.exists());
    }

    #[test]
    fn what_cannot_be_bound_is_named_with_the_mend() {
        for (address, words) in [
            ("192.0.2.1:0", "not an address of this machine"),
            ("no-such-host.invalid:0", "does not resolve"),
            ("unix:/no/such/folder/s", "create /no/such/folder or choose another path"),
            (&format!("unix:/{}", "x".repeat(120)), "too long for a socket; choose a path below 108 bytes"),
            ("fd://999", "fd://999"),
        ] {
            let error = open(address, 1).unwrap_err().to_string();
            assert!(error.contains(words), "{address}: {error}");
            assert!(!error.contains('\n'));
        }
    }
}
