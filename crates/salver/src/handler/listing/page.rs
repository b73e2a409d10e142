//! What stands around the entries: where one is, what can be done, how the entries are arranged.

use maud::{Markup, PreEscaped, html};

use super::html::size;
use super::rows::{Kind, Rows};
use super::view::{Key, Shape, View};
use crate::handler::archive::Format;
use crate::look::Look;
use crate::request::Target;
use crate::rfc::path;

/// How much there is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    folders: usize,
    files: usize,
    /// Where the sizes are known.
    bytes: Option<u64>,
}

/// What a page says before its entries.
pub(super) struct Head<'a> {
    pub(super) look: &'a Look,
    pub(super) target: &'a Target,
    pub(super) view: View,
    pub(super) count: Count,
    pub(super) archives: bool,
}

impl Count {
    pub(super) fn of(rows: &Rows) -> Self {
        let folders = rows.iter().filter(|row| row.kind == Kind::Folder).count();
        Self { folders, files: rows.len() - folders, bytes: rows.bytes() }
    }

    fn is_empty(self) -> bool {
        self.folders + self.files == 0
    }

    /// `2 folders, 3 files, 1.2 MB`.
    fn said(self) -> String {
        let number = |count, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {many}")),
        };
        let bytes = self.bytes.filter(|_| self.files > 0).map(|sum| {
            let mut said = Vec::new();
            size(&mut said, sum);
            String::from_utf8_lossy(&said).into_owned()
        });
        let parts = [number(self.folders, "folder", "folders"), number(self.files, "file", "files"), bytes];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// The page up to its first entry.
pub(super) fn start(head: &Head<'_>) -> String {
    let Head { look, target, view, count, archives } = head;
    let title = title(look, target);
    let body = html! {
        a.skip href="#list" { "Skip to the entries" }
        header {
            div.where {
                (crumbs(look, target))
                p.sum { (count.said()) }
            }
            div.tools { (tools(*view, *archives && !count.is_empty())) }
        }
        main {
            h1.sr { (title) }
            p #count role="status" hidden {}
            @if count.is_empty() { p.empty { "This folder is empty." } }
            @if view.shape == Shape::Grid { (sorts(*view)) }
            // Its buttons lead to previews where no script runs: links would be taken for files by whoever mirrors the folder.
            form {
                @match view.shape {
                    Shape::List => (table(*view)),
                    Shape::Grid => ul.list #list {},
                }
            }
        }
    };
    let mut page = look.page(&title, "", &body);
    // What is written next stands within; an empty folder keeps its empty list.
    let close = match view.shape {
        Shape::List => "</tbody></table></form></main>",
        Shape::Grid => "</ul></form></main>",
    };
    page.truncate(page.len() - close.len());
    page.push('\n');
    page
}

/// What stands between the first entries and those that the page's script builds when they are about to be seen. Without it,
/// they are a list as any other.
pub(super) fn rest(shape: Shape) -> &'static str {
    match shape {
        Shape::List => concat!(
            "</tbody></table><noscript class=\"rest\"><table class=\"list\"><thead class=\"sr\"><tr><th scope=\"col\">Name</th>",
            "<th scope=\"col\">Size</th><th scope=\"col\">Modified</th></tr></thead><tbody>\n"
        ),
        Shape::Grid => "</ul><noscript class=\"rest\"><ul class=\"list\">\n",
    }
}

/// What closes the entries.
pub(super) fn end(shape: Shape, has_rest: bool) -> &'static str {
    match (shape, has_rest) {
        (Shape::List, false) => "</tbody></table></form>\n",
        (Shape::List, true) => "</tbody></table></noscript></form>\n",
        (Shape::Grid, false) => "</ul></form>\n",
        (Shape::Grid, true) => "</ul></noscript></form>\n",
    }
}

/// What ends the page.
pub(super) fn foot() -> Markup {
    html! {
        footer { "salver " (env!("CARGO_PKG_VERSION")) }
    }
}

/// The target as sent, for people, as http.server shows it: decoded, its leading slashes one; a query that only says how to show
/// the listing is left out.
pub(super) fn title(look: &Look, target: &Target) -> String {
    let is_ours = target.query().is_some() && View::parse(target.query()).1;
    let shown = if is_ours { target.path() } else { target.as_bytes() };
    let shown = path::shown(shown);
    let shown = String::from_utf8_lossy(&shown);
    let shown = shown.trim_start_matches('/');
    match &look.title {
        Some(title) => format!("{title}: /{shown}"),
        None => format!("Directory listing for /{shown}"),
    }
}

/// The way to this folder or file, each step a link that is relative, for we may stand behind a prefix that we do not know.
pub(super) fn crumbs(look: &Look, target: &Target) -> Markup {
    let steps: Vec<&[u8]> = target.path().split(|byte| *byte == b'/').collect();
    // Before the first slash is nothing, and so it is behind the last of a folder.
    let last = steps.iter().rposition(|step| !step.is_empty()).unwrap_or(0);
    let up = |at: usize| match steps.len().saturating_sub(at + 2) {
        0 => "./".to_owned(),
        steps => "../".repeat(steps),
    };
    let parent = steps.iter().take(last).rposition(|step| !step.is_empty()).unwrap_or(0);
    let shown = |step: &[u8]| String::from_utf8_lossy(&path::decode(step)).into_owned();
    let root = look.title.as_deref();
    let home = if root.is_some() { "home named" } else { "home" };
    html! {
        nav aria-label="Breadcrumb" {
            ol {
                li {
                    @if last == 0 {
                        span class=(home) aria-current="page" { (root_name(root)) }
                    } @else {
                        a class=(home) href=(up(0)) data-up[parent == 0] { (root_name(root)) }
                    }
                }
                // A path may name a folder in thousands of steps (`/././`), each with a longer link: the last ones are enough.
                @for (at, step) in steps.iter().enumerate().take(last + 1).skip(last.saturating_sub(MOST_STEPS).max(1)) {
                    @if at == last {
                        li { bdi.crumb aria-current="page" { (shown(step)) } }
                    } @else if !step.is_empty() {
                        li { bdi.crumb { a href=(up(at)) data-up[parent == at] { (shown(step)) } } }
                    }
                }
            }
        }
    }
}

fn root_name(title: Option<&str>) -> Markup {
    html! {
        @match title {
            Some(title) => (title),
            None => span.sr { "Root" },
        }
    }
}

/// The switch between dark and light; without a script the system decides, and it stays hidden.
pub(super) fn theme_switch() -> Markup {
    html! { button #theme type="button" hidden {} }
}

fn tools(view: View, archives: bool) -> Markup {
    let (class, label) = match view.shape {
        Shape::List => ("as-grid", "Grid"),
        Shape::Grid => ("as-list", "List"),
    };
    html! {
        div.find role="search" hidden {
            input #filter type="search" placeholder="Filter ( / )" aria-label="Filter the entries by name" autocomplete="off"
                spellcheck="false";
        }
        a class=(class) href=(view.reshaped()) { span.word { (label) } span.sr { " view" } }
        @if archives {
            details {
                summary { span.word { "Download" } span.sr { " this folder" } }
                div {
                    @for format in Format::all().map(Format::ending) {
                        a href={ "?archive=" (format) } { "as ." (format) }
                    }
                }
            }
        }
        (theme_switch())
    }
}

fn table(view: View) -> Markup {
    html! {
        table.list {
            thead {
                tr {
                    @for (key, label) in COLUMNS {
                        th scope="col" aria-sort=[view.aria_sort(key)] { a href=(view.sorted_by(key)) { (label) } }
                    }
                }
            }
            tbody #list { (PreEscaped("")) }
        }
    }
}

/// Cards have no headers to click on.
fn sorts(view: View) -> Markup {
    html! {
        p.sorts {
            "Sort by"
            @for (key, label) in COLUMNS {
                a href=(view.sorted_by(key)) aria-current=[view.aria_sort(key).map(|_| "true")] { (label) }
            }
        }
    }
}

/// How many steps of the way are shown.
const MOST_STEPS: usize = 32;

const COLUMNS: [(Key, &str); 3] = [(Key::Name, "Name"), (Key::Size, "Size"), (Key::Time, "Modified")];

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn the_way_is_relative_and_its_last_step_no_link() {
        let links = |path: &'static str| {
            let target = Target::new(Bytes::from_static(path.as_bytes()));
            let text = crumbs(&Look::default(), &target).into_string();
            text.split("href=\"")
                .skip(1)
                .map(|rest| rest.split('"').next().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        for (path, want) in [
            ("/", &[][..]),
            ("/a/", &["../"]),
            ("/a/b/", &["../../", "../"]),
            ("//a//b/?x", &["../../../../", "../../"]),
            ("/a.txt?view", &["./"]),
            ("/a/b.txt?view", &["../", "./"]),
        ] {
            assert_eq!(links(path), want, "{path}");
        }
    }

    #[test]
    fn numbers_are_said_as_people_say_them() {
        let said = |folders, files, bytes| Count { folders, files, bytes: Some(bytes) }.said();
        assert_eq!(said(0, 0, 0), "");
        assert_eq!(said(1, 0, 0), "1 folder");
        assert_eq!(said(2, 1, 1200), "2 folders, 1 file, 1.2 kB");
    }
}
