//! Any bytes as the fields of a conditional request: the comparisons agree with each other.
#![no_main]

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;
use salver::rfc::date::Stamp;
use salver::rfc::etag::{Comparison, ETag};
use salver::rfc::precondition::{Verdict, evaluate, range_applies};

fuzz_target!(|value: &[u8]| {
    let etag = ETag::strong(b"a").expect("a letter is a tag");
    let (strong, weak) = (etag.is_in(value, Comparison::Strong), etag.is_in(value, Comparison::Weak));
    assert!(weak || !strong);
    assert!(!etag.to_weak().is_in(value, Comparison::Strong));
    assert_eq!(etag.to_weak().is_in(value, Comparison::Weak), weak);
    if let Some(etag) = ETag::parse(value) {
        assert_eq!(ETag::parse(etag.as_bytes()).as_ref(), Some(&etag));
        assert_eq!(etag.is_in(etag.as_bytes(), Comparison::Strong), !etag.is_weak());
    }
    if let Some(stamp) = Stamp::parse(value) {
        assert_eq!(Stamp::parse(stamp.header().as_bytes()), Some(stamp));
    }

    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let exists = weak || value.as_bytes().trim_ascii() == b"*";
    for field in [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE] {
        let headers = HeaderMap::from_iter([(field.clone(), value.clone())]);
        let modified = Some(Stamp::from_unix(784_111_777));
        let verdict = evaluate(&Method::GET, &headers, Some(&etag), modified);
        if field == IF_NONE_MATCH {
            assert_eq!(verdict == Verdict::NotModified, exists);
        }
        if range_applies(&headers, Some(&etag), modified) && field == IF_RANGE {
            assert!(strong || Stamp::parse(value.as_bytes()) == modified);
        }
    }
});
