//! A process that has imported the applications and serves nobody (`--preload`): workers are copies of it.
//!
//! Copies are made of one thread alone: an application that starts others while it is imported is refused. Events are not logged
//! here, since that would start one; what is wrong is the last that this process says.

use std::fs;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal, set_parent_process_death_signal};
use salver::StartError;

use super::{receive_hello, run};
use crate::applications::Host;
use crate::args;
use crate::process;
use crate::run::Failure;
use crate::signals::Caught;
use crate::supervisor::channel::{Channel, Received};
use crate::supervisor::message::{Order, Tell};

/// Imports the applications, and makes a copy whenever the supervisor says so; a copy returns when it has ended as a worker.
pub(crate) fn import(channel: Channel, host: Option<&dyn Host>) -> Result<(), Failure> {
    let _ = set_parent_process_death_signal(Some(Signal::KILL)); // refused by nobody
    let (hello, _) = receive_hello(&channel)?;
    let options = args::parse_typed(hello.arguments)?.options;
    process::settle(&options);
    // Ctrl-C is for the supervisor, which ends us.
    let signals = Caught::new()?;
    let Some(host) = host else { return Ok(()) };
    for application in options.targets.applications() {
        host.import(&application, &options)?;
    }
    let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return Err(Failure::Start(StartError::new(format!(
            "--preload: what was imported has started threads ({}), and copies would be without them; start them in post_fork \
            (--hooks) or with the first request, or leave --preload out",
            threads - 1
        ))));
    }
    let _ = channel.send(&Tell::Ready, &[]); // a supervisor that is gone is noticed below
    loop {
        let _ = poll(&mut [PollFd::new(&channel, PollFlags::IN)], None); // interrupted: look again
        let descriptor = match channel.receive::<Order>() {
            Ok(Received::Message(Order::Copy, descriptors)) => descriptors.into_iter().next(),
            Ok(Received::Message(..) | Received::Nothing) => continue,
            Ok(Received::Closed) | Err(_) => return Ok(()),
        };
        let Some(descriptor) = descriptor else { continue };
        let copied = match host.fork() {
            Ok(None) => {
                drop((channel, signals));
                return run(Channel::from_descriptor(descriptor), Some(host));
            }
            Ok(Some(pid)) => Ok(pid),
            Err(error) => Err(error.to_string()),
        };
        let _ = channel.send(&Tell::Copied(copied), &[]);
    }
}
