//! The access log: one line a request, whatever the client sends, written off the hot path.
//!
//! A request goes through three calls: `seen` keeps what the line will need, `started` comes with the head of the response
//! (where http.server writes its line), `done` with its end (where every other format does).
//! The lines go to a [`Sink`], which the event log shares so that lines on standard error do not mix.

use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use self::format::Plan;
use self::line::Entry;
use crate::handler::Response;
use crate::meter::Flight;
use crate::request::{Local, Peer, Request, Target};
use crate::rfc::forwarded::Scheme;
use crate::start_error::StartError;

mod escape;
mod format;
mod line;
mod output;
mod sink;
mod stamp;
mod system;

pub use format::{BadFormat, Format};
pub use sink::Sink;
pub use system::SystemLog;

/// What is logged of requests, and where.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(clap::Args), group(skip))]
pub struct Options {
    /// Where requests are logged: a file, `-` for standard output, `stderr` or `off`; `syslog`, `syslog:FACILITY` (daemon) or
    /// `journal`, each also with its socket, `syslog:/PATH`
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE|-|off", default_value_t))]
    pub access_log: Destination,

    /// How: `python` (as http.server), `common`, `combined`, `json`, or text with gunicorn's atoms, `%(h)s %(r)s %(s)s`
    #[cfg_attr(feature = "cli", arg(long, value_name = "F", default_value_t))]
    pub access_log_format: Format,
}

/// Where access lines go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Destination {
    /// Nowhere: `off`.
    Off,
    /// The process's standard error: `stderr`.
    #[default]
    Stderr,
    /// The process's standard output: `-`, as in gunicorn.
    Stdout,
    /// The end of a file.
    File(PathBuf),
    /// The system's log: `syslog`, `journal`.
    System(SystemLog),
}

/// An open access log.
///
/// ```
/// use salver::finish::log::{AccessLog, Options};
///
/// let options = Options { access_log_format: "combined".parse()?, ..Default::default() };
/// let site = salver::Site::new().log(AccessLog::open(&options)?.into());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct AccessLog(Option<Arc<Open>>);

/// What a line will need of a request, kept while the handler has it.
#[derive(Debug)]
pub(crate) struct Seen {
    details: Option<Box<Details>>,
    /// The same request for the meter, which hears of its end as the log does.
    flight: Option<Flight>,
}

/// An extension of a response: whoever made it logs it by itself, so http.server's line is left out. The other formats tell
/// more than a line for people, and stay complete.
///
/// ```
/// # use salver::{Body, Response};
/// let mut response = Response::new(Body::from("hello"));
/// response.extensions_mut().insert(salver::finish::log::Logged);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Logged;

/// Seconds ahead of UTC at a moment, which is in seconds since 1970.
pub type Zone = fn(i64) -> i32;

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The status that was sent.
    pub(crate) status: StatusCode,
    /// How many bytes of content were sent.
    pub(crate) bytes_sent: u64,
    /// Whether that was the whole response; one that was cut is not complete.
    pub(crate) complete: bool,
}

#[derive(Debug)]
struct Open {
    format: Format,
    sink: Arc<Sink>,
    zone: Zone,
}

#[derive(Debug)]
struct Details {
    remote: Option<SocketAddr>,
    local: Option<Arc<Local>>,
    scheme: Scheme,
    line: Bytes,
    /// `None` for a request that could not be read.
    target: Option<Target>,
    /// The values of `Format::request_fields`, by place.
    request_fields: Vec<Option<HeaderValue>>,
    response_fields: Vec<Option<HeaderValue>>,
    /// When the head was there; `None` for http.server's line, which tells no duration.
    since: Option<Instant>,
}

impl AccessLog {
    /// Opens the log that `options` name.
    ///
    /// # Errors
    /// The file cannot be opened for writing, or nobody listens where the system's log should be.
    pub fn open(options: &Options) -> Result<Self, StartError> {
        let sink = match &options.access_log {
            Destination::Off => return Ok(Self::off()),
            Destination::Stderr => Sink::stderr()?,
            Destination::Stdout => Sink::stdout()?,
            Destination::File(path) => Sink::file(path)?,
            Destination::System(log) => Sink::system(log)?,
        };
        Ok(Self(Some(Arc::new(Open { format: options.access_log_format.clone(), sink, zone: |_| 0 }))))
    }

    /// The same log in another zone than UTC: `zone` says how many seconds it is ahead of UTC at a moment (seconds since 1970).
    ///
    /// Which zone is here and when its clocks are changed is a table of its own, which a program has or does without.
    ///
    /// ```
    /// # use salver::finish::log::AccessLog;
    /// let log = AccessLog::off().zone(|_| 2 * 3600);
    /// ```
    #[must_use]
    pub fn zone(self, zone: Zone) -> Self {
        Self(
            self.0
                .map(|log| Arc::new(Open { format: log.format.clone(), sink: Arc::clone(&log.sink), zone })),
        )
    }

    /// A log that keeps nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// Keeps what the line will need of `request`; `line` is the request line as sent, without its line end.
    pub(crate) fn seen(&self, request: &Request, line: Bytes) -> Seen {
        let details = self.0.as_ref().map(|log| {
            let values = fields(&request.headers, log.format.request_fields());
            log.details(&request.peer, line, Some(request.target.clone()), values)
        });
        Seen { details, flight: None }
    }

    /// The same for a request that could not be read; `line` is what came of it.
    pub(crate) fn seen_malformed(&self, peer: &Peer, line: Bytes) -> Seen {
        let details = self.0.as_ref().map(|log| log.details(peer, line, None, Vec::new()));
        Seen { details, flight: None }
    }

    /// The head of the response is about to be sent: http.server's line is written now.
    ///
    /// `message` holds the words of an error page of ours; the line `code 404, message File not found` comes first then.
    pub(crate) fn started(&self, seen: &mut Seen, response: &Response, message: Option<&str>) {
        let status = response.status();
        if let Some(flight) = &mut seen.flight {
            flight.answered(status);
        }
        let (Some(log), Some(details)) = (&self.0, &mut seen.details) else { return };
        match log.format.plan {
            Plan::Python if response.extensions().get::<Logged>().is_some() => {}
            Plan::Python => log.write(|out, time| line::python(out, details, time, status, message)),
            _ => details.response_fields = fields(response.headers(), log.format.response_fields()),
        }
    }

    /// The response is over, or was cut: every format but http.server's is written now.
    pub(crate) fn done(&self, mut seen: Seen, outcome: Outcome) {
        if let Some(flight) = &mut seen.flight {
            flight.sent(outcome.bytes_sent);
        }
        let (Some(log), Some(details)) = (&self.0, &seen.details) else { return };
        let Outcome { status, bytes_sent: bytes, complete } = outcome;
        let took = details.since.map_or(Duration::ZERO, |since| since.elapsed());
        let entry = Entry { details, status, bytes, complete, took };
        match &log.format.plan {
            Plan::Python => {}
            Plan::Json => log.write(|out, time| line::json(out, &entry, time)),
            Plan::Pieces(pieces) => log.write(|out, time| line::pieces(out, pieces, &entry, time)),
        }
    }

    /// Gives a log file to the user and group the process is about to become, so that they can open it anew.
    ///
    /// # Errors
    /// The process may not.
    pub fn give_to(&self, user: Option<u32>, group: Option<u32>) -> std::io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |log| log.sink.give_to(user, group))
    }

    /// Opens a log file anew after a rotation.
    pub fn reopen(&self) {
        if let Some(log) = &self.0 {
            log.sink.reopen();
        }
    }
}

impl Seen {
    /// The same, with what the meter keeps of it.
    pub(crate) fn counted(mut self, flight: Flight) -> Self {
        self.flight = Some(flight);
        self
    }

    /// The request met the mount at this place.
    pub(crate) fn met(&mut self, mount: usize) {
        if let Some(flight) = &mut self.flight {
            flight.met(mount);
        }
    }
}

impl Open {
    fn details(
        &self,
        peer: &Peer,
        line: Bytes,
        target: Option<Target>,
        request_fields: Vec<Option<HeaderValue>>,
    ) -> Box<Details> {
        Box::new(Details {
            remote: peer.remote,
            local: Some(peer.local.clone()),
            scheme: peer.scheme,
            line,
            target,
            request_fields,
            response_fields: Vec::new(),
            since: (self.format.plan != Plan::Python).then(Instant::now),
        })
    }

    fn write(&self, render: impl FnOnce(&mut Vec<u8>, &str)) {
        SCRATCH.with_borrow_mut(|out| {
            out.clear();
            stamp::now(self.format.stamp(), self.zone, |time| render(out, time));
            self.sink.append(out);
        });
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.sink.flush();
    }
}

impl Details {
    fn request_field(&self, place: usize) -> Option<&HeaderValue> {
        self.request_fields.get(place)?.as_ref()
    }
}

impl FromStr for Destination {
    type Err = StartError;

    fn from_str(text: &str) -> Result<Self, StartError> {
        let word = text.split(':').next();
        Ok(match text {
            "off" => Self::Off,
            "stderr" => Self::Stderr,
            "-" => Self::Stdout,
            _ if matches!(word, Some("syslog" | "journal")) => Self::System(text.parse()?),
            path => Self::File(path.into()),
        })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Stderr => f.write_str("stderr"),
            Self::Stdout => f.write_str("-"),
            Self::File(path) => path.display().fmt(f),
            Self::System(log) => log.fmt(f),
        }
    }
}

fn fields(headers: &HeaderMap, names: &[HeaderName]) -> Vec<Option<HeaderValue>> {
    names.iter().map(|name| headers.get(name).cloned()).collect()
}

thread_local! {
    /// Where a line is put together, so that the sink's lock is held for one copy only.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[cfg(test)]
mod tests {
    use http::header::ETAG;
    use http::{Method, Version};

    use super::*;
    use crate::body::Body;

    fn logged(format: &str, use_it: impl FnOnce(&AccessLog)) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let access_log = Destination::File(path.clone());
        let log =
            AccessLog::open(&Options { access_log, access_log_format: format.parse().unwrap() }).unwrap();
        use_it(&log);
        drop(log);
        std::fs::read_to_string(path).unwrap()
    }

    fn peer() -> Peer {
        let local = Arc::new(Local::Tcp("127.0.0.1:80".parse().unwrap()));
        Peer {
            remote: Some("127.0.0.1:5000".parse().unwrap()),
            local,
            scheme: crate::Scheme::Http,
            tls: None,
        }
    }

    fn request() -> Request {
        let mut headers = HeaderMap::new();
        headers.insert("user-agent", HeaderValue::from_static("test"));
        let target = Target::new(Bytes::from_static(b"/x"));
        Request {
            method: Method::GET,
            target,
            version: Version::HTTP_11,
            headers,
            body: Body::Empty,
            peer: peer(),
            interim: crate::Interim::default(),
        }
    }

    #[test]
    fn http_server_s_line_is_written_with_the_head() {
        let text = logged("python", |log| {
            let mut seen = log.seen(&request(), Bytes::from_static(b"GET /x HTTP/1.1"));
            let mut response = Response::default();
            *response.status_mut() = StatusCode::NOT_FOUND;
            log.started(&mut seen, &response, Some("File not found"));
            log.done(seen, Outcome { status: StatusCode::NOT_FOUND, bytes_sent: 5, complete: true });
        });
        let lines: Vec<_> = text.lines().collect();
        let [error, line] = lines[..] else { panic!("{text}") };
        assert!(
            error.starts_with("127.0.0.1 - - [") && error.ends_with("] code 404, message File not found")
        );
        assert!(line.starts_with("127.0.0.1 - - [") && line.ends_with("] \"GET /x HTTP/1.1\" 404 -"));
    }

    #[test]
    fn http_server_s_line_is_left_to_whoever_logs() {
        let text = logged("python", |log| {
            let mut response = Response::default();
            response.extensions_mut().insert(Logged);
            let mut seen = log.seen(&request(), Bytes::from_static(b"GET /x HTTP/1.1"));
            log.started(&mut seen, &response, None);
        });
        assert_eq!(text, "");
    }

    #[test]
    fn the_other_formats_are_written_at_the_end() {
        let text = logged("%({wsgi.url_scheme}e)s %(a)s %({ETag}o)s %({x}i)s %(s)s %(B)s", |log| {
            let mut response = Response::default();
            response.headers_mut().insert(ETAG, HeaderValue::from_static("t"));
            response.extensions_mut().insert(Logged); // which is about http.server's line alone
            let mut seen = log.seen(&request(), Bytes::from_static(b"GET /x HTTP/1.1"));
            log.started(&mut seen, &response, None);
            log.done(seen, Outcome { status: StatusCode::OK, bytes_sent: 5, complete: false });
            let seen = log.seen_malformed(&peer(), Bytes::from_static(b"?"));
            log.done(seen, Outcome { status: StatusCode::BAD_REQUEST, bytes_sent: 0, complete: true });
        });
        assert_eq!(text, "http test t - 200 5\nhttp - - - 400 0\n");
    }

    #[test]
    fn a_log_that_is_off_keeps_nothing() {
        let log = AccessLog::open(&Options { access_log: Destination::Off, ..Options::default() }).unwrap();
        assert!(log.seen(&request(), Bytes::new()).details.is_none());
    }

    #[test]
    fn a_destination_reads_back_as_shown() {
        for (text, want) in [
            ("off", Destination::Off),
            ("-", Destination::Stdout),
            ("stderr", Destination::Stderr),
            ("./off", Destination::File("./off".into())),
            ("./syslog", Destination::File("./syslog".into())),
            ("journal", Destination::System("journal".parse().unwrap())),
            ("syslog:local3", Destination::System("syslog:local3".parse().unwrap())),
        ] {
            assert_eq!(text.parse::<Destination>().unwrap(), want);
            assert_eq!(want.to_string(), text);
        }
    }
}
