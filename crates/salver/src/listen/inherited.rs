//! Listening sockets that the process was started with (`fd://N`, systemd's LISTEN_FDS).
//!
//! A number is all there is, so it is checked before it is believed: it must be a listening stream socket.
#![allow(unsafe_code)] // a descriptor known by its number can be adopted in no other way

use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use socket2::{Domain, Socket, Type};

use crate::request::Local;
use crate::start_error::StartError;

/// Takes over the listening socket with this number.
pub(super) fn adopt(fd: RawFd) -> Result<(Socket, Local), StartError> {
    let wrong = |why: &str| {
        StartError::new(format!("--bind fd://{fd}: {why}; pass a listening socket as descriptor {fd}"))
    };
    if fd <= 2 {
        return Err(wrong("that is a standard stream"));
    }
    // SAFETY: the borrow lasts for this one call, which fails for a number that is not open and changes nothing.
    let duplicate = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned();
    let probe = Socket::from(duplicate.map_err(|_| wrong("no such descriptor is open"))?);
    let stream = probe.r#type().is_ok_and(|kind| kind == Type::STREAM);
    if !stream || !probe.is_listener().unwrap_or(false) {
        return Err(wrong("not a listening socket"));
    }
    let local = local(&probe).ok_or_else(|| wrong("neither a TCP nor a Unix socket"))?;
    // SAFETY: the descriptor is open, as its duplicate just showed, and whoever started the process left it to us: nothing
    // else here owns a descriptor above 2 that was open at the start.
    let socket = Socket::from(unsafe { OwnedFd::from_raw_fd(fd) });
    socket.set_nonblocking(true).map_err(|error| wrong(&error.to_string()))?;
    socket.set_cloexec(true).map_err(|error| wrong(&error.to_string()))?;
    Ok((socket, local))
}

/// The address that a socket is bound to.
pub(super) fn local(socket: &Socket) -> Option<Local> {
    let address = socket.local_addr().ok()?;
    match socket.domain().ok()? {
        Domain::IPV4 | Domain::IPV6 => address.as_socket().map(Local::Tcp),
        Domain::UNIX => Some(Local::Unix(address.as_pathname().map(Into::into).unwrap_or_default())),
        _ => None,
    }
}
