//! The control socket: who connects is told what the supervisor knows, as JSON, and that is all. It speaks no HTTP.
//!
//! SECURITY: only this user, and root, are answered; the folder of sockets is theirs alone.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;
use salver::StartError;
use salver::listen::SocketFile;

use super::report::Report;

/// Where the control socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// There is none: `off`.
    Off,
    /// At this path.
    At(PathBuf),
}

/// An open control socket; its file goes with it.
#[derive(Debug)]
pub(super) struct Control {
    listener: UnixListener,
    file: SocketFile,
}

impl FromStr for Place {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "off" { Self::Off } else { Self::At(text.into()) })
    }
}

impl Control {
    /// Opens it where it was asked for, or in the folder of sockets; where that cannot be (a file system that is only read), there is
    /// none. Who `takes_over` has the path from another server that answers there.
    ///
    /// # Errors
    /// It was asked for and cannot be.
    pub(super) fn open(place: Option<&Place>, takes_over: bool) -> Result<Option<Self>, StartError> {
        match place {
            Some(Place::Off) => Ok(None),
            Some(Place::At(path)) => Self::bind(path, takes_over).map(Some).map_err(|error| {
                let shown = path.display();
                StartError::new(format!("--control-socket {shown}: {error}; name another path, or `off`"))
            }),
            None => {
                let path = folder().map(|folder| folder.join(name(std::process::id())));
                let opened = path.and_then(|path| Self::bind(&path, false));
                if let Err(error) = &opened {
                    tracing::debug!("`salver status` will not find this server: {error}");
                }
                Ok(opened.ok())
            }
        }
    }

    fn bind(path: &Path, takes_over: bool) -> io::Result<Self> {
        if !takes_over && UnixStream::connect(path).is_ok() {
            return Err(io::Error::other("another server answers there"));
        }
        match fs::symlink_metadata(path) {
            Ok(found) if std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()) => {
                fs::remove_file(path)?
            }
            Ok(_) => return Err(io::Error::other("it exists and is no socket")),
            Err(_) => {}
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, file: SocketFile::new(path) })
    }

    /// Makes the file anew if it is gone: who had taken it over has ended.
    pub(super) fn restore(&mut self) {
        if self.file.is_ours() {
            return;
        }
        match Self::bind(self.file.path(), false) {
            Ok(control) => *self = control,
            Err(error) => tracing::warn!("--control-socket {}: {error}", self.file.path().display()),
        }
    }

    /// Answers everybody who has come; who does not take the answer at once goes without.
    pub(super) fn answer(&self, report: impl Fn() -> Report) {
        while let Ok((mut client, _)) = self.listener.accept() {
            let known =
                socket_peercred(&client).is_ok_and(|peer| peer.uid == geteuid() || peer.uid.is_root());
            if !known {
                continue;
            }
            let text = serde_json::to_vec(&report()).unwrap_or_default();
            let _ = client.set_nonblocking(true).and_then(|()| client.write_all(&text));
        }
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// The folder of this user's control sockets, which is made if it is not there.
///
/// # Errors
/// It cannot be made, or is somebody else's.
pub(crate) fn folder() -> io::Result<PathBuf> {
    let user = geteuid();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty());
    let folder = match runtime {
        _ if user.is_root() => PathBuf::from("/run/salver"),
        Some(folder) => Path::new(&folder).join("salver"),
        None => PathBuf::from(format!("/tmp/salver-{}", user.as_raw())),
    };
    match fs::create_dir(&folder) {
        Ok(()) => fs::set_permissions(&folder, Permissions::from_mode(0o700))?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let found = fs::symlink_metadata(&folder)?;
    // SECURITY: in /tmp anybody could have made it.
    if !found.is_dir() || found.uid() != user.as_raw() || found.mode() & 0o022 != 0 {
        return Err(io::Error::other(format!("{} is not this user's own folder", folder.display())));
    }
    Ok(folder)
}

/// What the socket of the supervisor with this number is called.
pub(crate) fn name(pid: u32) -> String {
    format!("{pid}.sock")
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn who_connects_is_told_and_the_file_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(UnixListener::bind(&path).unwrap()); // a stale one
        let control = Control::open(Some(&Place::At(path.clone())), false).unwrap().unwrap();
        assert!(
            Control::open(Some(&Place::At(path.clone())), false)
                .unwrap_err()
                .to_string()
                .contains("another server")
        );
        let mut client = UnixStream::connect(&path).unwrap();
        control.answer(|| Report { pid: 7, ..Report::default() });
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap().pid, 7);
        let mut control = control;
        let next = Control::open(Some(&Place::At(path.clone())), true).unwrap();
        control.restore();
        assert!(UnixStream::connect(&path).is_ok() && control.listener.accept().is_err(), "the next one's");
        drop(next);
        assert!(!path.exists());
        control.restore();
        assert!(UnixStream::connect(&path).is_ok() && control.listener.accept().is_ok(), "ours again");
        drop(control);
        assert!(!path.exists());
        fs::write(&path, "").unwrap();
        assert!(
            Control::open(Some(&Place::At(path)), false).unwrap_err().to_string().contains("is no socket")
        );
        assert!(Control::open(Some(&Place::Off), false).unwrap().is_none());
    }
}
