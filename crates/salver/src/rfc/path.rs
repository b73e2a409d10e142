//! Request paths that cannot leave their root: RFC 3986 §5.2.4 (dot segments), §2.1 (percent-encoding), as http.server reads them.
//!
//! A path is decoded exactly once, in time linear in its length. Names are bytes: nothing is assumed to be UTF-8.

use std::borrow::Cow;
use std::fmt;

use http::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, PercentEncode, percent_decode, percent_encode};

use crate::request::Target;

/// A request path below some root, as a file name.
///
/// Invariant: percent-decoded exactly once; a run of `/` is one; every segment is a normal name (not empty, not `.` or
/// `..`, no NUL, no `/`). [`SafePath::parse`] is the only constructor from foreign bytes; the others start from a `SafePath`.
///
/// ```
/// use salver::SafePath;
///
/// let path = SafePath::parse(b"/a%20b//./c/../d/")?;
/// assert_eq!(path.as_bytes(), b"a b/d");
/// assert!(path.is_folder());
/// # Ok::<(), salver::rfc::path::BadPath>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SafePath {
    /// Segments joined by `/`, without one at either end; empty is the root.
    name: Vec<u8>,
    /// Whether the path ended in a slash, plain or as `%2f` (Python 3.14), or was empty.
    folder: bool,
}

/// The path holds a NUL, which no file name can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path holds a NUL byte")]
pub struct BadPath;

impl SafePath {
    /// Reads the path of a request target; `raw` is still percent-encoded and has no query.
    ///
    /// `..` never leaves the root: as in http.server, it stays there. `%2f` is a slash, and `%zz` is itself.
    ///
    /// # Errors
    /// [`BadPath`] for `%00` or NUL.
    pub fn parse(raw: &[u8]) -> Result<Self, BadPath> {
        // Decoded before it is split, so that no spelling of a dot or a slash escapes the rules below.
        let plain = memchr::memchr2(b'%', 0, raw).is_none(); // as most are: one look for both
        let decoded = if plain { raw.into() } else { decode(raw) };
        if !plain && decoded.contains(&0) {
            return Err(BadPath);
        }
        let mut name = Vec::with_capacity(decoded.len());
        for segment in decoded.split(|byte| *byte == b'/') {
            match segment {
                b"" | b"." => {}
                b".." => name.truncate(memchr::memrchr(b'/', &name).unwrap_or(0)),
                _ => push(&mut name, segment),
            }
        }
        Ok(Self { name, folder: decoded.last().is_none_or(|byte| *byte == b'/') })
    }

    /// The root itself, with its slash.
    #[must_use]
    pub const fn root() -> Self {
        Self { name: Vec::new(), folder: true }
    }

    /// The decoded name, without a slash at either end; empty for the root.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.name
    }

    /// Whether it was spelled with a slash at its end, as a folder is; `/a/..` was not, though it names the root.
    #[must_use]
    pub const fn is_folder(&self) -> bool {
        self.folder
    }

    /// Whether it names the root, with or without a slash.
    #[must_use]
    pub const fn is_root(&self) -> bool {
        self.name.is_empty()
    }

    /// The names it is made of; none for the root.
    pub fn segments(&self) -> impl Iterator<Item = &[u8]> {
        // Only the root has an empty segment here.
        self.name.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty())
    }

    /// Whether some name begins with a dot. `.well-known` is not hidden where it comes first (RFC 8615 §3).
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        let well_known = usize::from(self.segments().next() == Some(b".well-known"));
        self.segments().skip(well_known).any(|segment| segment.starts_with(b"."))
    }

    /// The last name; `None` for the root.
    #[must_use]
    pub fn file_name(&self) -> Option<&[u8]> {
        let start = memchr::memrchr(b'/', &self.name).map_or(0, |slash| slash + 1);
        self.name.get(start..).filter(|name| !name.is_empty())
    }

    /// The entry `name` of this folder, without a slash at its end; `None` if `name` is no normal name.
    #[must_use]
    pub fn join(&self, name: &[u8]) -> Option<Self> {
        if matches!(name, b"" | b"." | b"..") || memchr::memchr2(0, b'/', name).is_some() {
            return None;
        }
        let mut joined = Vec::with_capacity(self.name.len() + 1 + name.len());
        joined.extend_from_slice(&self.name);
        push(&mut joined, name);
        Some(Self { name: joined, folder: false })
    }

    /// The file beside this one whose name is this one's with `suffix` behind it; `None` for the root, or if that is no
    /// normal name.
    #[must_use]
    pub fn with_suffix(&self, suffix: &[u8]) -> Option<Self> {
        if self.is_root() || memchr::memchr2(0, b'/', suffix).is_some() {
            return None;
        }
        Some(Self { name: [self.name.as_slice(), suffix].concat(), folder: false })
    }

    /// What is left below `prefix`, by whole segments: the root below itself; `None` if it is not below it.
    ///
    /// The slash at the end is kept, so the root that is left of `/mount` is no folder and that of `/mount/` is.
    #[must_use]
    pub fn below(&self, prefix: &Self) -> Option<Self> {
        let rest = self.name.strip_prefix(prefix.as_bytes())?;
        let name = match rest {
            b"" => rest,
            _ if prefix.is_root() => rest,
            _ => rest.strip_prefix(b"/")?,
        };
        Some(Self { name: name.to_vec(), folder: self.folder })
    }

    /// The path with Python's surrogates made bytes again; `None` if there are none.
    ///
    /// http.server decodes names with `surrogateescape`, so it links the byte 0xFF as U+DCFF: `%ED%B3%BF`. A file whose name
    /// really holds these three bytes is looked up first, by the path itself.
    #[must_use]
    pub fn without_surrogates(&self) -> Option<Self> {
        let mut rest = self.name.as_slice();
        let mut name = Vec::with_capacity(rest.len());
        while let Some((first, behind)) = rest.split_first() {
            // What results is never `/`, `.` or NUL.
            let (byte, next) = surrogate(rest).unwrap_or((*first, behind));
            name.push(byte);
            rest = next;
        }
        (name.len() < self.name.len()).then_some(Self { name, folder: self.folder })
    }
}

/// As it is spelled in a link: `/a%20b/`.
impl fmt::Display for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.folder && !self.is_root() { "/" } else { "" };
        write!(f, "/{}{end}", encode(&self.name))
    }
}

impl fmt::Debug for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SafePath({self})")
    }
}

/// The byte that a surrogate at the start of `bytes` stands for, and what follows.
fn surrogate(bytes: &[u8]) -> Option<(u8, &[u8])> {
    match bytes {
        // U+DC80..U+DCBF are ED B2 80..BF, U+DCC0..U+DCFF are ED B3 80..BF.
        [0xED, 0xB2, last @ 0x80..=0xBF, behind @ ..] => Some((*last, behind)),
        [0xED, 0xB3, last @ 0x80..=0xBF, behind @ ..] => Some((*last | 0xC0, behind)),
        _ => None,
    }
}

/// A target as http.server shows it: decoded, Python's surrogates made bytes again, and every other byte that is no UTF-8
/// made U+FFFD.
///
/// ```
/// assert_eq!(salver::rfc::path::shown(b"/%ED%B3%BF/?x=%bb"), b"/\xFF/?x=\xEF\xBF\xBD");
/// ```
#[must_use]
pub fn shown(raw: &[u8]) -> Vec<u8> {
    let decoded = decode(raw);
    let (mut shown, mut text, mut rest) = (Vec::with_capacity(decoded.len()), &decoded[..], &decoded[..]);
    while !rest.is_empty() {
        if let Some((byte, behind)) = surrogate(rest) {
            let before = text.get(..text.len() - rest.len()).unwrap_or_default();
            shown.extend_from_slice(String::from_utf8_lossy(before).as_bytes());
            shown.push(byte);
            (text, rest) = (behind, behind);
        } else {
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    shown.extend_from_slice(String::from_utf8_lossy(text).as_bytes());
    shown
}

/// Percent-decodes once (RFC 3986 §2.1); a `%` without two hex digits behind it is itself.
#[must_use]
pub fn decode(raw: &[u8]) -> Cow<'_, [u8]> {
    percent_decode(raw).into()
}

/// Percent-encodes a name for a link: `A-Za-z0-9_.-~/` stay bare, as `urllib.parse.quote` leaves them.
///
/// ```
/// assert_eq!(salver::rfc::path::encode(b"a b#\xFF.txt").to_string(), "a%20b%23%FF.txt");
/// ```
#[must_use]
pub fn encode(name: &[u8]) -> PercentEncode<'_> {
    percent_encode(name, LINK)
}

/// Percent-encodes a name for a link as http.server does: a byte that is no UTF-8 as the lone surrogate that stands for it
/// (0xFF as `%ED%B3%BF`). [`SafePath::without_surrogates`] is the way back.
///
/// ```
/// let link: String = salver::rfc::path::encode_as_python(b"a\xFF.txt").collect();
/// assert_eq!(link, "a%ED%B3%BF.txt");
/// ```
pub fn encode_as_python(name: &[u8]) -> impl Iterator<Item = Cow<'_, str>> {
    name.utf8_chunks().flat_map(|chunk| {
        let valid = encode(chunk.valid().as_bytes()).map(Cow::Borrowed);
        // U+DC80 + (byte - 0x80), encoded as if surrogates were letters.
        let invalid = chunk
            .invalid()
            .iter()
            .map(|byte| format!("%ED%B{:X}%{:02X}", 2 + (byte >> 6 & 1), 0x80 | byte & 0x3F).into());
        valid.chain(invalid)
    })
}

/// Where a folder that was asked for without its slash is: the path as sent, a slash, and the query as sent; behind the
/// origin where the target had one.
///
/// SECURITY: begins with exactly one `/` (or with the origin, which is the request's own host) and holds neither `\` (a slash to browsers) nor a byte outside visible ASCII, so it
/// can name no other host and split no header.
#[must_use]
pub fn redirect_location(target: &Target) -> HeaderValue {
    let (raw_path, query) = (target.path(), target.query());
    let start = raw_path.iter().position(|byte| *byte != b'/').unwrap_or(raw_path.len());
    let path = raw_path.get(start..).unwrap_or_default();
    let mut location = percent_encode(target.origin(), LOCATION).to_string();
    location.push('/');
    location.extend(percent_encode(path, LOCATION));
    if !location.ends_with('/') {
        location.push('/');
    }
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        location.push('?');
        location.extend(percent_encode(query, LOCATION));
    }
    HeaderValue::try_from(location).expect("percent-encoding leaves visible ASCII only")
}

fn push(name: &mut Vec<u8>, segment: &[u8]) {
    if !name.is_empty() {
        name.push(b'/');
    }
    name.extend_from_slice(segment);
}

const LINK: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~').remove(b'/');

/// What is encoded of a target that is sent back: bytes outside ASCII are so in any case.
const LOCATION: &AsciiSet = &CONTROLS.add(b' ').add(b'\\');

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn safe(raw: &[u8]) -> SafePath {
        SafePath::parse(raw).unwrap()
    }

    #[test]
    fn a_suffix_stays_a_normal_name() {
        let sibling = |raw: &[u8], suffix: &[u8]| safe(raw).with_suffix(suffix).map(|path| path.name);
        assert_eq!(sibling(b"/a/b.css", b".gz"), Some(b"a/b.css.gz".to_vec()));
        for (raw, suffix) in [(&b"/"[..], &b"."[..]), (b"/a", b"/.."), (b"/a", b"\0")] {
            assert_eq!(sibling(raw, suffix), None);
        }
    }

    #[test]
    fn paths_are_read_as_python_reads_them() {
        // (sent, name, is a folder): the names are those of `translate_path` of Python 3.13, the slashes those of 3.14.
        let cases: &[(&[u8], &[u8], bool)] = &[
            (b"", b"", true),
            (b"/", b"", true),
            (b"//", b"", true),
            (b"/a", b"a", false),
            (b"/a/", b"a", true),
            (b"/a/b.txt", b"a/b.txt", false),
            (b"//a///b", b"a/b", false),
            (b"/./a/./b/.", b"a/b", false),
            (b"/a/../b", b"b", false),
            (b"/a/b/..", b"a", false),
            (b"/a/..", b"", false),
            (b"/a/../", b"", true),
            (b"/..", b"", false),
            (b"/../../etc/passwd", b"etc/passwd", false),
            (b"/a/../../../b/", b"b", true),
            (b"/%2e%2e/%2E%2e%2fa", b"a", false),
            (b"/a%2fb", b"a/b", false),
            (b"/a%2F", b"a", true),
            (b"/a%2f%2e%2e%2fb", b"b", false),
            (b"/a%20b", b"a b", false),
            (b"/a%2520b", b"a%20b", false),
            (b"/%252e%252e/a", b"%2e%2e/a", false),
            (b"/%zz%4", b"%zz%4", false),
            (b"/%", b"%", false),
            (b"/a+b", b"a+b", false),
            (b"/...", b"...", false),
            (b"/..a/.b", b"..a/.b", false),
            (b"/a\\..\\b", b"a\\..\\b", false),
            (b"/%FF", b"\xFF", false),
            (b"/\xFF", b"\xFF", false),
            (b"/%ED%B3%BF", b"\xED\xB3\xBF", false),
            (b"/%3Fa%23b", b"?a#b", false),
            (b"a/b", b"a/b", false),
            (b"*", b"*", false),
        ];
        for (sent, name, folder) in cases {
            let path = safe(sent);
            assert_eq!(path.as_bytes(), *name, "{}", sent.escape_ascii());
            assert_eq!(path.is_folder(), *folder, "{}", sent.escape_ascii());
        }
        for sent in [&b"/%00"[..], b"/a\0b", b"/a%00/../b"] {
            assert_eq!(SafePath::parse(sent), Err(BadPath), "{}", sent.escape_ascii());
        }
    }

    #[test]
    fn names_with_a_dot_are_hidden() {
        for (sent, hidden) in [
            ("/", false),
            ("/a.b/c.", false),
            ("/.git/config", true),
            ("/a/.env", true),
            ("/%2egit", true),
            ("/.well-known", false),
            ("/.well-known/acme-challenge/x", false),
            ("/.well-known/.secret", true),
            ("/.well-known-not", true),
            ("/a/.well-known/x", true),
        ] {
            assert_eq!(safe(sent.as_bytes()).is_hidden(), hidden, "{sent}");
        }
    }

    #[test]
    fn below_cuts_whole_segments() {
        let cases = [
            ("/a/b", "/", Some("/a/b")),
            ("/a/b", "/a", Some("/b")),
            ("/a/b/", "/a/", Some("/b/")),
            ("/a/b", "/a/b", Some("/")),
            ("/a/b/", "/a/b", Some("/")),
            ("/", "/", Some("/")),
            ("/ab", "/a", None),
            ("/", "/a", None),
            ("/b/a", "/a", None),
        ];
        for (sent, prefix, rest) in cases {
            let below = safe(sent.as_bytes()).below(&safe(prefix.as_bytes()));
            assert_eq!(below.as_ref().map(SafePath::to_string).as_deref(), rest, "{sent} below {prefix}");
            assert!(
                below.is_none_or(|below| below.is_folder() == sent.ends_with('/')),
                "{sent} below {prefix}"
            );
        }
    }

    #[test]
    fn join_takes_normal_names_only() {
        assert_eq!(safe(b"/a/").join(b"b").unwrap(), safe(b"/a/b"));
        assert_eq!(SafePath::root().join(b"%2e").unwrap().as_bytes(), b"%2e");
        for name in [&b""[..], b".", b"..", b"a/b", b"a\0"] {
            assert_eq!(SafePath::root().join(name), None, "{}", name.escape_ascii());
        }
    }

    #[test]
    fn surrogates_are_bytes_again() {
        let cases: &[(&[u8], Option<&[u8]>)] = &[
            (b"/%ED%B3%BF", Some(b"\xFF")),
            (b"/a%ED%B2%80/%ED%B3%80b/", Some(b"a\x80/\xC0b")),
            (b"/a", None),
            (b"/%FF", None),
            (b"/%ED%B1%BF", None),
            (b"/%ED%B3", None),
        ];
        for (sent, name) in cases {
            let raw = safe(sent).without_surrogates();
            assert_eq!(raw.as_ref().map(SafePath::as_bytes), *name, "{}", sent.escape_ascii());
        }
        assert!(safe(b"/%ED%B3%BF/").without_surrogates().unwrap().is_folder());
    }

    #[test]
    fn a_redirect_stays_on_its_host() {
        for (path, query, location) in [
            ("/a", None, "/a/"),
            ("/a", Some(""), "/a/"),
            ("/a%20b", Some("x=1&y"), "/a%20b/?x=1&y"),
            ("/a/", None, "/a/"),
            ("", None, "/"),
            ("a", None, "/a/"),
            ("//evil.example", None, "/evil.example/"),
            ("///evil.example/%2e%2e", None, "/evil.example/%2e%2e/"),
            ("/\\evil.example", None, "/%5Cevil.example/"),
            ("/\t/evil.example", None, "/%09/evil.example/"),
            ("/a\r\nX: y", Some("\r\n\0\x7F"), "/a%0D%0AX:%20y/?%0D%0A%00%7F"),
            ("/%0d%0a", None, "/%0d%0a/"),
            ("/café", None, "/caf%C3%A9/"),
        ] {
            let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
            let target = Target::new(target.into());
            assert_eq!(redirect_location(&target), location, "{}", path.escape_debug());
            let absolute = redirect_location(&target.at("http://[::1]:80".into()));
            assert_eq!(absolute, format!("http://[::1]:80{location}"));
        }
    }

    #[test]
    fn the_last_name() {
        assert_eq!(safe(b"/").file_name(), None);
        assert_eq!(safe(b"/a").file_name(), Some(&b"a"[..]));
        assert_eq!(safe(b"/a/b/").file_name(), Some(&b"b"[..]));
    }

    /// Bytes as an attacker picks them: dots, slashes and percent signs far more often than chance has it.
    fn nasty() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            prop::sample::select(vec!["/", "..", ".", "%2e", "%2F", "%", "%25", "\\", "a", "%ED%B3%BF"])
                .prop_map(|piece| piece.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 0..3),
        ];
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn no_path_leaves_its_root(raw in nasty()) {
            let Ok(path) = SafePath::parse(&raw) else { return Ok(()) };
            for path in [Some(path.clone()), path.without_surrogates()].into_iter().flatten() {
                for segment in path.segments() {
                    prop_assert!(!matches!(segment, b"" | b"." | b".."));
                    prop_assert!(!segment.contains(&0) && !segment.contains(&b'/'));
                }
                prop_assert_eq!(path.segments().collect::<Vec<_>>().join(&b'/'), path.as_bytes());
            }
        }

        #[test]
        fn a_link_leads_back(raw in nasty()) {
            let Ok(path) = SafePath::parse(&raw) else { return Ok(()) };
            let again = safe(path.to_string().as_bytes());
            prop_assert_eq!(again.as_bytes(), path.as_bytes());
            prop_assert!(again.is_folder() == path.is_folder() || path.is_root());
        }

        #[test]
        fn no_redirect_leaves_its_host(path in nasty(), query in proptest::option::of(nasty())) {
            let raw = query.map_or_else(|| path.clone(), |query| [&path[..], b"?", &query].concat());
            let location = redirect_location(&Target::new(raw.into()));
            let location = location.as_bytes();
            prop_assert!(location.starts_with(b"/") && !location.starts_with(b"//"));
            prop_assert!(location.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'\\'));
        }
    }
}
