//! gunicorn's own requests (`tests/data/gunicorn_requests`, MIT): what it refuses is refused here, what it takes is
//! taken, save for what is named below with its reason.

use std::collections::BTreeSet;
use std::path::Path;

use super::Limits;
use super::body::{BodyReader, Step};
use super::head::HeadReader;

/// Invalid for gunicorn, and taken here.
const TAKEN: &[(&str, &str)] = &[
    ("003c", "how a method may be spelled is an option: RFC 9110 takes any token"),
    ("006", "a limit that an option lowers"),
    ("007", "a limit on one field: ours is on the whole head"),
    ("008", "a limit that an option lowers"),
    ("010", "a limit that an option lowers"),
    ("011", "a limit that an option lowers"),
    ("012", "a limit that an option lowers"),
    ("017", "a limit that an option lowers"),
    ("limit_header_default_01", "a limit that an option lowers"),
    ("019", "which fields tell the scheme is an option, and not one of HTTP/1"),
    ("040", "a name with `_` is dropped: the option's other setting"),
    ("chunked_07", "a name with `_` is dropped: the option's other setting"),
];

/// Valid for gunicorn, and refused here.
const REFUSED: &[(&str, &str)] = &[
    ("009", "Content-Length beside Transfer-Encoding: identity"),
    ("025", "a transfer coding beside chunked"),
    ("025_line", "a transfer coding beside chunked"),
    ("029", "a transfer coding beside chunked"),
    ("030", "a transfer coding beside chunked"),
    ("rfc9112_smuggle_gzip_chunked_01", "a transfer coding beside chunked"),
    ("rfc9112_smuggle_te_identity_chunked_01", "a transfer coding beside chunked"),
    ("028", "a space before the colon, which an option allows"),
    ("099", "the content is shorter than its length"),
    ("compat_obs_fold", "a folded line, which an option allows"),
    ("compat_obs_fold_huge", "a folded line, which an option allows"),
    ("pp_01", "the PROXY protocol, which an option allows"),
    ("pp_02", "the PROXY protocol, which an option allows"),
    ("pp_04", "the PROXY protocol, which an option allows"),
    ("pp_05", "the PROXY protocol, which an option allows"),
    (
        "rfc9112_target_absolute_userinfo_01",
        "user information in the target (RFC 9110 §4.2.4 advises to refuse it)",
    ),
];

#[test]
fn invalid_requests_are_refused() {
    assert_eq!(unlike("invalid", false), names(TAKEN));
}

#[test]
fn valid_requests_are_taken() {
    assert_eq!(unlike("valid", true), names(REFUSED));
}

fn names(list: &[(&str, &str)]) -> BTreeSet<String> {
    list.iter().map(|(name, _)| (*name).to_owned()).collect()
}

/// The requests of `folder` that are not taken or refused as `want` says.
fn unlike(folder: &str, want: bool) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/gunicorn_requests").join(folder);
    let paths: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(paths.len() > 40, "the requests are there");
    let is_unlike =
        |path: &&std::path::PathBuf| takes(unescape(&std::fs::read(path).unwrap())).is_ok() != want;
    paths
        .iter()
        .filter(is_unlike)
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// Whether `bytes` are nothing but good requests, whole ones. gunicorn does not ask for a `Host`, so one is added where
/// there is none: a request is to be refused for its own fault.
fn takes(mut bytes: Vec<u8>) -> Result<(), String> {
    while !bytes.is_empty() && bytes != b"\r\n" {
        let (head, used) = match HeadReader::default().read(&bytes, &Limits::default()) {
            Ok(head) => head.ok_or("the head is not whole")?,
            Err(malformed) if malformed.message == "The Host header is missing" => {
                let fields = malformed.line.len() + 2;
                bytes.splice(fields..fields, *b"Host: x\r\n");
                continue;
            }
            Err(malformed) => return Err(malformed.to_string()),
        };
        bytes.drain(..used);
        let mut body = BodyReader::new(head.framing);
        loop {
            match body.next(&bytes).map_err(|fault| fault.to_string())? {
                Step::Skip(length) | Step::Data(length) => drop(bytes.drain(..length)),
                Step::More => return Err("the body is not whole".to_owned()),
                Step::End => break,
            }
        }
    }
    Ok(())
}

/// Real newlines are layout; line ends and other bytes are spelled with a backslash.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'\n', _) => {}
            (b'\\', [b'x', high, low, ..]) => {
                let digits = [*high, *low];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                rest = &after[3..];
            }
            (b'\\', [escape, ..]) => {
                let byte = match escape {
                    b'r' => b'\r',
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'0' => 0,
                    other => panic!("\\{}", char::from(*other)),
                };
                bytes.push(byte);
                rest = &after[1..];
            }
            _ => bytes.push(*first),
        }
    }
    bytes
}
