//! Certificates of a public authority, asked for and renewed by ACME (RFC 8555).
//!
//! What was got is kept in files, and so are challenges while they last: whichever process of a server is asked can answer. One
//! process at a time asks (a lock), each looks for what another has got. A certificate that is there and good is never asked for
//! again; after a failure the next try waits, twice as long each time, also over restarts: authorities have limits.
//!
//! Refused: wildcards, which take a challenge in DNS, and addresses.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use salver::tls::{Certificate, Certificates};
use salver::{Error, Handler, Reply, Request, Response, SafePath, StartError};

use super::data::{self, Lock};

mod order;

/// ACME.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Serve HTTPS for this domain with a certificate of Let's Encrypt, got and renewed by itself (its terms are agreed to); may be
    /// repeated. The domain's port 443 has to lead here, or its port 80 with --redirect-http
    #[arg(long, value_name = "DOMAIN")]
    pub acme: Vec<String>,

    /// Where the authority may write to about certificates
    #[arg(long, value_name = "ADDRESS")]
    pub acme_email: Option<String>,

    /// The authority's directory, in place of Let's Encrypt's
    #[arg(long, value_name = "URL", default_value = LETS_ENCRYPT)]
    pub acme_directory: String,

    /// The certificate, in PEM, that vouches for the authority's own server, where that is a private one
    #[arg(long, value_name = "FILE")]
    pub acme_ca: Option<PathBuf>,
}

/// What is asked for and what was got.
#[derive(Debug)]
pub(crate) struct Acme {
    options: Options,
    /// Of this authority.
    folder: PathBuf,
    /// When each domain's file was written that is in use.
    loaded: Mutex<Vec<Option<SystemTime>>>,
}

/// Certificates that were got, for the server.
pub(super) struct Source(pub(super) Arc<Acme>);

/// Answers HTTP-01 challenges (RFC 8555 §8.3).
pub(crate) struct Challenges(pub(crate) Arc<Acme>);

/// The authority that is asked where none is named.
const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// Where challenges are asked for.
pub(crate) const CHALLENGES: &str = "/.well-known/acme-challenge";

impl Acme {
    /// Makes room for what will be got; nobody is asked yet.
    ///
    /// # Errors
    /// A name that is no domain, or a folder that cannot be written.
    pub(super) fn open(options: &Options, data: &Path) -> Result<Self, StartError> {
        let options = Options {
            acme: options.acme.iter().map(|domain| domain.trim_end_matches('.').to_lowercase()).collect(),
            ..options.clone()
        };
        for domain in &options.acme {
            check(domain, &options.acme_directory)
                .map_err(|why| StartError::new(format!("--acme {domain}: {why}")))?;
        }
        if !options.acme_directory.starts_with("https://") {
            let url = &options.acme_directory;
            return Err(StartError::new(format!(
                "--acme-directory {url}: give a URL that begins with https://"
            )));
        }
        if let Some(ca) = &options.acme_ca {
            fs::metadata(ca).map_err(|error| {
                StartError::new(format!("--acme-ca {}: {error}; name a certificate in PEM", ca.display()))
            })?;
        }
        let authority = options.acme_directory.trim_start_matches("https://");
        let name: String =
            authority.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '-' }).collect();
        let folder = data.join("acme").join(name);
        data::create(&folder)?;
        Ok(Self { options, folder, loaded: Mutex::default() })
    }

    /// Gets what is missing or ends soon; whether what is kept is not what is served any more.
    pub(super) fn renew(&self) -> bool {
        if self.options.acme.iter().any(|domain| self.is_due(domain))
            && let Some(_one) = Lock::try_now(&self.folder)
        {
            // Looked at once more: whoever had the lock before may have got it.
            for domain in self.options.acme.iter().filter(|domain| self.is_due(domain)) {
                self.get(domain);
            }
        }
        let stamps = self.stamps();
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) != stamps
    }

    /// Whether a domain has no certificate yet: somebody waits for it.
    pub(super) fn is_waiting(&self) -> bool {
        self.stamps().contains(&None)
    }

    fn get(&self, domain: &str) {
        tracing::info!("asking {} for a certificate of {domain}", self.options.acme_directory);
        match order::run(self, domain).and_then(|pem| Ok(data::write(&self.file(domain), &pem)?)) {
            Ok(()) => {
                let _ = fs::remove_file(self.failures(domain)); // there may be none
                tracing::info!("{domain} has a new certificate");
            }
            Err(error) => {
                let count = self.failed(domain).map_or(0, |(count, _)| count) + 1;
                // Not kept where the disk is full; then the next try just comes sooner.
                let _ = data::write(&self.failures(domain), &count.to_string());
                let wait = pause(count).as_secs() / 60;
                tracing::error!(
                    "no certificate of {domain}: {}; trying again in {wait} minutes",
                    told(&*error)
                );
            }
        }
    }

    /// Whether a domain's certificate is missing or in the last third of its life, and it is time for a try.
    fn is_due(&self, domain: &str) -> bool {
        let needed = Certificate::open(&self.file(domain), None, None).map_or(true, |certificate| {
            let (start, end) = (certificate.not_before(), certificate.not_after());
            now() > end - (end - start) / 3
        });
        needed
            && self
                .failed(domain)
                .is_none_or(|(count, last)| last.elapsed().is_ok_and(|since| since > pause(count)))
    }

    fn stamps(&self) -> Vec<Option<SystemTime>> {
        let stamp = |domain: &String| fs::metadata(self.file(domain)).and_then(|found| found.modified()).ok();
        self.options.acme.iter().map(stamp).collect()
    }

    /// How many tries have failed since the last good one, and when the last did.
    fn failed(&self, domain: &str) -> Option<(u32, SystemTime)> {
        let path = self.failures(domain);
        let count = fs::read_to_string(&path).ok()?.trim().parse().ok()?;
        Some((count, fs::metadata(path).ok()?.modified().ok()?))
    }

    /// A domain's certificate and key.
    fn file(&self, domain: &str) -> PathBuf {
        self.folder.join(format!("{domain}.pem"))
    }

    fn failures(&self, domain: &str) -> PathBuf {
        self.folder.join(format!("{domain}.failed"))
    }

    /// The certificate that answers a TLS-ALPN-01 challenge.
    fn answer_by_tls(&self, domain: &str) -> PathBuf {
        self.folder.join(format!("{domain}.challenge"))
    }

    /// What answers an HTTP-01 challenge; `None` for what is no token.
    fn answer_by_http(&self, token: &[u8]) -> Option<PathBuf> {
        // SECURITY: base64url and nothing else; a token becomes the name of a file.
        let is_token = token.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        let token = std::str::from_utf8(token).ok().filter(|token| is_token && !token.is_empty())?;
        Some(self.folder.join(format!("{token}.token")))
    }
}

impl Certificates for Source {
    fn load(&self) -> Result<Vec<Certificate>, StartError> {
        let acme = &self.0;
        *acme.loaded.lock().unwrap_or_else(PoisonError::into_inner) = acme.stamps();
        let mut certificates = Vec::new();
        for domain in &acme.options.acme {
            // What is not there yet, or has expired, is asked for; what is there beside it is served meanwhile.
            certificates.extend(Certificate::open(&acme.file(domain), None, None).ok());
        }
        Ok(certificates)
    }

    fn challenge(&self, name: &str) -> Option<Certificate> {
        // SECURITY: only a name of ours becomes the name of a file.
        let domain = self.0.options.acme.iter().find(|domain| domain.eq_ignore_ascii_case(name))?;
        Certificate::open(&self.0.answer_by_tls(domain), None, None).ok()
    }
}

impl Handler for Challenges {
    fn handle(&self, _request: Request, rest: SafePath) -> Reply<'_> {
        let answer = self.0.answer_by_http(rest.as_bytes()).and_then(|path| fs::read(path).ok());
        Reply::ready(answer.map(|answer| Response::new(answer.into())).ok_or_else(Error::not_found))
    }
}

/// What no public authority gives a certificate for by our challenges.
fn check(domain: &str, directory: &str) -> Result<(), &'static str> {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() < 64
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    match domain {
        _ if domain.starts_with("*.") => Err("a wildcard takes a challenge in DNS; name each domain"),
        _ if domain.parse::<std::net::IpAddr>().is_ok() => Err("an address is no domain; use --tls"),
        _ if domain.len() > 253 || !domain.split('.').all(is_label) => {
            Err("no domain; give one such as example.org (xn--… where it is not ASCII)")
        }
        _ if directory == LETS_ENCRYPT && is_local(domain) => {
            Err("a name of this network, which no public authority vouches for; use --tls")
        }
        _ => Ok(()),
    }
}

/// Whether a name means something here alone (RFC 6761, RFC 6762).
fn is_local(domain: &str) -> bool {
    let last = domain.rsplit('.').next().map(str::to_ascii_lowercase);
    let kept = ["localhost", "local", "internal", "test", "example", "invalid"];
    !domain.contains('.') || last.is_some_and(|last| kept.contains(&last.as_str()))
}

/// An error with what it came from, which alone says what happened.
fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}

/// How long the next try waits after so many that failed.
fn pause(failures: u32) -> Duration {
    Duration::from_secs(120 << failures.saturating_sub(1).min(8)) // 2 minutes to 8.5 hours
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_domain_is_a_name_that_can_be_checked() {
        for (domain, good) in [
            ("example.org", true),
            ("xn--bcher-kva.org", true),
            ("localhost", false),
            ("intranet", false),
            ("printer.local", false),
            ("a.TEST", false),
            ("*.example.org", false),
            ("192.0.2.1", false),
            ("::1", false),
            ("exa mple.org", false),
            ("../x", false),
            ("a..b", false),
            ("", false),
        ] {
            assert_eq!(check(domain, LETS_ENCRYPT).is_ok(), good, "{domain}");
        }
        for name in ["localhost", "a.test"] {
            assert_eq!(
                check(name, "https://ca.example/directory"),
                Ok(()),
                "a private authority may know it"
            );
        }
    }

    #[test]
    fn a_token_is_no_path() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            acme: vec!["Example.org.".into()],
            acme_email: None,
            acme_directory: "https://authority.test:14000/dir".into(),
            acme_ca: None,
        };
        let acme = Acme::open(&options, folder.path()).unwrap();
        assert_eq!(acme.options.acme, ["example.org"]);
        for (token, good) in
            [("a-B_9", true), ("", false), ("../x", false), ("a/b", false), ("a.b", false), ("é", false)]
        {
            assert_eq!(acme.answer_by_http(token.as_bytes()).is_some(), good, "{token}");
        }
        let mut file = fs::File::create(acme.answer_by_http(b"abc").unwrap()).unwrap();
        file.write_all(b"abc.thumbprint").unwrap();
        let challenges = Challenges(Arc::new(acme));
        let ask = |path: &str| {
            let rest = SafePath::parse(path.as_bytes()).unwrap();
            match challenges.handle(Request::get(path.to_owned()), rest) {
                Reply::Ready(answer) => answer.unwrap().map_or(404, |_| 200),
                Reply::Later(_) => panic!(),
            }
        };
        assert_eq!([ask("/abc"), ask("/abd"), ask("/a/../abc.token")], [200, 404, 404]);
    }

    #[test]
    fn tries_that_fail_come_less_and_less_often() {
        assert_eq!([1, 2, 3, 9, 100].map(|count| pause(count).as_secs() / 60), [2, 4, 8, 512, 512]);
    }
}
