//! Entries as rows of a table or as cards: each is exactly one link whose text is exactly the name, for tools read it so.
//!
//! By hand, not by a template: names are bytes, and there may be 100,000. Each entry is one line, which the page's script
//! counts on.

use std::io::Write as _;

use super::icon;
use super::rows::{Kind, Row};
use super::view::Shape;
use crate::civil::Civil;
use crate::rfc::path;

/// One entry.
pub(super) fn entry(out: &mut Vec<u8>, row: &Row<'_>, shape: Shape) {
    match shape {
        Shape::List => table_row(out, row),
        Shape::Grid => card(out, row),
    }
}

fn table_row(out: &mut Vec<u8>, row: &Row<'_>) {
    let class = icon::class(row);
    put(out, "<tr class=\"");
    put(out, class);
    put(out, "\"><td>");
    link(out, row, class);
    if row.kind == Kind::File {
        put(out, "</td><td title=\"");
        exact_size(out, row.size);
        put(out, "\">");
        size(out, row.size);
    } else {
        put(out, "</td><td>");
    }
    put(out, "</td><td>");
    time(out, row.modified);
    put(out, "</td></tr>\n");
}

fn card(out: &mut Vec<u8>, row: &Row<'_>) {
    let class = icon::class(row);
    put(out, "<li class=\"");
    put(out, class);
    put(out, "\"><div class=\"pic\">");
    if class == icon::IMAGE {
        put(out, "<img loading=\"lazy\" decoding=\"async\" alt=\"\" src=\"");
        href(out, row);
        put(out, "\">");
    }
    put(out, "</div>");
    link(out, row, class);
    put(out, "<p class=\"meta\">");
    if row.kind == Kind::File {
        put(out, "<span title=\"");
        exact_size(out, row.size);
        put(out, "\">");
        size(out, row.size);
        put(out, "</span> · ");
    }
    time(out, row.modified);
    put(out, "</p></li>\n");
}

/// The link of an entry, isolated from the direction of what stands around it, and a button for its preview: a second link would
/// be followed by whoever mirrors the folder.
fn link(out: &mut Vec<u8>, row: &Row<'_>, class: &str) {
    put(out, "<bdi><a href=\"");
    href(out, row);
    put(out, "\">");
    escape(out, row.name);
    // As Python marks them: a link, whatever it leads to; else a folder.
    put(
        out,
        match (row.is_link, row.kind) {
            (true, _) => "@",
            (false, Kind::Folder) => "/",
            (false, _) => "",
        },
    );
    put(out, "</a></bdi>");
    if icon::has_preview(class) {
        put(out, "<button class=view name=view formaction=\"");
        href(out, row);
        put(out, "\">Preview</button>");
    }
}

/// The link to an entry, relative to its folder; a name that looks like a scheme (`a:b`) is encoded and cannot be one.
pub(super) fn href(out: &mut Vec<u8>, row: &Row<'_>) {
    for piece in path::encode_as_python(row.name) {
        put(out, &piece);
    }
    if row.kind == Kind::Folder {
        out.push(b'/');
    }
}

/// A time as people read it, and exactly on hover; the page's script makes it local.
pub(super) fn time(out: &mut Vec<u8>, seconds: i64) {
    let time = Civil::of(seconds);
    if !(0..=9999).contains(&time.year) {
        return; // no reader of ours knows how to say it
    }
    let (date, clock) = (date_of(time), clock_of(time));
    let ([year @ .., _, _, _, _, _, _], [short @ .., _, _, _]) = (&date, &clock);
    put(out, "<time datetime=\"");
    rfc3339(out, time);
    put(out, "\" title=\"");
    out.extend_from_slice(&date);
    out.push(b' ');
    out.extend_from_slice(&clock);
    put(out, " UTC\">");
    put(out, itoa::Buffer::new().format(time.day));
    out.push(b' ');
    put(out, time.month_name());
    out.push(b' ');
    out.extend_from_slice(year);
    out.push(b' ');
    out.extend_from_slice(short);
    put(out, "</time>");
}

/// `2026-11-23T06:27:00Z` (RFC 3339).
pub(super) fn rfc3339(out: &mut Vec<u8>, time: Civil) {
    out.extend_from_slice(&date_of(time));
    out.push(b'T');
    out.extend_from_slice(&clock_of(time));
    out.push(b'Z');
}

/// `2026-11-23`; of a year beyond 0 to 9999 its last four digits. By hand, as is the time of day: a listing has thousands of them, and
/// the standard library's formatting takes as long as looking the file up.
fn date_of(time: Civil) -> [u8; 10] {
    let year = u16::try_from(time.year.rem_euclid(10_000)).unwrap_or_default();
    let [century, year] = [year / 100, year % 100].map(|part| u8::try_from(part).unwrap_or_default());
    let ([a, b], [c, d], [e, f], [g, h]) = (two(century), two(year), two(time.month), two(time.day));
    [a, b, c, d, b'-', e, f, b'-', g, h]
}

/// `06:27:00`.
fn clock_of(time: Civil) -> [u8; 8] {
    let ([a, b], [c, d], [e, f]) = (two(time.hour), two(time.minute), two(time.second));
    [a, b, b':', c, d, b':', e, f]
}

/// The two digits of a number below 100.
fn two(number: u8) -> [u8; 2] {
    [b'0' + number / 10, b'0' + number % 10]
}

/// A length as people read it: `1.2 MB`, in powers of 1000.
pub(super) fn size(out: &mut Vec<u8>, bytes: u64) {
    if bytes < 1000 {
        put(out, itoa::Buffer::new().format(bytes));
        put(out, " B");
        return;
    }
    let bytes = u128::from(bytes);
    let rounded = |divisor: u128| (bytes + divisor / 2) / divisor;
    let (mut divisor, mut unit) = (1000, "kB");
    for next in ["MB", "GB", "TB", "PB", "EB"] {
        if rounded(divisor) < 1000 {
            break;
        }
        (divisor, unit) = (divisor * 1000, next);
    }
    let tenths = rounded(divisor / 10);
    // Writing to memory does not fail.
    let _ = match tenths < 100 {
        true => write!(out, "{}.{} {unit}", tenths / 10, tenths % 10),
        false => write!(out, "{} {unit}", rounded(divisor)),
    };
}

/// A length to the byte: `1,234,567 bytes`.
pub(super) fn exact_size(out: &mut Vec<u8>, bytes: u64) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(bytes);
    for (at, digit) in digits.bytes().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(b',');
        }
        out.push(digit);
    }
    put(out, if bytes == 1 { " byte" } else { " bytes" });
}

/// Text for a page. What is no UTF-8 stays as it is, as http.server has it: a tool reads the very name, and a browser shows U+FFFD.
pub(super) fn escape(out: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            match byte {
                b'&' => put(out, "&amp;"),
                b'<' => put(out, "&lt;"),
                b'>' => put(out, "&gt;"),
                // HTML reads a CR as a LF, and an entry is one line.
                b'\n' => put(out, "&#10;"),
                b'\r' => put(out, "&#13;"),
                byte => out.push(byte),
            }
        }
        out.extend_from_slice(chunk.invalid());
    }
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn sizes_are_for_people_and_exact() {
        for (bytes, shown, exact) in [
            (0, "0 B", "0 bytes"),
            (1, "1 B", "1 byte"),
            (999, "999 B", "999 bytes"),
            (1000, "1.0 kB", "1,000 bytes"),
            (1234, "1.2 kB", "1,234 bytes"),
            (9_990, "10 kB", "9,990 bytes"),
            (99_949, "100 kB", "99,949 bytes"),
            (999_499, "999 kB", "999,499 bytes"),
            (999_999, "1.0 MB", "999,999 bytes"),
            (1_234_567_890, "1.2 GB", "1,234,567,890 bytes"),
            (u64::MAX, "18 EB", "18,446,744,073,709,551,615 bytes"),
        ] {
            assert_eq!(written(|out| size(out, bytes)), shown, "{bytes}");
            assert_eq!(written(|out| exact_size(out, bytes)), exact);
        }
    }

    #[test]
    fn dates_are_as_jiff_has_them() {
        for seconds in [-62_167_219_200, -1, 0, 951_825_600, 1_795_000_000, 253_402_207_200] {
            let text = jiff::Timestamp::from_second(seconds).unwrap().to_string();
            assert_eq!(written(|out| rfc3339(out, Civil::of(seconds))), text);
        }
    }

    #[test]
    fn an_entry_is_one_line_whatever_its_name() {
        let row = Row { name: b"a\nb\r<&>", kind: Kind::File, is_link: false, size: 1, modified: 0 };
        for shape in [Shape::List, Shape::Grid] {
            let text = written(|out| entry(out, &row, shape));
            assert_eq!(text.find('\n'), Some(text.len() - 1));
            assert!(text.contains(">a&#10;b&#13;&lt;&amp;&gt;</a>"), "{text}");
            assert!(text.contains("title=\"1970-01-01 00:00:00 UTC\">1 Jan 1970 00:00</time>"), "{text}");
        }
    }
}
