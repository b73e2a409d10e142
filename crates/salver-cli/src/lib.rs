//! The command: options, configuration, what is served, and the process around it.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the command with `args` (the program's name first) and returns its exit code.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let _ = args;
    ExitCode::FAILURE
}
