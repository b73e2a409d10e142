//! Any bytes as a request path: nothing leaves the root, no redirect leaves its host.
#![no_main]

use libfuzzer_sys::fuzz_target;
use salver::Target;
use salver::rfc::path::{SafePath, redirect_location};

fuzz_target!(|raw: &[u8]| {
    let location = redirect_location(&Target::new(raw.to_vec().into()));
    assert!(location.as_bytes().starts_with(b"/") && !location.as_bytes().starts_with(b"//"));
    assert!(location.as_bytes().iter().all(|byte| byte.is_ascii_graphic() && *byte != b'\\'));

    let Ok(path) = SafePath::parse(raw) else { return };
    let again = SafePath::parse(path.to_string().as_bytes()).expect("a safe path is a path");
    assert_eq!(again.as_bytes(), path.as_bytes());
    for path in [Some(again), path.without_surrogates()].into_iter().flatten() {
        for segment in path.segments() {
            assert!(!matches!(segment, b"" | b"." | b".."));
            assert!(!segment.contains(&0) && !segment.contains(&b'/'));
        }
    }
});
