//! Sends clients elsewhere.

use http::{HeaderValue, StatusCode, header};

use super::{Handler, Reply, Response};
use crate::request::Request;
use crate::rfc::path::SafePath;
use crate::start_error::StartError;

/// Answers every request with 308 (RFC 9110 §15.4.9) and one `Location`.
#[derive(Clone, Debug)]
pub struct Redirect {
    location: HeaderValue,
}

/// A redirect to `location`, a URL or a path.
///
/// ```
/// let redirect = salver::handler::redirect::open("https://example.org/")?;
/// # Ok::<(), salver::StartError>(())
/// ```
///
/// # Errors
/// A location that cannot stand in a header.
pub fn open(location: &str) -> Result<Redirect, StartError> {
    let value = HeaderValue::from_str(location).map_err(|_| {
        StartError::new(format!("redirect to {location:?}: no URL; percent-encode what is not printable"))
    })?;
    Ok(Redirect { location: value })
}

impl Handler for Redirect {
    fn handle(&self, _request: Request, _rest: SafePath) -> Reply<'_> {
        let mut response = Response::default();
        *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
        response.headers_mut().insert(header::LOCATION, self.location.clone());
        Reply::ready(Ok(response))
    }
}
