//! Addresses as people spell them.

use std::fmt;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::start_error::StartError;

/// Where to listen: `ADDR`, `ADDR:PORT`, `[V6]:PORT`, `unix:PATH` or `fd://N`.
///
/// ```
/// use salver::listen::Address;
///
/// assert_eq!("[::1]:80".parse(), Ok(Address::Tcp { host: "::1".into(), port: Some(80) }));
/// assert_eq!("unix:/run/s".parse(), Ok(Address::Unix("/run/s".into())));
/// assert!("localhost:http".parse::<Address>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Address {
    /// All interfaces: 0.0.0.0, and `[::]` where the machine has IPv6; port 0 takes a free one.
    Everywhere(u16),
    /// A name or address, and a port (0 takes a free one).
    Tcp {
        /// A name that resolves, or an address without brackets.
        host: String,
        /// The port; `None` leaves it to a default.
        port: Option<u16>,
    },
    /// A Unix socket at this path.
    Unix(PathBuf),
    /// A listening socket that this process was started with.
    Inherited(RawFd),
}

impl Address {
    /// The same address, with `port` where it names none.
    #[must_use]
    pub fn or_port(self, port: u16) -> Self {
        match self {
            Self::Tcp { host, port: None } => Self::Tcp { host, port: Some(port) },
            other => other,
        }
    }
}

impl FromStr for Address {
    type Err = StartError;

    fn from_str(text: &str) -> Result<Self, StartError> {
        let wrong = |why: &str| {
            StartError::new(format!("'{text}': {why}; give ADDR, ADDR:PORT, [V6]:PORT, unix:PATH or fd://N"))
        };
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(wrong("no path")) } else { Ok(Self::Unix(path.into())) };
        }
        if let Some(number) = text.strip_prefix("fd://") {
            let number = number.parse::<u16>().map_err(|_| wrong("no number of a file descriptor"))?;
            return Ok(Self::Inherited(RawFd::from(number)));
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(|| wrong("no closing bracket"))?;
                let port = match port {
                    "" => None,
                    port => Some(port.strip_prefix(':').ok_or_else(|| wrong("no `:` after the bracket"))?),
                };
                host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong("no IPv6 address in the brackets"))?;
                (host, port)
            }
            None if text.matches(':').count() > 1 => (text, None), // an IPv6 address without brackets
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port =
            port.map(|port| port.parse::<u16>().map_err(|_| wrong("no port from 0 to 65535"))).transpose()?;
        match (host, port) {
            ("", Some(port)) => Ok(Self::Everywhere(port)),
            ("", None) => Err(wrong("empty")),
            (host, port) => Ok(Self::Tcp { host: host.into(), port }),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everywhere(port) => write!(f, ":{port}"),
            Self::Tcp { host, port: None } => f.write_str(host),
            Self::Tcp { host, port: Some(port) } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port: Some(port) } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Inherited(number) => write!(f, "fd://{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: Option<u16>) -> Address {
        Address::Tcp { host: host.into(), port }
    }

    #[test]
    fn every_spelling_is_read_and_shown_again() {
        for (text, address) in [
            ("127.0.0.1", tcp("127.0.0.1", None)),
            ("127.0.0.1:80", tcp("127.0.0.1", Some(80))),
            ("localhost:0", tcp("localhost", Some(0))),
            ("::1", tcp("::1", None)),
            ("[::1]:8000", tcp("::1", Some(8000))),
            (":8000", Address::Everywhere(8000)),
            ("unix:/run/a:b", Address::Unix("/run/a:b".into())),
            ("fd://3", Address::Inherited(3)),
        ] {
            assert_eq!(text.parse(), Ok(address.clone()), "{text}");
            assert_eq!(address.to_string(), text);
        }
        assert_eq!("[::1]".parse(), Ok(tcp("::1", None)));
    }

    #[test]
    fn what_is_none_is_refused_with_the_forms() {
        for text in
            ["", ":", "a:", "a:b", "a:65536", "a:-1", "[::1", "[::1]8", "[a]:1", "unix:", "fd://", "fd://x"]
        {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains("give ADDR"), "{text}: {error}");
        }
    }
}
