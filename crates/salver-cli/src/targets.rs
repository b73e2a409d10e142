//! What is served, and where: TARGET → handler.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use salver::handler::cgi::Cgi;
use salver::handler::files::Files;
use salver::handler::gateway::Variable;
use salver::listen::Address;
use salver::{Handler, Site, StartError, handler};

use crate::access::Needed;
use crate::applications::{self, Application};
use crate::https;
use crate::options::Options as All;
use crate::process;
use crate::run::Failure;

/// What is served, and where.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// A folder (its files), one file, a Python application (`module:name`), or a kind with its target: `files:DIR`, `cgi:DIR`,
    /// `redirect:URL`, `wsgi:SPEC`, `asgi:SPEC`, `handler:SPEC`. Only digits: the port
    #[arg(value_name = "TARGET", help_heading = "Arguments")]
    first: Option<OsString>,

    /// The port to listen on
    #[arg(value_name = "PORT", help_heading = "Arguments", value_parser = port)]
    second: Option<u16>,

    /// TARGET as an option, for files and the environment
    #[arg(long, value_name = "TARGET", hide = true)]
    pub target: Option<OsString>,

    /// Listen here; may be repeated: ADDR, ADDR:PORT, `[V6]:PORT`, unix:PATH or fd://N [default: all interfaces]
    #[arg(short, long, value_name = "ADDR")]
    pub bind: Vec<Address>,

    /// The port where --bind names none; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8000, value_parser = port)]
    pub port: u16,

    /// The folder to serve, the same as TARGET
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub directory: PathBuf,

    /// Serve TARGET below PREFIX; may be repeated, and the longest prefix wins
    #[arg(long, value_name = "PREFIX=TARGET", value_parser = OsStringValueParser::new().try_map(Mount::parse))]
    pub mount: Vec<Mount>,

    /// Run the scripts in /cgi-bin and /htbin of the folder
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set, num_args = 0..=1,
        require_equals = true, default_value = "false", default_missing_value = "true")]
    pub cgi: bool,
}

/// A target and the prefix it is served below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// `/`, or a path without a slash at its end.
    pub prefix: String,
    /// What is served.
    pub target: OsString,
}

/// A kind of target: what it is called, and who opens it.
struct Kind {
    prefix: &'static str,
    open: fn(&OsStr, &All) -> Opened,
}

/// A target that can be served.
pub(crate) type Opened = Result<Arc<dyn Handler>, StartError>;

/// Every kind of target. A new kind is a line here.
const KINDS: &[Kind] = &[
    Kind { prefix: "cgi:", open: scripts },
    Kind { prefix: "files:", open: files },
    Kind { prefix: "redirect:", open: redirect },
];

/// The folders of scripts that `--cgi` means, as http.server has them.
const SCRIPT_FOLDERS: [&str; 2] = ["cgi-bin", "htbin"];

/// What programs get of our own environment.
const PASSED_ON: [&str; 3] = ["PATH", "TZ", "LANG"];

impl Options {
    /// Where to listen, all ports named: `--bind`, or else the sockets that systemd passed, or else everywhere.
    ///
    /// # Errors
    /// `$PORT` counts and is no port.
    pub fn addresses(&self) -> Result<Vec<Address>, StartError> {
        if self.bind.is_empty() {
            let passed = process::passed_sockets(|name| std::env::var(name).ok(), std::process::id());
            return Ok(match self.have_application() {
                _ if !passed.is_empty() => passed,
                false => vec![Address::Everywhere(self.port)],
                true => vec![self.of_application(std::env::var_os("PORT"))?],
            });
        }
        Ok(self.bind.iter().map(|address| address.clone().or_port(self.port)).collect())
    }

    /// What to say of sockets that systemd passed and that `--bind` does not name: their clients would wait for ever.
    pub(crate) fn unserved(&self) -> Option<String> {
        self.unserved_of(&process::passed_sockets(|name| std::env::var(name).ok(), std::process::id()))
    }

    fn unserved_of(&self, passed: &[Address]) -> Option<String> {
        let unserved = passed.iter().filter(|socket| !self.bind.contains(socket)).count();
        (unserved > 0 && !self.bind.is_empty()).then(|| {
            format!(
                "LISTEN_FDS: --bind names other addresses than the {} that systemd passed, {unserved} of which nobody \
                serves; leave --bind out, or name them, as fd://3",
                passed.len()
            )
        })
    }

    /// An application is for this machine until it is said otherwise; platforms say it by PORT.
    fn of_application(&self, platform: Option<OsString>) -> Result<Address, StartError> {
        let Some(said) = platform.filter(|said| !said.is_empty()) else {
            return Ok(Address::Tcp { host: "127.0.0.1".into(), port: Some(self.port) });
        };
        let read = said.to_str().and_then(|said| said.parse().ok());
        let port = read.ok_or_else(|| {
            let said = said.to_string_lossy();
            StartError::new(format!("PORT: {said}: no port; give a number from 0 to 65535, or unset it"))
        })?;
        Ok(Address::Tcp { host: "0.0.0.0".into(), port: Some(port) })
    }

    /// TARGET below `/`, then the mounts.
    fn mounts(&self) -> Vec<Mount> {
        let target = self.target.clone().unwrap_or_else(|| self.directory.clone().into());
        let root = self.target.is_some() || self.mount.iter().all(|mount| mount.prefix != "/");
        let root = root.then(|| Mount { prefix: "/".into(), target });
        root.into_iter().chain(self.mount.iter().cloned()).collect()
    }

    /// The applications of Python among what is served.
    pub(crate) fn applications(&self) -> Vec<Application> {
        self.mounts().iter().filter_map(|mount| application(&mount.target, &mount.prefix)).collect()
    }

    /// Whether there is one.
    pub(crate) fn have_application(&self) -> bool {
        !self.applications().is_empty()
    }

    /// Whether scripts or applications are among what is served.
    pub(crate) fn runs_foreign_code(&self) -> bool {
        let scripts = |mount: &Mount| mount.target.as_bytes().starts_with(b"cgi:");
        self.cgi || self.have_application() || self.mounts().iter().any(scripts)
    }

    /// What has to be readable for what is served.
    pub(crate) fn needed(&self) -> Vec<Needed> {
        self.folders().iter().filter_map(|path| Needed::new(path)).collect()
    }

    /// The folders and files that are served.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let mounts = self.mounts();
        let is_path = |mount: &&Mount| {
            !mount.target.as_bytes().starts_with(b"redirect:")
                && application(&mount.target, &mount.prefix).is_none()
        };
        let paths = mounts.iter().filter(is_path).map(|mount| {
            let target = mount.target.as_bytes();
            let path = [&b"files:"[..], b"cgi:"].iter().find_map(|kind| target.strip_prefix(*kind));
            PathBuf::from(OsStr::from_bytes(path.unwrap_or(target)))
        });
        paths.collect()
    }

    /// The folder below `/` whose scripts `--cgi` runs.
    fn script_root(&self) -> Result<Option<PathBuf>, StartError> {
        let root = self.mounts().into_iter().find(|mount| self.cgi && mount.prefix == "/");
        let Some(Mount { target, .. }) = root else { return Ok(None) };
        let folder = target.as_bytes().strip_prefix(b"files:").unwrap_or(target.as_bytes());
        let folder = PathBuf::from(OsStr::from_bytes(folder));
        match folder.is_dir() {
            true => Ok(Some(folder)),
            false => {
                let what = target.display();
                Err(StartError::new(format!("--cgi: {what} is no folder; name one, or mount cgi:DIR")))
            }
        }
    }

    /// Every folder whose content is run and never sent.
    fn script_folders(&self) -> Result<Vec<PathBuf>, StartError> {
        let mounts = self.mounts();
        let mounted = mounts.iter().filter_map(|mount| mount.target.as_bytes().strip_prefix(b"cgi:"));
        let mut folders: Vec<_> = mounted.map(|folder| PathBuf::from(OsStr::from_bytes(folder))).collect();
        if let Some(root) = self.script_root()? {
            folders.extend(SCRIPT_FOLDERS.map(|name| root.join(name)));
        }
        Ok(folders)
    }
}

impl Mount {
    /// Reads `PREFIX=TARGET`.
    ///
    /// # Errors
    /// No `=`, nothing after it, or a prefix without a slash before it.
    pub fn parse(text: OsString) -> Result<Self, StartError> {
        let wrong = |why| StartError::new(format!("{why}; give PREFIX=TARGET, as /docs=./manual"));
        let bytes = text.as_bytes();
        let Some(equals) = bytes.iter().position(|byte| *byte == b'=') else { return Err(wrong("no `=`")) };
        let (prefix, target) = bytes.split_at(equals);
        let prefix = std::str::from_utf8(prefix).map_err(|_| wrong("the prefix is not UTF-8"))?;
        let target = target.get(1..).unwrap_or_default();
        if !prefix.starts_with('/') {
            return Err(wrong("the prefix does not begin with a slash"));
        }
        if target.is_empty() {
            return Err(wrong("no target"));
        }
        let prefix = match prefix.trim_end_matches('/') {
            "" => "/",
            prefix => prefix,
        };
        Ok(Self { prefix: prefix.into(), target: OsString::from_vec(target.to_vec()) })
    }
}

fn port(text: &str) -> Result<u16, StartError> {
    text.parse().map_err(|_| StartError::new("no port; give a number from 0 to 65535"))
}

/// Mounts everything that `options` name on `site`; `applications` opens those of Python.
///
/// # Errors
/// A target that does not exist, is no kind we know, or is mounted twice.
pub(crate) fn mount(
    mut site: Site,
    options: &All,
    applications: impl Fn(&Application) -> Opened,
) -> Result<Site, Failure> {
    for Mount { prefix, target } in options.targets.mounts() {
        let handler = match application(&target, &prefix) {
            Some(application) => applications(&application)?,
            None => open(&target, options)?,
        };
        site = site.mount_shared(&prefix, handler).map_err(|error| Failure::Usage(error.to_string()))?;
    }
    if let Some(root) = options.targets.script_root()? {
        let scripts = open_scripts(&root, options)?;
        for name in SCRIPT_FOLDERS {
            site = site.mount(&format!("/{name}"), scripts.folder(name)?)?;
        }
    }
    Ok(site)
}

/// The application that `target` names, if it names one and neither a file nor another kind.
fn application(target: &OsStr, prefix: &str) -> Option<Application> {
    let is_other = KINDS.iter().any(|kind| target.as_bytes().starts_with(kind.prefix.as_bytes()));
    if is_other { None } else { applications::named(target, prefix) }
}

fn open(target: &OsStr, options: &All) -> Opened {
    let kind = |prefix: &str| target.as_bytes().strip_prefix(prefix.as_bytes()).map(OsStr::from_bytes);
    for Kind { prefix, open } in KINDS {
        if let Some(rest) = kind(prefix) {
            return open(rest, options);
        }
    }
    files(target, options)
}

fn files(path: &OsStr, options: &All) -> Opened {
    let path = Path::new(path);
    if path.try_exists().is_ok_and(|exists| !exists) {
        let shown = path.display();
        return Err(StartError::new(format!("no file or folder {shown}; create it or name another")));
    }
    let open = if path.is_file() { Files::open_file } else { Files::open };
    let files = open(path, options.files.clone())?;
    let mut withheld = options.targets.script_folders()?;
    withheld.extend(https::secrets_in(path, options));
    Ok(Arc::new(files.without(withheld)))
}

fn scripts(folder: &OsStr, options: &All) -> Opened {
    Ok(Arc::new(open_scripts(Path::new(folder), options)?))
}

fn open_scripts(folder: &Path, options: &All) -> Result<Cgi, StartError> {
    let mut gateway = options.gateway.clone();
    let ours = PASSED_ON.iter().filter_map(|name| Variable::new(name, &std::env::var_os(name)?));
    gateway.env.splice(0..0, ours); // what `-e` says comes later and wins
    Cgi::open(folder, options.cgi.clone(), gateway, &options.files)
}

fn redirect(url: &OsStr, _: &All) -> Opened {
    let url =
        url.to_str().ok_or_else(|| StartError::new(format!("redirect:{}: not UTF-8", url.display())))?;
    Ok(Arc::new(handler::redirect::open(url)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_listens_where_the_platform_says() {
        use clap::CommandFactory as _;
        let options = All::command().get_matches_from(["salver", "--port", "7000"]);
        let options = <All as clap::FromArgMatches>::from_arg_matches(&options).unwrap().targets;
        let listens = |port: Option<&str>| options.of_application(port.map(OsString::from));
        for (port, want) in [
            (None, "127.0.0.1:7000"),
            (Some(""), "127.0.0.1:7000"),
            (Some("9000"), "0.0.0.0:9000"),
            (Some("0"), "0.0.0.0:0"),
        ] {
            assert_eq!(listens(port).unwrap(), want.parse().unwrap(), "{port:?}");
        }
        for port in ["http", "70000", "-1", "tcp://10.0.0.1:80"] {
            let error = listens(Some(port)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("PORT: {port}: no port; give a number")), "{error}");
        }
    }

    #[test]
    fn sockets_of_systemd_that_nobody_serves_are_told() {
        use clap::CommandFactory as _;
        let passed = [Address::Inherited(3), Address::Inherited(4)];
        for (bind, passed, told) in [
            (&[][..], &passed[..], None),
            (&["127.0.0.1:0"], &[], None),
            (&["127.0.0.1:0"], &passed, Some("2 of which")),
            (&["fd://4", "::1"], &passed, Some("1 of which")),
            (&["fd://3", "fd://4"], &passed, None),
        ] {
            let words = ["salver"].into_iter().chain(bind.iter().flat_map(|address| ["--bind", address]));
            let matches = All::command().get_matches_from(words);
            let options = <All as clap::FromArgMatches>::from_arg_matches(&matches).unwrap().targets;
            let said = options.unserved_of(passed);
            assert_eq!(said.is_some(), told.is_some(), "{bind:?}: {said:?}");
            assert!(said.unwrap_or_default().contains(told.unwrap_or_default()), "{bind:?}");
        }
    }

    #[test]
    fn a_mount_is_a_prefix_and_a_target() {
        for (text, want) in [
            ("/=x", Some(("/", "x"))),
            ("/api=files:/srv/a=b", Some(("/api", "files:/srv/a=b"))),
            ("/api/=x", Some(("/api", "x"))),
            ("//=x", Some(("/", "x"))),
            ("api=x", None),
            ("/api", None),
            ("/api=", None),
            ("=x", None),
            ("", None),
        ] {
            let want = want.map(|(prefix, target)| Mount { prefix: prefix.into(), target: target.into() });
            assert_eq!(Mount::parse(text.into()).ok(), want, "{text}");
        }
    }

    #[test]
    fn kinds_are_told_apart() {
        let mut prefixes: Vec<_> = KINDS.iter().map(|kind| kind.prefix).collect();
        prefixes.sort_unstable();
        let count = prefixes.len();
        prefixes.dedup();
        assert_eq!(prefixes.len(), count);
        assert!(prefixes.iter().all(|prefix| prefix.ends_with(':')));
    }
}
