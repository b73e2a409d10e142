//! A chunked body: never a panic, and the same content and end whole and cut in two anywhere.
#![no_main]

use libfuzzer_sys::fuzz_target;
use salver::http1::Fault;
use salver::http1::body::{BodyReader, Step};
use salver::http1::head::Framing;

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = input;
    let cut = usize::from(cut).min(bytes.len());
    assert_eq!(read(bytes, &[cut, bytes.len()]), read(bytes, &[bytes.len()]));
});

/// The content, how many bytes were used, and whether the body ended; `bytes` come up to each of `ends` in turn.
fn read(bytes: &[u8], ends: &[usize]) -> Result<(Vec<u8>, usize, bool), Fault> {
    let mut reader = BodyReader::new(Framing::Chunked);
    let (mut content, mut used) = (Vec::new(), 0);
    for end in ends {
        loop {
            match reader.next(&bytes[used..*end])? {
                Step::Skip(length) => used += length,
                Step::Data(length) => {
                    content.extend_from_slice(&bytes[used..used + length]);
                    used += length;
                }
                Step::More => break,
                Step::End => return Ok((content, used, true)),
            }
        }
    }
    Ok((content, used, false))
}
