//! From options to a server that runs, and its end. All that can fail fails before anything is bound.

use std::sync::Arc;

use salver::finish::log::AccessLog;
use salver::listen::Listeners;
use salver::turns::Turns;
use salver::{Origin, Server, Site, StartError};

use crate::access::Needed;
use crate::applications::{self, Host};
use crate::args::Parsed;
use crate::options::Options;
use crate::privileges::{self, Privileges};
use crate::process::{self, PidFile};
use crate::signals::Caught;
use crate::{announce, events, https, memory, output, targets};

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
pub(crate) fn run(parsed: Parsed, host: Option<&dyn Host>) -> Result<(), Failure> {
    let Parsed { options, warnings, .. } = parsed;
    let has_application = options.targets.have_application();
    if has_application && host.is_none() {
        match applications::become_python(options.applications.python.as_deref(), std::env::args_os())? {}
    }
    if let Some(folder) = &options.applications.chdir {
        std::env::set_current_dir(folder).map_err(|error| {
            StartError::new(format!("--chdir {}: {error}; name a folder that is there", folder.display()))
        })?;
    }
    if let Some(umask) = options.process.umask {
        umask.apply();
    }
    memory::start();
    process::raise_open_files();
    privileges::keep_descriptors();
    events::start(&options.events)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let log = Arc::new(AccessLog::open(&options.log)?.zone(events::seconds_ahead_of_utc));
    let site = Site::new().guard(options.guard.clone()).headers(&options.headers)?.log(log.clone());
    let site = site.look(&options.files.listing.look)?;
    let turns = Turns::new(&options.turns);
    turns.set_timeout(options.gateway.timeout.into());
    let site = targets::mount(site, &options, |application| match host {
        Some(host) => host.open(application, &turns, &options),
        None => Err(StartError::new("no interpreter; this is a fault of salver")),
    })?;
    let tls = https::open(&options)?;
    let privileges = Privileges::open(&options.process)?;
    if options.args.check_config {
        output::config_is_good();
        return Ok(());
    }
    let _pid = options.process.pid.as_deref().map(PidFile::create).transpose()?;
    let signals = Caught::new()?;
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    // Applications take turns with one loop; the interpreter's lock would hold up more of them.
    let loops = if has_application { 1 } else { cores() };
    let mut listeners = Listeners::open(&options.targets.addresses(), loops)?;
    if let Some(port) = options.https.redirect_http {
        listeners.open_clear(port)?;
    }
    let needed = if privileges.are_kept() { Vec::new() } else { options.targets.needed() };
    privileges.drop(&log)?;
    needed.iter().try_for_each(Needed::check)?;

    let server = Server::new(site).http1(options.http1.clone()).options(options.server.clone());
    let mut server = server.http2(options.http2.clone()).when_relieved(memory::give_back);
    if let Some(tls) = tls {
        server = server.tls(tls);
    }
    let Some(host) = host.filter(|_| has_application) else {
        let running = server.start(listeners)?;
        announce(running.origins(), &options);
        signals.obey(running.stop(), log)?;
        running.wait();
        return Ok(());
    };
    let driven = server.drive(listeners)?;
    announce(driven.origins(), &options);
    signals.obey(driven.stop(), log)?;
    Ok(host.run(driven, &turns)?)
}

/// Says where is served.
fn announce(origins: &[Origin], options: &Options) {
    output::serving(origins);
    if options.announce.open
        && let Err(message) = announce::browse(origins)
    {
        output::warning(&message);
    }
}
