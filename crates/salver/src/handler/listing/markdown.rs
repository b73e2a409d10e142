//! Markdown as HTML that can do nothing: no raw HTML, no script, no style, no picture or other content from elsewhere.
//!
//! SECURITY: whoever can put a README into a folder must not act as the server's owner. HTML within it is dropped, links keep
//! only the schemes below, pictures only relative addresses; the page's Content-Security-Policy stands behind all this.

use pulldown_cmark::{Alignment, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// A document as HTML.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rendered {
    pub(super) html: String,
    /// Whether it ends before the document does.
    pub(super) is_cut: bool,
}

/// Renders a document; its headings stand below those of the page, which has `above` levels.
///
/// A few bytes of a document may stand for a long tag, or for a thousand empty cells of a table: what is made of it is bounded by
/// its length, and cut where it is more.
pub(super) fn render(text: &str, above: usize) -> Rendered {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let cleaner = Cleaner { kept: Vec::new(), depth: 0, above, level: above };
    let (mut events, mut open, mut is_cut) = (Vec::new(), Vec::new(), false);
    let mut room = text.len() * MOST_GROWTH + LEAST_ROOM;
    for event in Parser::new_ext(text, options).filter_map(cleaner.cleaned()) {
        match room.checked_sub(length(&event)) {
            Some(left) => room = left,
            None => {
                is_cut = true;
                break;
            }
        }
        match &event {
            Event::Start(tag) => open.push(tag.to_end()),
            Event::End(_) => drop(open.pop()),
            _ => {}
        }
        events.push(event);
    }
    events.extend(open.into_iter().rev().map(Event::End));
    name_headings(&mut events);
    let mut html = String::with_capacity(text.len() * 2);
    html::push_html(&mut html, events.into_iter());
    Rendered { html, is_cut }
}

/// About how long an event is as HTML, in bytes.
fn length(event: &Event<'_>) -> usize {
    // A quote becomes `&quot;`.
    let escaped = |text: &str| text.len() + 5 * text.bytes().filter(|byte| b"\"&<>".contains(byte)).count();
    match event {
        Event::Start(Tag::Link { dest_url, title, .. } | Tag::Image { dest_url, title, .. }) => {
            TAG + escaped(dest_url) + escaped(title)
        }
        Event::Start(_) | Event::End(_) | Event::Rule => TAG,
        Event::Text(text) | Event::Code(text) => escaped(text),
        _ => 1,
    }
}

/// What is remembered between events.
struct Cleaner {
    /// Links and pictures under way: whether each is kept.
    kept: Vec<bool>,
    /// How many tags are open, kept or not.
    depth: usize,
    /// How many levels of headings the page has.
    above: usize,
    /// The level of the last heading, as it is shown.
    level: usize,
}

impl Cleaner {
    fn cleaned<'a>(mut self) -> impl FnMut(Event<'a>) -> Option<Event<'a>> {
        move |event| self.clean(event)
    }

    fn clean<'a>(&mut self, event: Event<'a>) -> Option<Event<'a>> {
        let depth = match event {
            Event::Start(_) => {
                self.depth += 1;
                self.depth
            }
            Event::End(_) => {
                self.depth -= 1;
                self.depth + 1
            }
            _ => 0,
        };
        if depth > MOST_DEPTH {
            return None; // what is within stays, one level up
        }
        Some(match event {
            Event::Html(_) | Event::InlineHtml(_) => return None,
            // A box to tick needs a label, and would tick nothing.
            Event::TaskListMarker(done) => Event::Text(if done { "☑ " } else { "☐ " }.into()),
            Event::Start(Tag::HtmlBlock) | Event::End(TagEnd::HtmlBlock) => return None,
            // An alignment would be an inline style.
            Event::Start(Tag::Table(columns)) => {
                Event::Start(Tag::Table(vec![Alignment::None; columns.len()]))
            }
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                self.keep(is_safe_link(&dest_url))?;
                // Ids of the document have a prefix, so that they meet none of the page's.
                let dest_url = match dest_url.strip_prefix('#') {
                    Some(fragment) => format!("#{PREFIX}{}", fragment.to_lowercase()).into(),
                    None => dest_url,
                };
                Event::Start(Tag::Link { link_type, dest_url, title, id })
            }
            Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
                self.keep(scheme(&dest_url).is_none() && !leaves(&dest_url))?;
                Event::Start(Tag::Image { link_type, dest_url, title, id })
            }
            Event::End(TagEnd::Link | TagEnd::Image) => self.kept.pop().unwrap_or(false).then_some(event)?,
            Event::Start(Tag::Heading { level, .. }) => {
                // No level is left out, as a screen reader's list of headings wants it.
                self.level = (level as usize + self.above).min(self.level + 1).min(6);
                let level = HeadingLevel::try_from(self.level).unwrap_or(HeadingLevel::H6);
                Event::Start(Tag::Heading { level, id: None, classes: Vec::new(), attrs: Vec::new() })
            }
            Event::End(TagEnd::Heading(_)) => {
                Event::End(TagEnd::Heading(HeadingLevel::try_from(self.level).unwrap_or(HeadingLevel::H6)))
            }
            event => event,
        })
    }

    /// `None` drops the tag; the text within stays.
    fn keep(&mut self, kept: bool) -> Option<()> {
        self.kept.push(kept);
        kept.then_some(())
    }
}

/// Gives each heading the id that links within a document count on: its words in lower case, joined by dashes.
fn name_headings(events: &mut [Event<'_>]) {
    let mut within: Option<(usize, String)> = None;
    let mut ids = Vec::new();
    for (at, event) in events.iter().enumerate() {
        match (event, &mut within) {
            (Event::Start(Tag::Heading { .. }), _) => within = Some((at, PREFIX.to_owned())),
            (Event::Text(text) | Event::Code(text), Some((_, id))) => {
                for letter in text.chars().flat_map(char::to_lowercase) {
                    match letter {
                        ' ' | '-' => id.push('-'),
                        letter if letter.is_alphanumeric() || letter == '_' => id.push(letter),
                        _ => {}
                    }
                }
            }
            (Event::End(TagEnd::Heading(_)), within) => ids.extend(within.take()),
            _ => {}
        }
    }
    let mut seen = std::collections::HashMap::<String, usize>::new();
    for (at, name) in ids {
        let count = seen.entry(name.clone()).and_modify(|count| *count += 1).or_default();
        let unique = if *count == 0 { name } else { format!("{name}-{count}") };
        if let Some(Event::Start(Tag::Heading { id, .. })) = events.get_mut(at) {
            *id = Some(CowStr::from(unique));
        }
    }
}

fn is_safe_link(url: &str) -> bool {
    scheme(url)
        .is_none_or(|scheme| ["http", "https", "mailto"].iter().any(|safe| scheme.eq_ignore_ascii_case(safe)))
}

/// The scheme of a link as a browser sees it, which skips controls and spaces within and before it.
fn scheme(url: &str) -> Option<String> {
    let seen: String = url.chars().filter(|letter| !letter.is_control() && !letter.is_whitespace()).collect();
    let (scheme, _) = seen.split_once(':')?;
    (!scheme.contains(['/', '?', '#'])).then(|| scheme.to_owned())
}

/// Whether a link without a scheme names another host, as a browser sees it, to which `\` is a slash.
fn leaves(url: &str) -> bool {
    let mut seen = url.chars().filter(|letter| !letter.is_control() && !letter.is_whitespace());
    matches!((seen.next(), seen.next()), (Some('/' | '\\'), Some('/' | '\\')))
}

const PREFIX: &str = "doc-";

/// How deep tags may stand in each other: deeper than any reader follows.
const MOST_DEPTH: usize = 64;

/// How many bytes of a page a byte of a document may become, and what any document may become.
const MOST_GROWTH: usize = 4;
const LEAST_ROOM: usize = 64 * 1024;

/// A tag of middling length, in bytes.
const TAG: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_document_acts() {
        for (text, want) in [
            ("a <script>alert(1)</script> b", "<p>a alert(1) b</p>\n"),
            ("<script>\nalert(1)\n</script>\n", ""),
            ("<img src=x onerror=alert(1)>", ""),
            ("[a](javascript:alert(1))", "<p>a</p>\n"),
            ("[a](<java\tscript:alert(1)>)", "<p>a</p>\n"),
            ("[a](JAVASCRIPT&colon;alert(1))", "<p>a</p>\n"),
            ("[a](data:text/html,x)", "<p>a</p>\n"),
            ("[a](vbscript:x \"t\")", "<p>a</p>\n"),
            ("<javascript:alert(1)>", "<p>javascript:alert(1)</p>\n"),
            ("[a](https://example.org/?a:b)", "<p><a href=\"https://example.org/?a:b\">a</a></p>\n"),
            ("[a](b/c:d)", "<p><a href=\"b/c:d\">a</a></p>\n"),
            ("<me@example.org>", "<p><a href=\"mailto:me@example.org\">me@example.org</a></p>\n"),
            ("![a](pic.png)", "<p><img src=\"pic.png\" alt=\"a\" /></p>\n"),
            ("![a](https://example.org/p.png)", "<p>a</p>\n"),
            ("![a](//example.org/p.png)", "<p>a</p>\n"),
            ("![a](/\\example.org/p.png)", "<p>a</p>\n"),
            ("![a](data:image/png;base64,x)", "<p>a</p>\n"),
            ("[![a](https://x/y.svg)](https://x)", "<p><a href=\"https://x\">a</a></p>\n"),
            ("- [x] done", "<ul>\n<li>☑ done</li>\n</ul>\n"),
        ] {
            assert_eq!(render(text, 2), Rendered { html: want.into(), is_cut: false }, "{text}");
        }
        let table = render("|a|\n|-:|\n|b|", 2).html;
        assert!(table.contains("<td>b</td>") && !table.contains("style"), "{table}");
    }

    #[test]
    fn headings_are_linked_and_in_order() {
        let page = render("# A `b`!\n\n### C\n\n# A b\n\n[x](#A-b)", 2).html;
        assert_eq!(
            page,
            "<h3 id=\"doc-a-b\">A <code>b</code>!</h3>\n<h4 id=\"doc-c\">C</h4>\n<h3 id=\"doc-a-b-1\">A b</h3>\n\
             <p><a href=\"#doc-a-b\">x</a></p>\n"
        );
    }

    #[test]
    fn a_document_makes_no_page_of_megabytes() {
        let columns = "|a".repeat(500);
        let cells = format!("{columns}|\n{}|\n{}", "|-".repeat(500), "|a|\n".repeat(50_000));
        let reference = format!("[a]: /{}\n\n{}", "x".repeat(50_000), "[a]".repeat(20_000));
        for (what, text, is_cut) in [
            ("quotes in quotes", ">".repeat(100_000) + "text", false),
            ("lists in lists", "- ".repeat(50_000) + "text", false),
            ("links in links", "[".repeat(50_000) + "text" + &"](x)".repeat(50_000), false),
            ("emphasis", "*a ".repeat(50_000), false),
            ("headings", "# a\n".repeat(50_000), true),
            ("empty cells", cells, true),
            ("a long reference, often", reference, false),
            ("quotes", "\"".repeat(200_000), true),
        ] {
            let length = text.len();
            let page = render(&text, 2);
            assert!(page.html.len() < 6 * length + 2 * LEAST_ROOM, "{what}: {} of {length}", page.html.len());
            assert_eq!(page.is_cut, is_cut, "{what}: {} of {length}", page.html.len());
            let deepest = page.html.split('<').fold((0_i64, 0_i64), |(depth, most), tag| {
                let depth = depth + if tag.starts_with('/') { -1 } else { 1 };
                (depth, most.max(depth))
            });
            assert!(deepest.1 < 2 * i64::try_from(MOST_DEPTH).unwrap(), "{what}: {deepest:?}");
        }
        let text = render(&"| a | b |\n".repeat(5_000), 2);
        assert!(!text.is_cut);
        assert!(render(&("> ".repeat(1000) + "inmost"), 2).html.contains("inmost"));
        let cut = render(&"- a\n\n  b\n".repeat(50_000), 2);
        assert!(!cut.is_cut || cut.html.ends_with("</ul>\n"), "what is open is closed");
    }
}
