//! A listing as JSON (RFC 8259): an array of objects.
//!
//! `name` (text; what is no UTF-8 is U+FFFD), `href` (the link, which loses nothing), `type` (`file`, `folder`, `link` or
//! `other`), `size` (bytes, of files), `mtime` (RFC 3339).

use std::io::Write as _;

use super::html::{href, rfc3339};
use super::rows::{Kind, Row};
use crate::civil::Civil;
use crate::json;

/// What comes before the first row.
pub(super) fn start(out: &mut Vec<u8>) {
    out.push(b'[');
}

/// One row.
pub(super) fn row(out: &mut Vec<u8>, row: &Row<'_>, is_first: bool) {
    out.extend_from_slice(if is_first { b"\n{\"name\":" } else { b",\n{\"name\":" });
    json::string(out, &String::from_utf8_lossy(row.name));
    out.extend_from_slice(b",\"href\":\"");
    href(out, row);
    let kind = match (row.is_link, row.kind) {
        (true, _) => "link",
        (false, Kind::File) => "file",
        (false, Kind::Folder) => "folder",
        (false, Kind::Other) => "other",
    };
    // Writing to memory does not fail, here and below.
    let _ = write!(out, "\",\"type\":\"{kind}\"");
    if row.kind == Kind::File {
        let _ = write!(out, ",\"size\":{}", row.size);
    }
    let modified = Civil::of(row.modified);
    if (0..=9999).contains(&modified.year) {
        out.extend_from_slice(b",\"mtime\":\"");
        rfc3339(out, modified);
        out.push(b'"');
    }
    out.push(b'}');
}

/// What comes behind the last row.
pub(super) fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\n]\n");
}
