//! The interpreter of applications: found, asked for its `salver`, and put in our place.

use std::convert::Infallible;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use salver::StartError;

/// Makes this process the one that `python -m salver` with `arguments` (the program's name first) would be.
///
/// # Errors
/// As [`with_salver`].
pub(crate) fn become_python(
    program: Option<&Path>,
    arguments: impl Iterator<Item = OsString>,
) -> Result<Infallible, StartError> {
    let python = with_salver(program)?;
    let error = Command::new(&python).args(["-m", "salver"]).args(arguments.skip(1)).exec();
    Err(cannot_run(&python, &error))
}

/// The interpreter of applications: `program`, or the one that is found.
///
/// # Errors
/// There is no interpreter, or its `salver` is missing or of another version: what to install.
pub(crate) fn with_salver(program: Option<&Path>) -> Result<PathBuf, StartError> {
    let python = find(program, |name| env::var_os(name));
    let shown = python.display();
    let asked =
        Command::new(&python).args(["-c", ASK]).output().map_err(|error| cannot_run(&python, &error))?;
    let version = String::from_utf8_lossy(&asked.stdout);
    match version.trim() {
        OURS => Ok(python),
        "" => Err(StartError::new(format!(
            "{shown} has no package `salver`, which hosts applications; install it with \
            `{shown} -m pip install salver=={OURS}`"
        ))),
        other => Err(StartError::new(format!(
            "{shown} has salver {other}, and this is salver {OURS}; install the same with \
            `{shown} -m pip install salver=={OURS}`"
        ))),
    }
}

fn cannot_run(python: &Path, error: &io::Error) -> StartError {
    let shown = python.display();
    StartError::new(match error.kind() {
        ErrorKind::NotFound => {
            format!(
                "{shown}: no such interpreter; an application needs Python 3.9 or later, name one with --python"
            )
        }
        _ => format!("{shown} cannot be run: {error}; name another interpreter with --python"),
    })
}

/// `--python`, or the interpreter of the environment that is active or lies here, or the first of the path.
fn find(program: Option<&Path>, variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    if let Some(program) = program {
        return program.to_owned();
    }
    let of = |folder: &OsStr| Path::new(folder).join("bin/python");
    let active = variable("VIRTUAL_ENV").filter(|folder| !folder.is_empty()).map(|folder| of(&folder));
    let here = of(OsStr::new(".venv"));
    active.or_else(|| here.exists().then_some(here)).unwrap_or_else(|| "python3".into())
}

const OURS: &str = env!("CARGO_PKG_VERSION");
/// Prints nothing where there is no such package; its own faults are shown.
const ASK: &str =
    "import importlib.util as u\nif u.find_spec('salver'): import salver; print(salver.__version__)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_is_the_one_that_is_named_nearest() {
        for (program, active, want) in [
            (Some("/opt/python"), Some("/venv"), "/opt/python"),
            (None, Some("/venv"), "/venv/bin/python"),
            (None, Some(""), "python3"),
            (None, None, "python3"),
        ] {
            let variable = |name: &str| active.filter(|_| name == "VIRTUAL_ENV").map(OsString::from);
            assert_eq!(find(program.map(Path::new), variable), Path::new(want), "{program:?} {active:?}");
        }
    }
}
