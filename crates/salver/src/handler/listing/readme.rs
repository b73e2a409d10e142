//! The README of a folder, shown below its entries.

use std::io::Read as _;

use maud::{Markup, PreEscaped, html};

use super::Folder;
use super::markdown::{self, Rendered};
use super::rows::{Kind, Rows};
use crate::handler::files::resolver::Entry;

/// The README of `folder` as a section of its page; `None` if there is none that can be read.
///
/// One is shown, the first of `README.md`, `README.rst`, `README.txt` and `README`, in any case.
pub(super) fn section(folder: &Folder, rows: &Rows) -> Option<Markup> {
    let rank = |name: &[u8]| NAMES.iter().position(|known| known.eq_ignore_ascii_case(name));
    let readme = rows.iter().filter(|row| row.kind == Kind::File);
    let (_, name) = readme.filter_map(|row| Some((rank(row.name)?, row.name))).min()?;
    // What is shown is what a request for it would be sent: by the same resolver.
    let Ok(Entry::File(file, _)) = folder.root.open_entry(&folder.path.join(name)?) else { return None };
    let mut content = Vec::new();
    file.take(MOST + 1).read_to_end(&mut content).ok()?;
    let is_cut = content.len() as u64 > MOST;
    content.truncate(usize::try_from(MOST).unwrap_or(usize::MAX));
    let name = String::from_utf8_lossy(name);
    Some(html! {
        section.doc aria-labelledby="readme" {
            h2 #readme { (name) }
            (document(&name, &String::from_utf8_lossy(&content), 2))
            @if is_cut { p.end { "The document is longer; here is its beginning." } }
        }
    })
}

/// A document for reading, on a page with `above` levels of headings.
pub(super) fn document(name: &str, text: &str, above: usize) -> Markup {
    match is_markdown(name) {
        true => {
            let Rendered { html, is_cut } = markdown::render(text, above);
            html! {
                div.md { (PreEscaped(html)) }
                @if is_cut { p.end { "The document makes too long a page; here is its beginning." } }
            }
        }
        false => html! { pre.plain { (text) } },
    }
}

/// Whether a file of this name holds Markdown.
pub(super) fn is_markdown(name: &str) -> bool {
    [".md", ".markdown"].iter().any(|ending| name.to_ascii_lowercase().ends_with(ending))
}

const NAMES: [&[u8]; 4] = [b"readme.md", b"readme.rst", b"readme.txt", b"readme"];

/// How much of a README is shown, in bytes.
const MOST: u64 = 256 * 1024;
