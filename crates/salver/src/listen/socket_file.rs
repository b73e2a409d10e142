//! The file of a Unix socket: whose it is, and when it goes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::start_error::StartError;

/// The file of a Unix socket that goes when its server does, unless it is somebody else's by then.
///
/// ```
/// use salver::listen::SocketFile;
/// use std::os::unix::net::UnixListener;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("s");
/// let listener = UnixListener::bind(&path)?;
/// let file = SocketFile::new(&path);
/// assert!(file.is_ours());
/// drop(file);
/// assert!(!path.exists());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// What was bound there.
    identity: Option<(u64, u64)>,
    /// Somebody else serves it on.
    left: AtomicBool,
}

impl SocketFile {
    /// The file at `path`, which has been bound just now.
    pub fn new(path: &Path) -> Self {
        Self { path: path.into(), identity: identity(path), left: AtomicBool::new(false) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is still there: somebody may have removed it, or bound a socket of their own at its path.
    pub fn is_ours(&self) -> bool {
        self.identity.is_some() && identity(&self.path) == self.identity
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
        if !self.left.load(Ordering::Relaxed) && self.is_ours() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The device and inode of what is at `path`; a socket that is open keeps its own.
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
