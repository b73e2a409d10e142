//! What the HTTP/1 engine can be told.

use std::str::FromStr;

use http::Version;

use super::Limits;
use crate::seconds::Seconds;
use crate::start_error::StartError;

/// Times and limits of HTTP/1 connections.
///
/// ```
/// let options = salver::http1::Options { keep_alive: 5.into(), ..Default::default() };
/// assert_eq!(options.header_timeout, 10.into());
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(clap::Args), group(skip))] // every module has an `Options`
pub struct Options {
    /// The HTTP version to speak: HTTP/1.0 or HTTP/1.1
    #[cfg_attr(feature = "cli", arg(short, long, value_name = "VERSION", default_value_t = Self::default().protocol))]
    pub protocol: Protocol,
    /// How long a kept connection may be idle, in seconds; 0: connections are not kept
    #[cfg_attr(feature = "cli", arg(long, value_name = "S", default_value_t = Self::default().keep_alive))]
    pub keep_alive: Seconds,
    /// Time for the whole head of a request, in seconds; 0: for ever
    #[cfg_attr(feature = "cli", arg(long, value_name = "S", default_value_t = Self::default().header_timeout))]
    pub header_timeout: Seconds,
    /// The longest gap in a request body, in seconds; 0: for ever
    #[cfg_attr(feature = "cli", arg(long, value_name = "S", default_value_t = Self::default().body_timeout))]
    pub body_timeout: Seconds,
    /// The longest gap in sending, in seconds; 0: for ever
    #[cfg_attr(feature = "cli", arg(long, value_name = "S", default_value_t = Self::default().send_timeout))]
    pub send_timeout: Seconds,
    /// The longest request line, in bytes; a longer one gets 414
    #[cfg_attr(feature = "cli", arg(long, value_name = "B", value_parser = crate::number::some_bytes::<usize>,
        default_value_t = Self::default().limit_request_line))]
    pub limit_request_line: usize,
    /// The most header fields of a request; more get 431
    #[cfg_attr(feature = "cli", arg(long, value_name = "N", value_parser = crate::number::some::<usize>,
        default_value_t = Self::default().limit_request_fields))]
    pub limit_request_fields: usize,
    /// The largest request head, in bytes; a larger one gets 431
    #[cfg_attr(feature = "cli", arg(long, value_name = "B", value_parser = crate::number::some_bytes::<usize>,
        default_value_t = Self::default().limit_header_size))]
    pub limit_header_size: usize,
}

/// The HTTP version a server speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// A connection closes after each answer unless the client asks to keep it.
    Http10,
    /// Connections are kept.
    #[default]
    Http11,
}

impl Options {
    /// The limits of a request head.
    pub fn limits(&self) -> Limits {
        Limits {
            request_line: self.limit_request_line,
            fields: self.limit_request_fields,
            header_size: self.limit_header_size,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        let Limits { request_line, fields, header_size } = Limits::default();
        Self {
            protocol: Protocol::default(),
            keep_alive: 75.into(),
            header_timeout: 10.into(),
            body_timeout: 30.into(),
            send_timeout: 60.into(),
            limit_request_line: request_line,
            limit_request_fields: fields,
            limit_header_size: header_size,
        }
    }
}

impl From<Protocol> for Version {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Http10 => Self::HTTP_10,
            Protocol::Http11 => Self::HTTP_11,
        }
    }
}

impl FromStr for Protocol {
    type Err = StartError;

    fn from_str(text: &str) -> Result<Self, StartError> {
        match text {
            "HTTP/1.0" => Ok(Self::Http10),
            "HTTP/1.1" => Ok(Self::Http11),
            _ => Err(StartError::new(format!(
                "'{text}' is no version that is spoken; give HTTP/1.0 or HTTP/1.1"
            ))),
        }
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        })
    }
}
