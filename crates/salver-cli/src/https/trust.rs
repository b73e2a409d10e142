//! `salver trust` and `salver untrust`: the local authority in the stores of the system and of browsers, and out of them.
//!
//! Each store is told by its own tool, and each line says what was done. What needs a right that we have not is told as the command
//! that would do it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use salver::StartError;

use super::{data, local};
use crate::options::Options as All;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Trust,
    Untrust,
}

impl Action {
    /// What TARGET says, where it is the word and names no file or folder.
    pub(crate) fn asked(options: &All) -> Option<Self> {
        let word = options.targets.target.as_deref()?;
        let action = match word.to_str()? {
            "trust" => Self::Trust,
            "untrust" => Self::Untrust,
            _ => return None,
        };
        fs::symlink_metadata(word).is_err().then_some(action)
    }

    /// Does it in every store there is, and says a line for each.
    ///
    /// # Errors
    /// No store was told.
    pub(crate) fn run(self, options: &All, say: impl Fn(&str)) -> Result<(), StartError> {
        let folder = data::folder(options.https.tls_data.as_deref())?;
        if self == Self::Trust {
            local::Local::open(&folder)?; // made if there is none
        }
        let certificate = local::certificate_path(&folder);
        if self == Self::Untrust && data::read(&certificate)?.is_none() {
            say(&format!("there is no authority in {}", folder.display()));
            return Ok(());
        }
        let mut done = 0;
        let mut report = |result: Result<String, String>| match result {
            Ok(line) => {
                done += 1;
                say(&line);
            }
            Err(line) => say(&format!("not done: {line}")),
        };
        report(self.system(&certificate));
        self.browsers(&certificate).into_iter().for_each(&mut report);
        if done == 0 {
            let certificate = certificate.display();
            return Err(StartError::new(format!("no store was told; import {certificate} by hand")));
        }
        Ok(())
    }

    /// The store of the system: what curl, Python and most programs trust.
    fn system(self, certificate: &Path) -> Result<String, String> {
        let store = STORES.iter().find(|store| Path::new(store.folder).is_dir());
        let store = store.ok_or("no store of the system that we know; see your distribution's manual")?;
        let path = Path::new(store.folder).join(STORED);
        let told = path.display();
        let command = match self {
            Self::Trust => format!("cp {} {told}", certificate.display()),
            Self::Untrust => format!("rm -f {told}"),
        };
        let changed = match self {
            Self::Trust => fs::read(certificate).and_then(|content| fs::write(&path, content)),
            Self::Untrust if !path.exists() => {
                return Ok(format!("the system's store has not got it ({told})"));
            }
            Self::Untrust => fs::remove_file(&path),
        };
        let by_hand = || format!("sudo sh -c '{command} && {}'", store.update.join(" "));
        changed.map_err(|error| format!("the system's store, {told}: {error}; run: {}", by_hand()))?;
        let [program, arguments @ ..] = store.update else { return Err("no tool".into()) };
        run(Command::new(program).args(arguments))
            .map_err(|why| format!("{program}: {why}; run: {}", by_hand()))?;
        Ok(match self {
            Self::Trust => format!("trusted by the system's store: {told}"),
            Self::Untrust => format!("removed from the system's store: {told}"),
        })
    }

    /// The stores of browsers (NSS): Chromium's, and that of each profile of Firefox.
    fn browsers(self, certificate: &Path) -> Vec<Result<String, String>> {
        let Some(home) = env::var_os("HOME").map(PathBuf::from) else { return Vec::new() };
        if run(Command::new("certutil").arg("-H")) == Err(MISSING.into()) {
            let mend = "certutil is not installed; install libnss3-tools (Debian) or nss-tools, and run this once more";
            return vec![Err(format!("browsers: {mend}"))];
        }
        let chromium = home.join(".pki/nssdb");
        if self == Self::Trust && !chromium.join("cert9.db").exists() {
            // Chromium makes it at its first start; nothing is lost if it cannot be made now.
            let _ = data::create(&chromium);
            let _ = run(certutil(&chromium).args(["-N", "--empty-password"]));
        }
        let mut stores = vec![chromium];
        for profiles in FIREFOX {
            let entries = fs::read_dir(home.join(profiles)).into_iter().flatten().flatten();
            stores.extend(entries.map(|entry| entry.path()));
        }
        stores.retain(|store| store.join("cert9.db").exists());
        stores.iter().map(|store| self.browser(store, certificate)).collect()
    }

    fn browser(self, store: &Path, certificate: &Path) -> Result<String, String> {
        let told = store.display();
        let is_there = run(certutil(store).args(["-L", "-n", NICKNAME])).is_ok();
        if is_there {
            // Also before it is added: an authority that was made anew has the same name.
            run(certutil(store).args(["-D", "-n", NICKNAME])).map_err(|why| format!("{told}: {why}"))?;
        }
        match self {
            Self::Untrust if is_there => Ok(format!("removed from the browser's store: {told}")),
            Self::Untrust => Ok(format!("the browser's store has not got it: {told}")),
            Self::Trust => {
                let mut add = certutil(store);
                add.args(["-A", "-t", "C,,", "-n", NICKNAME, "-i"]).arg(certificate);
                run(&mut add).map_err(|why| format!("{told}: {why}"))?;
                Ok(format!("trusted by the browser's store: {told}"))
            }
        }
    }
}

/// A store of a distribution's.
struct Store {
    folder: &'static str,
    update: &'static [&'static str],
}

/// Debian and its kin, Fedora and its, Arch, openSUSE.
const STORES: [Store; 4] = [
    Store { folder: "/usr/local/share/ca-certificates", update: &["update-ca-certificates"] },
    Store { folder: "/etc/pki/ca-trust/source/anchors", update: &["update-ca-trust", "extract"] },
    Store { folder: "/etc/ca-certificates/trust-source/anchors", update: &["trust", "extract-compat"] },
    Store { folder: "/usr/share/pki/trust/anchors", update: &["update-ca-certificates"] },
];

const FIREFOX: [&str; 3] = [
    ".mozilla/firefox",
    "snap/firefox/common/.mozilla/firefox",
    ".var/app/org.mozilla.firefox/.mozilla/firefox",
];
const STORED: &str = "salver-local-authority.crt";
const NICKNAME: &str = "salver local authority";
const MISSING: &str = "not installed";

fn certutil(store: &Path) -> Command {
    let mut command = Command::new("certutil");
    command.arg("-d").arg(format!("sql:{}", store.display()));
    command
}

/// Runs a tool to its end; what it complains of, if it fails.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => MISSING.into(),
        _ => error.to_string(),
    })?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(said.lines().next().map_or_else(|| output.status.to_string(), str::to_owned))
        }
    }
}
