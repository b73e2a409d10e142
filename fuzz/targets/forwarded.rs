//! Any bytes in front of what a trusted proxy appends: the client they name is never believed.
#![no_main]

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use salver::rfc::forwarded::{Trusted, client};

fuzz_target!(|forged: &[u8]| {
    if let Ok(text) = std::str::from_utf8(forged) {
        let _ = text.parse::<Trusted>();
    }
    let trusted: Trusted = "10.0.0.0/8".parse().expect("a network");
    let (proxy, honest) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([192, 0, 2, 1]));
    let address = |field, appended: &[u8]| {
        let value = HeaderValue::from_bytes(&[forged, appended].concat()).ok()?;
        let headers = HeaderMap::from_iter([(HeaderName::from_static(field), value)]);
        Some(client(&headers, proxy, &trusted).address)
    };
    let customary = address("x-forwarded-for", b", 192.0.2.1");
    assert!(customary.is_none_or(|address| address == honest));
    for appended in [&b", for=192.0.2.1"[..], b", for=\"192.0.2.1:80\";proto=https"] {
        let standard = address("forwarded", appended);
        assert!(standard.is_none_or(|address| address == honest || address == proxy));
    }
    // Alone, and as its own proxy: anything may come out, but something does.
    for field in ["x-forwarded-for", "forwarded"] {
        let _ = address(field, b"");
    }
});
