//! Messages between a supervisor and a worker, with descriptors: one socketpair a worker, a message a packet, as JSON.
//!
//! Nobody waits for the other: a message that does not fit into the socket is refused, and the end of a process is the end of
//! its channel.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// One end.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

/// What came of asking for a message.
#[derive(Debug)]
pub(crate) enum Received<T> {
    Message(T, Vec<OwnedFd>),
    /// None has come.
    Nothing,
    /// The other end is gone.
    Closed,
}

impl Channel {
    /// Both ends.
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let (first, second) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self(first), Self(second)))
    }

    /// The end that this descriptor is.
    pub(crate) fn from_descriptor(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// Leaves this end open in programs that are started from now on: meant for one, and to be dropped then.
    pub(crate) fn bequeath(&self) -> io::Result<()> {
        Ok(fcntl_setfd(&self.0, FdFlags::empty())?)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// The other end is gone, or does not read.
    pub(crate) fn send<T: Serialize>(&self, message: &T, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::other(format!("more than {MOST_DESCRIPTORS} sockets for one process")));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut control, flags)?;
        Ok(())
    }

    /// The next message, if one has come.
    ///
    /// # Errors
    /// It is none of ours: the other end is another version.
    pub(crate) fn receive<T: DeserializeOwned>(&self) -> io::Result<Received<T>> {
        let mut bytes = vec![0; LARGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let received = recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags);
        let received = match received {
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Received::Nothing),
            Err(Errno::CONNRESET) => return Ok(Received::Closed),
            received => received?,
        };
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        if received.bytes == 0 {
            return Ok(Received::Closed);
        }
        if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(io::Error::other("a message between processes is too large"));
        }
        bytes.truncate(received.bytes);
        Ok(Received::Message(serde_json::from_slice(&bytes)?, descriptors))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The kernel takes no more in one message (SCM_MAX_FD).
const MOST_DESCRIPTORS: usize = 253;
const LARGEST: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_keep_their_limits_and_bring_descriptors() {
        let (ours, theirs) = Channel::pair().unwrap();
        assert!(matches!(theirs.receive::<u32>(), Ok(Received::Nothing)));
        let file = std::fs::File::open("/dev/null").unwrap();
        ours.send(&1, &[]).unwrap();
        ours.send(&2, &[file.as_fd(), file.as_fd()]).unwrap();
        for (want, count) in [(1, 0), (2, 2)] {
            let Received::Message(number, descriptors) = theirs.receive::<u32>().unwrap() else { panic!() };
            assert_eq!((number, descriptors.len()), (want, count));
        }
        ours.send(&"text", &[]).unwrap();
        assert!(theirs.receive::<u32>().is_err());
        drop(ours);
        assert!(matches!(theirs.receive::<u32>(), Ok(Received::Closed)));
        assert!(theirs.send(&1, &[]).is_err());
    }
}
