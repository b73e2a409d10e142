//! The folder at a path: held open, and looked at again, for a build may remove it and make it anew.
//!
//! What is held is what requests resolve beneath. Another folder that is found at the path takes its place; requests under way
//! keep theirs. Refused: to hold on to a folder that is no longer there.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::{ArcSwapOption, Guard};
use rustix::fs::{Mode, OFlags, Stat, fstat, open, stat};
use rustix::io::Errno;

/// A path and the folder at it.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    /// `None` while there is none.
    held: ArcSwapOption<Held>,
    opened: Instant,
    /// When the path was last looked at, in milliseconds since `opened`.
    looked: AtomicU64,
}

/// A folder that is held open.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) folder: OwnedFd,
    /// Its absolute path without links: only to learn where an absolute link leads.
    pub(crate) canonical: PathBuf,
    identity: Identity,
}

impl Place {
    /// Opens the folder at `path`, which from here on means the same wherever the process moves.
    ///
    /// # Errors
    /// That of the system.
    pub(crate) fn open(path: &Path) -> Result<Self, Errno> {
        // An empty path names nothing, and has no absolute form.
        let path = if path.as_os_str().is_empty() {
            Err(Errno::NOENT)
        } else {
            std::path::absolute(path).map_err(errno)
        }?;
        Ok(Self {
            held: ArcSwapOption::from_pointee(Held::open(&path)?),
            path,
            opened: Instant::now(),
            looked: AtomicU64::new(0),
        })
    }

    /// The folder; `None` if it is gone. Another one in its place is seen after [`LOOK_EVERY`] at the latest.
    pub(crate) fn now(&self) -> Guard<Option<Arc<Held>>> {
        let now = self.milliseconds();
        let looked = self.looked.load(Ordering::Relaxed);
        let due = now.saturating_sub(looked) >= LOOK_EVERY;
        // One of those who see that it is due does it.
        if due && self.looked.compare_exchange(looked, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.look_again();
        }
        self.held.load()
    }

    /// Whether [`LOOK_EVERY`] has passed since `then`, which becomes now if so. For what else is to be looked at as seldom.
    pub(crate) fn is_due(&self, then: &AtomicU64) -> bool {
        let now = self.milliseconds();
        let due = now.saturating_sub(then.load(Ordering::Relaxed)) >= LOOK_EVERY;
        if due {
            then.store(now, Ordering::Relaxed);
        }
        due
    }

    /// Looks what is at the path at once, and tells whether it is another folder than before, or none any more.
    pub(crate) fn look_again(&self) -> bool {
        let before = self.held.load().as_ref().map(|held| held.identity);
        let held = match stat(&self.path) {
            Ok(stat) if Some(Identity::of(&stat)) == before => return false,
            Ok(_) => Held::open(&self.path),
            Err(error) => Err(error),
        };
        let held = match held {
            Ok(held) => Some(held),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => None,
            // Nothing is known of the path, for want of descriptors or of rights: what is held may well be it.
            Err(_) => return false,
        };
        let changed = held.as_ref().map(|held| held.identity) != before;
        if changed {
            self.held.store(held.map(Arc::new));
        }
        changed
    }

    /// The absolute path of the folder, without links.
    pub(crate) fn canonical(&self) -> PathBuf {
        self.held.load().as_ref().map_or(&self.path, |held| &held.canonical).clone()
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Held {
    fn open(path: &Path) -> Result<Self, Errno> {
        let folder = open(path, FOLDER, Mode::empty())?;
        let canonical = path.canonicalize().map_err(errno)?;
        let identity = Identity::of(&fstat(&folder)?);
        Ok(Self { folder, canonical, identity })
    }
}

/// Which folder it is: device and number, which no other has as long as it is held open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity(u64, u64);

impl Identity {
    #[allow(clippy::unnecessary_cast)] // the fields' types differ between machines
    pub(crate) fn of(stat: &Stat) -> Self {
        Self(stat.st_dev as u64, stat.st_ino as u64)
    }
}

#[allow(clippy::needless_pass_by_value)] // for `map_err`
fn errno(error: io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::NOENT)
}

/// How to open a folder to read it.
pub(crate) const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// How often at most a path is looked at that nothing says has changed, in milliseconds.
const LOOK_EVERY: u64 = 250;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_takes_the_place_is_seen_and_so_is_none() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        std::fs::create_dir(at("dist")).unwrap();
        let place = Place::open(&at("dist")).unwrap();
        assert!(!place.look_again());
        std::fs::rename(at("dist"), at("old")).unwrap();
        assert!(place.look_again() && place.now().is_none());
        std::fs::write(at("dist"), "").unwrap(); // a file is no folder
        assert!(!place.look_again() && place.now().is_none());
        std::fs::remove_file(at("dist")).unwrap();
        std::os::unix::fs::symlink("old", at("dist")).unwrap();
        assert!(place.look_again());
        assert_eq!(place.canonical(), at("old").canonicalize().unwrap());
        assert!(!place.look_again());
    }

    #[test]
    fn without_a_miss_it_is_looked_at_in_the_end() {
        let temp = tempfile::tempdir().unwrap();
        let place = Place::open(temp.path()).unwrap();
        temp.close().unwrap();
        while place.milliseconds() < LOOK_EVERY {
            std::thread::yield_now();
        }
        assert!(place.now().is_none());
    }
}
