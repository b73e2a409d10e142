//! What a process of ours was started with by another one of ours: its end of a [`Channel`].
//!
//! The number of the descriptor travels in a variable, with the number of the process that started us: a program that a worker
//! starts inherits the variable and is meant by nobody.
#![allow(unsafe_code)] // a descriptor known by its number can be adopted in no other way

use std::ffi::OsString;
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use rustix::process::getppid;
use salver::StartError;

use super::channel::Channel;

/// Says that this process is a worker.
pub(crate) const WORKER: &str = "SALVER_WORKER";
/// Says that this process imports applications for workers that are copies of it.
pub(crate) const ORIGINAL: &str = "SALVER_ORIGINAL";
/// Says that this process takes over from the supervisor that started it.
pub(crate) const UPGRADE: &str = "SALVER_UPGRADE";
/// Variables that are no options.
pub(crate) const VARIABLES: [&str; 3] = [WORKER, ORIGINAL, UPGRADE];

/// The channel to our supervisor, if this process is a worker.
///
/// # Errors
/// The descriptor is not there.
pub(crate) fn worker() -> Result<Option<Channel>, StartError> {
    channel(WORKER)
}

/// The channel to our supervisor, if workers are to be copies of this process.
///
/// # Errors
/// The descriptor is not there.
pub(crate) fn original() -> Result<Option<Channel>, StartError> {
    channel(ORIGINAL)
}

/// The channel to the supervisor that we take over from.
///
/// # Errors
/// The descriptor is not there.
pub(crate) fn upgrade() -> Result<Option<Channel>, StartError> {
    channel(UPGRADE)
}

/// What `variable` has to be for a child that inherits the descriptor `number`.
pub(crate) fn value(number: RawFd) -> OsString {
    format!("{}:{number}", std::process::id()).into()
}

fn channel(variable: &str) -> Result<Option<Channel>, StartError> {
    let Some(number) = std::env::var(variable).ok().and_then(|value| meant_for_us(&value)) else {
        return Ok(None);
    };
    // SAFETY: the borrow lasts for this one call, which fails for a number that is not open and changes nothing.
    let duplicate = unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned();
    let duplicate = duplicate.map_err(|error| {
        StartError::new(format!("{variable}: descriptor {number}: {error}; unset the variable"))
    })?;
    // SAFETY: the descriptor is open, as its duplicate shows, and our parent, who named it, left it to us alone.
    drop(unsafe { OwnedFd::from_raw_fd(number) });
    Ok(Some(Channel::from_descriptor(duplicate)))
}

fn meant_for_us(value: &str) -> Option<RawFd> {
    let (parent, number) = value.split_once(':')?;
    let parent = parent.parse::<i32>().ok()?;
    // In a container of its own, our parent may be out of sight: then nobody of ours started us.
    (getppid().map(|pid| pid.as_raw_pid()) == Some(parent)).then_some(())?;
    number.parse().ok().filter(|number| *number > 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_child_of_the_process_named_is_meant() {
        let parent = getppid().unwrap().as_raw_pid();
        assert_eq!(meant_for_us(&format!("{parent}:9")), Some(9));
        for value in ["", "9", "1:x", &format!("{}:9", std::process::id()), &format!("{parent}:1")] {
            assert_eq!(meant_for_us(value), None, "{value}");
        }
    }
}
