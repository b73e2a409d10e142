//! The folder of what is kept from one start to the next: private keys among it, so it is its owner's alone.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use salver::StartError;

/// The folder, which is made if it is not there: `--tls-data`, or else the user's own (XDG Base Directory Specification).
pub(super) fn folder(asked: Option<&Path>) -> Result<PathBuf, StartError> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let usual = || {
        let share = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")))?;
        Some(share.join("salver"))
    };
    let path = asked.map(Path::to_owned).or_else(usual).ok_or_else(|| {
        StartError::new("HOME: not set, so there is no folder for keys; name one by --tls-data DIR")
    })?;
    create(&path)?;
    Ok(path)
}

/// Makes a folder that nobody else may enter, with those above it.
pub(super) fn create(path: &Path) -> Result<(), StartError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| cannot(path, &error))
}

/// Writes a file that nobody else may read, all of it or nothing.
pub(super) fn write(path: &Path, content: &str) -> Result<(), StartError> {
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let written = (|| {
        let _ = fs::remove_file(&draft); // of a process that had our number and was killed
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)
    })();
    written.map_err(|error| cannot(path, &error))
}

/// The content of a file; `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, StartError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot(path, &error)),
    }
}

/// What only one process may do at a time, until this is dropped.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code)] File); // held, not looked at

impl Lock {
    /// Waits for the others.
    pub(super) fn wait(folder: &Path) -> Result<Self, StartError> {
        Self::take(folder, FlockOperation::LockExclusive)
    }

    /// Takes it if nobody has it.
    pub(super) fn try_now(folder: &Path) -> Option<Self> {
        Self::take(folder, FlockOperation::NonBlockingLockExclusive).ok()
    }

    fn take(folder: &Path, how: FlockOperation) -> Result<Self, StartError> {
        let path = folder.join("lock");
        let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = opened.map_err(|error| cannot(&path, &error))?;
        flock(&file, how).map_err(|error| cannot(&path, &error.into()))?;
        Ok(Self(file))
    }
}

fn cannot(path: &Path, error: &io::Error) -> StartError {
    let path = path.display();
    StartError::new(format!(
        "{path}: {error}; let this user write there, or name another folder by --tls-data"
    ))
}
