//! Request paths that cannot leave their root: RFC 3986 §5.2.4 (dot segments), §2.1 (percent-encoding), as http.server reads them.
//!
//! A path is decoded exactly once, in time linear in its length. Names are bytes: nothing is assumed to be UTF-8.

use std::fmt;

/// A request path below some root, as a file name.
///
/// Invariant: percent-decoded exactly once; a run of `/` is one; every segment is a normal name (not empty, not `.` or
/// `..`, no NUL, no `/`). [`SafePath::parse`] and [`SafePath::below`] are the only constructors.
///
/// ```
/// use salver::SafePath;
///
/// let path = SafePath::parse(b"/a%20b//./c/../d/")?;
/// assert_eq!(path.as_bytes(), b"a b/d");
/// assert!(path.is_folder());
/// # Ok::<(), salver::rfc::path::BadPath>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SafePath {
    /// Segments joined by `/`, without one at either end; empty is the root.
    name: Vec<u8>,
    /// Whether the path ended in a slash, plain or as `%2f` (Python 3.14), or is the root itself.
    folder: bool,
}

/// The path holds a NUL, which no file name can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path holds a NUL byte")]
pub struct BadPath;

impl SafePath {
    /// Reads the path of a request target; `raw` is still percent-encoded and has no query.
    ///
    /// `..` never leaves the root: as in http.server, it stays there.
    ///
    /// # Errors
    /// [`BadPath`] for `%00` or NUL.
    pub fn parse(_raw: &[u8]) -> Result<Self, BadPath> {
        unimplemented!()
    }
}
