//! Error pages: the one place where an [`Error`] becomes a response.
//!
//! The client learns the status and the error's message, as HTML, JSON or plain text; never the cause, a path of the file
//! system or the text of a system error. The cause goes to the log.

use http::header;
use http::{HeaderMap, HeaderValue};
use maud::html;

use crate::error::{Blame, Error};
use crate::handler::Response;
use crate::json;
use crate::look::{END, Look};
use crate::rfc::accept;

/// The response for `error`, in the form that `accept` asks for; plain text if it does not care.
pub(crate) fn error(look: &Look, accept: Option<&HeaderValue>, error: &Error) -> Response {
    log(error);
    let status = error.status();
    let reason = status.canonical_reason().unwrap_or("Error");
    let (code, message, link) = (status.as_u16(), error.message(), error.link());
    let mut headers = error.headers().clone();
    let (content_type, page) = match form(accept) {
        Form::Text => {
            let link = link.map_or_else(String::new, |link| format!(": {link}"));
            (TEXT, format!("{code} {reason}: {message}{link}\n"))
        }
        Form::Html => {
            look.apply(&mut headers);
            (HTML, page(look, error, reason))
        }
        Form::Json => {
            let fields = [("link", link), ("message", Some(message)), ("reason", Some(reason))];
            let mut page = b"{".to_vec();
            for (name, value) in fields.into_iter().filter_map(|(name, value)| Some((name, value?))) {
                json::string(&mut page, name);
                page.push(b':');
                json::string(&mut page, value);
                page.push(b',');
            }
            (JSON, format!("{}\"status\":{code}}}\n", String::from_utf8_lossy(&page)))
        }
    };
    let mut response = Response::new(page.into());
    *response.status_mut() = status;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    *response.headers_mut() = headers;
    response
}

/// A fault of ours or of a program behind us is news; a client's is one line of the access log.
fn log(error: &Error) {
    match (error.blame(), error.cause()) {
        (Blame::Client, None) => {}
        (Blame::Client, Some(_)) => tracing::debug!("{error}"),
        (Blame::Us | Blame::Upstream, Some(_)) => tracing::error!("{error}"),
        (Blame::Us | Blame::Upstream, None) => tracing::debug!("{error}"),
    }
}

enum Form {
    Text,
    Html,
    Json,
}

fn form(accept: Option<&HeaderValue>) -> Form {
    let mut headers = HeaderMap::new();
    if let Some(accept) = accept {
        headers.insert(header::ACCEPT, accept.clone());
    }
    match accept::prefer(&headers, &["text/plain", "text/html", "application/json"]) {
        Some(1) => Form::Html,
        Some(2) => Form::Json,
        _ => Form::Text,
    }
}

fn page(look: &Look, error: &Error, reason: &str) -> String {
    let code = error.status().as_u16();
    let body = html! {
        main {
            p.status aria-hidden="true" { (code) }
            h1 { span.sr { (code) " " } (reason) }
            p { (error.message()) }
            @match error.link() {
                Some(link) => p { a href=(link) { (link) } },
                // An error may be about where we are: the root is sure to be somewhere else.
                None => p { a href="/" { "To the start" } },
            }
        }
    };
    look.page(&format!("{code} {reason}"), "error", &body) + END + "\n"
}

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::Body;

    fn page(accept: &'static str, error: &Error) -> (String, String) {
        let accept = (!accept.is_empty()).then(|| HeaderValue::from_static(accept));
        let response = super::error(&Look::default(), accept.as_ref(), error);
        assert_eq!(response.status(), error.status());
        let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let Body::Bytes(page) = response.into_body() else { panic!() };
        (kind, String::from_utf8(page.to_vec()).unwrap())
    }

    #[test]
    fn the_form_is_the_one_that_is_accepted() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, kind) in [
            ("", TEXT),
            ("*/*", TEXT),
            ("image/png", TEXT),
            (browser, HTML),
            ("application/json", JSON),
            ("application/json;q=0.1, text/html", HTML),
        ] {
            assert_eq!(page(accept, &Error::not_found()).0, kind, "{accept}");
        }
    }

    #[test]
    fn where_to_go_instead_is_a_link() {
        let error = Error::new(StatusCode::BAD_REQUEST, "Not here").with_link("https://a.test/?a&b");
        for (accept, link) in [
            ("", "Not here: https://a.test/?a&b\n"),
            ("text/html", r#"<a href="https://a.test/?a&amp;b">https://a.test/?a&amp;b</a>"#),
            ("application/json", r#""link":"https://a.test/?a&b""#),
        ] {
            let (_, page) = page(accept, &error);
            assert!(page.contains(link), "{page}");
        }
    }

    #[test]
    fn the_cause_stays_here_and_the_message_is_text() {
        let error = Error::new(StatusCode::NOT_FOUND, "no <b>such</b> \"page\"").because("/etc/secret");
        for accept in ["", "text/html", "application/json"] {
            let (_, page) = page(accept, &error);
            assert!(!page.contains("secret"), "{page}");
        }
        assert!(page("text/html", &error).1.contains("no &lt;b&gt;such&lt;/b&gt; &quot;page&quot;"));
    }
}
