//! A worker process: it serves the sockets that its supervisor left to it, does as it is told, and tells what it does.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal, set_parent_process_death_signal};
use salver::StartError;
use salver::listen::Listeners;

use crate::applications::Host;
use crate::args;
use crate::monitor::{self, Source};
use crate::prepared::Prepared;
use crate::run::Failure;
use crate::signals::Caught;
use crate::supervisor::channel::{Channel, Received};
use crate::supervisor::message::{Hello, Order};
use crate::{events, process, sandbox};

mod handle;
pub(crate) mod original;

pub use handle::Worker;

/// Serves until the supervisor, or a signal, says to stop.
pub(crate) fn run(channel: Channel, host: Option<&dyn Host>) -> Result<(), Failure> {
    // Until somebody listens to the channel: whatever we are at, we do not outlive our supervisor. Refused by nobody.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let (hello, sockets) = receive_hello(&channel)?;
    let Hello { version, arguments, addresses, loops, takes_over, monitor } = hello;
    if version != env!("CARGO_PKG_VERSION") {
        let ours = env!("CARGO_PKG_VERSION");
        return Err(Failure::Start(StartError::new(format!(
            "salver {ours} was installed while {version} runs; send the supervisor USR2, then TERM, or start it anew"
        ))));
    }
    let options = args::parse_typed(arguments)?.options;
    process::settle(&options);
    events::start(&options.events)?;
    let signals = Caught::new()?;
    let (listeners, monitored) = adopt(sockets, &addresses, loops, &monitor)?;
    let worker = Worker::new(channel, takes_over);
    worker.listen(signals)?;
    // From here on the end of the channel is noticed, and what we have started ends in good order. A matter of this thread.
    let _ = set_parent_process_death_signal(None);
    let mut prepared = Prepared::open(&options, host)?;
    prepared.drop_privileges()?;
    sandbox::enter(&options);
    worker.counts(prepared.meter.clone(), prepared.turns.clone(), prepared.log.clone());
    let monitored = monitored.map(|listeners| monitor::start(listeners, Source::Supervisor(worker.clone())));
    let monitored = monitored.transpose()?;
    prepared.run(listeners, host, |stop| {
        worker.stops(stop);
        worker.ready();
    })?;
    worker.last_load();
    monitor::end(monitored);
    Ok(())
}

fn receive_hello(channel: &Channel) -> Result<(Hello, Vec<OwnedFd>), StartError> {
    let lost = |why: &dyn std::fmt::Display| StartError::new(format!("no word from the supervisor: {why}"));
    loop {
        let mut fds = [PollFd::new(channel, PollFlags::IN)];
        let _ = poll(&mut fds, None); // interrupted: look again
        match channel.receive::<Order>() {
            Ok(Received::Message(Order::Hello(hello), sockets)) => return Ok((*hello, sockets)),
            Ok(Received::Message(..)) | Ok(Received::Nothing) => {}
            Ok(Received::Closed) => return Err(lost(&"it has ended")),
            Err(error) => return Err(lost(&error)),
        }
    }
}

type Addresses = [salver::listen::Asked];

/// The sockets of each loop, and those of the monitor.
fn adopt(
    sockets: Vec<OwnedFd>,
    addresses: &Addresses,
    loops: usize,
    monitor: &Addresses,
) -> Result<(Listeners, Option<Listeners>), StartError> {
    let mut sockets = sockets.into_iter();
    let mut take = |count: usize| -> Vec<OwnedFd> { sockets.by_ref().take(count).collect() };
    let queues = (0..loops).map(|_| take(addresses.len())).collect();
    let listeners = Listeners::from_descriptors(addresses, queues)?;
    let monitored = match monitor {
        [] => None,
        monitor => Some(Listeners::from_descriptors(monitor, vec![take(monitor.len())])?),
    };
    Ok((listeners, monitored))
}

/// What a thread of ours could not do.
fn no_thread(error: &io::Error) -> StartError {
    StartError::new(format!("cannot start a thread: {error}; look at `ulimit -u`"))
}
