//! A listing as a page: each entry is exactly one link whose text is exactly the name, for tools read it so.

use std::io::Write as _;

use jiff::Timestamp;

use super::rows::{Kind, Row};
use crate::rfc::path;

/// The page up to its first row.
pub(super) fn start(out: &mut Vec<u8>, title: &[u8]) {
    out.extend_from_slice(b"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.extend_from_slice(b"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    for (open, close) in [("<title>", "</title>\n</head>\n<body>\n"), ("<h1>", "</h1>\n")] {
        out.extend_from_slice(open.as_bytes());
        out.extend_from_slice(b"Directory listing for ");
        escape(out, title);
        out.extend_from_slice(close.as_bytes());
    }
    out.extend_from_slice(b"<table>\n<thead><tr><th>Name</th><th>Size</th><th>Modified</th></tr></thead>\n");
    out.extend_from_slice(b"<tbody>\n");
}

/// One row.
pub(super) fn row(out: &mut Vec<u8>, row: &Row<'_>) {
    out.extend_from_slice(b"<tr><td><a href=\"");
    href(out, row);
    out.extend_from_slice(b"\">");
    escape(out, row.name);
    // As Python marks them: a link, whatever it leads to; else a folder.
    out.extend_from_slice(match (row.is_link, row.kind) {
        (true, _) => b"@",
        (false, Kind::Folder) => b"/",
        (false, _) => b"",
    });
    out.extend_from_slice(b"</a></td><td>");
    if row.kind == Kind::File {
        out.extend_from_slice(itoa::Buffer::new().format(row.size).as_bytes());
    }
    out.extend_from_slice(b"</td><td>");
    if let Ok(modified) = Timestamp::from_second(row.modified) {
        let shown = modified.strftime("%Y-%m-%d %H:%M");
        // Writing to memory does not fail.
        let _ = write!(out, "<time datetime=\"{modified}\">{shown}</time>");
    }
    out.extend_from_slice(b"</td></tr>\n");
}

/// The rest of the page.
pub(super) fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"</tbody>\n</table>\n</body>\n</html>\n");
}

/// The link to an entry, relative to its folder; a name that looks like a scheme (`a:b`) is encoded and cannot be one.
pub(super) fn href(out: &mut Vec<u8>, row: &Row<'_>) {
    for piece in path::encode_as_python(row.name) {
        out.extend_from_slice(piece.as_bytes());
    }
    if row.kind == Kind::Folder {
        out.push(b'/');
    }
}

/// Text for a page. What is no UTF-8 stays as it is, as http.server has it: a tool reads the very name, and a browser shows U+FFFD.
fn escape(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            match byte {
                b'&' => out.extend_from_slice(b"&amp;"),
                b'<' => out.extend_from_slice(b"&lt;"),
                b'>' => out.extend_from_slice(b"&gt;"),
                byte => out.push(byte),
            }
        }
        out.extend_from_slice(chunk.invalid());
    }
}
