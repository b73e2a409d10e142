//! A request head: never a panic, and the same outcome whole and cut in two anywhere.
#![no_main]

use libfuzzer_sys::fuzz_target;
use salver::http1::Limits;
use salver::http1::head::HeadReader;

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = input;
    let limits = Limits { request_line: 100, fields: 8, header_size: 1000 };
    let cut = usize::from(cut).min(bytes.len());
    let whole = HeadReader::default().read(bytes, &limits);

    let mut reader = HeadReader::default();
    let outcome = match reader.read(&bytes[..cut], &limits) {
        Ok(None) => reader.read(bytes, &limits),
        early => early,
    };
    match (&outcome, &whole) {
        (Err(cut), Err(whole)) => assert_eq!((cut.status, &cut.message), (whole.status, &whole.message)),
        _ => assert_eq!(format!("{outcome:?}"), format!("{whole:?}")),
    }
    if let Ok(Some((_, used))) = whole {
        assert!(bytes[..used].ends_with(b"\r\n\r\n"));
    }
});
