//! The system's own log: syslog (RFC 3164 as local daemons read it) or systemd's journal, by datagrams to a local socket.
//!
//! A line is a message of priority `info`. Both daemons stamp what they get, so none is sent. A daemon that was restarted is found again
//! with the next line; while there is none, or it does not read, lines are dropped and counted as on a full disk.

use std::fmt;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::start_error::StartError;

/// Which system log, and where it listens.
///
/// ```
/// use salver::finish::log::SystemLog;
///
/// let log: SystemLog = "syslog:local3:/run/log.sock".parse()?;
/// assert_eq!(log.to_string(), "syslog:local3:/run/log.sock");
/// assert!("syslog:loud".parse::<SystemLog>().is_err());
/// # Ok::<(), salver::StartError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemLog {
    protocol: Protocol,
    /// The socket; `None` for the usual one.
    path: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Journal,
    /// With the place of its facility in [`FACILITIES`], which is its code.
    Syslog(usize),
}

/// A connection to one.
#[derive(Debug)]
pub(super) struct Connected {
    to: SystemLog,
    /// `None` after a failure.
    socket: Option<UnixDatagram>,
    /// The message at hand.
    message: Vec<u8>,
}

impl SystemLog {
    /// Connects to it.
    ///
    /// # Errors
    /// Nobody listens there.
    pub(super) fn open(&self) -> Result<Connected, StartError> {
        let socket = self.connect().map_err(|error| {
            let (word, path) = (self.protocol.word(), self.path().display());
            StartError::new(format!(
                "--access-log {self}: {path}: {error}; start it, or name its socket: {word}:PATH"
            ))
        })?;
        Ok(Connected { to: self.clone(), socket: Some(socket), message: Vec::new() })
    }

    fn connect(&self) -> io::Result<UnixDatagram> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(self.path())?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(socket)
    }

    fn path(&self) -> &Path {
        let usual = match self.protocol {
            Protocol::Journal => "/run/systemd/journal/socket",
            Protocol::Syslog(_) => "/dev/log",
        };
        self.path.as_deref().unwrap_or(Path::new(usual))
    }

    /// Puts into `message` what stands before and behind a line.
    fn write(&self, line: &[u8], message: &mut Vec<u8>) {
        let start = match self.protocol {
            // systemd's native protocol: a field a line.
            Protocol::Journal => format!("PRIORITY={INFO}\nSYSLOG_IDENTIFIER={NAME}\nMESSAGE="),
            Protocol::Syslog(facility) => {
                format!("<{}>{NAME}[{}]: ", facility * 8 + INFO, std::process::id())
            }
        };
        message.clear();
        message.extend_from_slice(start.as_bytes());
        message.extend_from_slice(line);
        if self.protocol == Protocol::Journal {
            message.push(b'\n');
        }
    }
}

impl Connected {
    /// Sends each line of `batch` as a message; an error comes with those that were not sent.
    pub(super) fn put<'a>(&mut self, batch: &'a [u8]) -> Result<(), (io::Error, &'a [u8])> {
        let mut rest = batch;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, left) = rest.split_at(end + 1);
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            self.to.write(line, &mut self.message);
            self.send().map_err(|error| (error, rest))?;
            rest = left;
        }
        Ok(())
    }

    /// Sends the message, to a daemon that is found anew if the one before is gone.
    fn send(&mut self) -> io::Result<()> {
        if let Some(socket) = &self.socket {
            match socket.send(&self.message) {
                Ok(_) => return Ok(()),
                // It is there and does not read.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(_) => self.socket = None,
            }
        }
        let socket = self.to.connect()?;
        socket.send(&self.message)?;
        self.socket = Some(socket);
        Ok(())
    }
}

impl Protocol {
    fn word(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Syslog(_) => "syslog",
        }
    }
}

impl FromStr for SystemLog {
    type Err = StartError;

    /// Reads `syslog[:FACILITY][:/PATH]` and `journal[:/PATH]`.
    fn from_str(text: &str) -> Result<Self, StartError> {
        let (word, rest) = text.split_once(':').map_or((text, None), |(word, rest)| (word, Some(rest)));
        let (facility, path) = match rest {
            None => (None, None),
            Some(path) if path.starts_with(['/', '.']) => (None, Some(path)),
            Some(rest) => {
                rest.split_once(':').map_or((Some(rest), None), |(word, path)| (Some(word), Some(path)))
            }
        };
        let protocol = match (word, facility) {
            ("journal", None) => Protocol::Journal,
            ("syslog", facility) => {
                let wanted = facility.unwrap_or(USUAL);
                let found = FACILITIES.iter().position(|name| *name == wanted);
                let known = || {
                    FACILITIES.iter().filter(|name| !name.is_empty()).copied().collect::<Vec<_>>().join(", ")
                };
                let found = found.filter(|_| !wanted.is_empty());
                Protocol::Syslog(found.ok_or_else(|| {
                    StartError::new(format!(
                        "no facility {wanted:?}; there are {}, or name a socket: syslog:/PATH",
                        known()
                    ))
                })?)
            }
            _ => return Err(StartError::new("say journal, or journal:/PATH with the path of its socket")),
        };
        Ok(Self { protocol, path: path.map(PathBuf::from) })
    }
}

impl fmt::Display for SystemLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.protocol.word())?;
        if let Protocol::Syslog(code) = self.protocol
            && let Some(name) = FACILITIES.get(code).filter(|name| **name != USUAL)
        {
            write!(f, ":{name}")?;
        }
        self.path.as_ref().map_or(Ok(()), |path| write!(f, ":{}", path.display()))
    }
}

/// The names of syslog's facilities, each at the place that is its code (RFC 3164, 4.1.1); those of 12 to 15 have none that all systems know.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "",
    "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
const USUAL: &str = "daemon";
/// The severity of an access line.
const INFO: usize = 6;
const NAME: &str = "salver";
/// How long a daemon may keep the writer waiting.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(path: &Path) -> UnixDatagram {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket
    }

    fn next(socket: &UnixDatagram) -> String {
        let mut message = [0; 1024];
        let size = socket.recv(&mut message).unwrap();
        String::from_utf8(message[..size].to_vec()).unwrap()
    }

    #[test]
    fn a_line_is_a_message_of_either_protocol() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let socket = listener(&path);
        let (pid, shown) = (std::process::id(), path.display());
        for (name, want) in [
            (format!("syslog:{shown}"), format!("<30>salver[{pid}]: ")),
            (format!("syslog:local7:{shown}"), format!("<190>salver[{pid}]: ")),
            (format!("journal:{shown}"), "PRIORITY=6\nSYSLOG_IDENTIFIER=salver\nMESSAGE=".to_owned()),
        ] {
            let log: SystemLog = name.parse().unwrap();
            assert_eq!(log.to_string(), name);
            let end = if name.starts_with('j') { "\n" } else { "" };
            log.open().unwrap().put(b"one\ntwo\n").unwrap();
            assert_eq!(
                [next(&socket), next(&socket)],
                [format!("{want}one{end}"), format!("{want}two{end}")]
            );
        }
    }

    #[test]
    fn a_daemon_that_was_restarted_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log: SystemLog = format!("syslog:{}", path.display()).parse().unwrap();
        let first = listener(&path);
        let mut open = log.open().unwrap();
        drop(first);
        std::fs::remove_file(&path).unwrap();
        let (_, lost) = open.put(b"one\ntwo\n").unwrap_err();
        assert_eq!(lost, b"one\ntwo\n");
        let second = listener(&path);
        open.put(b"three\n").unwrap();
        assert!(next(&second).ends_with(": three"));
    }

    #[test]
    fn what_names_no_system_log_is_one_line() {
        for (text, part) in [
            ("syslog:loud", "no facility \"loud\"; there are kern, user"),
            ("syslog:", "no facility \"\""),
            ("journal:daemon", "say journal"),
        ] {
            let error = text.parse::<SystemLog>().unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains('\n'), "{text}: {error}");
        }
        let error = "syslog:/nonexistent/log".parse::<SystemLog>().unwrap().open().unwrap_err().to_string();
        assert!(
            error.starts_with("--access-log syslog:/nonexistent/log: ") && error.contains("syslog:PATH"),
            "{error}"
        );
    }
}
