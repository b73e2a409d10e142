//! `-u` and `-g`: from root to somebody with less, for good.
//!
//! The calls of libc, not system calls: those would change one thread only. Made after binding and before any thread starts.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::path::Path;
use std::ptr;

use salver::StartError;
use salver::finish::log::AccessLog;

use crate::process::Options;

/// Who the process becomes, looked up before anything is bound.
#[derive(Debug, Default)]
pub(crate) struct Privileges {
    user: Option<User>,
    group: Option<libc::gid_t>,
}

#[derive(Debug)]
struct User {
    uid: libc::uid_t,
    /// The group of its entry; `None` for a number without one.
    gid: Option<libc::gid_t>,
    /// For its further groups.
    name: Option<CString>,
}

impl Privileges {
    /// Looks up the user and group of `options`.
    ///
    /// # Errors
    /// One of them does not exist.
    pub(crate) fn open(options: &Options) -> Result<Self, StartError> {
        let user = options.user.as_deref().map(|user| {
            let unknown = || {
                StartError::new(format!("--user {user}: no such user; give one of /etc/passwd or a number"))
            };
            find_user(user).ok_or_else(unknown)
        });
        let group = options.group.as_deref().map(|group| {
            let unknown = || {
                StartError::new(format!("--group {group}: no such group; give one of /etc/group or a number"))
            };
            find_group(group).ok_or_else(unknown)
        });
        Ok(Self { user: user.transpose()?, group: group.transpose()? })
    }

    /// Whether the process stays who it is.
    pub(crate) fn are_kept(&self) -> bool {
        self.user.is_none() && self.group.is_none()
    }

    /// Becomes that user and group, who own the log and the folder `kept` from then on; nothing regains what is given up here.
    ///
    /// # Errors
    /// The process may not: it is not root.
    pub(crate) fn drop(self, log: &AccessLog, kept: Option<&Path>) -> Result<(), StartError> {
        let gid = self.group.or(self.user.as_ref().and_then(|user| user.gid));
        if let Some(user) = &self.user
            && let Err(error) = log.give_to(Some(user.uid), gid)
        {
            tracing::warn!("--access-log: {error}; after -u, USR1 may not be able to open it anew");
        }
        if let (Some(user), Some(kept)) = (&self.user, kept)
            && let Err(error) = give(kept, user.uid, gid)
        {
            tracing::warn!("{}: {error}; certificates cannot be renewed there after -u", kept.display());
        }
        // Who named a user alone hears of that option.
        let option = if self.group.is_some() { "--group" } else { "--user" };
        if let Some(gid) = gid {
            let groups = match self.user.as_ref().and_then(|user| user.name.as_ref()) {
                // SAFETY: `name` is a C string that outlives the call.
                Some(name) => unsafe { libc::initgroups(name.as_ptr(), gid) },
                // SAFETY: one group is read from a variable that outlives the call.
                None => unsafe { libc::setgroups(1, &raw const gid) },
            };
            done(option, groups)?;
            // SAFETY: no memory is involved.
            done(option, unsafe { libc::setgid(gid) })?;
        }
        let Some(user) = self.user else { return Ok(()) };
        if gid.is_none() {
            // A user without an entry: whoever started us lends no groups.
            // SAFETY: no group is read.
            done("--user", unsafe { libc::setgroups(0, ptr::null()) })?;
        }
        // SAFETY: no memory is involved.
        done("--user", unsafe { libc::setuid(user.uid) })?;
        // SAFETY: no memory is involved; a set-uid program started from here gains nothing.
        done("--user", unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })
    }
}

/// Lets no program that is started from here have the descriptors that this process was started with.
pub(crate) fn keep_descriptors() {
    // SAFETY: no memory is involved, and no descriptor is closed: each gets a flag that matters only to programs started later.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

/// Gives a folder and all below it to somebody; links are not followed.
fn give(path: &Path, uid: libc::uid_t, gid: Option<libc::gid_t>) -> io::Result<()> {
    std::os::unix::fs::lchown(path, Some(uid), gid)?;
    if path.is_dir() && !path.is_symlink() {
        for entry in std::fs::read_dir(path)? {
            give(&entry?.path(), uid, gid)?;
        }
    }
    Ok(())
}

fn done(option: &str, result: c_int) -> Result<(), StartError> {
    if result == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    Err(StartError::new(format!("{option}: {error}; start as root, or leave the option out")))
}

fn find_user(user: &str) -> Option<User> {
    let number = user.parse().ok();
    let name = CString::new(user).ok()?;
    let mut entry = MaybeUninit::<libc::passwd>::uninit();
    let found = look_up(|buffer, size| {
        let mut result = ptr::null_mut();
        let entry = entry.as_mut_ptr();
        // SAFETY: every pointer is valid for the call, `size` is that of `buffer`.
        let error = unsafe {
            match number {
                Some(uid) => libc::getpwuid_r(uid, entry, buffer, size, &raw mut result),
                None => libc::getpwnam_r(name.as_ptr(), entry, buffer, size, &raw mut result),
            }
        };
        if error == 0 && !result.is_null() {
            // SAFETY: the call filled `entry`, whose name points into `buffer` and ends in NUL.
            let (entry, name) = unsafe { (*entry, std::ffi::CStr::from_ptr((*entry).pw_name).to_owned()) };
            return Ok(Some(User { uid: entry.pw_uid, gid: Some(entry.pw_gid), name: Some(name) }));
        }
        if error == libc::ERANGE { Err(TooSmall) } else { Ok(None) }
    });
    found.or_else(|| number.map(|uid| User { uid, gid: None, name: None }))
}

fn find_group(group: &str) -> Option<libc::gid_t> {
    if let Ok(gid) = group.parse() {
        return Some(gid);
    }
    let name = CString::new(group).ok()?;
    let mut entry = MaybeUninit::<libc::group>::uninit();
    look_up(|buffer, size| {
        let mut result = ptr::null_mut();
        // SAFETY: every pointer is valid for the call, `size` is that of `buffer`.
        let error =
            unsafe { libc::getgrnam_r(name.as_ptr(), entry.as_mut_ptr(), buffer, size, &raw mut result) };
        if error == 0 && !result.is_null() {
            // SAFETY: the call filled `entry`.
            return Ok(Some(unsafe { (*entry.as_ptr()).gr_gid }));
        }
        if error == libc::ERANGE { Err(TooSmall) } else { Ok(None) }
    })
}

/// The buffer did not hold the entry.
struct TooSmall;

/// Looks up an entry with a buffer that grows until it fits (a group may have thousands of members).
fn look_up<T>(mut call: impl FnMut(*mut c_char, usize) -> Result<Option<T>, TooSmall>) -> Option<T> {
    let mut size = 4096;
    while size <= 16 * 1024 * 1024 {
        let mut buffer = vec![0; size];
        match call(buffer.as_mut_ptr(), size) {
            Ok(found) => return found,
            Err(TooSmall) => size *= 4,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(user: Option<&str>, group: Option<&str>) -> Options {
        Options { pid: None, user: user.map(str::to_owned), group: group.map(str::to_owned), umask: None }
    }

    #[test]
    fn users_and_groups_are_found_by_name_and_number() {
        for (user, uid, gid) in [("root", 0, Some(0)), ("0", 0, Some(0)), ("54321", 54321, None)] {
            let found = Privileges::open(&options(Some(user), None)).unwrap().user.unwrap();
            assert_eq!((found.uid, found.gid), (uid, gid), "{user}");
        }
        for (group, gid) in [("root", 0), ("12345", 12345)] {
            assert_eq!(Privileges::open(&options(None, Some(group))).unwrap().group, Some(gid));
        }
    }

    #[test]
    fn who_does_not_exist_is_one_line() {
        for (options, want) in [
            (options(Some("no-such"), None), "--user no-such: no such user"),
            (options(None, Some("no-such")), "--group no-such: no such group"),
            (options(Some("-1"), None), "--user -1: no such user"),
        ] {
            let error = Privileges::open(&options).unwrap_err().to_string();
            assert!(error.starts_with(want) && !error.contains('\n'), "{error}");
        }
    }
}
