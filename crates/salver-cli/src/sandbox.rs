//! Confinement of workers that run no foreign code: the kernel (Landlock) lets them read what they serve and what lies beside it, write their log, and no
//! more; they connect to nobody and start nothing with more rights.
//!
//! It holds for the thread that asks and for those it starts: asked before the loops are. On a kernel that has no Landlock nothing
//! happens. Not for scripts and applications, which may need anything.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
    RulesetError, RulesetStatus, path_beneath_rules,
};
use salver::finish::log::Destination;
use salver::handler::files::Symlinks;

use crate::options::Options as All;

/// Confinement.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Do not confine worker processes that serve only files to what they serve
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true,
        default_value = "false", default_missing_value = "true")]
    pub no_sandbox: bool,
}

/// Confines this thread, and whatever it starts, to what serving `options` takes.
pub(crate) fn enter(options: &All) {
    if options.sandbox.no_sandbox || options.targets.runs_foreign_code() {
        return;
    }
    let read = match options.files.symlinks {
        Symlinks::Follow => vec![PathBuf::from("/")],
        _ => options.targets.folders().iter().map(around).chain(SYSTEM.map(PathBuf::from)).collect(),
    };
    let written = match &options.log.access_log {
        Destination::File(path) => {
            path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
        }
        _ => None,
    };
    match confine(&read, written) {
        Ok(RulesetStatus::NotEnforced) => {
            tracing::debug!("this kernel has no Landlock: workers are not confined")
        }
        Ok(_) => tracing::debug!("confined to {read:?}"),
        Err(error) => {
            tracing::warn!("workers are not confined: {error}; --no-sandbox says so without this line")
        }
    }
}

/// The folder around what is served: it may be removed and made again, or a link to it may come to lead to another beside it.
fn around(path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real.parent().map_or_else(|| real.clone(), Path::to_owned)
}

fn confine(read: &[PathBuf], written: Option<&Path>) -> Result<RulesetStatus, RulesetError> {
    let reading: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    let writing = reading | AccessFs::WriteFile | AccessFs::MakeReg | AccessFs::Truncate;
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::from_all(KNOWN))?
        .create()?
        .add_rules(path_beneath_rules(read, reading))?
        .add_rules(path_beneath_rules(written, writing))?;
    Ok(ruleset.restrict_self()?.ruleset)
}

/// What any server reads: the time zone, and the descriptor that is kept in reserve.
const SYSTEM: [&str; 3] = ["/etc/localtime", "/usr/share/zoneinfo", "/dev/null"];
/// The newest kernel that is known here; on older ones what they have not is left out.
const KNOWN: ABI = ABI::V5;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn only_what_is_served_can_be_read_and_only_the_log_written() {
        let folder = tempfile::tempdir().unwrap();
        let (served, log, other) =
            (folder.path().join("served"), folder.path().join("log"), folder.path().join("other"));
        for path in [&served, &log, &other] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("file"), "x").unwrap();
        }
        // A thread of its own: there is no way back.
        let confined = std::thread::spawn(move || {
            let status = confine(std::slice::from_ref(&served), Some(&log)).unwrap();
            if status == RulesetStatus::NotEnforced {
                return; // a kernel without it
            }
            assert_eq!(fs::read_to_string(served.join("file")).unwrap(), "x");
            fs::write(log.join("new"), "x").unwrap();
            for denied in [
                fs::read_to_string(other.join("file")).map(drop),
                fs::write(served.join("file"), "y"),
                fs::remove_file(served.join("file")),
                std::net::TcpStream::connect("127.0.0.1:9").map(drop),
                std::process::Command::new("/bin/true").status().map(drop),
            ] {
                assert_eq!(denied.unwrap_err().kind(), ErrorKind::PermissionDenied);
            }
        });
        confined.join().unwrap();
    }
}
