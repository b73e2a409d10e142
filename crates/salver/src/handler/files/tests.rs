//! Requests in, responses out, on real folders and without sockets.
use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body_util::BodyExt as _;

use super::*;
use crate::compress::tests::decode;
use crate::request::{Local, Peer, Target};
use crate::rfc::accept::Coding;

mod open;

/// A folder that is served.
struct Site {
    temp: tempfile::TempDir,
    files: Files,
}

/// What came back.
struct Got {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

fn site() -> Site {
    serve(Options::default())
}

fn serve(options: Options) -> Site {
    let temp = tempfile::tempdir().unwrap();
    std::fs::create_dir(temp.path().join("root")).unwrap();
    let files = Files::open(&temp.path().join("root"), options).unwrap();
    Site { temp, files }
}

impl Site {
    fn path(&self, name: impl AsRef<std::ffi::OsStr>) -> PathBuf {
        self.temp.path().join("root").join(name.as_ref())
    }

    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), content).unwrap();
        self
    }

    /// Lets the step of the file clock pass: what changed just now is not cached.
    fn settled(self) -> Self {
        let is_settled = |name: &str| {
            let facts = self.files.root.facts(&SafePath::parse(name.as_bytes()).unwrap());
            facts.is_none_or(|facts| facts.is_settled(std::time::SystemTime::now()))
        };
        for entry in std::fs::read_dir(self.path("")).unwrap() {
            while !is_settled(entry.as_ref().unwrap().file_name().to_str().unwrap()) {
                std::thread::yield_now();
            }
        }
        self
    }

    async fn ask(&self, method: Method, path: &str, fields: &[(&'static str, &str)]) -> Got {
        ask(&self.files, method, path, fields).await
    }

    async fn get(&self, path: &str, fields: &[(&'static str, &str)]) -> Got {
        self.ask(Method::GET, path, fields).await
    }
}

async fn ask(files: &Files, method: Method, path: &str, fields: &[(&'static str, &str)]) -> Got {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_static(name), value.parse().unwrap());
    }
    let target = Target::new(Bytes::from(path.to_owned()));
    let rest = SafePath::parse(target.path()).unwrap();
    let local = Arc::new(Local::Unix(PathBuf::new()));
    let peer = Peer { remote: None, local, scheme: crate::Scheme::Http, tls: None };
    let request = Request { method, target, headers, peer, ..Request::get("/") };
    match files.handle(request, rest).await {
        Ok(response) => {
            let (head, body) = response.into_parts();
            let known = body.len();
            let body = body.collect().await.unwrap().to_bytes().to_vec();
            assert!(known.is_none_or(|known| known == body.len() as u64), "{path}: a wrong length");
            Got { status: head.status.as_u16(), headers: head.headers, body }
        }
        Err(error) => {
            let body = error.message().as_bytes().to_vec();
            Got { status: error.status().as_u16(), headers: error.headers().clone(), body }
        }
    }
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    fn is(&self, status: u16, body: impl AsRef<[u8]>) -> &Self {
        let (got, want) = (self.body.escape_ascii().to_string(), body.as_ref().escape_ascii().to_string());
        assert_eq!((self.status, got), (status, want));
        self
    }
}

#[tokio::test]
async fn a_file_is_sent_with_its_validators() {
    let site = site().file("a.txt", "hello");
    let got = site.get("/a.txt", &[]).await;
    got.is(200, "hello");
    assert_eq!(got.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(got.header("accept-ranges"), "bytes");
    assert_eq!(got.header("vary"), "Accept-Encoding");
    assert!(got.header("last-modified").ends_with(" GMT") && got.header("etag").starts_with('"'));
    let head = site.ask(Method::HEAD, "/a.txt", &[]).await;
    assert_eq!(head.headers, got.headers);
}

#[tokio::test]
async fn conditions_are_answered() {
    let site = site().file("a.txt", "hello");
    let got = site.get("/a.txt", &[]).await;
    let (etag, modified) = (got.header("etag"), got.header("last-modified"));
    for field in [("if-none-match", etag), ("if-modified-since", modified)] {
        let not_modified = site.get("/a.txt", &[field]).await;
        not_modified.is(304, "");
        for name in ["etag", "last-modified", "vary"] {
            assert_eq!(not_modified.header(name), got.header(name));
        }
        assert_eq!(not_modified.header("content-type"), "");
    }
    assert_eq!(site.get("/a.txt", &[("if-match", "\"other\"")]).await.status, 412);
    site.get("/a.txt", &[("if-match", etag)]).await.is(200, "hello");
    // A file that changes but keeps its time and length gets another tag.
    let time = std::fs::metadata(site.path("a.txt")).unwrap().modified().unwrap();
    std::fs::write(site.path("a.txt"), "HELLO").unwrap();
    std::fs::File::options().write(true).open(site.path("a.txt")).unwrap().set_modified(time).unwrap();
    let changed = site.get("/a.txt", &[("if-none-match", etag)]).await;
    changed.is(200, "HELLO");
    assert_eq!(changed.header("last-modified"), modified);
}

#[tokio::test]
async fn ranges_are_answered_from_memory_and_from_files() {
    let small: Vec<u8> = (0..=255).collect();
    for (path, times) in [("/small.bin", 1), ("/medium.bin", 64), ("/large.bin", 1024)] {
        let content = &small.repeat(times);
        let site = site().file(&path[1..], content);
        let length = content.len();
        let part = site.get(path, &[("range", "bytes=10-19")]).await;
        part.is(206, &content[10..20]);
        assert_eq!(part.header("content-range"), format!("bytes 10-19/{length}"));
        site.get(path, &[("range", "bytes=-3")]).await.is(206, &content[length - 3..]);
        let none = site.get(path, &[("range", "bytes=999999999-")]).await;
        assert_eq!((none.status, none.header("content-range")), (416, &*format!("bytes */{length}")));
        let etag = site.get(path, &[]).await.header("etag").to_owned();
        site.get(path, &[("range", "bytes=0-0"), ("if-range", &etag)]).await.is(206, &content[..1]);
        site.get(path, &[("range", "bytes=0-0"), ("if-range", "\"x\"")]).await.is(200, content);
        site.ask(Method::HEAD, path, &[("range", "bytes=0-0")]).await.is(200, content);

        let parts = site.get(path, &[("range", "bytes=0-1,100-102")]).await;
        let content_type = parts.header("content-type");
        let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
        let part = |range: std::ops::Range<usize>| {
            let head = format!(
                "\r\n--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {}-{}/{length}\r\n\r\n",
                range.start,
                range.end - 1
            );
            [head.as_bytes(), &content[range]].concat()
        };
        let end = format!("\r\n--{boundary}--\r\n");
        parts.is(206, [&part(0..2)[..], &part(100..103), end.as_bytes()].concat());
    }
}

#[tokio::test]
async fn folders_redirect_have_an_index_or_are_listed() {
    let site = site()
        .file("index/index.html", "html")
        .file("index/index.htm", "htm")
        .file("htm/index.htm", "htm")
        .file("odd/index.html/x", "")
        .file("odd/index.htm", "after a folder of that name");
    let redirect = site.get("/index?a=b", &[]).await;
    redirect.is(301, "");
    assert_eq!(redirect.header("location"), "/index/?a=b");
    site.get("/index/", &[]).await.is(200, "html");
    site.get("/index%2f", &[]).await.is(200, "html");
    site.get("/htm/", &[]).await.is(200, "htm");
    site.get("/odd/", &[]).await.is(200, "after a folder of that name");
    site.get("/index/index.html/", &[]).await.is(404, "File not found");
    assert_eq!(site.get("//evil.test/..%2findex", &[]).await.header("location"), "/evil.test/..%2findex/");
    let listing = site.get("/", &[]).await;
    assert!(listing.status == 200 && listing.body.ends_with(b"</html>\n"));
    // An index that comes is seen, and goes before the one that was sent until now.
    std::fs::write(site.path("htm/index.html"), "html").unwrap();
    site.get("/htm/", &[]).await.is(200, "html");
}

#[tokio::test]
async fn nasty_names_are_served_and_others_are_missing() {
    let names: [&[u8]; 11] = [
        b"a b#?.txt",
        b"%41",
        b"new\nline",
        b"quote\"'<&>",
        b"\xFF\xFE",
        b"back\\slash",
        b"#[]{}()@!$&'",
        "😀".as_bytes(),
        b"-",
        b"a:b",
        b"~",
    ];
    let site = site();
    for name in names {
        std::fs::write(site.path(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    for name in names {
        site.get(&format!("/{}", path::encode(name)), &[]).await.is(200, name);
    }
    // Python links the byte 0xFF as a surrogate.
    site.get("/%ED%B3%BF%ED%B3%BE", &[]).await.is(200, b"\xFF\xFE");
    let long = format!("/{}", "x".repeat(5000));
    for path in ["/nothing", "/%41", "/-/x", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", &long] {
        site.get(path, &[]).await.is(404, "File not found");
    }
}

#[tokio::test]
async fn hidden_names_are_missing_unless_asked_for() {
    for (hidden, status) in [(false, 404), (true, 200)] {
        let site = serve(Options { hidden, ..Options::default() })
            .file(".secret", "x")
            .file(".git/config", "x")
            .file("a/.b/c", "x")
            .file(".well-known/security.txt", "known");
        for path in ["/.secret", "/.git/config", "/a/.b/c", "/%2egit/config", "/x/../.secret", "/.git/"] {
            assert_eq!(site.get(path, &[]).await.status, status, "{path}");
        }
        site.get("/.well-known/security.txt", &[]).await.is(200, "known");
        let listed = String::from_utf8(site.get("/", &[]).await.body).unwrap();
        assert_eq!(listed.contains(".secret"), hidden);
    }
}

#[tokio::test]
async fn links_are_followed_as_the_policy_says() {
    // policy, /in, /out, listed
    for (symlinks, inside, outside) in
        [(Symlinks::Inside, 200, 404), (Symlinks::Follow, 200, 200), (Symlinks::Never, 404, 404)]
    {
        let site = serve(Options { symlinks, ..Options::default() }).file("file", "x");
        std::fs::write(site.temp.path().join("secret"), "x").unwrap();
        symlink(site.path("file"), site.path("in")).unwrap();
        symlink("../secret", site.path("out")).unwrap();
        let page = String::from_utf8(site.get("/", &[]).await.body).unwrap();
        for (name, status) in [("in", inside), ("out", outside)] {
            assert_eq!(site.get(&format!("/{name}"), &[]).await.status, status, "{name} {symlinks:?}");
            let shown = page.contains(&format!("<a href=\"{name}\">{name}@</a>"));
            assert_eq!(shown, status == 200, "{name} {symlinks:?}");
        }
    }
}

#[tokio::test]
async fn methods_are_allowed_refused_or_unknown() {
    let site = site().file("a", "x");
    let options = site.ask(Method::OPTIONS, "/a", &[]).await;
    options.is(204, "");
    assert_eq!(options.header("allow"), "GET, HEAD, OPTIONS");
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let refused = site.ask(method, "/a", &[]).await;
        assert_eq!((refused.status, refused.header("allow")), (405, "GET, HEAD, OPTIONS"));
    }
    assert_eq!(site.ask(Method::from_bytes(b"FOO").unwrap(), "/a", &[]).await.status, 501);
}

#[tokio::test]
async fn a_change_is_always_seen() {
    let site = site();
    for number in 0..500 {
        // Of the same length, in the same place.
        let content = format!("{number:04}");
        std::fs::write(site.path("a"), &content).unwrap();
        for _ in 0..3 {
            site.get("/a", &[]).await.is(200, &content);
        }
    }
    let site = site.settled();
    site.get("/a", &[]).await.is(200, "0499");
    site.get("/a", &[]).await.is(200, "0499");
    assert!(site.files.cache.find(b"a").is_some());
    std::fs::rename(site.path("a"), site.path("b")).unwrap();
    assert_eq!(site.get("/a", &[]).await.status, 404);
    std::fs::write(site.path("a"), "new").unwrap();
    site.get("/a", &[]).await.is(200, "new");
}

#[tokio::test]
async fn large_files_are_not_read_before_they_are_sent() {
    let site = site().file("large.bin", vec![7; 100_000]).file("empty", "").settled();
    site.get("/large.bin", &[]).await.is(200, vec![7; 100_000]);
    assert!(site.files.cache.find(b"large.bin").is_none());
    site.get("/empty", &[]).await.is(200, "");
    site.get("/empty", &[("range", "bytes=0-")]).await.is(416, "The file has no such range");
}

#[tokio::test]
async fn siblings_are_sent_to_who_takes_them() {
    let site = site()
        .file("a.css", "plain")
        .file("a.css.br", "as br")
        .file("a.css.gz", "as gzip")
        .file("image.png", "plain")
        .file("image.png.gz", "as gzip")
        .settled();
    for (accept, body, coding) in [
        ("gzip", "as gzip", "gzip"),
        ("br, gzip", "as br", "br"),
        ("br;q=0.5, gzip", "as gzip", "gzip"),
        ("zstd, br", "as br", "br"),
        ("identity, br;q=0.5", "plain", ""),
        ("zstd", "plain", ""),
        ("", "plain", ""),
    ] {
        for _ in 0..2 {
            let got = site.get("/a.css", &[("accept-encoding", accept)]).await;
            got.is(200, body);
            assert_eq!(got.header("content-encoding"), coding, "{accept}");
            assert_eq!(got.header("content-type"), "text/css; charset=utf-8");
            assert_eq!(got.header("vary"), "Accept-Encoding");
        }
    }
    let gzip = ("accept-encoding", "gzip");
    let etag = |got: &Got| got.header("etag").to_owned();
    let (plain, coded) = (site.get("/a.css", &[]).await, site.get("/a.css", &[gzip]).await);
    assert_ne!(etag(&plain), etag(&coded));
    site.get("/a.css", &[gzip, ("if-none-match", &etag(&coded))]).await.is(304, "");
    site.get("/a.css", &[gzip, ("if-none-match", &etag(&plain))]).await.is(200, "as gzip");
    site.get("/a.css", &[gzip, ("range", "bytes=3-")]).await.is(206, "gzip");
    let image = site.get("/image.png", &[gzip]).await;
    assert_eq!((image.header("content-encoding"), image.header("vary")), ("gzip", "Accept-Encoding"));
    // Asked for by its own name, a sibling is a file like others.
    let itself = site.get("/a.css.gz", &[]).await;
    assert_eq!((itself.header("content-type"), itself.header("content-encoding")), ("application/gzip", ""));
    // One that is too old, or no file, does not count.
    let hour = std::time::Duration::from_secs(3600);
    let old = std::time::SystemTime::now() - hour;
    std::fs::File::open(site.path("a.css.gz")).unwrap().set_modified(old).unwrap();
    site.get("/a.css", &[gzip]).await.is(200, "plain");
    std::fs::remove_file(site.path("a.css.br")).unwrap();
    std::fs::create_dir(site.path("a.css.br")).unwrap();
    site.get("/a.css", &[("accept-encoding", "br")]).await.is(200, "plain");
}

#[tokio::test]
async fn text_is_compressed_here_and_each_coding_has_its_tag() {
    let text = "some text\n".repeat(1000);
    let large = "some text\n".repeat(100_000);
    let site = site()
        .file("small.txt", &text)
        .file("large.txt", &large)
        .file("short.txt", "short")
        .file("image.png", &text)
        .settled();
    let mut tags = HashMap::new();
    for (path, content) in [("/small.txt", &text), ("/large.txt", &large)] {
        for (accept, coding) in
            [("gzip", Coding::Gzip), ("gzip, br", Coding::Brotli), ("br, zstd, gzip", Coding::Zstd)]
        {
            for _ in 0..2 {
                let got = site.get(path, &[("accept-encoding", accept)]).await;
                assert_eq!((got.status, got.header("content-encoding")), (200, coding.name()));
                assert!(
                    got.body.len() < content.len() / 10 && decode(&got.body, coding) == content.as_bytes()
                );
                tags.insert(got.header("etag").to_owned(), (path, coding));
                let fields = [("accept-encoding", accept), ("if-none-match", got.header("etag"))];
                site.get(path, &fields).await.is(304, "");
            }
        }
        // A range is one of the file as it is.
        let part = site.get(path, &[("accept-encoding", "gzip"), ("range", "bytes=0-3")]).await;
        part.is(206, "some");
        assert_eq!(part.header("content-encoding"), "");
        tags.insert(part.header("etag").to_owned(), (path, Coding::Identity));
    }
    assert_eq!(tags.len(), 8);
    for path in ["/short.txt", "/image.png"] {
        assert_eq!(site.get(path, &[("accept-encoding", "gzip")]).await.header("content-encoding"), "");
    }
}

#[tokio::test]
async fn a_range_that_is_ignored_is_as_if_it_were_not_there() {
    let text = "some text\n".repeat(1000);
    let site = site().file("a.txt", &text).settled();
    let gzip = ("accept-encoding", "gzip");
    let coded = site.get("/a.txt", &[gzip]).await.header("etag").to_owned();
    let plain = site.get("/a.txt", &[]).await.header("etag").to_owned();
    let range = ("range", "bytes=0-3");
    let flood = format!("bytes={}", ["0-0"; 17].join(","));
    let ignored: [&[(&'static str, &str)]; 6] = [
        &[("range", "bytes=9-0")],
        &[("range", "lines=0-3")],
        &[("range", &flood)],
        &[range, range],
        &[range, ("if-range", "\"other\"")],
        // A tag of what is compressed here: the range is one of the file as it is, if of anything.
        &[range, ("if-range", &coded)],
    ];
    for fields in ignored {
        let got = site.get("/a.txt", &[&[gzip], fields].concat()).await;
        assert_eq!((got.status, got.header("etag")), (200, &*coded), "{fields:?}");
        assert_eq!(decode(&got.body, Coding::Gzip), text.as_bytes());
        let again = [&[gzip, ("if-none-match", &*coded)], fields].concat();
        assert_eq!(site.get("/a.txt", &again).await.status, 304, "{fields:?}");
    }
    let head = site.ask(Method::HEAD, "/a.txt", &[gzip, range]).await;
    assert_eq!((head.status, head.header("etag")), (200, &*coded));
    // One that counts selects the file as it is, and the preconditions are of what would be sent.
    site.get("/a.txt", &[gzip, range, ("if-range", &plain)]).await.is(206, "some");
    assert_eq!(site.get("/a.txt", &[gzip, range, ("if-none-match", &plain)]).await.status, 304);
    assert_eq!(site.get("/a.txt", &[gzip, range, ("if-none-match", &coded)]).await.status, 206);
}

#[tokio::test]
async fn an_index_that_cannot_be_sent_hides_nothing() {
    let site = site().file("both/index.htm", "htm").file("alone/x", "");
    std::fs::write(site.temp.path().join("secret"), "secret").unwrap();
    for folder in ["both", "alone"] {
        symlink("../../secret", site.path(folder).join("index.html")).unwrap();
    }
    site.get("/both/", &[]).await.is(200, "htm");
    assert!(site.get("/alone/", &[]).await.body.ends_with(b"</html>\n"));
}

#[tokio::test]
async fn a_root_that_is_made_again_is_served() {
    let site = site().file("a.txt", "old").file("sub/b.txt", "old").settled();
    site.get("/a.txt", &[]).await.is(200, "old");
    std::fs::remove_dir_all(site.path("")).unwrap();
    for path in ["/", "/a.txt", "/sub/"] {
        site.get(path, &[]).await.is(404, "File not found");
    }
    std::fs::create_dir(site.path("")).unwrap();
    let site = site.file("a.txt", "new");
    site.get("/a.txt", &[]).await.is(200, "new");
    std::fs::rename(site.path(""), site.temp.path().join("gone")).unwrap();
    site.get("/", &[]).await.is(404, "File not found");
    let site = site.file("index.html", "newest");
    site.get("/", &[]).await.is(200, "newest");
}

#[tokio::test]
async fn errors_vary_as_the_file_does() {
    let site = site().file("a.txt", "x").file("a.bin", "x");
    for (path, vary) in [("/a.txt", "Accept-Encoding"), ("/a.bin", "")] {
        for (field, status) in [(("if-match", "\"other\""), 412), (("range", "bytes=9-"), 416)] {
            let got = site.get(path, &[field]).await;
            assert_eq!((got.status, got.header("vary")), (status, vary), "{path}");
        }
    }
}

#[tokio::test]
async fn one_file_is_served_at_the_root_and_by_its_name() {
    let site = site().file(".one.txt", "one").file("other.txt", "other");
    let files = Files::open_file(&site.path(".one.txt"), Options::default()).unwrap();
    for (path, status) in
        [("/", 200), ("/.one.txt", 200), ("/other.txt", 404), ("/.one.txt/", 404), ("/x/", 404)]
    {
        assert_eq!(ask(&files, Method::GET, path, &[]).await.status, status, "{path}");
    }
    let fault = |name: &str| Files::open_file(&site.path(name), Options::default()).unwrap_err().to_string();
    assert!(fault("nothing").contains("create it or name another"));
    assert!(fault("").contains("it is a folder"));
}

#[tokio::test]
async fn a_fifo_is_missing_at_once() {
    let site = site().file("index/x", "");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    for name in ["fifo", "index/index.html"] {
        rustix::fs::mknodat(rustix::fs::CWD, site.path(name), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    }
    site.get("/fifo", &[]).await.is(404, "File not found");
    // As for a folder of that name: the next one, or the listing.
    assert_eq!(site.get("/index/", &[]).await.status, 200);
}
