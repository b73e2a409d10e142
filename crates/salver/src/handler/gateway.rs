//! What gateways have in common: the options of whatever program answers, and what such a program may ask of the pipeline.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Version};

use crate::body::Body;
use crate::interim::Interim;
use crate::request::{Peer, Request, Target};
use crate::seconds::Seconds;
use crate::start_error::StartError;

/// How programs that answer are run.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
#[cfg_attr(feature = "cli", group(skip))]
pub struct Options {
    /// How long a program may be silent before its request ends with 504, in seconds; 0 = for ever
    #[cfg_attr(feature = "cli", arg(short, long, value_name = "S", default_value_t = DEFAULT_TIMEOUT))]
    pub timeout: Seconds,

    /// A variable for the environment of programs, as K=V; may be repeated
    #[cfg_attr(feature = "cli", arg(short, long, value_name = "K=V",
        value_parser = clap::builder::TypedValueParser::try_map(clap::builder::OsStringValueParser::new(), Variable::parse)))]
    pub env: Vec<Variable>,
}

/// A variable of an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name: not empty, without `=` and NUL.
    name: OsString,
    /// Its value: without NUL.
    value: OsString,
}

/// An extension of a response: instead of it, the client gets what a GET of another path of this site answers
/// (RFC 3875 §6.2.2).
#[derive(Clone, Debug)]
pub(crate) struct InternalRedirect {
    method: Method,
    target: Target,
    version: Version,
    headers: HeaderMap,
    peer: Peer,
}

/// An extension of a response to HTTP/1: its body is the whole message, head and all, and ends with the connection
/// (RFC 3875 §5).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verbatim;

impl Default for Options {
    fn default() -> Self {
        Self { timeout: DEFAULT_TIMEOUT, env: Vec::new() }
    }
}

impl Variable {
    /// Reads `K=V`.
    ///
    /// ```
    /// use salver::handler::gateway::Variable;
    ///
    /// let variable = Variable::parse("GIT_PROJECT_ROOT=/srv/git".into())?;
    /// assert_eq!(variable.name(), "GIT_PROJECT_ROOT");
    /// assert!(Variable::parse("novalue".into()).is_err());
    /// # Ok::<(), salver::StartError>(())
    /// ```
    ///
    /// # Errors
    /// No `=`, nothing before it, or a NUL.
    pub fn parse(text: OsString) -> Result<Self, StartError> {
        let bytes = text.as_bytes();
        match bytes.iter().position(|byte| *byte == b'=') {
            Some(equals) if equals > 0 && !bytes.contains(&0) => {
                let (name, value) = bytes.split_at(equals);
                let value = value.get(1..).unwrap_or_default();
                Ok(Self { name: OsStr::from_bytes(name).into(), value: OsString::from_vec(value.into()) })
            }
            _ => Err(StartError::new(format!("{text:?} is no variable; give NAME=VALUE"))),
        }
    }

    /// A variable with this name and value; `None` for a name or value that none can have.
    pub fn new(name: &str, value: &OsStr) -> Option<Self> {
        let mut text = OsString::from(name);
        text.push("=");
        text.push(value);
        Self::parse(text).ok().filter(|variable| variable.name == *name)
    }

    /// Its name.
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// Its value.
    pub fn value(&self) -> &OsStr {
        &self.value
    }
}

impl InternalRedirect {
    /// Sends the client of `request`, whose body is used up, on to `target`.
    pub(crate) fn of(request: Request, target: Target) -> Self {
        let Request { method, version, mut headers, peer, .. } = request;
        for name in [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING, TRANSFER_ENCODING, EXPECT] {
            headers.remove(name);
        }
        let method = if method == Method::HEAD { Method::HEAD } else { Method::GET };
        Self { method, target, version, headers, peer }
    }

    /// The request to answer instead.
    pub(crate) fn into_request(self) -> Request {
        let Self { method, target, version, headers, peer } = self;
        Request { method, target, version, headers, body: Body::Empty, peer, interim: Interim::default() }
    }
}

const DEFAULT_TIMEOUT: Seconds = Seconds::whole(30);
