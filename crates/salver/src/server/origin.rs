//! Where a server is served, and what is spoken there.

use std::fmt;

use super::Server;
use crate::guard::Https;
use crate::listen::Listeners;
use crate::request::Local;
use crate::rfc::forwarded::Scheme;

/// An address and what is spoken there.
///
/// ```
/// use salver::{Local, Origin, Scheme};
///
/// let origin = Origin { scheme: Scheme::Https, local: Local::Tcp("[::1]:8443".parse()?) };
/// assert_eq!(origin.to_string(), "https://[::1]:8443/");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// HTTPS or HTTP.
    pub scheme: Scheme,
    /// The address, with its real port.
    pub local: Local,
}

impl Server {
    /// Where it is served by `listeners`; requests in the clear are sent from now on to where they should have gone.
    pub fn origins(&self, listeners: &Listeners) -> Vec<Origin> {
        let https: Vec<&Local> = match &self.tls {
            Some(_) => listeners.locals_for_tls().collect(),
            None => Vec::new(),
        };
        if self.tls.is_some() {
            let ports = https.iter().filter_map(|local| local.port()).collect();
            self.site.guard.insist_on_https(Https { ports, clear: listeners.clear_ports().collect() });
        }
        let origin = |local: &Local| Origin {
            scheme: if https.contains(&local) { Scheme::Https } else { Scheme::Http },
            local: local.clone(),
        };
        listeners.locals().map(origin).collect()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.local {
            Local::Tcp(address) => write!(f, "{}://{address}/", self.scheme.as_str()),
            unix @ Local::Unix(_) => unix.fmt(f),
        }
    }
}
