//! From options to a server that runs, and its end. All that can fail fails before anything is bound.

use std::sync::Arc;

use salver::finish::log::AccessLog;
use salver::listen::Listeners;
use salver::{Server, Site, StartError};

use crate::access::Needed;
use crate::args::Parsed;
use crate::privileges::{self, Privileges};
use crate::process::{self, PidFile};
use crate::signals::Caught;
use crate::{announce, events, memory, output, targets};

/// Why nothing is served.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something cannot start: exit code 1.
    Start(StartError),
    /// What was asked for does not exist: exit code 2.
    Usage(String),
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

/// Serves until a signal says to stop.
pub(crate) fn run(parsed: Parsed) -> Result<(), Failure> {
    let Parsed { options, warnings, .. } = parsed;
    if let Some(umask) = options.process.umask {
        umask.apply();
    }
    process::raise_open_files();
    privileges::keep_descriptors();
    events::start(&options.events)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let log = Arc::new(AccessLog::open(&options.log)?);
    let site = Site::new().guard(options.guard.clone()).headers(&options.headers)?.log(log.clone());
    let site = site.look(&options.files.listing.look)?;
    let site = targets::mount(site, &options)?;
    let privileges = Privileges::open(&options.process)?;
    if options.args.check_config {
        output::config_is_good();
        return Ok(());
    }
    let _pid = options.process.pid.as_deref().map(PidFile::create).transpose()?;
    let signals = Caught::new()?;
    let loops = std::thread::available_parallelism().map_or(1, usize::from);
    let listeners = Listeners::open(&options.targets.addresses(), loops)?;
    let needed = if privileges.are_kept() { Vec::new() } else { options.targets.needed() };
    privileges.drop(&log)?;
    needed.iter().try_for_each(Needed::check)?;

    let server = Server::new(site).http1(options.http1).options(options.server);
    let running = server.when_relieved(memory::give_back).start(listeners)?;
    output::serving(running.locals());
    if options.announce.open
        && let Err(message) = announce::browse(running.locals())
    {
        output::warning(&message);
    }
    signals.obey(running.stop(), log)?;
    running.wait();
    Ok(())
}
