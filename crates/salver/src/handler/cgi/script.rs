//! Which script a path names: nested folders are walked to the first file, and the rest is PATH_INFO (RFC 3875 §3.3).
//!
//! Refused: what the resolver refuses (`--symlinks`), hidden names, and whatever is not an executable regular file.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use http::StatusCode;
use rustix::fs::{Access, FileType, access};

use crate::error::Error;
use crate::handler::files::resolver::{Refusal, Root};
use crate::rfc::path::SafePath;

/// A folder of scripts.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) root: Arc<Root>,
    /// Where below the root the scripts are; it may not be there yet.
    pub(super) below: SafePath,
    /// Whether names that begin with a dot are scripts, too.
    pub(super) hidden: bool,
}

/// A script and the rest of the path that named it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Script {
    /// Its absolute path.
    pub(super) file: PathBuf,
    /// What follows in the path, decoded: empty, or beginning with a slash.
    pub(super) path_info: Vec<u8>,
}

impl Folder {
    /// The script that `rest` names.
    ///
    /// # Errors
    /// 404 for none, 403 for a folder and for what cannot be executed.
    pub(super) fn find(&self, rest: &SafePath) -> Result<Script, Error> {
        let mut path = self.below.clone();
        let mut names = rest.segments();
        loop {
            let stat = self.root.look_behind(&path).map_err(|refusal| refused(refusal, &path))?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {}
                FileType::RegularFile => break,
                _ => return Err(forbidden("CGI script is not a plain file")),
            }
            let Some(name) = names.next() else { return Err(forbidden("CGI script is a folder")) };
            if name.starts_with(b".") && !self.hidden {
                return Err(Error::not_found());
            }
            path = path.join(name).ok_or_else(Error::not_found)?;
        }
        let file = self.root.canonical().join(OsStr::from_bytes(path.as_bytes()));
        if access(&file, Access::EXEC_OK).is_err() {
            return Err(super::not_executable());
        }
        let mut path_info = Vec::new();
        for name in names {
            path_info.push(b'/');
            path_info.extend_from_slice(name);
        }
        if rest.is_folder() {
            path_info.push(b'/');
        }
        Ok(Script { file, path_info })
    }
}

fn refused(refusal: Refusal, path: &SafePath) -> Error {
    match refusal {
        Refusal::Link => {
            tracing::warn!("a symbolic link to a script is not followed (--symlinks): {path}");
            Error::not_found()
        }
        refusal => refusal.into(),
    }
}

fn forbidden(message: &'static str) -> Error {
    Error::new(StatusCode::FORBIDDEN, message)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::handler::files::Symlinks;

    #[test]
    fn folders_are_walked_to_the_script_and_the_rest_is_its_path_info() {
        let temp = tempfile::tempdir().unwrap();
        let bin = temp.path().join("root/cgi-bin");
        std::fs::create_dir_all(bin.join("nested/deep")).unwrap();
        for (name, mode) in [
            ("cgi-bin/run", 0o755),
            ("cgi-bin/sealed", 0o711),
            ("cgi-bin/plain", 0o644),
            ("cgi-bin/.hidden", 0o755),
            ("cgi-bin/nested/deep/a b", 0o755),
            ("elsewhere", 0o755),
            ("../outside", 0o755),
        ] {
            let file = temp.path().join("root").join(name);
            std::fs::write(&file, "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        symlink("../elsewhere", bin.join("in")).unwrap();
        symlink("../../outside", bin.join("out")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, bin.join("fifo"), FileType::Fifo, rustix::fs::Mode::RWXU, 0)
            .unwrap();

        // path below the mount, then: the script and its PATH_INFO, or the status; with --symlinks inside / never, and --hidden
        let ok = |script: &str, info: &str| Ok((script.to_owned(), info.to_owned()));
        let cases = [
            ("/run", ok("run", ""), ok("run", ""), ok("run", "")),
            ("/run/", ok("run", "/"), ok("run", "/"), ok("run", "/")),
            ("/run/a%20b//c/", ok("run", "/a b/c/"), ok("run", "/a b/c/"), ok("run", "/a b/c/")),
            ("/run/.git/x", ok("run", "/.git/x"), ok("run", "/.git/x"), ok("run", "/.git/x")),
            ("/sealed", ok("sealed", ""), ok("sealed", ""), ok("sealed", "")),
            (
                "/nested/deep/a%20b/x",
                ok("nested/deep/a b", "/x"),
                ok("nested/deep/a b", "/x"),
                ok("nested/deep/a b", "/x"),
            ),
            ("/in", ok("in", ""), Err(404), ok("in", "")),
            ("/out", Err(404), Err(404), Err(404)),
            ("/.hidden", Err(404), Err(404), ok(".hidden", "")),
            ("/plain", Err(403), Err(403), Err(403)),
            ("/fifo", Err(403), Err(403), Err(403)),
            ("/", Err(403), Err(403), Err(403)),
            ("/nested", Err(403), Err(403), Err(403)),
            ("/nested/deep/", Err(403), Err(403), Err(403)),
            ("/nothing", Err(404), Err(404), Err(404)),
            ("/nothing/x", Err(404), Err(404), Err(404)),
        ];
        for (path, inside, never, hidden) in cases {
            let rest = SafePath::parse(path.as_bytes()).unwrap();
            for (symlinks, shown, want) in [
                (Symlinks::Inside, false, inside),
                (Symlinks::Never, false, never),
                (Symlinks::Inside, true, hidden),
            ] {
                let root = Arc::new(Root::open(&temp.path().join("root"), symlinks).unwrap());
                let base = root.canonical().join("cgi-bin");
                let folder = Folder { root, below: SafePath::parse(b"/cgi-bin").unwrap(), hidden: shown };
                let found = folder.find(&rest).map_err(|error| error.status().as_u16()).map(|script| {
                    let name = script.file.strip_prefix(&base).unwrap().to_str().unwrap().to_owned();
                    (name, String::from_utf8(script.path_info).unwrap())
                });
                assert_eq!(found, want, "{path} {symlinks:?} hidden: {shown}");
            }
        }
    }

    #[test]
    fn a_folder_that_is_not_there_yet_is_missing() {
        let temp = tempfile::tempdir().unwrap();
        let root = Arc::new(Root::open(temp.path(), Symlinks::Inside).unwrap());
        let folder = Folder { root, below: SafePath::parse(b"/cgi-bin").unwrap(), hidden: false };
        let status = || folder.find(&SafePath::root()).unwrap_err().status().as_u16();
        assert_eq!(status(), 404);
        std::fs::create_dir(temp.path().join("cgi-bin")).unwrap();
        assert_eq!(status(), 403);
    }
}
