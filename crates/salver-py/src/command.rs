//! The command line, with this very process as the host of applications.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use pyo3::prelude::*;
use salver::turns::{Place, Turns};
use salver::{Driven, Handler, StartError};
use salver_cli::applications::{Application, Host, Kind};
use salver_cli::options::Options;
use salver_cli::worker::Worker;

use crate::asgi::Asgi;
use crate::handler::HandlerClass;
use crate::hosted::Hosted;
use crate::load::{Loaded, load, preload};
use crate::wsgi::Wsgi;

/// Runs the command with `args` (the program's name first) and returns its exit code.
#[pyfunction]
pub(crate) fn main(py: Python<'_>, args: Vec<OsString>) -> u8 {
    py.detach(|| salver_cli::run(args.into_iter(), Some(&Interpreter::default())))
}

/// Serves in this very process, as `salver.serve` has it: `table` is TOML with the options' long names as keys.
#[pyfunction]
pub(crate) fn serve(py: Python<'_>, table: &str, hears_signals: bool) -> PyResult<u8> {
    let arguments = salver_cli::args::keywords(table)
        .map_err(|refusal| pyo3::exceptions::PyTypeError::new_err(refusal.to_string()))?;
    Ok(py.detach(|| salver_cli::serve(arguments.into_iter(), &Interpreter::default(), hears_signals)))
}

/// This process.
#[derive(Default)]
struct Interpreter {
    asgi: Asgi,
    /// The file whose hooks this worker calls.
    hooks: OnceLock<PathBuf>,
}

impl Host for Interpreter {
    fn open(
        &self,
        application: &Application,
        turns: &Turns,
        options: &Options,
    ) -> Result<Arc<dyn Handler>, StartError> {
        Python::attach(|py| {
            surround(py, options)?;
            if let Some(file) = options.applications.hooks.as_ref().filter(|_| Worker::current().is_some()) {
                call_hook(py, self.hooks.get_or_init(|| file.clone()), "post_fork")?;
            }
            let Loaded { object, kind } = load(py, application, options.applications.asgi.factory)?;
            let cannot = |error: PyErr| StartError::new(error.to_string());
            let called: Box<dyn crate::exchange::Application> = match kind {
                Kind::Wsgi => Box::new(Wsgi::open(py, object, application, turns).map_err(cannot)?),
                Kind::Handler => {
                    Box::new(HandlerClass::open(py, &object, &application.prefix).map_err(cannot)?)
                }
                Kind::Asgi => {
                    let hosted = self.asgi.open(py, object, application, turns, options);
                    let hosted = hosted.map_err(|error| told(py, &error))?;
                    return Ok(Arc::new(hosted) as Arc<dyn Handler>);
                }
            };
            Ok(Arc::new(Hosted::new(called, turns.clone(), &application.prefix)) as Arc<dyn Handler>)
        })
    }

    fn import(&self, application: &Application, options: &Options) -> Result<(), StartError> {
        Python::attach(|py| {
            surround(py, options)?;
            preload(py, application, options.applications.asgi.factory)
        })
    }

    fn fork(&self) -> Result<Option<i32>, StartError> {
        let forked =
            Python::attach(|py| py.import("salver._preload")?.call_method0("fork")?.extract::<i32>());
        let number = forked.map_err(|error| StartError::new(error.to_string()))?;
        Ok((number > 0).then_some(number))
    }

    fn traceback(&self) -> Option<String> {
        let asked = Python::attach(|py| {
            py.import("salver._load")?.getattr("last_traceback")?.extract::<Option<String>>()
        });
        asked.ok().flatten()
    }

    fn startup(&self) -> Result<(), StartError> {
        self.asgi.startup()
    }

    fn run(&self, driven: Driven, turns: &Turns) -> Result<(), StartError> {
        let ran = self.asgi.run(driven, turns, Attached);
        if let Some(file) = self.hooks.get() {
            Python::attach(|py| call_hook(py, file, "worker_exit"))?;
        }
        ran
    }
}

/// Prepares the surroundings of applications: their folder, their environment.
fn surround(py: Python<'_>, options: &Options) -> Result<(), StartError> {
    let applications = &options.applications;
    let variables: Vec<_> =
        options.gateway.env.iter().map(|variable| (variable.name(), variable.value())).collect();
    let prepare = || -> PyResult<()> {
        let load = py.import("salver._load")?;
        load.call_method1("surround", (&applications.app_dir, &applications.env_file, variables))?;
        if let Some(file) = &applications.log_config {
            py.import("salver._logging")?.call_method1("configure", (file,))?;
        }
        if let Some(file) = &applications.hooks {
            py.import("salver._gunicorn")?.call_method1("prepare", (file,))?;
        }
        Ok(())
    };
    prepare().map_err(|error| told(py, &error))
}

/// Calls a hook of a worker, which the file may have.
fn call_hook(py: Python<'_>, file: &Path, name: &str) -> Result<(), StartError> {
    let called = py.import("salver._gunicorn").and_then(|hooks| hooks.call_method1(name, (file,)));
    called.map(drop).map_err(|error| told(py, &error))
}

/// An error of ours from Python: one line with the mend.
fn told(py: Python<'_>, error: &PyErr) -> StartError {
    StartError::new(error.value(py).to_string())
}

/// Calls are made with the interpreter's lock, taken once for all that are queued.
pub(crate) struct Attached;

impl Place for Attached {
    fn inhabit(&self, life: &mut (dyn FnMut() + Send)) {
        // The thread keeps its place in the interpreter, which to make anew for each call would cost more than the call.
        Python::attach(|py| py.detach(life));
    }

    fn enter(&self, calls: &mut dyn FnMut()) {
        Python::attach(|_| calls());
    }
}
