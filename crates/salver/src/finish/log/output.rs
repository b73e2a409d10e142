//! Where a [`super::Sink`] writes its batches: a file or stream, or a system log, to which each line is a message.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::system::Connected;

/// An open end.
#[derive(Debug)]
pub(super) enum Output {
    Stream(Stream),
    System(Connected),
}

/// A file, or what behaves as one.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) file: File,
    /// The last write ended within a line.
    pub(super) torn: bool,
}

impl Output {
    /// Writes `batch`, which is whole lines; an error comes with what could not be written.
    pub(super) fn put<'a>(&mut self, batch: &'a [u8]) -> Result<(), (io::Error, &'a [u8])> {
        match self {
            Self::Stream(stream) => stream.put(batch),
            Self::System(log) => log.put(batch),
        }
    }
}

impl Stream {
    pub(super) fn new(file: File) -> Self {
        Self { file, torn: false }
    }

    fn put<'a>(&mut self, batch: &'a [u8]) -> Result<(), (io::Error, &'a [u8])> {
        if self.torn && !batch.is_empty() {
            self.file.write_all(b"\n").map_err(|error| (error, batch))?;
            self.torn = false;
        }
        let mut rest = batch;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err((io::ErrorKind::WriteZero.into(), rest)),
                Ok(count) => {
                    let (done, left) = rest.split_at(count);
                    self.torn = done.last() != Some(&b'\n');
                    rest = left;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A terminal or pipe that another program has set to O_NONBLOCK.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_writable(&self.file),
                Err(error) => return Err((error, rest)),
            }
        }
        Ok(())
    }
}

/// Opens the file at `path` to add lines to it; it is made if it is not there.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

fn wait_writable(file: &File) {
    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
    // An error here shows at the next write.
    let _ = poll(&mut [PollFd::new(file, PollFlags::OUT)], Some(&second));
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_full_disk_says_what_was_lost() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (error, lost) = Stream::new(full).put(b"one\ntwo\n").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(lost, b"one\ntwo\n");
    }

    #[test]
    fn a_line_cut_by_a_full_disk_is_ended_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut stream = Stream { file: open(&path).unwrap(), torn: true };
        stream.put(b"next\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "\nnext\n");
    }
}
