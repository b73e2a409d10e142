//! Compresses responses of handlers that do not do it themselves: text over 1 KiB, if the client takes it.
//!
//! Left alone: what is coded already, parts, errors and redirects, `Cache-Control: no-transform` (RFC 9111 §5.2.2.6), and
//! streams of unknown length, whose handler may have its own idea of when what arrives.

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::compress::{self, LongText};
use crate::handler::Response;
use crate::rfc::accept::{Coding, Codings};
use crate::rfc::content_type;
use crate::rfc::etag::ETag;
use crate::rfc::list;

/// Compresses `response` if that pays and the client takes it; says that it varies wherever it pays.
pub(crate) fn apply(codings: &Codings, response: &mut Response) {
    if !pays(response) {
        return;
    }
    vary(response.headers_mut());
    let coding = match codings.choose(&Coding::ALL) {
        None | Some(Coding::Identity) => return,
        Some(coding) => coding,
    };
    let body = std::mem::take(response.body_mut());
    *response.body_mut() = compress::encode(body, coding);
    let headers = response.headers_mut();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    headers.remove(CONTENT_LENGTH);
    headers.remove(ACCEPT_RANGES); // the handler's ranges are not those of what is sent
    // The bytes are others now, the meaning is not: RFC 9110 §8.8.3.3.
    if let Some(etag) = headers.get(ETAG).and_then(|etag| ETag::parse(etag.as_bytes())) {
        headers.insert(ETAG, etag.to_weak().header());
    }
}

fn pays(response: &Response) -> bool {
    let headers = response.headers();
    let is_long = compress::WORTH_IT.is_some_and(|least| match response.body().len() {
        Some(length) => length >= least,
        None => response.extensions().get::<LongText>().is_some(),
    });
    let no_transform = || list::lines(headers, &CACHE_CONTROL).any(|line| list::names(line, b"no-transform"));
    is_long
        && response.status() == StatusCode::OK
        && headers.get(CONTENT_TYPE).is_some_and(|text| content_type::is_text(text.as_bytes()))
        && !headers.contains_key(CONTENT_ENCODING)
        && !headers.contains_key(CONTENT_RANGE)
        && !no_transform()
}

/// Adds `Accept-Encoding` to `Vary` where it is not named.
fn vary(headers: &mut HeaderMap) {
    let is_named = list::lines(headers, &VARY)
        .any(|line| list::names(line, b"*") || list::names(line, b"accept-encoding"));
    if !is_named {
        headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

#[cfg(feature = "compress")]
#[cfg(test)]
mod tests {
    use http::HeaderName;
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::body::Body;
    use crate::compress::tests::decode;

    fn response(fields: &[(&'static str, &'static str)], body: Body) -> Response {
        let mut response = Response::new(body);
        for (name, value) in fields {
            response.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        response
    }

    fn codings(value: &'static str) -> Codings {
        let fields = [(http::header::ACCEPT_ENCODING, HeaderValue::from_static(value))];
        Codings::parse(&fields.into_iter().collect())
    }

    #[tokio::test]
    async fn text_is_compressed_and_comes_back() {
        let text = "text ".repeat(1000);
        for (accept, coding) in
            [("gzip", Coding::Gzip), ("gzip, br", Coding::Brotli), ("zstd, *", Coding::Zstd)]
        {
            let fields = [
                ("content-type", "text/html"),
                ("content-length", "5000"),
                ("etag", "\"tag\""),
                ("vary", "Accept"),
                ("accept-ranges", "bytes"),
            ];
            let mut response = response(&fields, text.clone().into());
            apply(&codings(accept), &mut response);
            let (head, body) = response.into_parts();
            assert_eq!(head.headers[CONTENT_ENCODING], coding.name());
            assert_eq!(head.headers[ETAG], "W/\"tag\"");
            assert!(!head.headers.contains_key(CONTENT_LENGTH) && !head.headers.contains_key(ACCEPT_RANGES));
            assert_eq!(head.headers.get_all(VARY).iter().collect::<Vec<_>>(), ["Accept", "Accept-Encoding"]);
            let sent = body.collect().await.unwrap().to_bytes();
            assert!(sent.len() < 500);
            assert_eq!(decode(&sent, coding), text.as_bytes());
        }
    }

    /// What it is, its fields, its body, what the client takes, and whether the response varies.
    type Case = (&'static str, &'static [(&'static str, &'static str)], Body, &'static str, bool);

    #[test]
    fn what_is_left_alone() {
        let text = || Body::from("text ".repeat(1000));
        let stream = || Body::stream(Unknown);
        const HTML: (&str, &str) = ("content-type", "text/html");
        let cases: [Case; 9] = [
            ("short", &[HTML], "text".into(), "gzip", false),
            ("no text", &[("content-type", "image/png")], text(), "gzip", false),
            ("no type", &[], text(), "gzip", false),
            ("coded", &[HTML, ("content-encoding", "br")], text(), "gzip", false),
            ("a part", &[HTML, ("content-range", "bytes 0-1/2")], text(), "gzip", false),
            ("no-transform", &[HTML, ("cache-control", "public, No-Transform")], text(), "gzip", false),
            ("a stream", &[HTML], stream(), "gzip", false),
            ("not taken", &[HTML], text(), "compress", true),
            ("identity liked better", &[HTML], text(), "gzip;q=0.5, identity", true),
        ];
        for (what, fields, body, accept, varies) in cases {
            let mut response = response(fields, body);
            let coded = response.headers().get(CONTENT_ENCODING).cloned();
            apply(&codings(accept), &mut response);
            assert_eq!(response.headers().get(CONTENT_ENCODING), coded.as_ref(), "{what}");
            assert_eq!(response.headers().contains_key(VARY), varies, "{what}");
        }
        let mut partial = response(&[HTML], text());
        *partial.status_mut() = StatusCode::PARTIAL_CONTENT;
        apply(&codings("gzip"), &mut partial);
        assert!(!partial.headers().contains_key(CONTENT_ENCODING));
    }

    #[test]
    fn a_long_listing_is_compressed_though_its_length_is_unknown() {
        let mut response = response(&[("content-type", "text/html")], Body::stream(Unknown));
        response.extensions_mut().insert(LongText);
        apply(&codings("gzip"), &mut response);
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
    }

    /// A stream that does not say how long it is.
    struct Unknown;

    impl http_body::Body for Unknown {
        type Data = bytes::Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
            std::task::Poll::Ready(None)
        }
    }
}
