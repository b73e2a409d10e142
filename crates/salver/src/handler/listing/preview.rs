//! `?view`: a file as a page. The file itself is sent untouched to whoever asks for it without.

use std::sync::Arc;

use http::{HeaderValue, header};
use maud::{Markup, html};

use super::{Listing, html as entries, icon, page, readme};
use crate::body::FileRange;
use crate::error::Error;
use crate::handler::files::stored::Stored;
use crate::handler::{Answer, Response};
use crate::look::END;
use crate::request::Request;
use crate::rfc::etag::ETag;
use crate::rfc::{content_type, path};
use crate::workshop;

/// How the content of a file is shown.
enum Shown {
    Image,
    Audio,
    Video,
    Pdf,
    Text { text: String, is_cut: bool },
    Nothing,
}

impl Listing {
    /// Answers a GET or HEAD of `name` with a page that shows it.
    pub(crate) async fn preview(&self, request: Request, name: &[u8], stored: Arc<Stored>) -> Answer {
        let tag = format!("{}-{}", stored.facts.tag(), self.look.tag);
        let etag = ETag::strong(tag.as_bytes())
            .expect("hexadecimal digits, letters, dashes and underscores are a tag");
        if let Some(mut answer) = super::by_tag(&request, &etag) {
            if let Ok(response) = &mut answer {
                response.headers_mut().insert(header::VARY, VARY);
            }
            return answer;
        }
        let shown = Shown::of(name, &stored).await?;
        let mut href: String = path::encode_as_python(name).collect();
        href.insert_str(0, "./");
        let name = String::from_utf8_lossy(name);
        let title = match &self.look.title {
            Some(title) => format!("{title}: {name}"),
            None => name.clone().into_owned(),
        };
        let (mut size, mut exact, mut time) = (Vec::new(), Vec::new(), Vec::new());
        entries::size(&mut size, stored.facts.size);
        entries::exact_size(&mut exact, stored.facts.size);
        entries::time(&mut time, stored.facts.modified_seconds());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let body = html! {
            header {
                div.where {
                    (page::crumbs(&self.look, &request.target))
                    p.sum.facts {
                        span title=(text(&exact)) { (text(&size)) } " · " (maud::PreEscaped(text(&time)))
                    }
                }
                div.tools {
                    a.as-list href=(href) { "Raw" }
                    a.get href=(href) download { span.word { "Download" } }
                    (page::theme_switch())
                }
            }
            main {
                h1.sr { (name) }
                (shown.render(&name, &href))
            }
            (page::foot())
        };
        let mut response = Response::new((self.look.page(&title, "", &body) + END).into());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(header::ETAG, etag.header());
        headers.insert(header::VARY, VARY);
        self.look.apply(headers);
        Ok(response)
    }
}

impl Shown {
    /// Decides by the content type; what has none is shown if it is text.
    async fn of(name: &[u8], stored: &Arc<Stored>) -> Result<Self, Error> {
        let kind = stored.head.content_type.as_bytes();
        Ok(match icon::of_name(name) {
            icon::IMAGE => Self::Image,
            _ if kind.starts_with(b"image/") => Self::Image,
            _ if kind.starts_with(b"audio/") => Self::Audio,
            _ if kind.starts_with(b"video/") => Self::Video,
            _ if kind == b"application/pdf" => Self::Pdf,
            _ if content_type::is_text(kind) || kind == b"application/octet-stream" => {
                let content = match stored.content.content() {
                    Some(content) => content,
                    None => {
                        let range = stored.content.part(0..stored.facts.size.min(MOST));
                        let read = workshop::run(move || read(range));
                        read.await.map_err(Error::internal)?.map_err(Error::internal)?.into()
                    }
                };
                let is_cut = (content.len() as u64) < stored.facts.size;
                match text(&content, is_cut) {
                    Some(text) => Self::Text { text, is_cut },
                    None => Self::Nothing,
                }
            }
            _ => Self::Nothing,
        })
    }

    fn render(&self, name: &str, href: &str) -> Markup {
        html! {
            @match self {
                Self::Image => div.media { img src=(href) alt=(name); },
                Self::Audio => div.media { audio src=(href) controls preload="metadata" aria-label=(name) {} },
                Self::Video => div.media { video src=(href) controls preload="metadata" aria-label=(name) {} },
                Self::Pdf => iframe src=(href) title=(name) {},
                Self::Nothing => p.empty { "There is no preview of this kind of file." },
                Self::Text { text, is_cut } => {
                    @if readme::is_markdown(name) {
                        div.doc { (readme::document(name, text, 1)) }
                    } @else {
                        // Focusable, so that who has no mouse can scroll it sideways.
                        div.code tabindex="0" role="region" aria-label="Content" {
                            pre.n aria-hidden="true" { (numbers(text)) }
                            pre { code { (text) } }
                        }
                    }
                    @if *is_cut { p.end { "The file is longer; here is its first MiB." } }
                }
            }
        }
    }
}

/// The content if it is text; one that was cut may end within a letter.
fn text(content: &[u8], is_cut: bool) -> Option<String> {
    if memchr::memchr(0, content.get(..content.len().min(SNIFFED)).unwrap_or_default()).is_some() {
        return None;
    }
    let text = String::from_utf8_lossy(content);
    Some(if is_cut { text.trim_end_matches('\u{FFFD}').to_owned() } else { text.into_owned() })
}

/// `1\n2\n3`: a number for each line.
fn numbers(text: &str) -> String {
    let count = text.lines().count().max(1);
    (1..=count).map(|line| line.to_string()).collect::<Vec<_>>().join("\n")
}

fn read(mut range: FileRange) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    while let Some(piece) = range.read_piece()? {
        content.extend_from_slice(&piece);
    }
    Ok(content)
}

/// Pages are compressed for whoever takes it.
const VARY: HeaderValue = HeaderValue::from_static("Accept-Encoding");

/// How much of a text is shown, in bytes.
const MOST: u64 = 1024 * 1024;

/// Where a NUL says that content is no text, in bytes from its start.
const SNIFFED: usize = 8192;
