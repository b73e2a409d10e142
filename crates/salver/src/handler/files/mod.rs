//! Files of a folder, or one file: what `python3 -m http.server` does, with ranges, validators and codings.
//!
//! A request is answered in the event loop: what is small comes from a cache that is checked against the file system, what
//! is large leaves by `sendfile`. Only folders are listed, and small files compressed for the first time, elsewhere.
//! Refused: whatever the resolver does not open, hidden names, and methods that change something.

use std::borrow::Cow;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, header};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use self::cache::Cache;
use self::resolver::{Entry, Refusal, Root};
use self::stored::Stored;
use super::{Answer, Handler, Reply, Response, listing};
use crate::body::Body;
use crate::error::Error;
use crate::request::Request;
use crate::rfc::content_type;
use crate::rfc::path::{self, SafePath};
use crate::start_error::StartError;

mod cache;
pub(crate) mod facts;
mod options;
pub(crate) mod place;
pub(crate) mod plan;
pub(crate) mod resolver;
mod respond;
pub(crate) mod stored;
#[cfg(all(feature = "compress", feature = "listing"))]
#[cfg(test)]
mod tests;
mod variant;

pub use options::{Options, Symlinks};

/// Serves the files beneath a folder, or one file.
///
/// ```no_run
/// use salver::handler::files::{Files, Options};
///
/// let files = Files::open("public".as_ref(), Options::default())?;
/// # Ok::<(), salver::StartError>(())
/// ```
#[derive(Debug)]
pub struct Files {
    root: Arc<Root>,
    options: Options,
    /// The one file that is served; `None` is all of the folder.
    only: Option<SafePath>,
    cache: Cache<Stored>,
    /// What a file that is kept open costs in the cache, in bytes.
    open_cost: usize,
    /// How long a file must not have changed to be kept open.
    quiet: Duration,
    listing: listing::Listing,
}

/// What a path leads to.
enum Found<'p> {
    File(Cow<'p, SafePath>, Arc<Stored>),
    Folder(SafePath, OwnedFd),
    /// A folder that was asked for without its slash.
    Redirect,
}

/// What is looked for in a folder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Its index, or it where there is none.
    Index,
    Folder,
}

/// What a path names, by the cache or the resolver.
enum Named {
    File(Arc<Stored>),
    Folder,
}

impl Files {
    /// Opens the folder `dir`.
    ///
    /// # Errors
    /// When it does not exist or cannot be read.
    pub fn open(dir: &Path, options: Options) -> Result<Self, StartError> {
        Ok(Self {
            root: Arc::new(Root::open(dir, options.symlinks)?),
            listing: listing::open(&options.listing)?,
            options,
            only: None,
            cache: Cache::new(CACHE_BYTES, CACHE_ENTRIES),
            open_cost: open_cost(getrlimit(Resource::Nofile).current),
            quiet: QUIET,
        })
    }

    /// Opens one file, served at the root and by its name.
    ///
    /// Whoever names a file means it: it may be hidden, and a link that leads anywhere.
    ///
    /// # Errors
    /// When it does not exist, cannot be read, or is no regular file.
    pub fn open_file(file: &Path, options: Options) -> Result<Self, StartError> {
        use std::os::unix::ffi::OsStrExt as _;
        let fault = |mend: &str| StartError::new(format!("cannot serve the file {}: {mend}", file.display()));
        let name = file.file_name().and_then(|name| SafePath::root().join(name.as_bytes()));
        let name = name.ok_or_else(|| fault("it has no name; name a file or a folder"))?;
        let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty());
        let options = Options { symlinks: Symlinks::Follow, ..options };
        let files = Self::open(folder.unwrap_or(Path::new(".")), options)?;
        match files.root.open_entry(&name) {
            Ok(Entry::File(..)) => Ok(Self { only: Some(name), ..files }),
            Ok(Entry::Folder(_)) => Err(fault("it is a folder; serve it as one")),
            Err(Refusal::Unreadable) => Err(fault("no permission; allow this user to read it")),
            Err(_) => Err(fault("no such regular file; create it or name another")),
        }
    }

    /// The same files without what lies in `folders`, by whatever link it is reached: scripts that are run, and whose source
    /// is nobody's business. A folder may come to be later.
    #[must_use]
    pub fn without(self, folders: Vec<PathBuf>) -> Self {
        let root = Arc::into_inner(self.root).expect("only requests share it, and none has come");
        Self { root: Arc::new(root.without(folders)), ..self }
    }

    fn find<'p>(&'p self, rest: &'p SafePath, wanted: Wanted) -> Result<Found<'p>, Error> {
        if let Some(only) = &self.only {
            return match rest.is_root() || rest == only {
                true => self.find_at(only, wanted),
                false => Err(Error::not_found()),
            };
        }
        // SECURITY: the name as asked for decides; what a link within the root is called inside is its owner's choice.
        if rest.is_hidden() && !self.options.hidden {
            return Err(Error::not_found());
        }
        match self.find_at(rest, wanted) {
            Err(error) if error.status() == StatusCode::NOT_FOUND => match rest.without_surrogates() {
                Some(bytes) => self.find_at(&bytes, wanted).map(Found::into_owned),
                None => Err(error),
            },
            found => found,
        }
    }

    fn find_at<'p>(&self, rest: &'p SafePath, wanted: Wanted) -> Result<Found<'p>, Error> {
        if !rest.is_folder() {
            return Ok(match self.named(rest)? {
                Named::File(stored) => Found::File(Cow::Borrowed(rest), stored),
                Named::Folder => Found::Redirect,
            });
        }
        let names: &[&[u8]] = if wanted == Wanted::Index { &INDEX } else { &[] };
        for name in names {
            let Some(index) = rest.join(name) else { continue };
            match self.named(&index) {
                Ok(Named::File(stored)) => return Ok(Found::File(Cow::Owned(index), stored)),
                // Whatever cannot be sent does not hide the next one, or the listing.
                Ok(Named::Folder) | Err(Refusal::Missing | Refusal::Unreadable | Refusal::Link) => {}
                Err(refusal) => return Err(refusal.into()),
            }
        }
        match self.root.open_entry(rest)? {
            Entry::Folder(folder) => Ok(Found::Folder(rest.clone(), folder)),
            Entry::File(..) => Err(Error::not_found()), // a file has no slash at its end
        }
    }

    /// What `path` names now.
    fn named(&self, path: &SafePath) -> Result<Named, Refusal> {
        if let Some(stored) = self.cache.find(path.as_bytes()) {
            if stored.heat.is_hot(self.tick()) && stored.is_unchanged()
                || self.root.facts_by_policy(path, &stored.resolved) == Some(stored.facts)
            {
                return Ok(Named::File(stored));
            }
            self.cache.remove(path.as_bytes());
        }
        let (file, facts) = match self.root.open_entry(path)? {
            Entry::File(file, facts) => (file, facts),
            Entry::Folder(_) => return Ok(Named::Folder),
        };
        let content_type = content_type::of(path.file_name().unwrap_or_default(), &self.options.content_type);
        let stored = Arc::new(Stored::new(file, facts, content_type));
        if let Some(bytes) = stored.content.in_memory()
            && facts.is_settled(std::time::SystemTime::now())
        {
            self.cache.insert(path.as_bytes(), stored.clone(), bytes.len());
        }
        Ok(Named::File(stored))
    }

    /// Which span of 10 ms this is, by the kernel's clock as of its last tick, which is cheap and moves at least as often.
    #[expect(clippy::unused_self, reason = "the time is that of these files' heat")]
    fn tick(&self) -> u64 {
        let now = clock_gettime(ClockId::MonotonicCoarse);
        u64::try_from(now.tv_sec * 100 + now.tv_nsec / 10_000_000).unwrap_or(0)
    }
}

impl Found<'_> {
    fn into_owned(self) -> Found<'static> {
        match self {
            Self::File(path, stored) => Found::File(Cow::Owned(path.into_owned()), stored),
            Self::Folder(path, folder) => Found::Folder(path, folder),
            Self::Redirect => Found::Redirect,
        }
    }
}

impl Handler for Files {
    fn handle(&self, mut request: Request, rest: SafePath) -> Reply<'_> {
        if let Some(answer) = answer_without_file(&request.method) {
            return Reply::ready(answer);
        }
        // A folder may be packed also where an index stands in its place.
        let wanted = if self.listing.packs(&request.target) { Wanted::Folder } else { Wanted::Index };
        match self.find(&rest, wanted) {
            Err(error) => Reply::ready(Err(error)),
            Ok(Found::Redirect) => Reply::ready(Ok(redirect(&request))),
            Ok(Found::File(path, stored)) if is_preview(&request) && !rest.is_folder() => {
                let path = path.into_owned();
                Reply::later(async move {
                    self.listing.preview(request, path.file_name().unwrap_or_default(), stored).await
                })
            }
            Ok(Found::File(path, stored)) => self.send(&mut request, &path, stored),
            Ok(Found::Folder(path, folder)) => {
                let folder =
                    listing::Folder { root: self.root.clone(), folder, path, hidden: self.options.hidden };
                Reply::later(self.listing.answer(request, folder))
            }
        }
    }
}

/// What is answered to a method that does not get a file.
fn answer_without_file(method: &Method) -> Option<Answer> {
    match *method {
        Method::GET | Method::HEAD => None,
        Method::OPTIONS => {
            let mut response = Response::new(Body::Empty);
            *response.status_mut() = StatusCode::NO_CONTENT;
            response.headers_mut().insert(header::ALLOW, ALLOW);
            Some(Ok(response))
        }
        Method::POST | Method::PUT | Method::DELETE | Method::PATCH | Method::TRACE | Method::CONNECT => {
            let error = Error::new(StatusCode::METHOD_NOT_ALLOWED, "The method is not allowed for a file");
            Some(Err(error.with_header(header::ALLOW, ALLOW)))
        }
        _ => Some(Err(Error::unsupported_method(method))),
    }
}

/// Whether a file is to be shown on a page; the `=` is what a form makes of it.
fn is_preview(request: &Request) -> bool {
    matches!(request.target.query(), Some(b"view" | b"view="))
}

fn redirect(request: &Request) -> Response {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    let location = path::redirect_location(&request.target);
    response.headers_mut().insert(header::LOCATION, location);
    respond::say_if_empty(&mut response);
    response
}

/// What keeps no more files open in the cache than [`OPEN_FILES`], and no more than a 32nd of the `limit` of open files (folders may be many).
fn open_cost(limit: Option<u64>) -> usize {
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    CACHE_BYTES / (limit / 32).clamp(1, OPEN_FILES)
}

/// What is sent for a folder, the first that is there (as http.server).
const INDEX: [&[u8]; 2] = [b"index.html", b"index.htm"];

const ALLOW: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

const OPEN_FILES: usize = 1024;

/// What is written again and again is mostly written more often than that.
const QUIET: Duration = Duration::from_secs(60);

const CACHE_BYTES: usize = 64 * 1024 * 1024;
const CACHE_ENTRIES: usize = 4096;
