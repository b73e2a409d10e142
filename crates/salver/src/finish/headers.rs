//! The headers of every response: `Server`, and what `--header` adds.

use http::header::{self, HeaderName};
use http::{HeaderValue, StatusCode};

use crate::handler::Response;
use crate::rfc::forwarded::Scheme;
use crate::rfc::list;
use crate::start_error::StartError;

/// Headers to add to responses.
///
/// ```
/// use salver::finish::headers::Options;
///
/// let options = Options { header: ["Cache-Control", "max-age=60"].map(String::from).into(), ..Default::default() };
/// let site = salver::Site::new().headers(&options)?;
/// # Ok::<(), salver::StartError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(clap::Args), group(skip))] // every module has an `Options`
pub struct Options {
    /// A header for every successful response; may be repeated
    #[cfg_attr(feature = "cli", arg(long, num_args = 2, allow_hyphen_values = true, value_names = ["NAME", "VALUE"]))]
    pub header: Vec<String>,
    /// Tell browsers that come over HTTPS to come by nothing else for so many seconds (Strict-Transport-Security); without a
    /// number: a year
    #[cfg_attr(feature = "cli", arg(long, value_name = "S", num_args = 0..=1, require_equals = true,
        default_missing_value = "31536000"))]
    pub hsts: Option<u64>,
}

/// Checked headers.
#[derive(Debug, Default)]
pub(crate) struct Headers {
    added: Vec<(HeaderName, HeaderValue)>,
    /// What `Strict-Transport-Security` says (RFC 6797 §6.1).
    hsts: Option<HeaderValue>,
}

impl Headers {
    /// Checks the headers of `options`: names and values alternate there.
    pub(crate) fn open(options: &Options) -> Result<Self, StartError> {
        let (pairs, rest) = options.header.as_chunks::<2>();
        if let [name, ..] = rest {
            return Err(StartError::new(format!("--header {name}: no value; give --header NAME VALUE")));
        }
        let checked = pairs.iter().map(|[name, value]| {
            let wrong = |what| StartError::new(format!("--header {name} {value}: {what}"));
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| wrong("no name of a header; use letters, digits and -"))?;
            if OURS.contains(&name) {
                return Err(wrong("the server sets that one itself; leave it out"));
            }
            let value = HeaderValue::from_str(value)
                .map_err(|_| wrong("no value of a header; leave control characters out"))?;
            Ok((name, value))
        });
        let hsts = options.hsts.map(|seconds| format!("max-age={seconds}"));
        Ok(Self {
            added: checked.collect::<Result<_, _>>()?,
            hsts: hsts.and_then(|value| HeaderValue::try_from(value).ok()),
        })
    }

    /// Adds the headers: those of `--header` to a success (as Python 3.15 does) and to 304, in place of the handler's own.
    /// What binds to HTTPS is said over it alone (RFC 6797 §7.2).
    pub(crate) fn apply(&self, scheme: Scheme, response: &mut Response) {
        let status = response.status();
        let headers = response.headers_mut();
        if !list::has(headers, &header::SERVER) {
            headers.insert(header::SERVER, SERVER);
        }
        if let (Some(hsts), Scheme::Https) = (&self.hsts, scheme) {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
        if !status.is_success() && status != StatusCode::NOT_MODIFIED {
            return;
        }
        for (place, (name, value)) in self.added.iter().enumerate() {
            let repeated = self.added.iter().take(place).any(|(earlier, _)| earlier == name);
            match repeated {
                true => headers.append(name, value.clone()),
                false => headers.insert(name, value.clone()).is_some(),
            };
        }
    }
}

/// Who we are.
pub(crate) const SERVER: HeaderValue =
    HeaderValue::from_static(concat!("salver/", env!("CARGO_PKG_VERSION")));

/// Framing is the connection's alone.
const OURS: [HeaderName; 4] =
    [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION, header::UPGRADE];

#[cfg(test)]
mod tests {
    use super::*;

    fn open(header: &[&str]) -> Result<Headers, StartError> {
        Headers::open(&Options { header: header.iter().map(ToString::to_string).collect(), hsts: None })
    }

    #[test]
    fn headers_are_added_to_what_succeeds() {
        let headers = open(&["X-A", "1", "x-a", "2", "Cache-Control", "no-store"]).unwrap();
        for (status, count) in [(200, 2), (206, 2), (304, 2), (301, 0), (404, 0), (500, 0)] {
            let mut response = Response::default();
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=1"));
            headers.apply(Scheme::Https, &mut response);
            assert_eq!(response.headers().get_all("x-a").iter().count(), count, "{status}");
            let cache = if count > 0 { "no-store" } else { "max-age=1" };
            assert_eq!(response.headers()["cache-control"], cache, "{status}");
            assert!(response.headers()["server"].to_str().unwrap().starts_with("salver/"));
        }
    }

    #[test]
    fn only_https_binds_to_https() {
        let headers = Headers::open(&Options { hsts: Some(60), ..Options::default() }).unwrap();
        for (scheme, status, want) in
            [(Scheme::Https, 200, true), (Scheme::Https, 404, true), (Scheme::Http, 200, false)]
        {
            let mut response = Response::default();
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            headers.apply(scheme, &mut response);
            let said = response.headers().get(header::STRICT_TRANSPORT_SECURITY);
            assert_eq!(said.is_some_and(|value| value == "max-age=60"), want, "{scheme:?} {status}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for header in [&["a b", "1"][..], &["", "1"], &["a", "1\r\nb: 2"], &["a"], &["Content-Length", "1"]] {
            assert!(open(header).is_err(), "{header:?}");
        }
    }
}
