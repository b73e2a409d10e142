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
/// A location that is neither a URL with a host nor a path from the root, or that cannot stand in a header.
pub fn open(location: &str) -> Result<Redirect, StartError> {
    let wrong = |why| StartError::new(format!("redirect to {location:?}: {why}"));
    let scheme = location.split_once("://").map_or("", |(scheme, _)| scheme);
    let is_url = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    // Relative to each request's own path it would lead everywhere and, below itself, in circles.
    if !is_url && !location.starts_with('/') {
        return Err(wrong("neither a URL nor a path; give https://… or /path"));
    }
    let value =
        HeaderValue::from_str(location).map_err(|_| wrong("no URL; percent-encode what is not printable"))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_url_or_a_path_is_a_place() {
        for (location, good) in [
            ("https://example.org", true),
            ("git+ssh://host/x", true),
            ("/new", true),
            ("//cdn.example/x", true),
            ("", false),
            ("foo", false),
            ("localhost:8000", false),
            ("foo/bar://x", false),
            ("://x", false),
            ("/a\nb", false),
        ] {
            assert_eq!(open(location).is_ok(), good, "{location}");
        }
    }
}
