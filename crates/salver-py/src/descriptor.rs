//! Descriptors that Python names by number.
#![allow(unsafe_code)] // a number is only as good as its word

use std::os::fd::{BorrowedFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Runs `with` on the descriptor `number`, which the caller's Python object holds open meanwhile.
pub(crate) fn borrow<T>(number: i32, with: impl FnOnce(BorrowedFd<'_>) -> Option<T>) -> Option<T> {
    if number < 0 {
        return None;
    }
    // SAFETY: not -1; the file object that named it is referenced by the caller, and the interpreter's lock is held, so that
    // nobody closes it while it is borrowed. A number that is not open makes the system calls fail, and nothing else.
    with(unsafe { BorrowedFd::borrow_raw(number) })
}

/// Watches, inside of the server's runtime, whether `descriptor` becomes readable; `None` where the system refuses it.
pub(crate) fn watch(descriptor: OwnedFd) -> Option<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned by what is returned, names the same file as long as that lives, and is closed behind it.
    unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }.ok()
}
