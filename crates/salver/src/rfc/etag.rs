//! Entity tags and their two comparisons: RFC 9110 §8.8.3.
//!
//! A list is compared as it is read, so it costs no memory however long it is. Unquoted tags are refused: they match nothing.

use std::fmt;

use http::HeaderValue;

/// An entity tag: opaque bytes that change whenever the representation does, weak or strong.
///
/// Invariant: holds a well-formed `entity-tag` as on the wire, `"…"` or `W/"…"`.
///
/// ```
/// use salver::rfc::etag::ETag;
///
/// let etag = ETag::strong(b"1f-5e").ok_or("not a tag")?;
/// assert_eq!(etag.to_string(), "\"1f-5e\"");
/// assert!(etag.matches_weakly(&etag.to_weak()) && !etag.matches_strongly(&etag.to_weak()));
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ETag(HeaderValue);

/// How two tags are compared (RFC 9110 §8.8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Equal and neither is weak: the bytes are the same. For `If-Match` and `If-Range`.
    Strong,
    /// Equal but for weakness. For `If-None-Match`.
    Weak,
}

impl ETag {
    /// A strong tag; `None` if `opaque` holds a quote, a space or a control byte.
    #[must_use]
    pub fn strong(opaque: &[u8]) -> Option<Self> {
        Self::parse(&[b"\"", opaque, b"\""].concat())
    }

    /// Reads one tag; `None` if it is malformed.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let (tag, rest) = split_tag(value)?;
        if !rest.is_empty() {
            return None;
        }
        HeaderValue::from_bytes(tag).ok().map(Self)
    }

    /// The same tag, weak: for a variant that is equivalent but not byte for byte the same, such as a compressed one.
    #[must_use]
    pub fn to_weak(&self) -> Self {
        if self.is_weak() {
            return self.clone();
        }
        let weak = [WEAK, self.as_bytes()].concat();
        Self(HeaderValue::from_bytes(&weak).expect("a tag is a header's value, also with `W/` before it"))
    }

    /// Whether it is weak.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        self.as_bytes().starts_with(WEAK)
    }

    /// The bytes between the quotes.
    #[must_use]
    pub fn opaque(&self) -> &[u8] {
        opaque(self.as_bytes())
    }

    /// The tag as on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The value of an `ETag` header.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// Whether both are strong and equal.
    #[must_use]
    pub fn matches_strongly(&self, other: &Self) -> bool {
        matches(self.as_bytes(), other.as_bytes(), Comparison::Strong)
    }

    /// Whether they are equal but for weakness.
    #[must_use]
    pub fn matches_weakly(&self, other: &Self) -> bool {
        matches(self.as_bytes(), other.as_bytes(), Comparison::Weak)
    }

    /// Whether a tag of the list is this one; `list` is the value of an `If-Match` or `If-None-Match` line other than `*`.
    ///
    /// A list is read up to its first malformed member.
    #[must_use]
    pub fn is_in(&self, list: &[u8], comparison: Comparison) -> bool {
        tags(list).any(|tag| matches(tag, self.as_bytes(), comparison))
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(self.as_bytes()).fmt(f)
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ETag({})", self.as_bytes().escape_ascii())
    }
}

/// The well-formed tags of a list as on the wire, up to its first malformed member.
fn tags(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        // Empty members are allowed: RFC 9110 §5.6.1.2.
        while let Some((b' ' | b'\t' | b',', behind)) = rest.split_first() {
            rest = behind;
        }
        let (tag, behind) = split_tag(rest)?;
        rest = behind.trim_ascii_start();
        (rest.is_empty() || rest.starts_with(b",")).then_some(tag).or_else(|| {
            rest = b"";
            None
        })
    })
}

/// A tag and what follows it.
fn split_tag(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let quoted = value.strip_prefix(WEAK).unwrap_or(value).strip_prefix(b"\"")?;
    let end = quoted.iter().position(|byte| *byte == b'"')?;
    // etagc: any byte but controls, space and the quote.
    if quoted.get(..end)?.iter().any(|byte| matches!(byte, 0..=b' ' | 0x7F)) {
        return None;
    }
    value.split_at_checked(value.len() - quoted.len() + end + 1)
}

/// Compares two tags as on the wire.
fn matches(a: &[u8], b: &[u8], comparison: Comparison) -> bool {
    match comparison {
        Comparison::Strong => a == b && !a.starts_with(WEAK),
        Comparison::Weak => opaque(a) == opaque(b),
    }
}

/// The bytes between the quotes of a tag as on the wire.
fn opaque(tag: &[u8]) -> &[u8] {
    let quoted = tag.strip_prefix(WEAK).unwrap_or(tag);
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default()
}

/// Case-sensitive: RFC 9110 §8.8.3.
const WEAK: &[u8] = b"W/";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags_are_read_strictly() {
        for (value, opaque, weak) in [
            ("\"a\"", Some("a"), false),
            ("W/\"a\"", Some("a"), true),
            (" \"a,b\" ", Some("a,b"), false),
            ("\"\"", Some(""), false),
            ("\"é\\\"", Some("é\\"), false),
            ("w/\"a\"", None, false),
            ("W/ \"a\"", None, false),
            ("a", None, false),
            ("\"a", None, false),
            ("\"", None, false),
            ("\"a b\"", None, false),
            ("\"a\"\"", None, false),
            ("\"a\", \"b\"", None, false),
            ("*", None, false),
            ("", None, false),
        ] {
            let etag = ETag::parse(value.as_bytes());
            assert_eq!(etag.as_ref().map(ETag::opaque), opaque.map(str::as_bytes), "{value}");
            assert!(etag.is_none_or(|etag| etag.is_weak() == weak), "{value}");
        }
        assert_eq!(ETag::strong(b"a\"b"), None);
    }

    #[test]
    fn the_comparisons_of_the_rfc() {
        // RFC 9110 §8.8.3.2, its own table.
        for (a, b, strong, weak) in [
            ("W/\"1\"", "W/\"1\"", false, true),
            ("W/\"1\"", "W/\"2\"", false, false),
            ("W/\"1\"", "\"1\"", false, true),
            ("\"1\"", "\"1\"", true, true),
        ] {
            let (tag, other) = (ETag::parse(a.as_bytes()).unwrap(), ETag::parse(b.as_bytes()).unwrap());
            assert_eq!(tag.matches_strongly(&other), strong, "{a} {b}");
            assert_eq!(tag.matches_weakly(&other), weak, "{a} {b}");
        }
    }

    #[test]
    fn lists_are_searched() {
        let etag = ETag::strong(b"a,b").unwrap();
        for (list, strong, weak) in [
            ("\"a,b\"", true, true),
            ("\"x\", \"a,b\"", true, true),
            ("\"x\",W/\"a,b\"", false, true),
            (" ,, \"x\" , \"a,b\",", true, true),
            ("\"a\", \"b\"", false, false),
            ("\"x\" \"a,b\"", false, false),
            ("x, \"a,b\"", false, false),
            ("\"a,b\" x", false, false),
            ("", false, false),
        ] {
            assert_eq!(etag.is_in(list.as_bytes(), Comparison::Strong), strong, "{list}");
            assert_eq!(etag.is_in(list.as_bytes(), Comparison::Weak), weak, "{list}");
        }
    }

    proptest! {
        #[test]
        fn a_tag_is_found_in_any_list(before in "[ ,]{0,3}(\"[a-z,]{0,4}\" ?, ?){0,4}", opaque in "[!#-~]{0,8}") {
            let etag = ETag::strong(opaque.as_bytes()).unwrap();
            let list = format!("{before}{etag} , x");
            prop_assert!(etag.is_in(list.as_bytes(), Comparison::Strong));
            prop_assert!(etag.to_weak().is_in(list.as_bytes(), Comparison::Weak));
            prop_assert!(!etag.to_weak().is_in(list.as_bytes(), Comparison::Strong));
        }

        #[test]
        fn nothing_panics(value in any::<Vec<u8>>()) {
            prop_assert!(ETag::parse(&value).is_none_or(|etag| etag.is_in(&value, Comparison::Weak)));
        }
    }
}
