//! From options to what a server is made of. All that can be wrong with it is said here, before a socket is bound.

use std::sync::Arc;

use salver::finish::log::AccessLog;
use salver::listen::Listeners;
use salver::meter::Meter;
use salver::turns::Turns;
use salver::{Error, Handler, Origin, Reply, Request, Running, SafePath, Server, Site, StartError, Stop};

use crate::access::Needed;
use crate::applications::Host;
use crate::https::Https;
use crate::options::Options;
use crate::privileges::Privileges;
use crate::run::Failure;
use crate::{applications, events, https, memory, targets};

/// A server that can start.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// What counts its requests.
    pub(crate) meter: Meter,
    pub(crate) log: Arc<AccessLog>,
    server: Server,
    /// What has its certificates renewed.
    https: Option<Https>,
    /// How applications are called; `None` where there are none.
    pub(crate) turns: Option<Turns>,
    privileges: Privileges,
    /// What whoever we become has to be able to read.
    needed: Vec<Needed>,
}

impl Prepared {
    /// Opens everything that `options` name.
    ///
    /// # Errors
    /// The first thing that is wrong, and its mend.
    pub(crate) fn open(options: &Options, host: Option<&dyn Host>) -> Result<Self, Failure> {
        let log = Arc::new(AccessLog::open(&options.log)?.zone(events::seconds_ahead_of_utc));
        let site = Site::new().guard(options.guard.clone()).headers(&options.headers)?.log(log.clone());
        let site = if options.monitor.metrics.is_some() { site.timed() } else { site };
        let site = site.look(&options.files.listing.look)?;
        let turns = Turns::new(&options.turns);
        turns.set_timeout(options.gateway.timeout.into());
        let https = https::open(options)?;
        let site = match https.as_ref().and_then(|https| https.acme.clone()) {
            Some(acme) => site.mount(https::acme::CHALLENGES, https::acme::Challenges(acme))?,
            None => site,
        };
        let reload = host.filter(|_| options.applications.reload && !options.args.check_config);
        if reload.is_some() {
            applications::reload::watch(&options.applications)?;
        }
        let site = targets::mount(site, options, |application| {
            let Some(host) = host else { return Ok(Arc::new(Unhosted)) };
            let opened = host.open(application, &turns, options);
            if reload.is_some() { applications::reload::reloaded(opened, host) } else { opened }
        })?;
        let privileges = Privileges::open(&options.process)?;
        let needed = if privileges.are_kept() { Vec::new() } else { options.targets.needed() };
        let meter = site.meter();
        let turns = options.targets.have_application().then_some(turns);
        if turns.is_some() {
            memory::start_applications();
        }
        let server = Server::new(site).http1(options.http1.clone()).options(options.server.clone());
        let mut server = server.http2(options.http2.clone()).when_relieved(memory::give_back);
        if let Some(https) = &https {
            server = server.tls(https.tls.clone());
        }
        Ok(Self { meter, log, server, https, turns, privileges, needed })
    }

    /// Becomes who the options name, once everything is bound.
    ///
    /// # Errors
    /// The process may not, or what is served could not be read then.
    pub(crate) fn drop_privileges(&mut self) -> Result<(), StartError> {
        std::mem::take(&mut self.privileges).drop(&self.log, self.https.as_ref().and_then(Https::written))?;
        self.needed.iter().try_for_each(Needed::check)
    }

    /// Where it would be served.
    pub(crate) fn origins(&self, listeners: &Listeners) -> Vec<Origin> {
        self.server.origins(listeners)
    }

    /// Serves what comes to `listeners`.
    ///
    /// # Errors
    /// The system refuses a thread or an event queue.
    pub(crate) fn start(self, listeners: Listeners) -> Result<Running, StartError> {
        if let Some(https) = &self.https {
            https.keep();
        }
        self.server.start(listeners)
    }

    /// Serves what comes to `listeners` until it is stopped, applications on `host`; `started` hears how to stop it.
    ///
    /// # Errors
    /// As [`Prepared::start`], and an application that does not start up.
    pub(crate) fn run(
        self,
        listeners: Listeners,
        host: Option<&dyn Host>,
        started: impl FnOnce(Stop),
    ) -> Result<(), StartError> {
        let (Some(turns), Some(host)) = (&self.turns, host) else {
            let running = self.start(listeners)?;
            started(running.stop());
            running.wait();
            return Ok(());
        };
        if let Some(https) = &self.https {
            https.keep();
        }
        host.startup()?;
        let driven = self.server.drive(listeners)?;
        started(driven.stop());
        host.run(driven, turns)
    }
}

/// Stands for an application where none is called: in a supervisor, which only checks.
struct Unhosted;

impl Handler for Unhosted {
    fn handle(&self, _: Request, _: SafePath) -> Reply<'_> {
        Reply::ready(Err(Error::internal("no interpreter")))
    }
}
