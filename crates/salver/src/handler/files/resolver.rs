//! The one resolver: every served file and folder is opened here, beneath a root's descriptor.
//!
//! The kernel resolves (`openat2` with `RESOLVE_BENEATH`), so no race between looking and opening can leave the root.
//! Refused: what is neither a regular file nor a folder, and links that the policy does not allow. A FIFO, socket or device
//! is missing, and never blocks. The root itself may be [replaced](super::place) at any time.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use http::{HeaderValue, StatusCode, header};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, readlink, statat,
};
use rustix::io::Errno;

use super::facts::Facts;
use super::options::Symlinks;
use super::place::{FOLDER, Held, Place};
use crate::error::Error;
use crate::rfc::path::SafePath;
use crate::start_error::StartError;

/// A folder whose content is served.
#[derive(Debug)]
pub(crate) struct Root {
    place: Place,
    symlinks: Symlinks,
    /// Whether the kernel resolves; else the components are walked here.
    by_kernel: bool,
    /// Folders whose content is not served, by whatever way it is reached: scripts that are run.
    withheld: Vec<PathBuf>,
}

/// What a path names.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A regular file, open for reading.
    File(File, Facts),
    /// A folder.
    Folder(OwnedFd),
}

/// Why a path is not opened.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It does not exist, or is of a kind that is not served.
    Missing,
    /// This user may not read it.
    Unreadable,
    /// It is a link, or lies behind one, that may not be followed.
    Link,
    /// This process or machine has no descriptor or memory left.
    Exhausted(Errno),
    /// The file system failed.
    Failed(Errno),
}

impl Root {
    /// Opens the folder `path` as a root.
    ///
    /// # Errors
    /// A folder that does not exist or cannot be read.
    pub(crate) fn open(path: &Path, symlinks: Symlinks) -> Result<Self, StartError> {
        let fault = |error: Errno| {
            let mend = match error {
                Errno::NOENT => "create it or name another",
                Errno::NOTDIR => "name a folder",
                Errno::ACCESS => "allow this user to read it",
                _ => "name another",
            };
            let reason = std::io::Error::from(error);
            StartError::new(format!("cannot serve the folder {}: {reason}; {mend}", path.display()))
        };
        let place = Place::open(path).map_err(fault)?;
        let held = place.now();
        let folder = &held.as_ref().ok_or_else(|| fault(Errno::NOENT))?.folder;
        // An old kernel does not know it, and some sandboxes forbid it.
        let probe = openat2(folder, c".", FOLDER, Mode::empty(), ResolveFlags::BENEATH);
        let by_kernel = !matches!(probe, Err(Errno::NOSYS | Errno::PERM | Errno::INVAL));
        drop(held);
        Ok(Self { place, symlinks, by_kernel, withheld: Vec::new() })
    }

    /// The same root, without what lies in `folders`; they may come to be later.
    pub(crate) fn without(self, folders: Vec<PathBuf>) -> Self {
        Self { withheld: folders, ..self }
    }

    /// Its absolute path, without links.
    pub(crate) fn canonical(&self) -> PathBuf {
        self.place.canonical()
    }

    /// Opens what `path` names.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub(crate) fn open_entry(&self, path: &SafePath) -> Result<Entry, Refusal> {
        let name = relative(path);
        // A removed folder still opens, and looks empty.
        if path.is_root() {
            self.place.look_again();
        }
        let opened = match self.open_as(name, FILE) {
            Err(Refusal::Link) => {
                let which = if self.symlinks == Symlinks::Never { "never" } else { "inside" };
                tracing::warn!("a symbolic link is not followed (--symlinks {which}): {name:?}");
                Err(Refusal::Link)
            }
            // A folder may be searched and yet not read: what lies in it is served, it is not listed.
            Err(Refusal::Unreadable) => {
                self.open_as(name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC)
            }
            opened => opened,
        }?;
        if self.withholds(&opened) {
            return Err(Refusal::Missing);
        }
        let stat = fstat(&opened).map_err(Refusal::from)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Ok(Entry::Folder(opened));
        }
        match Facts::of_file(&stat) {
            Some(facts) => Ok(Entry::File(opened.into(), facts)),
            None => Err(Refusal::Missing),
        }
    }

    /// Whether what was opened lies in a withheld folder. SECURITY: by its real path, so that a link elsewhere in the root does
    /// not lead to the source of a script; what cannot be told is withheld.
    fn withholds(&self, opened: &OwnedFd) -> bool {
        if self.withheld.is_empty() {
            return false;
        }
        let Ok(real) = readlink(format!("/proc/self/fd/{}", opened.as_raw_fd()), Vec::new()) else {
            return true;
        };
        let real = Path::new(OsStr::from_bytes(real.as_bytes()));
        let lies_in = |folder: &PathBuf| folder.canonicalize().is_ok_and(|folder| real.starts_with(folder));
        self.withheld.iter().any(lies_in)
    }

    /// What lies behind the link `path`, whatever it is: for a listing.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub(crate) fn look_behind(&self, path: &SafePath) -> Result<Stat, Refusal> {
        let opened = self.open_as(relative(path), OFlags::PATH | OFlags::CLOEXEC)?;
        Ok(fstat(opened)?)
    }

    /// The facts of the regular file that `path` names now, by one system call.
    ///
    /// It only tells whether something opened before by [`Root::open_entry`] is still the same: it opens nothing, so it may
    /// follow links.
    pub(crate) fn facts(&self, path: &SafePath) -> Option<Facts> {
        let held = self.place.now();
        statat(&held.as_ref()?.folder, relative(path), AtFlags::empty())
            .ok()
            .as_ref()
            .and_then(Facts::of_file)
    }

    /// The same for what was last opened or looked at so at the time `resolved`. SECURITY: every 250 ms it is resolved as
    /// the policy says, for a folder may be moved out of the root and a link to it left in its place.
    pub(crate) fn facts_by_policy(&self, path: &SafePath, resolved: &AtomicU64) -> Option<Facts> {
        if !self.place.is_due(resolved) {
            return self.facts(path);
        }
        let opened = self.open_as(relative(path), OFlags::PATH | OFlags::CLOEXEC).ok()?;
        if self.withholds(&opened) {
            return None;
        }
        Facts::of_open(&opened)
    }

    fn open_as(&self, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Refusal> {
        let open = || self.open_in(self.place.now().as_ref().ok_or(Refusal::Missing)?, name, flags);
        match open() {
            // It may be there in a folder that took the root's place.
            Err(Refusal::Missing) if self.place.look_again() => open(),
            opened => opened,
        }
    }

    fn open_in(&self, held: &Held, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Refusal> {
        let opened = match self.symlinks {
            // A `SafePath` holds no `..`: without links it cannot leave, and with them it may.
            Symlinks::Follow if !self.by_kernel => {
                openat(&held.folder, name, flags, Mode::empty()).map_err(Refusal::from)
            }
            Symlinks::Follow => Self::resolve(held, name, flags, ResolveFlags::NO_MAGICLINKS),
            Symlinks::Inside if self.by_kernel => Self::resolve(held, name, flags, INSIDE),
            Symlinks::Inside | Symlinks::Never => self.open_without_links(held, name, flags),
        };
        match opened {
            Err(Refusal::Link) if self.symlinks == Symlinks::Inside => {
                self.open_by_real_path(held, name, flags)
            }
            opened => opened,
        }
    }

    /// Opens what lies beneath by an absolute link, or by a way out and in again.
    ///
    /// SECURITY: the real path is found by looking only; it is then opened beneath the root with no link allowed, so whoever
    /// changes a component in between gains nothing.
    fn open_by_real_path(&self, held: &Held, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Refusal> {
        let real = held.canonical.join(name).canonicalize();
        let real =
            real.map_err(|error| Refusal::from(Errno::from_io_error(&error).unwrap_or(Errno::NOENT)))?;
        let inside = real.strip_prefix(&held.canonical).map_err(|_| Refusal::Link)?;
        let inside = if inside.as_os_str().is_empty() { OsStr::new(".") } else { inside.as_os_str() };
        self.open_without_links(held, inside, flags)
    }

    fn open_without_links(&self, held: &Held, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Refusal> {
        match self.by_kernel {
            true => Self::resolve(held, name, flags, INSIDE.union(ResolveFlags::NO_SYMLINKS)),
            false => Self::walk(held, name, flags),
        }
    }

    fn resolve(held: &Held, name: &OsStr, flags: OFlags, how: ResolveFlags) -> Result<OwnedFd, Refusal> {
        let mut tries = 0..RETRIES;
        loop {
            match openat2(&held.folder, name, flags, Mode::empty(), how) {
                Ok(opened) => return Ok(opened),
                // Something was renamed while a `..` in a link was resolved (openat2(2)).
                Err(Errno::AGAIN | Errno::INTR) if tries.next().is_some() => {}
                Err(Errno::XDEV) => return Err(Refusal::Link),
                Err(Errno::LOOP) if how.contains(ResolveFlags::NO_SYMLINKS) => return Err(Refusal::Link),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Opens one component after the other, each beneath the one before, and follows no link.
    fn walk(held: &Held, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Refusal> {
        let mut names = name.as_bytes().split(|byte| *byte == b'/').peekable();
        let mut at: Option<OwnedFd> = None;
        while let Some(name) = names.next() {
            let from = at.as_ref().map_or(held.folder.as_fd(), |folder| folder.as_fd());
            let is_last = names.peek().is_none();
            let flags = if is_last { flags } else { OFlags::PATH | OFlags::CLOEXEC };
            let opened = match openat(from, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
                Err(Errno::LOOP) => return Err(Refusal::Link),
                opened => opened?,
            };
            // With `O_PATH` a link itself is opened.
            if flags.contains(OFlags::PATH)
                && FileType::from_raw_mode(fstat(&opened)?.st_mode) == FileType::Symlink
            {
                return Err(Refusal::Link);
            }
            at = Some(opened);
        }
        at.ok_or(Refusal::Missing)
    }
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        match error {
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => Self::Exhausted(error),
            Errno::IO => Self::Failed(error),
            Errno::ACCESS | Errno::PERM => Self::Unreadable,
            // Not there, a file as a folder, a loop, a name too long, a socket, a device without a driver.
            _ => Self::Missing,
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Missing => Self::not_found(),
            Refusal::Unreadable => Self::not_found().because("no permission"),
            Refusal::Link => Self::not_found().because("a symbolic link that is not followed"),
            Refusal::Exhausted(error) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "Too many files are open")
                    .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
                    .because(error)
            }
            Refusal::Failed(error) => Self::internal(error),
        }
    }
}

/// The name of `path` from its root's descriptor.
fn relative(path: &SafePath) -> &OsStr {
    OsStr::from_bytes(if path.is_root() { b"." } else { path.as_bytes() })
}

/// `O_NONBLOCK`: opening a FIFO waits for nobody.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

const INSIDE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);

/// How often a resolution that met a rename is tried again.
const RETRIES: u32 = 16;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A tree with every kind of link, and what lies outside.
    fn tree() -> tempfile::TempDir {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/file"), "inside").unwrap();
        std::fs::write(temp.path().join("secret"), "outside").unwrap();
        symlink("a/b/file", root.join("relative")).unwrap();
        symlink("../a", root.join("a/up")).unwrap();
        symlink(root.join("a/b/file"), root.join("absolute")).unwrap();
        symlink(root.join("a"), root.join("folder")).unwrap();
        symlink("../root/a", root.join("roundabout")).unwrap();
        symlink("../secret", root.join("out")).unwrap();
        symlink(temp.path().join("secret"), root.join("out-absolute")).unwrap();
        symlink("..", root.join("parent")).unwrap();
        symlink("out", root.join("chain")).unwrap();
        symlink("nowhere", root.join("dangling")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("/proc/self/root", root.join("magic")).unwrap();
        temp
    }

    fn roots(temp: &tempfile::TempDir, symlinks: Symlinks) -> [Root; 2] {
        let path = temp.path().join("root");
        let kernel = Root::open(&path, symlinks).unwrap();
        let walked = Root { by_kernel: false, ..Root::open(&path, symlinks).unwrap() };
        [kernel, walked]
    }

    fn opens(root: &Root, path: &str) -> &'static str {
        match root.open_entry(&SafePath::parse(path.as_bytes()).unwrap()) {
            Ok(Entry::File(..)) => "file",
            Ok(Entry::Folder(_)) => "folder",
            Err(Refusal::Missing | Refusal::Unreadable) => "missing",
            Err(Refusal::Link) => "link",
            Err(refusal) => panic!("{path}: {refusal:?}"),
        }
    }

    #[test]
    fn links_are_followed_as_the_policy_says() {
        let temp = tree();
        // path, inside, follow, never
        let cases = [
            ("/", "folder", "folder", "folder"),
            ("/a/b", "folder", "folder", "folder"),
            ("/a/b/file", "file", "file", "file"),
            ("/a/b/file/x", "missing", "missing", "missing"),
            ("/nothing", "missing", "missing", "missing"),
            ("/relative", "file", "file", "link"),
            ("/a/up/b/file", "file", "file", "link"),
            ("/absolute", "file", "file", "link"),
            ("/folder", "folder", "folder", "link"),
            ("/folder/b/file", "file", "file", "link"),
            ("/roundabout/b/file", "file", "file", "link"),
            ("/out", "link", "file", "link"),
            ("/out-absolute", "link", "file", "link"),
            ("/parent/secret", "link", "file", "link"),
            ("/parent/root/a/b/file", "file", "file", "link"),
            ("/chain", "link", "file", "link"),
            ("/dangling", "missing", "missing", "link"),
            ("/loop", "missing", "missing", "link"),
        ];
        for (path, inside, follow, never) in cases {
            for (symlinks, want) in
                [(Symlinks::Inside, inside), (Symlinks::Follow, follow), (Symlinks::Never, never)]
            {
                for root in roots(&temp, symlinks) {
                    assert_eq!(opens(&root, path), want, "{path} {symlinks:?} kernel: {}", root.by_kernel);
                }
            }
        }
    }

    #[test]
    fn a_magic_link_is_followed_only_out_of_the_kernels_sight() {
        let temp = tree();
        for symlinks in [Symlinks::Inside, Symlinks::Never] {
            for root in roots(&temp, symlinks) {
                assert_eq!(opens(&root, "/magic/etc/passwd"), "link", "{symlinks:?}");
            }
        }
        let [kernel, _] = roots(&temp, Symlinks::Follow);
        assert_eq!(opens(&kernel, "/magic/etc/passwd"), "missing");
    }

    #[test]
    fn what_is_believed_is_resolved_again_by_the_policy() {
        let temp = tree();
        let path = SafePath::parse(b"/a/b/file").unwrap();
        for root in roots(&temp, Symlinks::Inside) {
            let Entry::File(_, facts) = root.open_entry(&path).unwrap() else { panic!("a file") };
            while !root.place.is_due(&AtomicU64::new(0)) {
                std::thread::yield_now();
            }
            assert_eq!(root.facts_by_policy(&path, &AtomicU64::new(0)), Some(facts));
            std::fs::rename(temp.path().join("root/a"), temp.path().join("a")).unwrap();
            symlink("../a", temp.path().join("root/a")).unwrap();
            assert_eq!(root.facts(&path), Some(facts));
            assert_eq!(root.facts_by_policy(&path, &AtomicU64::new(0)), None);
            std::fs::remove_file(temp.path().join("root/a")).unwrap();
            std::fs::rename(temp.path().join("a"), temp.path().join("root/a")).unwrap();
        }
    }

    #[test]
    fn only_files_and_folders_are_opened_and_nothing_blocks() {
        let temp = tree();
        let root = temp.path().join("root");
        rustix::fs::mknodat(rustix::fs::CWD, root.join("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        symlink("/dev/zero", root.join("device")).unwrap();
        for symlinks in [Symlinks::Inside, Symlinks::Follow] {
            for root in roots(&temp, symlinks) {
                for path in ["/fifo", "/socket"] {
                    assert_eq!(opens(&root, path), "missing", "{path}");
                }
                assert_ne!(opens(&root, "/device"), "file");
            }
        }
    }

    #[test]
    fn names_that_no_file_system_holds_are_missing() {
        let temp = tree();
        let long = format!("/{}", "x".repeat(300));
        let deep = "/a".repeat(4000);
        for root in roots(&temp, Symlinks::Inside) {
            assert_eq!(opens(&root, &long), "missing");
            assert_eq!(opens(&root, &deep), "missing");
        }
    }

    #[test]
    fn an_error_of_the_system_has_its_status() {
        use Errno as E;
        let missing = [E::NOENT, E::NOTDIR, E::LOOP, E::NAMETOOLONG, E::ACCESS].map(|errno| (errno, 404));
        let exhausted = [E::MFILE, E::NFILE, E::NOMEM].map(|errno| (errno, 503));
        for (errno, status) in missing.into_iter().chain(exhausted).chain([(E::IO, 500)]) {
            let error = Error::from(Refusal::from(errno));
            assert_eq!(error.status().as_u16(), status, "{errno}");
            assert_eq!(error.headers().contains_key(header::RETRY_AFTER), status == 503, "{errno}");
        }
    }

    #[test]
    fn a_component_that_changes_into_a_link_never_leads_out() {
        let temp = tree();
        let root = temp.path().join("root");
        std::fs::create_dir(root.join("swap")).unwrap();
        std::fs::write(root.join("swap/secret"), "inside").unwrap();
        symlink("..", root.join("bad")).unwrap();
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                use rustix::fs::{CWD, RenameFlags, renameat_with};
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let (one, other) = (root.join("swap"), root.join("bad"));
                    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
                }
            });
            let path = SafePath::parse(b"/swap/secret").unwrap();
            for root in roots(&temp, Symlinks::Inside) {
                for _ in 0..2000 {
                    if let Ok(Entry::File(file, _)) = root.open_entry(&path) {
                        assert_eq!(std::io::read_to_string(file).unwrap(), "inside");
                    }
                }
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }

    #[test]
    fn a_root_that_cannot_be_opened_is_said_with_the_mend() {
        let temp = tree();
        let open = |name: &str| {
            Root::open(&temp.path().join(name), Symlinks::Inside).map(drop).unwrap_err().to_string()
        };
        assert!(open("nothing").ends_with("create it or name another"));
        assert!(open("secret").ends_with("name a folder"));
    }
}
