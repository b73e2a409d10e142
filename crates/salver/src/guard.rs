//! What keeps a request from its handler: limits of the whole server, and that it came in the clear where it should not. And
//! whom to believe about who the client is.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::{CONNECTION, HOST, LOCATION, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;
use crate::request::Request;
use crate::rfc::forwarded::{self, Scheme, Trusted};
use crate::rfc::path::SafePath;
use crate::seconds::Seconds;

/// Limits of the whole server, and the proxies it believes.
///
/// ```
/// let options = salver::guard::Options { limit_body: Some(1_000_000), ..Default::default() };
/// assert_eq!(options.limit_concurrency, None);
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(clap::Args), group(skip))] // every module has an `Options`
pub struct Options {
    /// The largest request body, in bytes; a larger one gets 413
    #[cfg_attr(feature = "cli", arg(long, value_name = "B", value_parser = crate::number::bytes::<u64>))]
    pub limit_body: Option<u64>,
    /// How many requests each worker has under way at once; more wait for --limit-wait, then get 503 with Retry-After
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", value_parser = crate::number::some::<usize>))]
    pub limit_concurrency: Option<usize>,
    /// How long a request may wait for --limit-concurrency, in seconds
    #[cfg_attr(feature = "cli", arg(long, value_name = "S", default_value_t = Self::default().limit_wait))]
    pub limit_wait: Seconds,
    /// Peers whose Forwarded and X-Forwarded-* are believed: addresses and networks (10.0.0.0/8), separated by commas, or `*`
    #[cfg_attr(feature = "cli", arg(long, value_name = "LIST"))]
    pub forwarded_allow_ips: Option<Trusted>,
}

impl Default for Options {
    fn default() -> Self {
        Self { limit_body: None, limit_concurrency: None, limit_wait: 1.into(), forwarded_allow_ips: None }
    }
}

/// The guard of a site.
#[derive(Debug, Default)]
pub(crate) struct Guard {
    options: Options,
    /// Places for requests, where they are limited.
    places: Option<Arc<Semaphore>>,
    /// Set once the server knows where it listens.
    https: OnceLock<Https>,
}

/// Where a server speaks HTTPS, and where it sends others there.
#[derive(Debug, Default)]
pub(crate) struct Https {
    /// Ports of HTTPS; the first is where others are sent.
    pub(crate) ports: Vec<u16>,
    /// Ports that are in the clear to send whoever comes on.
    pub(crate) clear: Vec<u16>,
}

/// A place among the requests under way, or the wish for one; given back when it is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Permit(Arc<OnceLock<OwnedSemaphorePermit>>);

impl Guard {
    pub(crate) fn open(options: Options) -> Self {
        // More places than a semaphore has are as good as no limit.
        let places = options.limit_concurrency.filter(|most| *most <= Semaphore::MAX_PERMITS);
        let places = places.map(|most| Arc::new(Semaphore::new(most)));
        Self { options, places, ..Self::default() }
    }

    /// Has requests that come in the clear sent to HTTPS.
    pub(crate) fn insist_on_https(&self, https: Https) {
        // A site is served by one server; a second one could only say the same.
        let _ = self.https.set(https);
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
    pub(crate) fn check(&self, request: &Request) -> Result<(), Error> {
        if let Some(https) = self.https.get() {
            https.check(request)?;
        }
        if request.body.len().is_some_and(|length| length > self.limit_body()) {
            let message = "The request body is larger than this server takes";
            return Err(Error::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        Ok(())
    }

    /// A place for a request, where they are limited: held at once if one is free, else to be [waited for](Guard::wait_for).
    pub(crate) fn admit(&self) -> Option<Permit> {
        let places = self.places.as_ref()?;
        let permit = Permit(Arc::default());
        if let Ok(place) = Arc::clone(places).try_acquire_owned() {
            let _ = permit.0.set(place); // nobody else has it yet
        }
        Some(permit)
    }

    /// Waits for a place, as long as `--limit-wait`; takes a runtime with a clock.
    pub(crate) async fn wait_for(&self, permit: &Permit) -> Result<(), Error> {
        let busy = || {
            let message = "The server has enough to do at the moment";
            let error = Error::new(StatusCode::SERVICE_UNAVAILABLE, message);
            error.with_header(RETRY_AFTER, HeaderValue::from_static("1"))
        };
        let wait = Duration::from(self.options.limit_wait);
        let Some(places) = self.places.as_ref().filter(|_| !wait.is_zero()) else { return Err(busy()) };
        match tokio::time::timeout(wait, Arc::clone(places).acquire_owned()).await {
            Ok(Ok(place)) => {
                let _ = permit.0.set(place); // waited for once
                Ok(())
            }
            _ => Err(busy()),
        }
    }
}

impl Permit {
    /// Whether it is a place, and not the wish for one.
    pub(crate) fn is_held(&self) -> bool {
        self.0.get().is_some()
    }
}

impl Https {
    /// Lets pass what came over TLS, and what did not have to.
    fn check(&self, request: &Request) -> Result<(), Error> {
        let peer = &request.peer;
        let (Some(own), None, Some(port)) = (peer.local.port(), &peer.tls, self.ports.first()) else {
            return Ok(());
        };
        if self.ports.contains(&own) {
            let message = "Plain HTTP came to a port of HTTPS";
            let error = Error::new(StatusCode::BAD_REQUEST, message).with_link(url(request, own));
            return Err(error.with_header(CONNECTION, HeaderValue::from_static("close")));
        }
        if !self.clear.contains(&own) || peer.scheme == Scheme::Https || is_challenge(request) {
            return Ok(());
        }
        let url = url(request, *port);
        let error = Error::new(StatusCode::PERMANENT_REDIRECT, "This site is served over HTTPS");
        Err(match HeaderValue::from_str(&url) {
            Ok(location) => error.with_header(LOCATION, location).with_link(url),
            Err(_) => error,
        })
    }
}

/// Whether somebody checks a domain, which happens in the clear (RFC 8555 §8.3). By the path as it is routed.
fn is_challenge(request: &Request) -> bool {
    let path = SafePath::parse(request.target.path());
    path.is_ok_and(|path| path.as_bytes().starts_with(b".well-known/acme-challenge/"))
}

/// What `request` asks for, at `port` over https.
fn url(request: &Request, port: u16) -> String {
    let named = request.headers.get(HOST).and_then(|host| host.to_str().ok()).filter(|host| !host.is_empty());
    let host = match (named, request.peer.local.ip()) {
        // A port is digits behind the last colon; one within brackets is an address's.
        (Some(host), _) => host
            .rsplit_once(':')
            .filter(|(_, port)| !port.contains(']'))
            .map_or(host, |(host, _)| host)
            .to_owned(),
        (None, Some(IpAddr::V6(ip))) => format!("[{ip}]"),
        (None, ip) => ip.map_or_else(|| "localhost".into(), |ip| ip.to_string()),
    };
    let target = match request.target.as_bytes() {
        // RFC 9110 §10.2.2: only ASCII in a Location; what is not is encoded.
        target if target.starts_with(b"/") => {
            percent_encoding::percent_encode(target, percent_encoding::CONTROLS).to_string()
        }
        _ => "/".into(),
    };
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    format!("https://{host}{port}{target}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    /// A place, as a request has it.
    async fn admit(guard: &Guard) -> Result<Permit, Error> {
        let permit = guard.admit().expect("requests are limited");
        if !permit.is_held() {
            guard.wait_for(&permit).await?;
        }
        Ok(permit)
    }

    #[test]
    fn who_has_no_place_waits_for_one_and_not_for_ever() {
        let wait = Seconds::from(Duration::from_millis(50));
        let guard =
            Guard::open(Options { limit_concurrency: Some(1), limit_wait: wait, ..Options::default() });
        runtime().block_on(async {
            let first = admit(&guard).await.unwrap();
            assert!(admit(&guard).await.is_err(), "in vain");
            let leave = async {
                tokio::task::yield_now().await;
                drop(first);
            };
            let (second, ()) = tokio::join!(admit(&guard), leave);
            assert!(second.is_ok_and(|permit| permit.is_held()));
        });
    }

    #[test]
    fn a_place_is_given_back_also_by_a_request_that_got_none() {
        let limits = Options { limit_concurrency: Some(1), limit_wait: 0.into(), ..Options::default() };
        let guard = Guard::open(limits);
        let first = runtime().block_on(admit(&guard)).unwrap();
        for _ in 0..3 {
            let error = runtime().block_on(admit(&guard)).unwrap_err();
            assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(error.headers().contains_key(RETRY_AFTER));
        }
        drop(first);
        assert!(runtime().block_on(admit(&guard)).is_ok());
    }

    #[test]
    fn what_comes_in_the_clear_is_sent_to_https() {
        let guard = Guard::open(Options::default());
        guard.insist_on_https(Https { ports: vec![8443, 9443], clear: vec![8080] });
        for (local, host, target, want) in [
            ("127.0.0.1:8080", "a.test:8080", "/x?y", Some((308, "https://a.test:8443/x?y"))),
            ("127.0.0.1:8080", "a.test", "/", Some((308, "https://a.test:8443/"))),
            ("127.0.0.1:8080", "[::1]:8080", "/", Some((308, "https://[::1]:8443/"))),
            ("127.0.0.1:8080", "[::1]", "/", Some((308, "https://[::1]:8443/"))),
            ("127.0.0.1:8080", "", "*", Some((308, "https://127.0.0.1:8443/"))),
            ("127.0.0.1:8080", "a.test", "/é", Some((308, "https://a.test:8443/%C3%A9"))),
            ("127.0.0.1:9443", "a.test:9443", "/x", Some((400, "https://a.test:9443/x"))),
            ("127.0.0.1:8080", "a.test", "/.well-known/acme-challenge/x", None),
            (
                "127.0.0.1:8080",
                "a.test",
                "/.well-known/acme-challenge/../x",
                Some((308, "https://a.test:8443/.well-known/acme-challenge/../x")),
            ),
            ("127.0.0.1:7000", "a.test", "/", None),
        ] {
            let mut request = Request::get(target);
            request.headers.insert(HOST, HeaderValue::from_static(host));
            request.peer.local = Arc::new(crate::Local::Tcp(local.parse().unwrap()));
            let error = guard.check(&request).err();
            let got = error.as_ref().map(|error| (error.status().as_u16(), error.link().unwrap_or_default()));
            assert_eq!(got, want, "{local} {host} {target}");
        }
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
