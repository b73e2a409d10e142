//! The file of a Unix socket: whose it is, and when it goes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::start_error::StartError;

/// A socket file that goes when its server does.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// What was bound there.
    identity: Option<(u64, u64)>,
    /// Somebody else serves it on.
    left: AtomicBool,
}

impl SocketFile {
    pub(super) fn new(path: &Path) -> Arc<Self> {
        Arc::new(Self { path: path.into(), identity: identity(path), left: AtomicBool::new(false) })
    }

    pub(super) fn keep(&self) {
        self.left.store(false, Ordering::Relaxed);
    }

    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::Relaxed);
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have removed it already, or bound a socket of their own there: that one is theirs.
        let left = self.left.load(Ordering::Relaxed);
        if !left && self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The device and inode of what is at `path`.
fn identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// Takes over the file of a server that has ended: one at which nobody answers.
pub(super) fn remove_stale(path: &Path, address: &SockAddr) -> Result<(), StartError> {
    use std::os::unix::fs::FileTypeExt as _;
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    let shown = path.display();
    if !found.file_type().is_socket() {
        return Err(StartError::new(format!(
            "unix:{shown} exists and is no socket; remove it or choose another path"
        )));
    }
    // Without waiting: where the queue of a live server is full, that is an answer, too.
    let probe = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None);
    match probe.and_then(|socket| socket.connect(address)) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|error| {
                StartError::new(format!("unix:{shown} is stale and cannot be removed: {error}"))
            })
        }
        _ => {
            Err(StartError::new(format!("unix:{shown} is in use; stop what uses it or choose another path")))
        }
    }
}
