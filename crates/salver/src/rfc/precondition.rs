//! Conditional requests: RFC 9110 §13.
//!
//! Facts in, a verdict out. Several lines of a list field are one list; a date field that is no date, or comes twice, is
//! ignored.

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName, Method};

use super::date::Stamp;
use super::etag::{Comparison, ETag};

/// What the preconditions make of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on with the method.
    Proceed,
    /// 304: the client has it already.
    NotModified,
    /// 412: it is not what the client thinks.
    Failed,
}

/// Evaluates the preconditions in the order of RFC 9110 §13.2.2.
///
/// `etag` and `modified` are the validators of the current representation; both `None` says that there is none, as before a
/// PUT that creates. Call it only where the answer without preconditions would be a 2xx (§13.2.1).
#[must_use]
pub fn evaluate(
    method: &Method,
    headers: &HeaderMap,
    etag: Option<&ETag>,
    modified: Option<Stamp>,
) -> Verdict {
    // §13.2.1: methods that select no representation ignore them.
    if matches!(*method, Method::CONNECT | Method::OPTIONS | Method::TRACE) {
        return Verdict::Proceed;
    }
    let exists = etag.is_some() || modified.is_some();
    let reads = matches!(*method, Method::GET | Method::HEAD);

    // Steps 1 and 2.
    if headers.contains_key(IF_MATCH) {
        if !matches(headers, IF_MATCH, etag, exists, Comparison::Strong) {
            return Verdict::Failed;
        }
    } else if let (Some(since), Some(modified)) = (date(headers, IF_UNMODIFIED_SINCE), modified)
        && modified > since
    {
        return Verdict::Failed;
    }
    // Steps 3 and 4: If-None-Match makes If-Modified-Since ignored (§13.1.3).
    if headers.contains_key(IF_NONE_MATCH) {
        if matches(headers, IF_NONE_MATCH, etag, exists, Comparison::Weak) {
            return if reads { Verdict::NotModified } else { Verdict::Failed };
        }
    } else if let (true, Some(since), Some(modified)) = (reads, date(headers, IF_MODIFIED_SINCE), modified)
        && modified <= since
    {
        return Verdict::NotModified;
    }
    Verdict::Proceed
}

/// Whether `Range` counts: step 5, `If-Range` (RFC 9110 §13.1.5). Only GET has ranges, so call it for GET alone.
///
/// A date counts if it is exactly that of the representation; beside a weak `etag` it is no strong validator either. That
/// a date in the second of the change is not used is the client's duty (§8.8.2.2): only it knows the `Date` of its copy.
#[must_use]
pub fn range_applies(headers: &HeaderMap, etag: Option<&ETag>, modified: Option<Stamp>) -> bool {
    let mut values = headers.get_all(IF_RANGE).iter();
    let Some(value) = values.next() else { return true };
    if values.next().is_some() {
        return false;
    }
    if let Some(given) = ETag::parse(value.as_bytes()) {
        return etag.is_some_and(|etag| etag.matches_strongly(&given));
    }
    let strong = etag.is_none_or(|etag| !etag.is_weak());
    strong && modified.is_some() && Stamp::parse(value.as_bytes()) == modified
}

/// Whether a field of tags names the current representation.
fn matches(
    headers: &HeaderMap,
    field: HeaderName,
    etag: Option<&ETag>,
    exists: bool,
    comparison: Comparison,
) -> bool {
    headers.get_all(field).iter().any(|value| match value.as_bytes().trim_ascii() {
        b"*" => exists,
        list => etag.is_some_and(|etag| etag.is_in(list, comparison)),
    })
}

/// The date of a field that comes once and is one.
fn date(headers: &HeaderMap, field: HeaderName) -> Option<Stamp> {
    let mut values = headers.get_all(field).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    Stamp::parse(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const THEN: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    /// Header lines, `Name: value` each.
    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn the_order_of_the_rfc() {
        use Verdict::{Failed, NotModified, Proceed};
        let (before, then, after) = (
            format!("If-Modified-Since: {BEFORE}"),
            format!("If-Modified-Since: {THEN}"),
            format!("If-Modified-Since: {AFTER}"),
        );
        let (un_before, un_then) =
            (format!("If-Unmodified-Since: {BEFORE}"), format!("If-Unmodified-Since: {THEN}"));
        // (lines, verdict for GET and HEAD, verdict for PUT) of a representation tagged "a", modified THEN.
        let cases: &[(&[&str], Verdict, Verdict)] = &[
            (&[], Proceed, Proceed),
            (&["If-Match: \"a\""], Proceed, Proceed),
            (&["If-Match: \"b\", \"a\""], Proceed, Proceed),
            (&["If-Match: \"b\"", "If-Match: \"a\""], Proceed, Proceed),
            (&["If-Match: *"], Proceed, Proceed),
            (&["If-Match: W/\"a\""], Failed, Failed),
            (&["If-Match: \"b\""], Failed, Failed),
            (&["If-Match: a"], Failed, Failed),
            (&["If-Match: "], Failed, Failed),
            (&[&un_then], Proceed, Proceed),
            (&[&un_before], Failed, Failed),
            (&[&un_before, &un_before], Proceed, Proceed),
            (&["If-Unmodified-Since: yesterday"], Proceed, Proceed),
            (&["If-Match: \"a\"", &un_before], Proceed, Proceed),
            (&["If-None-Match: \"a\""], NotModified, Failed),
            (&["If-None-Match: W/\"a\""], NotModified, Failed),
            (&["If-None-Match: \"b\"", "If-None-Match: \"c\", \"a\""], NotModified, Failed),
            (&["If-None-Match: *"], NotModified, Failed),
            (&["If-None-Match: \"b\""], Proceed, Proceed),
            (&["If-None-Match: a"], Proceed, Proceed),
            (&[&then], NotModified, Proceed),
            (&[&after], NotModified, Proceed),
            (&[&before], Proceed, Proceed),
            (&[&then, &then], Proceed, Proceed),
            (&["If-Modified-Since: now"], Proceed, Proceed),
            (&["If-None-Match: \"a\"", &before], NotModified, Failed),
            (&["If-None-Match: \"b\"", &after], Proceed, Proceed),
            (&["If-Match: \"a\"", "If-None-Match: \"a\""], NotModified, Failed),
            (&["If-Match: \"b\"", "If-None-Match: \"a\""], Failed, Failed),
            (&[&un_before, &after], Failed, Failed),
            (&[&un_then, &then], NotModified, Proceed),
        ];
        let (etag, modified) = (ETag::strong(b"a"), Stamp::parse(THEN.as_bytes()));
        for (lines, read, write) in cases {
            let headers = headers(lines);
            let verdict = |method| evaluate(&method, &headers, etag.as_ref(), modified);
            assert_eq!(verdict(Method::GET), *read, "{lines:?}");
            assert_eq!(verdict(Method::HEAD), *read, "{lines:?}");
            assert_eq!(verdict(Method::PUT), *write, "{lines:?}");
            assert_eq!(verdict(Method::OPTIONS), Proceed, "{lines:?}");
        }
    }

    #[test]
    fn what_is_not_there_matches_nothing() {
        for (line, verdict) in [
            ("If-Match: *", Verdict::Failed),
            ("If-Match: \"a\"", Verdict::Failed),
            ("If-None-Match: *", Verdict::Proceed),
            ("If-None-Match: \"a\"", Verdict::Proceed),
            ("If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT", Verdict::Proceed),
        ] {
            assert_eq!(evaluate(&Method::PUT, &headers(&[line]), None, None), verdict, "{line}");
        }
    }

    #[test]
    fn a_range_applies_to_exactly_this_representation() {
        let (etag, modified) = (ETag::strong(b"a").unwrap(), Stamp::parse(THEN.as_bytes()));
        let (before, then, after) =
            (format!("If-Range: {BEFORE}"), format!("If-Range: {THEN}"), format!("If-Range: {AFTER}"));
        // (lines, beside a strong tag, beside a weak one)
        let cases: &[(&[&str], bool, bool)] = &[
            (&[], true, true),
            (&["If-Range: \"a\""], true, false),
            (&["If-Range: W/\"a\""], false, false),
            (&["If-Range: \"b\""], false, false),
            (&["If-Range: \"b\", \"a\""], false, false),
            (&["If-Range: *"], false, false),
            (&["If-Range: \"a\"", "If-Range: \"a\""], false, false),
            (&[&then], true, false),
            (&[&before], false, false),
            (&[&after], false, false),
            (&["If-Range: soon"], false, false),
        ];
        for (lines, strong, weak) in cases {
            let headers = headers(lines);
            assert_eq!(range_applies(&headers, Some(&etag), modified), *strong, "{lines:?}");
            assert_eq!(range_applies(&headers, Some(&etag.to_weak()), modified), *weak, "{lines:?}");
        }
        assert!(!range_applies(&headers(&["If-Range: soon"]), None, None));
        assert!(range_applies(&headers(&[&then]), None, modified));
    }
}
