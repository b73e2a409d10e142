//! Applications of Python: which targets name one, and who hosts them.
//!
//! The command itself has no Python. Inside of the `salver` package a [`Host`] calls applications in process; the plain program
//! finds an interpreter with that package and becomes it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use salver::turns::Turns;
use salver::{Driven, Handler, StartError};

use crate::options::Options as All;

pub mod asgi;
pub(crate) mod gunicorn;
mod interpreter;
pub(crate) mod reload;

pub(crate) use interpreter::{become_python, with_salver};

/// The surroundings of applications.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Change to this folder before anything is opened
    #[arg(long, value_name = "D")]
    pub chdir: Option<PathBuf>,

    /// Where modules of applications are looked for first
    #[arg(long, value_name = "D", default_value = ".")]
    pub app_dir: PathBuf,

    /// Variables for the environment of applications, a NAME=VALUE a line; those that are set already stay
    #[arg(long, value_name = "F")]
    pub env_file: Option<PathBuf>,

    /// Configure Python's logging before an application is imported: a JSON or TOML file as logging.config.dictConfig has it, any
    /// other as fileConfig has it
    #[arg(long, value_name = "FILE")]
    pub log_config: Option<PathBuf>,

    /// A Python file whose functions are called as gunicorn calls them: `when_ready` and `on_exit` in processes of their own,
    /// `post_fork` and `worker_exit` in each worker that hosts applications
    #[arg(long, value_name = "FILE")]
    pub hooks: Option<PathBuf>,

    /// The interpreter of applications [default: that of $VIRTUAL_ENV, of ./.venv, or python3]
    #[arg(long, value_name = "PROGRAM")]
    pub python: Option<PathBuf>,

    /// Import applications once and make workers copies of that process, which share its memory; a reload imports them anew. Without
    /// effect beside --reload
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set, num_args = 0..=1,
        require_equals = true, default_value = "false", default_missing_value = "true")]
    pub preload: bool,

    /// Start anew when code of the application changes
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set, num_args = 0..=1,
        require_equals = true, default_value = "false", default_missing_value = "true")]
    pub reload: bool,

    /// Folders to watch for --reload; may be repeated [default: --app-dir]
    #[arg(long, value_name = "D")]
    pub reload_dir: Vec<PathBuf>,

    /// ASGI applications.
    #[command(flatten)]
    pub asgi: asgi::Options,
}

impl Options {
    /// Whether workers are copies of a process that has imported the applications.
    pub(crate) fn preloads(&self) -> bool {
        self.preload && !self.reload // of which each worker watches its own code
    }
}

/// What kind of thing a target was said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `asgi:`
    Asgi,
    /// `handler:`, a subclass of `http.server.BaseHTTPRequestHandler`
    Handler,
    /// `wsgi:`
    Wsgi,
}

/// A target that names an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// The kind that was said aloud; it is found out where none was.
    pub kind: Option<Kind>,
    /// `pkg.mod:attr`, `path/to/app.py:attr`, `pkg.mod` or `mod:make()`.
    pub spec: String,
    /// The prefix it is mounted below.
    pub prefix: String,
}

/// Whoever can call applications.
pub trait Host: Send + Sync {
    /// Loads an application; its calls go through `turns`.
    ///
    /// # Errors
    /// It cannot be loaded: one line with the mend. The traceback of the application's own code has been printed.
    fn open(
        &self,
        application: &Application,
        turns: &Turns,
        options: &All,
    ) -> Result<Arc<dyn Handler>, StartError>;

    /// Imports an application, so that copies of this process have it when they open it.
    ///
    /// # Errors
    /// As [`Host::open`].
    fn import(&self, application: &Application, options: &All) -> Result<(), StartError>;

    /// Makes a copy of this process, whose parent is ours: its number, or `None` in the copy.
    ///
    /// # Errors
    /// The system refuses it.
    fn fork(&self) -> Result<Option<i32>, StartError>;

    /// What the code of the application that was opened last printed when it failed, if it did.
    fn traceback(&self) -> Option<String> {
        None
    }

    /// The interpreter around us.
    fn program(&self) -> PathBuf {
        std::env::args_os().next().map_or_else(|| "python3".into(), PathBuf::from)
    }

    /// The words that start the program around us once more, as a worker: `python -m salver`.
    fn words(&self) -> Vec<OsString> {
        vec![self.program().into(), "-m".into(), "salver".into()]
    }

    /// Has the applications that were opened start up; nobody is served yet.
    ///
    /// # Errors
    /// One that failed: one line with the mend.
    fn startup(&self) -> Result<(), StartError>;

    /// Runs the server until it has stopped.
    ///
    /// # Errors
    /// When the system refuses a thread.
    fn run(&self, driven: Driven, turns: &Turns) -> Result<(), StartError>;
}

/// The application that `target` names, if it names one and no file.
pub(crate) fn named(target: &OsStr, prefix: &str) -> Option<Application> {
    let text = target.to_str()?;
    let application = |kind, spec: &str| Some(Application { kind, spec: spec.into(), prefix: prefix.into() });
    for (word, kind) in [("asgi:", Kind::Asgi), ("handler:", Kind::Handler), ("wsgi:", Kind::Wsgi)] {
        if let Some(spec) = text.strip_prefix(word) {
            return application(Some(kind), spec);
        }
    }
    (!Path::new(target).exists() && is_python(text, Path::exists)).then(|| application(None, text)).flatten()
}

/// `pkg.mod:attr`, `path/to/app.py:attr`, `pkg.mod`: what names a Python application and no file. Without an attribute
/// `missing.iso` would be one: there the module must exist.
fn is_python(target: &str, exists: impl Fn(&Path) -> bool) -> bool {
    let (module, attribute) =
        target.split_once(':').map_or((target, None), |(module, rest)| (module, Some(rest)));
    let identifier = |name: &str| {
        name.starts_with(|char: char| char.is_alphabetic() || char == '_')
            && name.chars().all(|char| char.is_alphanumeric() || char == '_')
    };
    let names_module = module.ends_with(".py") || module.split('.').all(identifier);
    match attribute {
        Some(attribute) => names_module && attribute.trim_end_matches("()").split('.').all(identifier),
        None if names_module && !module.contains('/') => {
            let path = module.replace('.', "/");
            exists(Path::new(&format!("{path}.py"))) || exists(Path::new(&format!("{path}/__init__.py")))
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_python_application_is_told_from_a_path() {
        for (target, python) in [
            ("pkg.mod:attr", true),
            ("mod:app", true),
            ("mod:make()", true),
            ("path/to/app.py:attr", true),
            ("pkg.mod", true),
            ("pkg.sub", true),
            ("missing.iso", false),
            ("app", false),
            ("./nothing", false),
            ("/srv/no.such", false),
            ("no/such.html", false),
            ("c:/x", false),
        ] {
            let exists =
                |path: &Path| [Path::new("pkg/mod.py"), Path::new("pkg/sub/__init__.py")].contains(&path);
            assert_eq!(is_python(target, exists), python, "{target}");
        }
    }

    #[test]
    fn a_kind_may_be_said_aloud() {
        for (target, kind, spec) in [
            ("wsgi:a.b:c", Some(Kind::Wsgi), "a.b:c"),
            ("asgi:x", Some(Kind::Asgi), "x"),
            ("handler:x.py:H", Some(Kind::Handler), "x.py:H"),
            ("no_such_module:app", None, "no_such_module:app"),
        ] {
            let want = Application { kind, spec: spec.into(), prefix: "/".into() };
            assert_eq!(named(OsStr::new(target), "/"), Some(want), "{target}");
        }
        assert_eq!(named(OsStr::new("files:."), "/"), None);
    }
}
