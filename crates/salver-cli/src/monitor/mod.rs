//! `--metrics ADDR`: what a running server knows of itself, for programs: `/metrics` for Prometheus, `/-/healthy` and `/-/ready` for
//! whoever starts and balances servers.
//!
//! It has a loop of its own, so that it answers however busy the others are. With workers any of them answers, by asking the
//! supervisor for the numbers of all.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use salver::listen::{Address, Listeners};
use salver::{
    Answer, Error, Handler, Reply, Request, Response, Running, SafePath, Server, ServerOptions, Site,
    StartError,
};

use crate::supervisor::report::Report;
use crate::worker::Worker;

mod tally;
mod text;

pub(crate) use tally::Tally;

/// Seeing inside.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Serve metrics for Prometheus (/metrics) and probes (/-/healthy, /-/ready) here
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<Address>,
}

/// Who knows the numbers.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// The supervisor of this worker.
    Supervisor(Worker),
    /// This process, which serves alone.
    Alone(Arc<Tally>),
}

impl Options {
    /// Where metrics are served.
    ///
    /// # Errors
    /// The address names no port.
    pub(crate) fn addresses(&self) -> Result<Vec<Address>, StartError> {
        match &self.metrics {
            Some(Address::Tcp { host, port: None }) => {
                Err(StartError::new(format!("--metrics {host}: no port; name one, as {host}:9090")))
            }
            address => Ok(address.iter().cloned().collect()),
        }
    }
}

/// Ends it, when everything else has ended: who asks just now has an answer.
pub(crate) fn end(monitor: Option<Running>) {
    if let Some(monitor) = monitor {
        monitor.stop().graceful();
        monitor.wait();
    }
}

/// Answers at `listeners` as long as what is returned is kept.
///
/// # Errors
/// The system refuses a thread.
pub(crate) fn start(listeners: Listeners, source: Source) -> Result<Running, StartError> {
    let site = Site::new().mount("/", Monitor(source))?;
    let graceful_timeout = 2.into();
    Server::new(site).options(ServerOptions { graceful_timeout }).start(listeners)
}

struct Monitor(Source);

impl Handler for Monitor {
    fn handle(&self, request: Request, rest: SafePath) -> Reply<'_> {
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return Reply::ready(Err(Error::new(StatusCode::METHOD_NOT_ALLOWED, "Only GET and HEAD here")));
        }
        match rest.as_bytes() {
            b"metrics" => Reply::later(async {
                match self.0.report().await {
                    Some(report) => metrics(&report),
                    None => {
                        Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, "The supervisor does not answer"))
                    }
                }
            }),
            b"-/healthy" => Reply::ready(word(StatusCode::OK, "healthy\n")),
            b"-/ready" => Reply::later(async {
                match self.0.report().await.is_some_and(|report| report.is_ready()) {
                    true => word(StatusCode::OK, "ready\n"),
                    false => word(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
                }
            }),
            _ => Reply::ready(Err(Error::not_found())),
        }
    }
}

impl Source {
    async fn report(&self) -> Option<Report> {
        match self {
            Self::Supervisor(worker) => worker.report().await,
            Self::Alone(tally) => Some(tally.report()),
        }
    }
}

fn metrics(report: &Report) -> Answer {
    let text = text::render(report).map_err(|_| Error::internal("metrics that cannot be written"))?;
    answer(StatusCode::OK, text, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"))
}

fn word(status: StatusCode, word: &'static str) -> Answer {
    answer(status, word.into(), HeaderValue::from_static("text/plain; charset=utf-8"))
}

fn answer(status: StatusCode, text: String, kind: HeaderValue) -> Answer {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
