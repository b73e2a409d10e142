//! HTTP/2 by the library alone, with h2's client on the other side.
#![allow(clippy::panic, clippy::unwrap_used)] // a test fails by panicking

use std::future::poll_fn;

use http::{HeaderMap, HeaderValue, Request as HttpRequest, StatusCode};
use salver::{Handler, Reply, Request, Response, SafePath, Site, testing};

/// Says early what will be needed, and answers a moment later.
struct Hinting;

impl Handler for Hinting {
    fn handle(&self, request: Request, _: SafePath) -> Reply<'_> {
        Reply::later(async move {
            let mut hints = HeaderMap::new();
            hints.insert("link", HeaderValue::from_static("</style.css>; rel=preload"));
            hints.insert("connection", HeaderValue::from_static("close"));
            request.interim.early_hints(hints.clone());
            tokio::task::yield_now().await;
            Ok(Response::new(format!("{:?}", request.version).into()))
        })
    }
}

#[tokio::test]
async fn early_hints_come_before_the_answer() {
    let server = testing::serve(Site::new().mount("/", Hinting).unwrap()).unwrap();
    let socket = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..2 {
        let request = HttpRequest::get(server.url("/")).body(()).unwrap();
        let (mut answer, _) = client.send_request(request, true).unwrap();
        let hints = poll_fn(|cx| answer.poll_informational(cx)).await.unwrap().unwrap();
        assert_eq!(hints.status(), StatusCode::EARLY_HINTS);
        assert_eq!(hints.headers()["link"], "</style.css>; rel=preload");
        assert!(!hints.headers().contains_key("connection"), "a field of connections");
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let mut content = answer.into_body();
        assert_eq!(content.data().await.unwrap().unwrap(), "HTTP/2.0");
        assert!(content.data().await.is_none());
    }
}
