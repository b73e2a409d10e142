//! All that is printed: the lines of http.server that people and scripts wait for, and errors. The only file that prints.
//!
//! A reader that has gone (`salver | head -1`) is no reason to stop serving: a line that cannot be written is lost.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use clap::CommandFactory as _;
use salver::{Local, Origin, StartError};

use crate::announce;
use crate::args::Refusal;
use crate::events::escaped;
use crate::options::Options;
use crate::run::Failure;

/// An exit code of the process.
pub(crate) type Code = u8;

/// All went well.
pub(crate) const SUCCESS: Code = 0;
/// Something cannot start.
const FAILURE: Code = 1;
/// Something was asked for that does not exist.
const WRONG_USE: Code = 2;

/// Says where is served, a line an address, as http.server does.
pub(crate) fn serving(origins: &[Origin]) {
    for origin in origins {
        to_stdout(&serving_line(origin));
    }
    if io::stdout().is_terminal() {
        for_people(origins);
    }
}

/// Says how other machines get here; on standard error, so that the contract of standard output holds on a terminal too.
fn for_people(origins: &[Origin]) {
    let urls = announce::reachable(origins);
    for url in &urls {
        to_stderr(format_args!("From other machines: {url}"));
    }
    if let Some(code) = urls.first().and_then(|url| announce::qr_code(url)) {
        to_stderr(code);
    }
}

/// Says why something that was asked for did not happen; the server runs nevertheless.
pub(crate) fn warning(message: &str) {
    to_stderr(format_args!("salver: warning: {message}"));
}

/// Says in one line of an event log why something is not as it should be.
pub(crate) fn event(line: &str) {
    to_stderr(line);
}

/// Says what a subcommand did.
pub(crate) fn line(text: &str) {
    to_stdout(text);
}

/// Says that Ctrl-C was heard.
pub(crate) fn interrupted() {
    to_stdout("\nKeyboard interrupt received, exiting.");
}

/// Prints what `salver status` found.
pub(crate) fn table(text: &str) {
    to_stdout(text);
}

/// Says that `--check-config` found nothing.
pub(crate) fn config_is_good() {
    to_stdout("The configuration is good.");
}

/// Prints the effective configuration.
pub(crate) fn config(toml: &str) {
    to_stdout(toml.trim_end());
}

/// Says why the arguments are no good, or gives the help that was asked for.
fn refusal(refusal: Refusal) -> Code {
    match refusal {
        Refusal::Shown(text) => {
            to_stdout(text.trim_end());
            SUCCESS
        }
        Refusal::Usage(message) => wrong_use(&message),
        Refusal::Config(error) => start_error(&error),
    }
}

/// Says why nothing is served.
pub(crate) fn failure(failure: Failure) -> Code {
    match failure {
        Failure::Start(error) => start_error(&error),
        Failure::Usage(message) => wrong_use(&message),
        Failure::Refusal(told) => refusal(told),
        Failure::Told(code) => code,
    }
}

/// Says why something cannot be served, where the server goes on nevertheless.
pub(crate) fn error_line(error: &StartError) {
    to_stderr(format_args!("salver: error: {}", escaped(&error.to_string())));
}

fn start_error(error: &StartError) -> Code {
    error_line(error);
    FAILURE
}

fn wrong_use(message: &str) -> Code {
    to_stderr(format_args!("{}\nsalver: error: {}", Options::command().render_usage(), escaped(message)));
    WRONG_USE
}

fn serving_line(origin: &Origin) -> String {
    match &origin.local {
        Local::Tcp(address) => {
            let (ip, port, protocol) = (address.ip(), address.port(), origin.scheme.as_str().to_uppercase());
            format!("Serving {protocol} on {ip} port {port} ({origin}) ...")
        }
        Local::Unix(path) => format!("Serving HTTP on unix:{} ...", path.display()),
    }
}

fn to_stdout(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

fn to_stderr(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use salver::Scheme;

    use super::*;

    #[test]
    fn the_startup_line_is_http_server_s() {
        let tcp = |address: &str| Local::Tcp(address.parse().unwrap());
        for (local, scheme, want) in [
            (
                tcp("0.0.0.0:8000"),
                Scheme::Http,
                "Serving HTTP on 0.0.0.0 port 8000 (http://0.0.0.0:8000/) ...",
            ),
            (tcp("[::1]:80"), Scheme::Http, "Serving HTTP on ::1 port 80 (http://[::1]:80/) ..."),
            (tcp("[::1]:443"), Scheme::Https, "Serving HTTPS on ::1 port 443 (https://[::1]:443/) ..."),
            (Local::Unix("/run/s".into()), Scheme::Http, "Serving HTTP on unix:/run/s ..."),
        ] {
            assert_eq!(serving_line(&Origin { scheme, local }), want);
        }
    }
}
