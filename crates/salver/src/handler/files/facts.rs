//! What the file system says of a file: enough to tell whether it is still the same.

use std::os::fd::AsFd;
use std::time::{Duration, SystemTime};

use rustix::fs::{FileType, Stat, fstat};

/// The identity of a file's content. Two that are equal mean the same content: a change of the content changes the
/// size or a time, and a file put in its place has another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    dev: u64,
    ino: u64,
    /// Length in bytes.
    pub(crate) size: u64,
    /// Time of the last change of the content, in nanoseconds since 1970.
    mtime: i128,
    /// Time of the last change of anything, in nanoseconds since 1970: kept by the kernel, so it also moves where tools
    /// fix the other (reproducible images).
    ctime: i128,
}

impl Facts {
    /// The facts of a regular file, `None` for anything else.
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // the fields' types differ between machines
    pub(crate) fn of_file(stat: &Stat) -> Option<Self> {
        (FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then(|| Self {
            dev: stat.st_dev as u64,
            ino: stat.st_ino as u64,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: nanoseconds(stat.st_mtime as i64, stat.st_mtime_nsec as u64),
            ctime: nanoseconds(stat.st_ctime as i64, stat.st_ctime_nsec as u64),
        })
    }

    /// The facts of an open file, likewise.
    pub(crate) fn of_open(file: impl AsFd) -> Option<Self> {
        fstat(file).ok().as_ref().and_then(Self::of_file)
    }

    /// Seconds since 1970 of the last change of the content, rounded down.
    pub(crate) fn modified_seconds(&self) -> i64 {
        i64::try_from(self.mtime.div_euclid(SECOND)).unwrap_or(0)
    }

    /// The inside of a strong entity tag (RFC 9110 §8.8.3).
    pub(crate) fn tag(&self) -> String {
        format!("{:x}-{:x}-{:x}-{:x}", self.ino, self.size, self.mtime, self.ctime)
    }

    /// Whether the last change lies so far back that a further one would bear another time.
    ///
    /// A kernel without fine timestamps moves its file clock every 1 to 10 ms: two writes of the same length within one
    /// step look alike. What was read within that step must not be believed later (git calls such a file racy).
    pub(crate) fn is_settled(&self, now: SystemTime) -> bool {
        self.is_older_than(CLOCK_STEP, now)
    }

    /// Whether the last change lies further back than `age`.
    pub(crate) fn is_older_than(&self, age: Duration, now: SystemTime) -> bool {
        let now = match now.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(now) => i128::try_from(now.as_nanos()).unwrap_or(0),
            Err(_) => return false,
        };
        self.ctime.max(self.mtime) < now - i128::try_from(age.as_nanos()).unwrap_or(i128::MAX / 2)
    }
}

#[allow(clippy::unnecessary_cast)]
fn nanoseconds(seconds: i64, nanoseconds: u64) -> i128 {
    i128::from(seconds) * SECOND + i128::from(nanoseconds)
}

const SECOND: i128 = 1_000_000_000;

/// Longer than any kernel's step of the file clock.
const CLOCK_STEP: Duration = Duration::from_millis(20);
