//! What a GET of a file deserves. Pure: the request's headers and the representation's validators in, a decision out.

use std::ops::Range;

use http::{HeaderMap, HeaderName, Method, header};

use crate::rfc::date::Stamp;
use crate::rfc::etag::ETag;
use crate::rfc::precondition::{self, Verdict};
use crate::rfc::range::{self, Ranges};

/// The decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// 200 with everything.
    Whole,
    /// 206 with these bytes.
    Part(Range<u64>),
    /// 206 with several parts.
    Parts(Vec<Range<u64>>),
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
    /// 416.
    Unsatisfiable,
}

/// Decides in the order of RFC 9110 §13.2.2.
///
/// `length` is in bytes; `None` says that it is not known before it is sent, and then there are no ranges.
pub(crate) fn plan(
    method: &Method,
    headers: &HeaderMap,
    etag: &ETag,
    modified: Stamp,
    length: Option<u64>,
) -> Plan {
    // Most requests ask for none of it, and a look at the few headers there are costs less than a search for each.
    if !headers.keys().any(|name| ASKS.contains(name)) {
        return Plan::Whole;
    }
    match precondition::evaluate(method, headers, Some(etag), Some(modified)) {
        Verdict::NotModified => return Plan::NotModified,
        Verdict::Failed => return Plan::PreconditionFailed,
        Verdict::Proceed => {}
    }
    match ranges(method, headers, etag, modified, length) {
        Ranges::Ignored => Plan::Whole,
        Ranges::Unsatisfiable => Plan::Unsatisfiable,
        Ranges::One(range) => Plan::Part(range),
        Ranges::Many(ranges) => Plan::Parts(ranges),
    }
}

/// What `Range` asks of this representation; where it is ignored, the request is as one without it.
pub(crate) fn ranges(
    method: &Method,
    headers: &HeaderMap,
    etag: &ETag,
    modified: Stamp,
    length: Option<u64>,
) -> Ranges {
    // Only GET has ranges (§14.2); two `Range` fields are malformed, and ignored as such.
    let mut ranges = headers.get_all(header::RANGE).iter();
    match (ranges.next(), ranges.next(), length) {
        (Some(range), None, Some(length))
            if *method == Method::GET && precondition::range_applies(headers, Some(etag), Some(modified)) =>
        {
            range::parse(range.as_bytes(), length)
        }
        _ => Ranges::Ignored,
    }
}

/// What a request for less than everything has (RFC 9110 §13.1, §14.2).
static ASKS: [HeaderName; 6] = [
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
    header::RANGE,
];

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn the_order_is_that_of_rfc_9110() {
        const OLD: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
        const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        let cases: &[(&[(&str, &str)], Plan)] = &[
            (&[], Plan::Whole),
            (&[("range", "bytes=0-4")], Plan::Part(0..5)),
            (&[("range", "bytes=0-0,5-6")], Plan::Parts(vec![0..1, 5..7])),
            (&[("range", "bytes=10-")], Plan::Unsatisfiable),
            (&[("range", "nonsense")], Plan::Whole),
            (&[("range", "bytes=0-1"), ("range", "bytes=2-3")], Plan::Whole),
            (&[("if-none-match", "\"tag\"")], Plan::NotModified),
            (&[("if-none-match", "W/\"tag\"")], Plan::NotModified),
            (&[("if-none-match", "*"), ("range", "bytes=10-")], Plan::NotModified),
            (&[("if-none-match", "\"other\""), ("if-modified-since", SAME)], Plan::Whole),
            (&[("if-modified-since", SAME)], Plan::NotModified),
            (&[("if-modified-since", OLD)], Plan::Whole),
            (&[("if-match", "\"other\"")], Plan::PreconditionFailed),
            (&[("if-match", "\"other\""), ("if-none-match", "\"tag\"")], Plan::PreconditionFailed),
            (&[("if-match", "\"tag\""), ("if-unmodified-since", OLD)], Plan::Whole),
            (&[("if-unmodified-since", OLD)], Plan::PreconditionFailed),
            (&[("if-range", "\"tag\""), ("range", "bytes=1-1")], Plan::Part(1..2)),
            (&[("if-range", "W/\"tag\""), ("range", "bytes=1-1")], Plan::Whole),
            (&[("if-range", "\"other\""), ("range", "bytes=10-")], Plan::Whole),
            (&[("if-range", SAME), ("range", "bytes=1-1")], Plan::Part(1..2)),
            (&[("if-range", OLD), ("range", "bytes=1-1")], Plan::Whole),
        ];
        let etag = ETag::strong(b"tag").unwrap();
        let modified = Stamp::from_unix(784_111_777);
        for (fields, want) in cases {
            let headers = fields
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect::<Vec<_>>()
                .into_iter()
                .fold(HeaderMap::new(), |mut headers, (name, value)| {
                    headers.append(name, value);
                    headers
                });
            assert_eq!(plan(&Method::GET, &headers, &etag, modified, Some(10)), *want, "{fields:?}");
            let without_range = match want {
                Plan::Part(_) | Plan::Parts(_) | Plan::Unsatisfiable => &Plan::Whole,
                other => other,
            };
            assert_eq!(
                plan(&Method::HEAD, &headers, &etag, modified, Some(10)),
                *without_range,
                "{fields:?}"
            );
            assert_eq!(plan(&Method::GET, &headers, &etag, modified, None), *without_range, "{fields:?}");
        }
    }
}
