//! gunicorn's configuration in Python: its settings, and the hooks of the supervisor.
//!
//! Python alone can read it, and this process runs none: one of its own does (`salver._gunicorn`), each time anew, so that a reload has
//! what the file says by then and nothing that it does stays here.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use salver::StartError;
use serde::Deserialize;

/// What a file says.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Settings {
    /// TOML, with our options for keys.
    #[serde(default)]
    pub(crate) options: String,
    /// The settings that are not obeyed.
    #[serde(default)]
    ignored: Vec<String>,
    /// Why there is nothing.
    error: Option<String>,
}

/// Finds the interpreter, the one that `--python` names if it does.
pub(crate) type FindPython<'f> = dyn Fn(Option<&Path>) -> Result<PathBuf, StartError> + 'f;

impl Settings {
    /// Has `python` run the file at `path`.
    ///
    /// # Errors
    /// It cannot be read, or raises; its traceback has been printed.
    pub(crate) fn read(path: &Path, python: &Path) -> Result<Self, StartError> {
        let wrong =
            |why: &dyn std::fmt::Display| StartError::new(format!("--config {}: {why}", path.display()));
        let asked = command(python.as_os_str(), "options", path)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| wrong(&format!("{} cannot be run: {error}; see --python", python.display())))?;
        let read: Option<Self> = serde_json::from_slice(&asked.stdout).ok();
        let read =
            read.ok_or_else(|| wrong(&format!("it was not read to its end ({}); mend it", asked.status)))?;
        match read.error {
            Some(error) => Err(StartError::new(format!("--config {error}"))),
            None => Ok(read),
        }
    }

    /// What to say of it.
    pub(crate) fn warning(&self, path: &Path) -> Option<String> {
        let ignored = self.ignored.join(", ");
        let path = path.display();
        (!ignored.is_empty())
            .then(|| format!("{path}: settings of gunicorn that have no meaning here: {ignored}"))
    }
}

/// Has `python` call the hook `name` of the file at `path`, if it has one.
///
/// # Errors
/// The interpreter cannot be run.
pub(crate) fn call_hook(python: &OsStr, name: &str, path: &Path) -> io::Result<Child> {
    command(python, name, path).stdin(Stdio::null()).spawn()
}

fn command(python: &OsStr, what: &str, path: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "salver._gunicorn", what]).arg(path);
    command
}

/// Whether a configuration is one of gunicorn's.
pub(crate) fn is_python(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "py")
}
