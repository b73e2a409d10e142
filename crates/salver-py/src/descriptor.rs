//! Descriptors that Python names by number.
#![allow(unsafe_code)] // a number is only as good as its word

use std::os::fd::BorrowedFd;

/// Runs `with` on the descriptor `number`, which the caller's Python object holds open meanwhile.
pub(crate) fn borrow<T>(number: i32, with: impl FnOnce(BorrowedFd<'_>) -> Option<T>) -> Option<T> {
    if number < 0 {
        return None;
    }
    // SAFETY: not -1; the file object that named it is referenced by the caller, and the interpreter's lock is held, so that
    // nobody closes it while it is borrowed. A number that is not open makes the system calls fail, and nothing else.
    with(unsafe { BorrowedFd::borrow_raw(number) })
}
