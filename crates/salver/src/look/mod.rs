//! What our own pages look like: one style and one script, inline, allowed by their hashes and nothing else.
//!
//! A page asks for nothing beyond itself and the files beside it: no font, no script, no picture comes from elsewhere, and a
//! script or style that found its way into a name or a README does not run (Content-Security-Policy, CSP3 §8.4).

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderValue, header};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use crate::start_error::StartError;

/// What our own pages look like.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(clap::Args), group(skip))] // every module has an `Options`
pub struct Options {
    /// What listings and their pages are called, in place of "Directory listing for"
    #[cfg_attr(feature = "cli", arg(long, value_name = "TEXT"))]
    pub title: Option<String>,

    /// A style sheet of your own, behind that of our pages; read when the server starts
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE.css"))]
    pub theme: Option<PathBuf>,
}

/// The style of our pages, ready to be sent.
#[derive(Debug)]
pub(crate) struct Look {
    /// What `--title` says.
    #[cfg_attr(not(feature = "listing"), expect(dead_code))]
    pub(crate) title: Option<String>,
    style: String,
    policy: HeaderValue,
    /// Names what pages have in common, for their entity tags.
    #[cfg_attr(not(feature = "listing"), expect(dead_code))]
    pub(crate) tag: String,
}

impl Look {
    /// Reads the theme and hashes what stands inline.
    ///
    /// # Errors
    /// A theme that cannot be read, is no UTF-8 or would end the style element.
    pub(crate) fn open(options: &Options) -> Result<Self, StartError> {
        let mut style = STYLE.to_owned();
        if let Some(path) = &options.theme {
            let fault = |what: &str| StartError::new(format!("--theme {}: {what}", path.display()));
            let theme = std::fs::read_to_string(path)
                .map_err(|error| fault(&format!("{error}; name a style sheet in UTF-8")))?;
            // SECURITY: the one thing that leaves a style element.
            if theme.to_ascii_lowercase().contains("</style") {
                return Err(fault("holds </style, which would end it within the page; leave that out"));
            }
            // A browser reads CR LF as LF before it hashes.
            style.push_str(&theme.replace("\r\n", "\n").replace('\r', "\n"));
        }
        Ok(Self::new(options.title.clone(), style))
    }

    fn new(title: Option<String>, style: String) -> Self {
        let mut hash = Sha256::new();
        for part in [env!("CARGO_PKG_VERSION"), SCRIPT, &style, title.as_deref().unwrap_or("")] {
            hash.update(part);
            hash.update([0]);
        }
        let mut tag = URL_SAFE_NO_PAD.encode(hash.finalize());
        tag.truncate(16);
        Self { title, policy: policy(&style), style, tag }
    }

    /// A page with this title, its body's class and what is in it; without the closing tags, which HTML does not need.
    pub(crate) fn page(&self, title: &str, class: &str, body: &Markup) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) }
                    link rel="icon" href=(ICON);
                    style { (PreEscaped(&self.style)) }
                    script { (PreEscaped(SCRIPT)) }
                }
                body class=(class) { (body) }
            }
        };
        let mut page = page.into_string();
        page.truncate(page.len() - END.len());
        page
    }

    /// Says what a page may do, and that it is what it says it is.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
}

impl Default for Look {
    fn default() -> Self {
        Self::new(None, STYLE.to_owned())
    }
}

/// SECURITY: nothing is loaded but the files of this very origin, and no script or style runs but ours.
fn policy(style: &str) -> HeaderValue {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let policy = format!(
        "default-src 'none'; style-src {}; script-src {}; img-src 'self' data:; media-src 'self'; font-src 'self' data:; \
         frame-src 'self'; object-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'",
        hash(style),
        hash(SCRIPT),
    );
    HeaderValue::try_from(policy).expect("base64 and keywords are visible ASCII")
}

/// What ends every page.
pub(crate) const END: &str = "</body></html>";

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A folder on a tray.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath \
    fill='%230b6bcb' d='M2 3h4l1.5 1.5H14V11H2z'/%3E%3Cpath fill='%23697586' d='M0 12h16l-2 2H2z'/%3E%3C/svg%3E";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_inline_is_what_the_policy_allows() {
        let temp = tempfile::tempdir().unwrap();
        let theme = temp.path().join("theme.css");
        std::fs::write(&theme, "body { color: red }\r\n").unwrap();
        let look = Look::open(&Options { title: None, theme: Some(theme) }).unwrap();
        let page = look.page("a <b>", "x", &html! { p { "text" } });
        assert!(page.contains("<title>a &lt;b&gt;</title>") && page.ends_with("<p>text</p>"), "{page}");
        let mut headers = HeaderMap::new();
        look.apply(&mut headers);
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        for element in ["style", "script"] {
            let (_, rest) = page.split_once(&format!("<{element}>")).unwrap();
            let (text, _) = rest.split_once(&format!("</{element}>")).unwrap();
            let hash = STANDARD.encode(Sha256::digest(text));
            assert!(policy.contains(&format!("{element}-src 'sha256-{hash}'")), "{element}: {policy}");
        }
        assert!(page.contains("body { color: red }\n</style>"));
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }

    #[test]
    fn a_theme_that_is_none_is_said_before_anything_starts() {
        let temp = tempfile::tempdir().unwrap();
        let theme = temp.path().join("theme.css");
        let open =
            || Look::open(&Options { title: None, theme: Some(theme.clone()) }).unwrap_err().to_string();
        assert!(open().contains("name a style sheet"));
        std::fs::write(&theme, "</STYLE><script>").unwrap();
        assert!(open().contains("leave that out"));
        std::fs::write(&theme, b"\xFF").unwrap();
        assert!(open().contains("in UTF-8"));
    }
}
