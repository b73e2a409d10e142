//! Which part this process plays: a server alone, a supervisor of workers, or one of the workers. All that can fail fails before
//! anything is bound.

use std::env;
use std::ffi::OsString;
use std::path::Path;

use salver::StartError;

use crate::applications::Host;
use crate::args::{self, Parsed, Places, Refusal};
use crate::https::trust::Action;
use crate::prepared::Prepared;
use crate::supervisor::program::Program;
use crate::supervisor::{self, Predecessor, inherit};
use crate::{alone, applications, events, output, process, status, worker};

/// Why nothing is served.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something cannot start: exit code 1.
    Start(StartError),
    /// What was asked for does not exist: exit code 2.
    Usage(String),
    /// There are no options.
    Refusal(Refusal),
    /// A worker has said why; the exit code.
    Told(u8),
}

impl Failure {
    /// The same with the place of the option that it names.
    pub(crate) fn at(self, places: &Places) -> Self {
        match self {
            Self::Start(error) => Self::Start(places.tell(error)),
            other => other,
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

/// Serves until a signal says to stop, in whatever part.
pub(crate) fn run(argv: Vec<OsString>, host: Option<&dyn Host>) -> Result<(), Failure> {
    if let Some(channel) = inherit::worker()? {
        return worker::run(channel, host);
    }
    if let Some(channel) = inherit::original()? {
        return worker::original::import(channel, host);
    }
    if let Some(arguments) = status::arguments(&argv) {
        return status::run(arguments);
    }
    let predecessor = inherit::upgrade()?.map(Predecessor::open).transpose()?;
    let home = env::current_dir();
    let python = |named: Option<&Path>| match host {
        Some(host) => Ok(host.program()),
        None => applications::with_salver(named),
    };
    let parse = || {
        let read = || args::parse_with(argv.iter().cloned(), env::vars_os(), &python);
        in_folder(home.as_deref().ok(), read)
    };
    let parsed = parse()?;
    let places = parsed.places.clone();
    serve(&argv, host, parsed, &parse, predecessor).map_err(|failure| failure.at(&places))
}

/// Does what the options say.
fn serve(
    argv: &[OsString],
    host: Option<&dyn Host>,
    parsed: Parsed,
    parse: &supervisor::Parse<'_>,
    predecessor: Option<Predecessor>,
) -> Result<(), Failure> {
    let options = &parsed.options;
    if options.args.print_config {
        output::config(&args::as_toml(&parsed)?);
        return Ok(());
    }
    if let Some(action) = Action::asked(options) {
        return Ok(action.run(options, output::line)?);
    }
    let has_application = options.targets.have_application();
    if has_application && host.is_none() {
        match applications::become_python(options.applications.python.as_deref(), env::args_os())? {}
    }
    process::enter(options)?;
    let workers = options.workers.count(has_application)?;
    match workers {
        Some(_) => events::start_directly(&options.events),
        None => events::start(&options.events)?,
    }
    for warning in parsed.warnings.iter().chain(&options.targets.unserved()) {
        tracing::warn!("{warning}");
    }
    let hosted = host;
    // A supervisor runs no application: its workers load them, and say what is wrong.
    let host = host.filter(|_| workers.is_none() || options.args.check_config);
    let prepared = Prepared::open(options, host)?;
    if options.args.check_config {
        output::config_is_good();
        return Ok(());
    }
    match workers {
        Some(_) => {
            let program = program(hosted, argv);
            supervisor::run(program, argv.to_vec(), (prepared, parsed), parse, predecessor)
        }
        None => alone::run(prepared, parsed.options, parse),
    }
}

/// Reads options where the program was started: paths of a configuration are meant from there, also after `--chdir`.
fn in_folder(
    home: Option<&Path>,
    parse: impl FnOnce() -> Result<Parsed, Refusal>,
) -> Result<Parsed, Refusal> {
    let (Some(home), Ok(now)) = (home, env::current_dir()) else { return parse() };
    if home == now {
        return parse();
    }
    let go = |folder: &Path| {
        let shown = folder.display();
        env::set_current_dir(folder)
            .map_err(|error| Refusal::Config(StartError::new(format!("{shown}: {error}; make it again"))))
    };
    go(home)?;
    let parsed = parse();
    go(&now)?;
    parsed
}

/// How this process is started once more.
fn program(host: Option<&dyn Host>, argv: &[OsString]) -> Program {
    host.map_or_else(|| Program::itself(argv.first()), |host| Program::words(host.words()))
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start(error) => error.fmt(f),
            Self::Refusal(refusal) => refusal.fmt(f),
            Self::Usage(message) => f.write_str(message),
            Self::Told(code) => write!(f, "a worker ended with {code}"),
        }
    }
}
