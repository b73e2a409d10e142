//! Whether whoever the process becomes (`-u`, `-g`) may read what is served: said at the start, not by 404 for ever.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, Mode, OFlags, accessat, open};
use salver::StartError;

/// A folder or file that will have to be readable.
#[derive(Debug)]
pub(crate) struct Needed {
    path: PathBuf,
    /// Opened before privileges are dropped, as the handler's own is: what lies above it does not matter.
    folder: OwnedFd,
    name: OsString,
    access: Access,
}

impl Needed {
    /// What serving `path` will need; `None` for what cannot be opened, of which its handler tells.
    pub(crate) fn new(path: &Path) -> Option<Self> {
        let (folder, name, access) = if path.is_dir() {
            (path, ".".into(), Access::EXEC_OK)
        } else {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            (folder.unwrap_or(Path::new(".")), path.file_name()?.to_owned(), Access::READ_OK)
        };
        let folder = open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        Some(Self { path: path.to_owned(), folder, name, access })
    }

    /// Asks whether this process may read it.
    ///
    /// # Errors
    /// It may not.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        accessat(&self.folder, &self.name, self.access, AtFlags::empty()).map_err(|error| {
            let (path, error) = (self.path.display(), std::io::Error::from(error));
            StartError::new(format!(
                "{path}: {error}; allow the user of --user to read it, or serve as another"
            ))
        })
    }
}
