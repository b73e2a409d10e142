//! `salver status`: asks a running supervisor what it knows, and shows it as a table.
//!
//! The word `status` is a command only as the very first argument; a folder of that name is `./status`.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, ErrorKind, IsTerminal as _, Read as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::Parser as _;
use salver::StartError;

use crate::output;
use crate::run::Failure;
use crate::supervisor::control;
use crate::supervisor::report::{Report, Worker};

/// Shows the workers of a running server: what they do, their load and their age
#[derive(Debug, clap::Parser)]
#[command(name = "salver status", disable_version_flag = true, max_term_width = 110)]
struct Options {
    /// The process of its supervisor, or the path of its control socket; needed where several run
    #[arg(value_name = "PID|SOCKET")]
    server: Option<String>,

    /// Print everything as JSON
    #[arg(long)]
    json: bool,

    /// Print once, also on a terminal, where the table is otherwise kept up to date until Ctrl-C
    #[arg(long)]
    once: bool,
}

/// The arguments of this command, if it was called.
pub(crate) fn arguments(argv: &[OsString]) -> Option<&[OsString]> {
    match argv {
        [_, command, rest @ ..] if command == "status" => Some(rest),
        _ => None,
    }
}

/// Shows what a server knows of itself.
pub(crate) fn run(arguments: &[OsString]) -> Result<(), Failure> {
    let words = std::iter::once(OsString::from("salver status")).chain(arguments.iter().cloned());
    let options = Options::try_parse_from(words).map_err(crate::args::refuse)?;
    let path = find(options.server.as_deref())?;
    let live = io::stdout().is_terminal() && !options.once && !options.json;
    loop {
        let report = ask(&path)?;
        if options.json {
            let text =
                serde_json::to_string_pretty(&report).map_err(|error| StartError::new(error.to_string()))?;
            output::table(&text);
            return Ok(());
        }
        if !live {
            output::table(&table(&report));
            return Ok(());
        }
        output::table(&format!("\x1b[H\x1b[2J{}", table(&report)));
        thread::sleep(EVERY);
    }
}

/// The control socket of `server`, or of the only one that runs.
fn find(server: Option<&str>) -> Result<PathBuf, StartError> {
    let folder =
        control::folder().map_err(|error| StartError::new(format!("no folder of control sockets: {error}")));
    match server {
        Some(pid) if pid.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(folder?.join(control::name(pid.parse().unwrap_or(0))))
        }
        Some(path) => Ok(path.into()),
        None => match running(&folder?).as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(StartError::new(
                "no server with workers runs for this user; start one with --workers, or name its control socket \
                (a folder called `status` is served by `salver ./status`)",
            )),
            several => {
                let pids: Vec<_> = several
                    .iter()
                    .filter_map(|path| path.file_stem())
                    .map(|pid| pid.to_string_lossy())
                    .collect();
                Err(StartError::new(format!("several run; name one: salver status {}", pids.join(" | "))))
            }
        },
    }
}

/// The sockets in `folder` at which somebody answers; the others are removed.
fn running(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        match UnixStream::connect(&path) {
            Ok(_) => found.push(path),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                let _ = fs::remove_file(path); // its server was killed
            }
            Err(_) => {}
        }
    }
    found.sort();
    found
}

fn ask(path: &Path) -> Result<Report, StartError> {
    let wrong = |error: &dyn std::fmt::Display| {
        let shown = path.display();
        StartError::new(format!("{shown}: {error}; is it the control socket of a running server?"))
    };
    let mut socket = UnixStream::connect(path).map_err(|error| wrong(&error))?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(|error| wrong(&error))?;
    let mut text = Vec::new();
    socket.read_to_end(&mut text).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => StartError::new(format!(
            "{}: no answer within {} s; the supervisor there is stuck, or was stopped: see `ps`",
            path.display(),
            PATIENCE.as_secs()
        )),
        _ => wrong(&error),
    })?;
    serde_json::from_slice(&text).map_err(|error| wrong(&error))
}

fn table(report: &Report) -> String {
    let Report { version, pid, state, generation, restarts, replacements, counts, .. } = report;
    let (up, addresses) = (duration(report.uptime), report.addresses.join(" "));
    let mut text = format!(
        "salver {version}, process {pid}, {state} for {up} at {addresses}\n\
        {} requests, {} in flight, {} connections; configuration {generation}, {restarts} restarts, {replacements} replacements\n\n",
        counts.requests, counts.in_flight, counts.connections,
    );
    let head =
        ["PLACE", "PID", "STATE", "CONFIG", "UP", "IN FLIGHT", "CONNECTIONS", "REQUESTS", "MEMORY", "CPU"];
    let rows: Vec<[String; 10]> =
        std::iter::once(head.map(String::from)).chain(report.workers.iter().map(row)).collect();
    for row in &rows {
        for (column, cell) in row.iter().enumerate() {
            let width = rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
            let end = if column + 1 == row.len() { "\n" } else { "  " };
            let written = write!(text, "{cell:>width$}{end}");
            written.expect("writing to memory does not fail");
        }
    }
    text.trim_end().to_owned()
}

fn row(worker: &Worker) -> [String; 10] {
    [
        worker.place.map_or_else(|| "-".into(), |place| place.to_string()),
        worker.pid.to_string(),
        worker.state.clone(),
        worker.generation.to_string(),
        duration(worker.uptime),
        worker.in_flight.to_string(),
        worker.connections.to_string(),
        worker.requests.to_string(),
        format!("{:.1} MiB", worker.rss as f64 / 1_048_576.0),
        format!("{:.1} s", worker.cpu_seconds),
    ]
}

/// A number of seconds as people say it.
fn duration(seconds: f64) -> String {
    let seconds = seconds as u64;
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m{seconds:02}s"),
        (0, hours, minutes, _) => format!("{hours}h{minutes:02}m"),
        (days, hours, ..) => format!("{days}d{hours:02}h"),
    }
}

const EVERY: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_word_is_the_command() {
        let argv = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(arguments(&argv(&["salver", "status", "--json"])), Some(&argv(&["--json"])[..]));
        for words in [
            &["salver", "./status"][..],
            &["salver", "-d", "status"],
            &["salver"],
            &["salver", "8000", "status"],
        ] {
            assert_eq!(arguments(&argv(words)), None, "{words:?}");
        }
    }

    #[test]
    fn times_are_short() {
        for (seconds, want) in [(0.9, "0s"), (61.0, "1m01s"), (3700.0, "1h01m"), (90_000.0, "1d01h")] {
            assert_eq!(duration(seconds), want);
        }
    }

    #[test]
    fn the_columns_of_the_table_stand_below_their_heads() {
        let worker = Worker { pid: 4711, place: Some(0), state: "ready".into(), ..Worker::default() };
        let report = Report { workers: vec![worker], ..Report::default() };
        let text = table(&report);
        let [.., head, row] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        assert_eq!(head.len(), row.len());
        assert_eq!(head.find("PID").map(|at| at + 3), row.find("4711").map(|at| at + 4));
    }
}
