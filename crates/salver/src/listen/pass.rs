//! Sockets that are served more than once: by the next generation of a server (a reload), and by other processes.
//!
//! Whoever keeps a queue open keeps what is queued on it: nothing is lost when one of those who serve it ends, whatever its
//! end. A queue can only be added: to close one would reset the connections that the kernel has put there.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use socket2::Socket;

use super::{Address, Bound, Listeners, SocketFile, another_queue, inherited};
use crate::request::Local;
use crate::start_error::StartError;

/// What a socket was bound for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Asked {
    /// The address as it was asked for; a name or "everywhere" may have become several sockets.
    pub address: Address,
    /// Plain HTTP, also in a server that speaks HTTPS.
    pub clear: bool,
}

impl Listeners {
    /// The same sockets once more: what comes is accepted by whichever holder is quicker. Listeners that were pushed are not
    /// among them.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn try_clone(&self) -> Result<Self, StartError> {
        let bound = self.bound.iter().map(Bound::try_clone).collect::<Result<_, _>>()?;
        Ok(Self { bound, own: Vec::new(), loops: self.loops })
    }

    /// Sockets for `addresses`, and beside them for plain HTTP ([`Listeners::open_clear`]) if `clear` names a port: the same ones
    /// where an address is bound here already, new ones for the others. What is bound here and not named there is closed when this
    /// is dropped.
    ///
    /// # Errors
    /// As [`Listeners::open`]; then nothing has changed.
    pub fn open_again(&self, addresses: &[Address], clear: Option<u16>) -> Result<Self, StartError> {
        let mut next = Self { bound: Vec::new(), own: Vec::new(), loops: self.loops };
        for (place, address) in addresses.iter().enumerate() {
            if addresses.iter().take(place).any(|earlier| earlier == address) {
                return Err(StartError::new(format!("--bind {address}: given twice; leave one out")));
            }
            let mut bound =
                self.bound.iter().filter(|bound| !bound.clear && bound.address == *address).peekable();
            if bound.peek().is_none() {
                next.bind(address)?;
            }
            for bound in bound {
                next.bound.push(bound.try_clone()?);
            }
        }
        if let Some(port) = clear {
            next.open_clear_like(port, &self.bound)?;
        }
        Ok(next)
    }

    /// Adds queues for one more loop: a new one for each TCP address that can have several, a share of the one queue of the others.
    ///
    /// # Errors
    /// The address does not take another socket, or no descriptor is left.
    pub fn add_loop(&mut self) -> Result<(), StartError> {
        for bound in &mut self.bound {
            let queue = bound.another().map_err(|error| {
                StartError::new(format!("cannot add a queue to {}: {error}", bound.address))
            })?;
            bound.queues.push(queue);
        }
        self.loops += 1;
        Ok(())
    }

    /// The queues of one loop, one for each bound address, to be handed to another process.
    pub fn descriptors(&self, place: usize) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.bound.iter().filter_map(move |bound| Some(bound.queues.get(place)?.as_fd()))
    }

    /// What each socket of a loop was bound for, in the order of [`Listeners::descriptors`].
    pub fn asked(&self) -> Vec<Asked> {
        let asked = |bound: &Bound| Asked { address: bound.address.clone(), clear: bound.clear };
        self.bound.iter().map(asked).collect()
    }

    /// Takes over what the [`Listeners::descriptors`] of another process are: a list a loop, each with a socket for each of
    /// `asked`. A socket file stays that process's, until [`Listeners::own_files`].
    ///
    /// # Errors
    /// One of them is no socket of TCP or Unix.
    pub fn from_descriptors(asked: &[Asked], loops: Vec<Vec<OwnedFd>>) -> Result<Self, StartError> {
        let count = loops.len();
        let mut queues: Vec<Vec<Socket>> = asked.iter().map(|_| Vec::new()).collect();
        for sockets in loops {
            for (queue, socket) in queues.iter_mut().zip(sockets) {
                queue.push(Socket::from(socket));
            }
        }
        let bound = asked.iter().zip(queues).map(|(Asked { address, clear }, queues)| {
            let local = queues.first().and_then(inherited::local);
            let local = local.ok_or_else(|| StartError::new(format!("{address}: not a listening socket")))?;
            Ok(Bound { address: address.clone(), local, queues, clear: *clear, file: None })
        });
        Ok(Self { bound: bound.collect::<Result<_, StartError>>()?, own: Vec::new(), loops: count })
    }

    /// Makes the socket files ours, to be removed at the end: whoever bound them has left them to us.
    pub fn own_files(&mut self) {
        for bound in &mut self.bound {
            match (&bound.address, &bound.file) {
                (_, Some(file)) => file.keep(),
                (Address::Unix(path), None) => bound.file = Some(Arc::new(SocketFile::new(path))),
                _ => {}
            }
        }
    }

    /// Leaves the socket files where they are: somebody else serves them on.
    pub fn disown_files(&self) {
        for file in self.bound.iter().filter_map(|bound| bound.file.as_ref()) {
            file.leave();
        }
    }
}

impl Bound {
    pub(super) fn try_clone(&self) -> Result<Self, StartError> {
        let queues = self.queues.iter().map(Socket::try_clone).collect::<Result<_, _>>();
        let queues = queues.map_err(|error| {
            StartError::new(format!("{}: {error}; raise the limit of open files (ulimit -n)", self.address))
        })?;
        let (address, local) = (self.address.clone(), self.local.clone());
        Ok(Self { address, local, queues, clear: self.clear, file: self.file.clone() })
    }

    /// One more queue, which listens when it is served.
    fn another(&self) -> std::io::Result<Socket> {
        let first = self.queues.first().ok_or(std::io::ErrorKind::NotFound)?;
        match &self.local {
            // A socket that somebody else bound without SO_REUSEPORT is the only one its address can have.
            Local::Tcp(address) if first.reuse_port()? => {
                let only_v6 = address.is_ipv6() && first.only_v6()?;
                another_queue(*address, only_v6)
            }
            _ => first.try_clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpStream;

    use super::*;

    fn local(listeners: &Listeners) -> std::net::SocketAddr {
        match listeners.locals().next() {
            Some(Local::Tcp(address)) => *address,
            other => panic!("{other:?}"),
        }
    }

    fn open(addresses: &[&str], loops: usize) -> Listeners {
        let addresses: Vec<Address> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Listeners::open(&addresses, loops).unwrap()
    }

    #[test]
    fn what_stays_is_shared_and_what_is_new_is_bound() {
        let first = open(&["127.0.0.1:0", "127.0.0.2:0"], 2);
        let again = ["127.0.0.1:0".parse().unwrap(), "127.0.0.3:0".parse().unwrap()];
        let next = first.open_again(&again, None).unwrap();
        assert_eq!(local(&next), local(&first));
        let hosts: Vec<_> = next.locals().map(|local| format!("{local:?}")).collect();
        assert!(hosts.len() == 2 && hosts[1].contains("127.0.0.3"), "{hosts:?}");
    }

    #[test]
    fn a_queue_outlives_whoever_served_it() {
        let first = open(&["127.0.0.1:0"], 1);
        first.listen().unwrap();
        let mut client = TcpStream::connect(local(&first)).unwrap();
        let next = first.try_clone().unwrap();
        drop(first);
        let accepted = next.bound[0].queues[0].accept();
        drop(accepted.expect("the connection that was queued is still there"));
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn loops_can_be_added() {
        let mut listeners = open(&["127.0.0.1:0"], 1);
        listeners.add_loop().unwrap();
        listeners.add_loop().unwrap();
        assert_eq!((listeners.loops(), listeners.descriptors(2).count()), (3, 1));
        listeners.listen().unwrap();
        let address = local(&listeners);
        let _clients: Vec<_> = (0..64).map(|_| TcpStream::connect(address).unwrap()).collect();
        let queues = &listeners.bound[0].queues;
        let waiting = queues.iter().filter(|queue| queue.accept().is_ok()).count();
        assert!(waiting > 1, "the kernel spreads connections over the queues");
    }

    #[test]
    fn sockets_are_known_again_in_another_process() {
        let first = open(&["127.0.0.1:0"], 2);
        let addresses = first.asked();
        let owned = |place| first.descriptors(place).map(|fd| fd.try_clone_to_owned().unwrap()).collect();
        let next = Listeners::from_descriptors(&addresses, vec![owned(0), owned(1)]).unwrap();
        assert_eq!((next.loops(), local(&next)), (2, local(&first)));
        let file = std::fs::File::open("/dev/null").unwrap().into();
        assert!(Listeners::from_descriptors(&addresses, vec![vec![file]]).is_err());
    }

    #[test]
    fn a_socket_file_goes_with_its_last_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let first = open(&[&format!("unix:{}", path.display())], 1);
        let next = first.try_clone().unwrap();
        drop(first);
        assert!(path.exists());
        next.disown_files();
        drop(next);
        assert!(path.exists(), "it was left to somebody else");
    }
}
