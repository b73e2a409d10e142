//! CGI/1.1 scripts (RFC 3875): what `python3 -m http.server --cgi` runs, streaming and bounded.
//!
//! A request becomes a process: its head the environment (`meta`), its content standard input (`spool`), and what the
//! script prints a response (`head`). Refused: whatever `script` does not find, and a response whose head is none (502);
//! the source of a script is never sent.

use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::RETRY_AFTER;
use http::{HeaderValue, Method, StatusCode, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::child::{Launch, Started};
use self::head::{Head, HeadReader, Kind, Start};
use self::run::{Failure, Output};
use self::spool::Input;
use super::gateway::{self, InternalRedirect, Verbatim};
use super::{Answer, Handler, Reply, Response, files};
use crate::body::{Body, BoxError};
use crate::error::Error;
use crate::handler::files::resolver::Root;
use crate::request::{Request, Target};
use crate::rfc::path::SafePath;
use crate::start_error::StartError;

mod child;
mod errors;
pub mod head;
mod meta;
mod run;
mod script;
mod spool;

/// How CGI scripts are run.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[cfg_attr(feature = "cli", group(skip))]
pub struct Options {
    /// How many CGI scripts run at once; more wait, at most --timeout, then get 503 [default: 4 × cores]
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", value_parser = crate::number::some::<NonZeroUsize>))]
    pub cgi_limit: Option<NonZeroUsize>,
}

/// Runs the scripts of a folder.
///
/// ```no_run
/// use salver::handler::{cgi, files, gateway};
///
/// let options = cgi::Options::default();
/// let scripts = cgi::Cgi::open("scripts".as_ref(), options, gateway::Options::default(), &files::Options::default())?;
/// # Ok::<(), salver::StartError>(())
/// ```
#[derive(Debug)]
pub struct Cgi {
    folder: script::Folder,
    gateway: gateway::Options,
    places: Arc<Semaphore>,
}

impl Cgi {
    /// Runs the scripts of the folder `dir`. `--hidden` and `--symlinks` of `files` hold for scripts, too.
    ///
    /// From here on this process leaves no core file, as its scripts do not.
    ///
    /// # Errors
    /// When the folder does not exist or cannot be read, and on kernels before Linux 5.3.
    pub fn open(
        dir: &Path,
        options: Options,
        gateway: gateway::Options,
        files: &files::Options,
    ) -> Result<Self, StartError> {
        child::prepare()?;
        let most = options.cgi_limit.map_or_else(default_limit, NonZeroUsize::get);
        Ok(Self {
            folder: script::Folder {
                root: Arc::new(Root::open(dir, files.symlinks)?),
                below: SafePath::root(),
                hidden: files.hidden,
            },
            gateway,
            places: Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))),
        })
    }

    /// The same for the folder `name` of this one, which may come to be later; both share their limit.
    ///
    /// # Errors
    /// A name that no entry of a folder can have.
    pub fn folder(&self, name: &str) -> Result<Self, StartError> {
        let below = self.folder.below.join(name.as_bytes());
        let below = below.ok_or_else(|| StartError::new(format!("CGI: {name:?} is no name of a folder")))?;
        let root = Arc::clone(&self.folder.root);
        Ok(Self {
            folder: script::Folder { root, below, hidden: self.folder.hidden },
            gateway: self.gateway.clone(),
            places: Arc::clone(&self.places),
        })
    }

    async fn answer(&self, mut request: Request, rest: SafePath) -> Answer {
        let found = self.folder.find(&rest)?;
        let name: Arc<str> =
            String::from_utf8_lossy(found.file.file_name().unwrap_or_default().as_bytes()).into();
        let (input, content_length) = spool::prepare(std::mem::take(&mut request.body)).await?;
        let place = self.place().await?;
        let (input, body) = match input {
            Input::Empty => (Stdio::null(), Body::Empty),
            Input::File(file) => (file.into(), Body::Empty),
            Input::Stream(body) => (Stdio::piped(), body),
        };
        let call =
            meta::Call { script: &found, document_root: &self.folder.root.canonical(), content_length };
        let mut variables = meta::variables(&request, &call);
        variables.extend(self.gateway.env.iter().map(|own| (own.name().into(), own.value().into())));
        let launch =
            Launch { arguments: meta::arguments(&request), program: found.file, variables, input, place };
        let script = run::Script::new(start(&name, launch).await?, Arc::clone(&name), body, self.limit());
        respond(request, &name, script).await
    }

    /// A place among the scripts that run, waited for.
    async fn place(&self) -> Result<OwnedSemaphorePermit, Error> {
        let place = Arc::clone(&self.places).acquire_owned();
        let place = match self.limit() {
            None => Ok(place.await),
            Some(limit) => tokio::time::timeout(limit, place).await,
        };
        match place {
            Ok(place) => place.map_err(Error::internal),
            Err(_) => Err(busy("every place of --cgi-limit was taken for --timeout")),
        }
    }

    fn limit(&self) -> Option<Duration> {
        Some(Duration::from(self.gateway.timeout)).filter(|limit| !limit.is_zero())
    }
}

impl Handler for Cgi {
    fn handle(&self, request: Request, rest: SafePath) -> Reply<'_> {
        Reply::later(self.answer(request, rest))
    }
}

/// Starts a script where it holds up nobody.
async fn start(name: &str, launch: Launch) -> Result<Started, Error> {
    use rustix::io::Errno;
    let started = tokio::task::spawn_blocking(|| launch.start()).await.map_err(Error::internal)?;
    started.map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::ACCESS) => not_executable().because(error),
        Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE) => busy(error),
        // It was there: what is missing is the interpreter of its first line.
        Some(Errno::NOENT) => bad_gateway(format!("CGI {name}: the #! of its first line names no program")),
        Some(Errno::NOEXEC) => bad_gateway(format!("CGI {name}: no program, and its first line is no #!")),
        _ => bad_gateway(format!("CGI {name}: {error}")),
    })
}

/// The response of a script at work.
async fn respond(request: Request, name: &str, mut script: run::Script) -> Answer {
    // RFC 3875 §5: on a protocol that it cannot speak, what it says is read and said anew.
    let speaks_http = name.starts_with("nph-");
    let verbatim = speaks_http && request.version <= Version::HTTP_11;
    let start = if speaks_http { Start::StatusLine } else { Start::Field };
    let (head, mut output, length) = read_head(name, &mut script, start).await?;
    let (status, is_document) = match head.kind() {
        Kind::LocalRedirect(location) => {
            script.finish_alone();
            let mut response = Response::new(Body::Empty);
            let target = Target::new(Bytes::copy_from_slice(location.as_bytes()));
            response.extensions_mut().insert(InternalRedirect::of(request, target));
            return Ok(response);
        }
        Kind::Client(status) => (status, has_content(&request.method, status)),
    };
    let content = output.split_off(length);
    let mut response = Response::new(match (is_document, verbatim) {
        (true, true) => Body::stream(Output::new([output, content].concat().into(), script)),
        (true, false) => Body::stream(Output::new(content.freeze(), script)),
        (false, verbatim) => {
            script.finish_alone();
            if verbatim { output.freeze().into() } else { Body::Empty }
        }
    });
    *response.status_mut() = status;
    if verbatim {
        response.extensions_mut().insert(Verbatim);
    } else {
        *response.headers_mut() = head.headers;
    }
    Ok(response)
}

/// The head of what a script says, all that has come so far, and the length of the head.
async fn read_head(
    name: &str,
    script: &mut run::Script,
    start: Start,
) -> Result<(Head, BytesMut, usize), Error> {
    let mut reader = HeadReader::new(start);
    let mut output = BytesMut::new();
    loop {
        match script.next().await {
            Ok(Some(piece)) => output.extend_from_slice(&piece),
            Ok(None) => return Err(bad_gateway(format!("CGI {name}: {}", head::BadHead::Cut))),
            Err(Failure::Request(error)) => return Err(spool::unreadable(error)),
            Err(failure @ Failure::Silent(_)) => {
                return Err(Error::new(StatusCode::GATEWAY_TIMEOUT, "CGI script said nothing in time")
                    .because(failure));
            }
            Err(failure) => return Err(bad_gateway(failure)),
        }
        if let Some((head, length)) =
            reader.read(&output).map_err(|bad| bad_gateway(format!("CGI {name}: {bad}")))?
        {
            return Ok((head, output, length));
        }
    }
}

/// Whether the connection asks for the content of such a response; what nobody reads must not end the script.
fn has_content(method: &Method, status: StatusCode) -> bool {
    let none = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED];
    *method != Method::HEAD && !none.contains(&status)
}

/// 403, in http.server's words.
fn not_executable() -> Error {
    Error::new(StatusCode::FORBIDDEN, "CGI script is not executable")
}

fn bad_gateway(cause: impl Into<BoxError>) -> Error {
    Error::new(StatusCode::BAD_GATEWAY, "CGI script gave no valid response").because(cause)
}

fn busy(cause: impl Into<BoxError>) -> Error {
    Error::new(StatusCode::SERVICE_UNAVAILABLE, "The server has enough to do at the moment")
        .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
        .because(cause)
}

fn default_limit() -> usize {
    4 * std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}
