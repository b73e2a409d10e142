//! What a server serves: handlers below their mounts, and what every response has in common.

use std::sync::Arc;

use crate::finish::headers::{self, Headers};
use crate::finish::log::AccessLog;
use crate::guard::{self, Guard};
use crate::handler::Handler;
use crate::look::{self, Look};
use crate::meter::Meter;
use crate::route::Routes;
use crate::start_error::StartError;

/// Handlers below their mounts, with limits, headers and an access log.
///
/// ```
/// use salver::{Reply, Response, Site, handler};
///
/// let site = Site::new()
///     .mount("/old", handler::redirect::open("/new")?)?
///     .guard(salver::guard::Options { limit_concurrency: Some(100), ..Default::default() });
/// # Ok::<(), salver::StartError>(())
/// ```
#[derive(Debug)]
pub struct Site {
    pub(crate) routes: Routes,
    pub(crate) guard: Guard,
    pub(crate) headers: Headers,
    pub(crate) log: Arc<AccessLog>,
    pub(crate) look: Look,
    pub(crate) meter: Meter,
    timed: bool,
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

impl Site {
    /// A site without a mount and without an access log: 404 everywhere.
    pub fn new() -> Self {
        Self {
            routes: Routes::default(),
            guard: Guard::default(),
            headers: Headers::default(),
            log: Arc::new(AccessLog::off()),
            look: Look::default(),
            meter: Meter::default(),
            timed: false,
        }
    }

    /// Serves `handler` below `prefix` (`/` is everything); the longest prefix wins, on whole segments.
    ///
    /// # Errors
    /// A prefix that does not begin with `/`, or is mounted twice.
    pub fn mount(self, prefix: &str, handler: impl Handler) -> Result<Self, StartError> {
        self.mount_shared(prefix, Arc::new(handler))
    }

    /// The same for a handler whose kind is known only when the program runs.
    ///
    /// # Errors
    /// As [`Site::mount`].
    pub fn mount_shared(mut self, prefix: &str, handler: Arc<dyn Handler>) -> Result<Self, StartError> {
        self.routes.mount(prefix, handler)?;
        self.meter = Meter::new(&self.routes.prefixes(), self.timed);
        Ok(self)
    }

    /// The same site with these limits.
    #[must_use]
    pub fn guard(mut self, options: guard::Options) -> Self {
        self.guard = Guard::open(options);
        self
    }

    /// The same site with a meter that measures durations too.
    #[must_use]
    pub fn timed(mut self) -> Self {
        self.timed = true;
        self.meter = Meter::new(&self.routes.prefixes(), true);
        self
    }

    /// What counts its requests; the one of the site as it is now, so ask when everything is mounted.
    pub fn meter(&self) -> Meter {
        self.meter.clone()
    }

    /// The same site with these headers in its responses.
    ///
    /// # Errors
    /// A name or value that no header can have.
    pub fn headers(mut self, options: &headers::Options) -> Result<Self, StartError> {
        self.headers = Headers::open(options)?;
        Ok(self)
    }

    /// The same site with an access log.
    #[must_use]
    pub fn log(mut self, log: Arc<AccessLog>) -> Self {
        self.log = log;
        self
    }

    /// The same site with error pages that look so.
    ///
    /// # Errors
    /// A theme that cannot be read or is none.
    pub fn look(mut self, options: &look::Options) -> Result<Self, StartError> {
        self.look = Look::open(options)?;
        Ok(self)
    }
}
