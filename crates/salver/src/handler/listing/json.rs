//! A listing as JSON (RFC 8259): an array of objects.
//!
//! `name` (text; what is no UTF-8 is U+FFFD), `href` (the link, which loses nothing), `type` (`file`, `folder`, `link` or
//! `other`), `size` (bytes, of files), `mtime` (RFC 3339).

use std::io::Write as _;

use jiff::Timestamp;

use super::html::href;
use super::rows::{Kind, Row};

/// What comes before the first row.
pub(super) fn start(out: &mut Vec<u8>) {
    out.push(b'[');
}

/// One row.
pub(super) fn row(out: &mut Vec<u8>, row: &Row<'_>, is_first: bool) {
    out.extend_from_slice(if is_first { b"\n{\"name\":" } else { b",\n{\"name\":" });
    // Writing text to memory does not fail, here and below.
    let _ = serde_json::to_writer(&mut *out, &*String::from_utf8_lossy(row.name));
    out.extend_from_slice(b",\"href\":\"");
    href(out, row);
    let kind = match (row.is_link, row.kind) {
        (true, _) => "link",
        (false, Kind::File) => "file",
        (false, Kind::Folder) => "folder",
        (false, Kind::Other) => "other",
    };
    let _ = write!(out, "\",\"type\":\"{kind}\"");
    if row.kind == Kind::File {
        let _ = write!(out, ",\"size\":{}", row.size);
    }
    if let Ok(modified) = Timestamp::from_second(row.modified) {
        let _ = write!(out, ",\"mtime\":\"{modified}\"");
    }
    out.push(b'}');
}

/// What comes behind the last row.
pub(super) fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\n]\n");
}
