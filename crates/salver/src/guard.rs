//! What keeps a request from its handler: limits of the whole server. And whom to believe about who the client is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use crate::error::Error;
use crate::request::Request;
use crate::rfc::forwarded::{self, Trusted};

/// Limits of the whole server, and the proxies it believes.
///
/// ```
/// let options = salver::guard::Options { limit_body: Some(1_000_000), ..Default::default() };
/// assert_eq!(options.limit_concurrency, None);
/// ```
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(clap::Args), group(skip))] // every module has an `Options`
pub struct Options {
    /// The largest request body, in bytes; a larger one gets 413
    #[cfg_attr(feature = "cli", arg(long, value_name = "B", value_parser = crate::number::bytes::<u64>))]
    pub limit_body: Option<u64>,
    /// How many requests may be under way at once; more get 503 with Retry-After
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", value_parser = crate::number::some::<usize>))]
    pub limit_concurrency: Option<usize>,
    /// Peers whose Forwarded and X-Forwarded-* are believed: addresses and networks (10.0.0.0/8), separated by commas, or `*`
    #[cfg_attr(feature = "cli", arg(long, value_name = "LIST"))]
    pub forwarded_allow_ips: Option<Trusted>,
}

/// The guard of a site.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    options: Options,
    under_way: Arc<AtomicUsize>,
}

/// A place among the requests under way; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<AtomicUsize>);

impl Guard {
    pub(crate) fn open(options: Options) -> Self {
        Self { options, under_way: Arc::default() }
    }

    /// The largest body, in bytes.
    pub(crate) fn limit_body(&self) -> u64 {
        self.options.limit_body.unwrap_or(u64::MAX)
    }

    /// Believes a trusted proxy about who its client is.
    pub(crate) fn forwarded(&self, request: &mut Request) {
        let (Some(trusted), Some(remote)) = (&self.options.forwarded_allow_ips, request.peer.remote) else {
            return;
        };
        let client = forwarded::client(&request.headers, remote.ip(), trusted);
        if client.address != remote.ip() {
            request.peer.remote = Some(SocketAddr::new(client.address, 0)); // its port is unknown
        }
        if let Some(scheme) = client.scheme {
            request.peer.scheme = scheme;
        }
    }

    /// Lets a request pass, or says why not.
    pub(crate) fn check(&self, request: &Request) -> Result<Option<Permit>, Error> {
        if request.body.len().is_some_and(|length| length > self.limit_body()) {
            let message = "The request body is larger than this server takes";
            return Err(Error::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        let Some(most) = self.options.limit_concurrency else { return Ok(None) };
        let permit = Permit(Arc::clone(&self.under_way));
        if self.under_way.fetch_add(1, Ordering::Relaxed) >= most {
            return Err(Error::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "The server has enough to do at the moment",
            )
            .with_header(RETRY_AFTER, HeaderValue::from_static("1")));
        }
        Ok(Some(permit))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_back_also_by_a_request_that_got_none() {
        let guard = Guard::open(Options { limit_concurrency: Some(1), ..Options::default() });
        let request = Request::get("/");
        let first = guard.check(&request).unwrap();
        for _ in 0..3 {
            let error = guard.check(&request).unwrap_err();
            assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(error.headers().contains_key(RETRY_AFTER));
        }
        drop(first);
        assert!(guard.check(&request).is_ok());
    }

    #[test]
    fn a_declared_body_over_the_limit_is_refused_before_it_is_read() {
        let guard = Guard::open(Options { limit_body: Some(4), ..Options::default() });
        for (body, refused) in [("", false), ("1234", false), ("12345", true)] {
            let request = Request { body: body.into(), ..Request::get("/") };
            assert_eq!(guard.check(&request).is_err(), refused, "{body}");
        }
    }
}
