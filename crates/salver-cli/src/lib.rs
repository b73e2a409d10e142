//! The command: options, configuration, what is served, and the process around it.

use std::ffi::OsString;
use std::process::ExitCode;

use applications::Host;

mod access;
mod alone;
pub mod announce;
pub mod applications;
pub mod args;
mod embedded;
pub mod events;
pub mod https;
mod memory;
pub mod monitor;
mod notify;
pub mod options;
mod output;
mod prepared;
mod privileges;
pub mod process;
mod run;
mod sandbox;
mod signals;
mod status;
pub mod supervisor;
pub mod targets;
pub mod worker;

/// Runs the command with `args` (the program's name first) and returns its exit code: 0 when all went well, 1 for what
/// cannot start, 2 for wrong use. Applications of Python are hosted by the interpreter that this process then becomes.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    run(args, None).into()
}

/// The same where `host` calls the applications of Python in this very process, and says how it is started once more; the exit
/// code as a number.
pub fn run(args: impl Iterator<Item = OsString>, host: Option<&dyn Host>) -> u8 {
    let ran = run::run(args.collect(), host);
    events::flush();
    match ran {
        Ok(()) => output::SUCCESS,
        Err(failure) => output::failure(failure),
    }
}

/// Serves in a program of somebody else's, in this process alone, until it is stopped: by a signal, where `hears_signals`.
/// The exit code as a number.
pub fn serve(args: impl Iterator<Item = OsString>, host: &dyn Host, hears_signals: bool) -> u8 {
    let served = embedded::run(args, host, hears_signals);
    events::flush();
    match served {
        Ok(()) => output::SUCCESS,
        Err(failure) => output::failure(failure),
    }
}
