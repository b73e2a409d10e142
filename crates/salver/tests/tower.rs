//! Tower services inside a site, and a site as a tower service: under axum, under hyper, and called by hand.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test fails by panicking

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use salver::finish::log::{self, AccessLog};
use salver::handler::files::{Files, Options};
use salver::testing::{Served, serve};
use salver::tower::{Mounted, OriginalUri, SiteService};
use salver::{Body, Site, guard};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower::{Service, ServiceExt as _, service_fn};

/// Sends `wire`, whose last request asks to close, and reads to the end.
async fn exchange(address: SocketAddr, wire: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(wire.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// Head and content of the answer to one request.
async fn ask(address: SocketAddr, line: &str, fields: &str) -> (String, String) {
    let wire = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
    let answer = exchange(address, &wire).await;
    let (head, content) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
    (head.to_ascii_lowercase(), content.to_owned())
}

fn mounted(handler: impl salver::Handler) -> Served {
    serve(Site::new().mount("/", hidden()).unwrap().mount("/app", handler).unwrap()).unwrap()
}

/// A handler that must not be asked.
fn hidden() -> impl salver::Handler {
    salver::handler::redirect::open("/elsewhere").unwrap()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    std::fs::write(folder.path().join("a.bin"), "0123456789").unwrap();
    std::fs::write(folder.path().join("sub/b.txt"), "text ".repeat(1000)).unwrap();
    folder
}

fn files(folder: &tempfile::TempDir) -> Files {
    Files::open(folder.path(), Options::default()).unwrap()
}

#[tokio::test]
async fn a_mounted_service_sees_the_path_below_and_who_asks() {
    let service = service_fn(async |request: http::Request<Body>| {
        let original = &request.extensions().get::<OriginalUri>().unwrap().0;
        let client = request.extensions().get::<SocketAddr>().unwrap().ip();
        let text = format!("{} {original} {client}", request.uri());
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
    });
    let server = mounted(Mounted::new(service));
    let whole = mounted(Mounted::new(service).whole_path());
    for (target, below) in
        [("/app", "/"), ("/app?q", "/?q"), ("/app/x%2Fy/?q=%3C", "/x%2Fy/?q=%3C"), ("//app//x", "/x")]
    {
        let (_, text) = ask(server.address(), &format!("GET {target}"), "").await;
        assert_eq!(text, format!("{below} {target} 127.0.0.1"));
        let (_, text) = ask(whole.address(), &format!("GET {target}"), "").await;
        assert_eq!(text, format!("{target} {target} 127.0.0.1"));
    }
    let (head, _) = ask(server.address(), "GET /app/<", "").await;
    assert!(head.starts_with("http/1.1 400 "), "{head}");
}

#[tokio::test]
async fn axum_extractors_work_in_a_mounted_router() {
    let router = Router::new()
        .route(
            "/who",
            get(|ConnectInfo(client): ConnectInfo<SocketAddr>| async move { client.ip().to_string() }),
        )
        .route("/length", post(|body: Bytes| async move { body.len().to_string() }));
    let router = router.map_request(|mut request: http::Request<Body>| {
        let client = *request.extensions().get::<SocketAddr>().unwrap();
        request.extensions_mut().insert(ConnectInfo(client));
        request
    });
    let server = mounted(Mounted::new(router));
    assert_eq!(ask(server.address(), "GET /app/who", "").await.1, "127.0.0.1");
    let (head, content) = ask(server.address(), "HEAD /app/who", "").await;
    assert!(head.contains("\r\ncontent-length: 9") && content.is_empty(), "{head}");
    let chunked = "POST /app/length HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    assert!(exchange(server.address(), chunked).await.ends_with("\r\n\r\n5"));
    let bad = chunked.replace("2\r\nde", "zz");
    assert!(
        exchange(server.address(), &bad).await.starts_with("HTTP/1.1 400 "),
        "the fault is the request's"
    );
}

#[tokio::test]
async fn bodies_stream_both_ways_through_a_mounted_service() {
    let service = service_fn(async |request: http::Request<Body>| {
        Ok::<_, Infallible>(Response::new(request.into_body()))
    });
    let server = mounted(Mounted::new(service));
    let mut socket = TcpStream::connect(server.address()).await.unwrap();
    let head = "POST /app HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    for piece in ["one", "two"] {
        socket.write_all(format!("3\r\n{piece}\r\n").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(format!("3\r\n{piece}\r\n").as_bytes()) {
            assert_ne!(socket.read_buf(&mut answer).await.unwrap(), 0, "{answer:?}");
        }
    }
}

/// Counts how many of its requests run at once.
#[derive(Clone)]
struct Counting {
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Service<http::Request<Body>> for Counting {
    type Response = Response<Full<Bytes>>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let Self { running, most } = self.clone();
        Box::pin(async move {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            running.fetch_sub(1, Ordering::SeqCst);
            match request.uri().path() {
                "/fail" => Err(std::io::Error::other("the secret cause")),
                _ => Ok(Response::new(Full::new("done".into()))),
            }
        })
    }
}

#[tokio::test]
async fn a_request_waits_until_its_service_is_ready_and_an_error_is_500() {
    let most = Arc::new(AtomicUsize::new(0));
    let counting = Counting { running: Arc::default(), most: Arc::clone(&most) };
    let server = mounted(Mounted::new(tower::limit::ConcurrencyLimit::new(counting, 1)));
    let address = server.address();
    let asking: Vec<_> =
        (0..8).map(|_| tokio::spawn(async move { ask(address, "GET /app/x", "").await.1 })).collect();
    for answer in asking {
        assert_eq!(answer.await.unwrap(), "done");
    }
    assert_eq!(most.load(Ordering::SeqCst), 1);
    let (head, content) = ask(address, "GET /app/fail", "").await;
    assert!(head.starts_with("http/1.1 500 ") && !content.contains("secret"), "{head} {content}");
    assert_eq!(ask(address, "GET /app/x", "").await.1, "done", "a failure gives its place back");
}

/// `service` under `axum::serve`, which runs as long as the test does.
async fn under_axum(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    address
}

async fn under_hyper(service: SiteService) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = hyper_util::service::TowerToHyperService::new(service.clone());
            let io = hyper_util::rt::TokioIo::new(socket);
            // A client may leave as it likes.
            tokio::spawn(async move {
                hyper::server::conn::http1::Builder::new().serve_connection(io, service).await.ok()
            });
        }
    });
    address
}

/// What is to be said of a folder at `at`, whoever serves it.
async fn serves_files(address: SocketAddr, at: &str) {
    let get = format!("GET {at}/a.bin");
    let (head, content) = ask(address, &get, "").await;
    assert!(head.starts_with("http/1.1 200 ") && content == "0123456789", "{head} {content}");
    assert!(head.contains("\r\ncontent-length: 10") && head.contains("\r\naccept-ranges: bytes"), "{head}");
    let etag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();

    let (head, content) = ask(address, &format!("HEAD {at}/a.bin"), "").await;
    assert!(head.contains("\r\ncontent-length: 10") && content.is_empty(), "{head}");
    let (head, content) = ask(address, &get, "Range: bytes=2-4\r\n").await;
    assert!(head.starts_with("http/1.1 206 ") && content == "234", "{head}");
    assert!(head.contains("\r\ncontent-range: bytes 2-4/10"), "{head}");
    let (head, _) = ask(address, &get, "Range: bytes=10-\r\n").await;
    assert!(head.starts_with("http/1.1 416 "), "{head}");
    let (head, content) = ask(address, &get, "Range: bytes=0-0,-1\r\n").await;
    assert!(head.contains("multipart/byteranges") && content.contains("\r\n\r\n9\r\n--"), "{head} {content}");
    let (head, content) = ask(address, &get, &format!("If-None-Match: {etag}\r\n")).await;
    assert!(head.starts_with("http/1.1 304 ") && content.is_empty(), "{head}");
    let (head, _) = ask(address, &get, "If-Match: \"other\"\r\n").await;
    assert!(head.starts_with("http/1.1 412 "), "{head}");

    let (head, _) = ask(address, &format!("GET {at}/sub?x"), "").await;
    assert!(
        head.starts_with("http/1.1 301 ") && head.contains(&format!("\r\nlocation: {at}/sub/?x")),
        "{head}"
    );
    let (head, content) = ask(address, &format!("GET {at}/sub/"), "").await;
    assert!(head.starts_with("http/1.1 200 ") && content.contains("b.txt"), "{head}");
    let wire = format!(
        "GET {at}/sub/b.txt HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n"
    );
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(wire.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    assert!(text.contains("\r\ncontent-encoding: gzip") && answer.len() < 2000, "{text}");
    let (head, _) = ask(address, &format!("GET {at}/../../etc/passwd"), "").await;
    assert!(head.starts_with("http/1.1 404 "), "{head}");
}

#[tokio::test]
async fn hyper_takes_files() {
    let folder = folder();
    let site = Site::new().mount("/", files(&folder)).unwrap();
    serves_files(under_hyper(site.into_service()).await, "").await;
}

#[tokio::test]
async fn axum_takes_files_whole_and_nested() {
    let folder = folder();
    let site = || Site::new().mount("/static", files(&folder)).unwrap().into_service();
    let own = || Router::new().route("/own", get(async || "own"));
    let whole = under_axum(own().fallback_service(site())).await;
    serves_files(whole, "/static").await;
    assert_eq!(ask(whole, "GET /own", "").await.1, "own");
    let nested = under_axum(own().nest_service("/static", site().nested("/static").unwrap())).await;
    serves_files(nested, "/static").await;
}

#[tokio::test]
async fn axum_tells_a_folder_from_its_name_without_the_slash() {
    let folder = folder();
    let site =
        Site::new().mount("/static", files(&folder)).unwrap().into_service().nested("/static").unwrap();
    let original = axum::middleware::map_request(async |mut request: Request| {
        let uri = request.uri().clone();
        request.extensions_mut().insert(OriginalUri(uri));
        request
    });
    let nested = under_axum(Router::new().nest_service("/static", site).layer(original)).await;
    serves_files(nested, "/static").await;
    let (head, _) = ask(nested, "GET /static?x", "").await;
    assert!(head.starts_with("http/1.1 301 ") && head.contains("\r\nlocation: /static/?x"), "{head}");
    let (head, content) = ask(nested, "GET /static/", "").await;
    assert!(head.starts_with("http/1.1 200 ") && content.contains("sub/"), "{head}");
}

#[test]
fn a_prefix_that_is_none_is_refused() {
    for prefix in ["static", "/a b"] {
        let error = Site::new().into_service().nested(prefix).unwrap_err().to_string();
        assert!(error.starts_with(&format!("nested below '{prefix}'")), "{error}");
    }
}

/// What [`Site`] `site` says to `request`, called by hand.
async fn call<B>(service: &SiteService, request: http::Request<B>) -> (StatusCode, HeaderMap, Bytes)
where
    SiteService: Service<http::Request<B>, Response = salver::Response, Error = Infallible>,
{
    let (head, body) = service.clone().oneshot(request).await.unwrap().into_parts();
    (head.status, head.headers, body.collect().await.unwrap().to_bytes())
}

/// A body of these pieces, and of unknown length.
struct Pieces(std::slice::Iter<'static, Piece>);

type Piece = Result<&'static str, &'static str>;

fn pieces(pieces: &'static [Piece]) -> Pieces {
    Pieces(pieces.iter())
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, &'static str>>> {
        Poll::Ready(
            self.0.next().copied().map(|piece| piece.map(|data| http_body::Frame::data(Bytes::from(data)))),
        )
    }
}

/// Answers with what it was told of the request.
struct Told;

impl salver::Handler for Told {
    fn handle(&self, request: salver::Request, _: salver::SafePath) -> salver::Reply<'_> {
        salver::Reply::later(async move {
            let client = request.peer.remote.map(|client| client.to_string()).unwrap_or_default();
            let host = request.headers.get(header::HOST).cloned();
            let hidden = request.headers.keys().any(|name| name.as_str().contains('_'));
            let target = request.target.clone();
            let body = request.body.collect().await.map_err(salver::Error::internal)?.to_bytes();
            let text = format!("{target:?} {client} {host:?} {hidden} {}", body.len());
            let mut response = salver::Response::new(text.into());
            let fields = response.headers_mut();
            fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
            fields.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            Ok(response)
        })
    }
}

#[tokio::test]
async fn a_request_is_translated_and_its_limits_hold() {
    let limits = guard::Options { limit_body: Some(5), limit_concurrency: Some(1), ..Default::default() };
    let service = Site::new().mount("/", Told).unwrap().guard(limits).into_service();
    let client: SocketAddr = "192.0.2.1:99".parse().unwrap();
    let request = |body| {
        http::Request::post("https://a.example/x%20y?q")
            .header("x_y", "z")
            .extension(client)
            .body(body)
            .unwrap()
    };
    let (status, headers, text) = call(&service, request(pieces(&[Ok("ab"), Ok("cde")]))).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(text, "/x%20y?q 192.0.2.1:99 Some(\"a.example\") false 5");
    assert_eq!(headers[header::CONTENT_LENGTH], text.len().to_string());
    assert!(!headers.contains_key(header::CONNECTION) && !headers.contains_key(header::TRANSFER_ENCODING));
    for (body, wanted) in [(&[Ok("abc"), Ok("def")], 413), (&[Ok("abc"), Err("reset")], 400)] {
        let (status, _, text) = call(&service, request(pieces(body))).await;
        assert_eq!(status, wanted, "{text:?}");
        assert!(!String::from_utf8_lossy(&text).contains("reset"));
    }
    // A place is held until the body is over.
    let first = service.clone().oneshot(http::Request::new(Body::Empty)).await.unwrap();
    assert_eq!(call(&service, http::Request::new(Body::Empty)).await.0, StatusCode::SERVICE_UNAVAILABLE);
    drop(first);
    assert_eq!(call(&service, http::Request::new(Body::Empty)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_access_log_hears_how_a_response_ended() {
    let (folder, logs) = (folder(), tempfile::tempdir().unwrap());
    let path = logs.path().join("log");
    let options = log::Options {
        access_log: log::Destination::File(path.clone()),
        access_log_format: "%(r)s %(s)s %(B)s".parse().unwrap(),
    };
    let log = Arc::new(AccessLog::open(&options).unwrap());
    let service = Site::new().mount("/", files(&folder)).unwrap().log(log).into_service();
    let get = |target: &str| http::Request::get(target).body(Body::Empty).unwrap();
    assert_eq!(call(&service, get("/a.bin")).await.2, "0123456789");
    assert_eq!(call(&service, get("/none")).await.0, StatusCode::NOT_FOUND);
    drop(service.clone().oneshot(get("/a.bin")).await.unwrap());
    drop(service);
    let lines = std::fs::read_to_string(path).unwrap();
    let lines: Vec<_> = lines.lines().collect();
    assert_eq!(lines[0], "GET /a.bin HTTP/1.1 200 10");
    assert!(lines[1].starts_with("GET /none HTTP/1.1 404 "), "{lines:?}");
    assert_eq!(lines[2], "GET /a.bin HTTP/1.1 200 0");
}

#[tokio::test]
async fn an_axum_layer_tells_a_site_who_asks() {
    let site = Site::new().mount("/", Told).unwrap();
    let tell = async |ConnectInfo(client): ConnectInfo<SocketAddr>, mut request: Request| {
        request.extensions_mut().insert(client);
        request
    };
    let router =
        Router::new().fallback_service(site.into_service()).layer(axum::middleware::map_request(tell));
    let (_, text) = ask(under_axum(router).await, "GET /", "").await;
    assert!(text.starts_with("/ 127.0.0.1:"), "{text}");
}
