//! Any bytes as `Accept-Encoding` and `Accept`: only what was offered is chosen.
#![no_main]

use http::header::{ACCEPT, ACCEPT_ENCODING};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use salver::rfc::accept::{Coding, Codings, prefer};

fuzz_target!(|value: &[u8]| {
    let Ok(value) = HeaderValue::from_bytes(value) else { return };
    let headers = HeaderMap::from_iter([(ACCEPT, value.clone()), (ACCEPT_ENCODING, value)]);
    let codings = Codings::parse(&headers);
    for offered in [&Coding::ALL[..], &[Coding::Identity], &[Coding::Gzip, Coding::Brotli], &[]] {
        let chosen = codings.choose(offered);
        assert!(chosen.is_none_or(|coding| offered.contains(&coding) && codings.takes(coding)));
        assert_eq!(chosen.is_none(), !offered.iter().any(|coding| codings.takes(*coding)));
    }
    let best = prefer(&headers, &["text/html; charset=utf-8", "application/json"]);
    assert!(best.is_none_or(|best| best < 2));
});
