//! What supervisor and worker say to each other.

use std::collections::BTreeMap;
use std::ffi::OsString;

use salver::listen::Asked;
use salver::meter::Snapshot;
use serde::{Deserialize, Serialize};

use super::report::Report;

/// The first message to a worker; it brings the sockets, those of each loop in turn.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// The version of the supervisor: another one may not understand what follows.
    pub(crate) version: String,
    /// The options, as they would be typed.
    pub(crate) arguments: Vec<OsString>,
    /// What the sockets of a loop were asked for as.
    pub(crate) addresses: Vec<Asked>,
    /// How many loops there are sockets for.
    pub(crate) loops: usize,
    /// Whether another worker serves these sockets until this one is ready.
    pub(crate) takes_over: bool,
    /// What the sockets that follow them were asked for as: where metrics are served.
    pub(crate) monitor: Vec<Asked>,
}

/// What a worker is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    Hello(Box<Hello>),
    /// Become two: the copy is a worker, whose end of a channel comes with this.
    Copy,
    /// Somebody else takes over.
    Drain,
    /// End when running requests have ended.
    Stop,
    /// End at once.
    Quit,
    /// Open the logs anew.
    Reopen,
    /// The code as it is now cannot be imported, and why.
    Broken(String),
    /// What the supervisor knows, as asked for.
    Report(Box<Report>),
}

/// What a worker tells.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Tell {
    /// It can answer.
    Ready,
    /// What it does.
    Load(Load),
    /// It is to be replaced, and why.
    Replace(String),
    /// The code has changed.
    Reload,
    /// The code cannot be imported, and why; the others go on with the old one.
    Broken(String),
    /// It wants to know what the supervisor knows.
    Ask,
    /// The number of the copy, or why there is none.
    Copied(Result<i32, String>),
}

/// What a worker does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Load {
    /// What its server counted.
    pub(crate) counts: Snapshot,
    /// What else it counted, by name: totals that only grow.
    pub(crate) totals: BTreeMap<String, f64>,
}

/// How often a thread took the loop over from one that was in a call.
pub(crate) const TAKE_OVERS: &str = "take_overs";
/// How long calls of applications took.
pub(crate) const PYTHON_SECONDS: &str = "python_seconds";
