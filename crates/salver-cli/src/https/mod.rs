//! HTTPS as the command has it: where its certificates come from, who renews them, and who is sent there.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use salver::StartError;
use salver::listen::Address;
use salver::tls::{Certificates, Tls};

use crate::options::Options as All;

pub mod acme;
mod data;
mod local;
pub mod trust;

use acme::Acme;
use local::Local;

/// HTTPS.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Serve HTTPS with a certificate of an authority of your own, made at the first start; `salver trust` makes this machine's
    /// browsers trust it
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true,
        default_value = "false", default_missing_value = "true")]
    pub tls: bool,

    /// Where the authority of --tls and what --acme got is kept [default: ~/.local/share/salver]
    #[arg(long, value_name = "DIR")]
    pub tls_data: Option<PathBuf>,

    /// With HTTPS: listen on this port too, in the clear, and send whoever comes there to https
    #[arg(long, value_name = "PORT")]
    pub redirect_http: Option<u16>,
}

/// What a server needs to speak HTTPS.
#[derive(Debug)]
pub(crate) struct Https {
    pub(crate) tls: Tls,
    kept: Kept,
    written: Option<PathBuf>,
    /// Whoever checks our domains by HTTP-01 asks for these.
    pub(crate) acme: Option<Arc<Acme>>,
}

/// What is renewed while the server runs.
#[derive(Clone, Debug)]
struct Kept {
    tls: Tls,
    local: Option<Arc<Local>>,
    acme: Option<Arc<Acme>>,
}

/// HTTPS as the options ask for it; `None` where nothing is encrypted.
///
/// # Errors
/// One line: a certificate or key that is no good, or options that make no sense without HTTPS.
pub(crate) fn open(options: &All) -> Result<Option<Https>, StartError> {
    let asked = !options.tls.tls_cert.is_empty() || options.https.tls || !options.acme.acme.is_empty();
    if !asked {
        return match alone(options) {
            Some(option) => {
                let mend = "add --tls-cert FILE, --tls or --acme DOMAIN";
                Err(StartError::new(format!("{option}: HTTPS is not spoken; {mend}")))
            }
            None => Ok(None),
        };
    }
    let data = || data::folder(options.https.tls_data.as_deref());
    if options.targets.addresses()?.iter().all(|address| matches!(address, Address::Unix(_))) {
        let what = "every address is a Unix socket, which stays in the clear";
        return Err(StartError::new(format!(
            "HTTPS: {what}; add --bind with one of TCP, or leave HTTPS out"
        )));
    }
    if !options.acme.acme.is_empty() && options.process.user.is_some() && options.https.tls_data.is_none() {
        let mend = "name a folder by --tls-data DIR, such as /var/lib/salver";
        return Err(StartError::new(format!(
            "--acme: the user of --user cannot keep what is got in ours; {mend}"
        )));
    }
    let local = options.https.tls.then(|| Local::open(&data()?)).transpose()?.map(Arc::new);
    let acme = match options.acme.acme.is_empty() {
        true => None,
        false => Some(Arc::new(Acme::open(&options.acme, &data()?)?)),
    };
    let mut sources: Vec<Box<dyn Certificates>> = Vec::new();
    sources.extend(acme.clone().map(|acme| Box::new(acme::Source(acme)) as Box<dyn Certificates>));
    sources.extend(local.clone().map(|local| Box::new(local::Source(local)) as Box<dyn Certificates>));
    let tls = Tls::with(&options.tls, sources)?;
    let kept = Kept { tls: tls.clone(), local, acme: acme.clone() };
    let written = acme.is_some().then(|| options.https.tls_data.clone()).flatten();
    Ok(Some(Https { tls, kept, written, acme }))
}

impl Https {
    /// The folder that is written to while the server runs, by whoever it has become then.
    pub(crate) fn written(&self) -> Option<&Path> {
        self.written.as_deref()
    }

    /// Renews certificates from now on, in place of those of a server before this one.
    pub(crate) fn keep(&self) {
        if self.kept.local.is_none() && self.kept.acme.is_none() {
            *current() = None;
            return;
        }
        *current() = Some(self.kept.clone());
        static KEEPER: OnceLock<Option<thread::Thread>> = OnceLock::new();
        let keeper = KEEPER.get_or_init(|| {
            let started = thread::Builder::new().name("salver-certificates".into()).spawn(keep_on);
            match started {
                Ok(thread) => Some(thread.thread().clone()),
                Err(error) => {
                    tracing::error!("certificates will not be renewed: {error}; look at `ulimit -u`");
                    None
                }
            }
        });
        if let Some(keeper) = keeper {
            keeper.unpark();
        }
    }
}

/// Looks at what is kept, every now and then.
fn keep_on() {
    loop {
        let kept = current().clone();
        let mut is_waited_for = false;
        if let Some(Kept { tls, local, acme }) = kept {
            let mut renewed = local.is_some_and(|local| local.is_outdated());
            if let Some(acme) = acme {
                renewed |= acme.renew();
                is_waited_for = acme.is_waiting();
            }
            if renewed && let Err(error) = tls.reload() {
                tracing::error!("renewed certificates are not used: {error}");
            }
        }
        thread::park_timeout(if is_waited_for { WAITED_FOR } else { PERIOD });
    }
}

/// What the server of this process has renewed.
fn current() -> MutexGuard<'static, Option<Kept>> {
    static CURRENT: Mutex<Option<Kept>> = Mutex::new(None);
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Private keys and passwords that lie in a folder that is served. SECURITY: a certificate made where one is and served from there
/// would have its key served, too.
pub(crate) fn secrets_in(folder: &Path, options: &All) -> Vec<PathBuf> {
    let Ok(folder) = folder.canonicalize() else { return Vec::new() };
    let tls = &options.tls;
    let with_key_inside = tls.tls_cert.iter().skip(tls.tls_key.len());
    let named = tls.tls_key.iter().chain(with_key_inside).chain(&tls.tls_password_file);
    let kept = options.https.tls_data.iter();
    let paths = named.chain(kept).filter_map(|path| path.canonicalize().ok());
    paths.filter(|path| path.starts_with(&folder)).collect()
}

/// An option that says nothing without HTTPS.
fn alone(options: &All) -> Option<&'static str> {
    let options = [
        (!options.tls.tls_key.is_empty(), "--tls-key"),
        (options.tls.tls_password_file.is_some(), "--tls-password-file"),
        (options.tls.client_ca.is_some(), "--client-ca"),
        (options.tls.client_auth.is_some(), "--client-auth"),
        (options.https.redirect_http.is_some(), "--redirect-http"),
    ];
    options.into_iter().find(|(given, _)| *given).map(|(_, option)| option)
}

/// How often what is kept is looked at.
const PERIOD: Duration = Duration::from_secs(60);
/// The same while there is no certificate yet, which another process may get.
const WAITED_FOR: Duration = Duration::from_secs(2);
