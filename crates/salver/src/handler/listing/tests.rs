//! Listings of real folders, without sockets.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use http::{HeaderMap, Method, Version};
use http_body_util::BodyExt as _;

use super::*;
use crate::handler::Handler as _;
use crate::handler::files::{Files, Options as FileOptions};
use crate::request::{Local, Peer, Target};

async fn list(folder: &Path, path: &'static str, accept: &'static str) -> (HeaderMap, Vec<u8>) {
    list_with(folder, path, accept, FileOptions::default()).await
}

async fn list_with(
    folder: &Path,
    path: &'static str,
    accept: &'static str,
    options: FileOptions,
) -> (HeaderMap, Vec<u8>) {
    let files = Files::open(folder, options).unwrap();
    let target = Target::new(Bytes::from(path));
    let rest = SafePath::parse(target.path()).unwrap();
    let peer = Peer {
        remote: None,
        local: Arc::new(Local::Unix(PathBuf::new())),
        scheme: crate::Scheme::Http,
        tls: None,
    };
    let headers = [(header::ACCEPT, HeaderValue::from_static(accept))].into_iter().collect();
    let request = Request {
        method: Method::GET,
        target,
        version: Version::HTTP_11,
        headers,
        body: Body::Empty,
        peer,
        interim: crate::Interim::default(),
    };
    let (head, body) = files.handle(request, rest).await.unwrap().into_parts();
    (head.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

/// The `href` and the text of every link to an entry.
fn links(page: &str) -> Vec<(&str, &str)> {
    let links = page.split("<a href=\"").skip(1);
    let links = links.map(|link| link.split_once("</a>").unwrap().0.split_once("\">").unwrap());
    links.filter(|(href, _)| !href.starts_with(['?', '/', '#', '.'])).collect()
}

fn folder() -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    let names: [&[u8]; 5] = [b"b", b"A", b"a:b", b"<&\">", b"\xFF"];
    for name in names {
        std::fs::write(temp.path().join(OsStr::from_bytes(name)), "12345").unwrap();
    }
    std::fs::create_dir(temp.path().join("sub dir")).unwrap();
    symlink("sub dir", temp.path().join("to-folder")).unwrap();
    symlink("b", temp.path().join("to-file")).unwrap();
    symlink("nothing", temp.path().join("to-nothing")).unwrap();
    temp
}

#[tokio::test]
async fn each_entry_is_one_link_whose_text_is_its_name() {
    let temp = folder();
    let (headers, page) = list(temp.path(), "/", "*/*").await;
    assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(headers[header::VARY], "Accept, Accept-Encoding");
    assert!(page.windows(4).any(|bytes| bytes == b">\xFF</"), "a name is sent as the bytes it has");
    let page = String::from_utf8_lossy(&page);
    assert_eq!(
        links(&page),
        [
            ("%3C%26%22%3E", "&lt;&amp;\"&gt;"),
            ("A", "A"),
            ("a%3Ab", "a:b"),
            ("b", "b"),
            ("sub%20dir/", "sub dir/"),
            ("to-file", "to-file@"),
            ("to-folder/", "to-folder@"),
            ("to-nothing", "to-nothing@"),
            ("%ED%B3%BF", "\u{FFFD}"),
        ]
    );
}

#[tokio::test]
async fn a_preview_is_not_sent_again_unless_the_file_or_the_look_changed() {
    let temp = folder();
    let open = |title: Option<&str>| {
        let look = look::Options { title: title.map(str::to_owned), theme: None };
        let listing = Options { look, no_archive: false };
        Files::open(temp.path(), FileOptions { listing, ..FileOptions::default() }).unwrap()
    };
    let ask = async |files: &Files, fields: &[(http::HeaderName, &str)]| {
        let mut request = Request::get("/b?view");
        for (name, value) in fields {
            request.headers.insert(name, HeaderValue::try_from(*value).unwrap());
        }
        match files.handle(request, SafePath::parse(b"/b").unwrap()).await {
            Ok(response) => (response.status().as_u16(), response.headers().clone(), response.body().len()),
            Err(error) => (error.status().as_u16(), HeaderMap::new(), None),
        }
    };
    let files = open(None);
    let (status, headers, _) = ask(&files, &[]).await;
    assert_eq!((status, &headers[header::VARY]), (200, &HeaderValue::from_static("Accept-Encoding")));
    let etag = headers[header::ETAG].to_str().unwrap().to_owned();
    // What was compressed on its way has the same tag, a weak one.
    for tag in [etag.clone(), format!("W/{etag}"), "*".to_owned()] {
        let (status, headers, length) = ask(&files, &[(header::IF_NONE_MATCH, &tag)]).await;
        assert_eq!((status, length), (304, Some(0)), "{tag}");
        assert!(headers[header::ETAG] == *etag && headers.contains_key(header::VARY));
    }
    assert_eq!(ask(&files, &[(header::IF_MATCH, "\"other\"")]).await.0, 412);
    let raw = files.handle(Request::get("/b"), SafePath::parse(b"/b").unwrap()).await.unwrap();
    assert_ne!(raw.headers()[header::ETAG], *etag, "the page is not the file");
    assert_eq!(ask(&open(Some("other")), &[(header::IF_NONE_MATCH, &etag)]).await.0, 200);
    std::fs::write(temp.path().join("b"), "other").unwrap();
    assert_eq!(ask(&files, &[(header::IF_NONE_MATCH, &etag)]).await.0, 200);
}

#[tokio::test]
async fn a_preview_is_a_button_away_where_no_script_runs() {
    let temp = tempfile::tempdir().unwrap();
    for name in ["a b.txt", "z.zip", "\"><x>.rs"] {
        std::fs::write(temp.path().join(name), "text").unwrap();
    }
    std::fs::create_dir(temp.path().join("folder")).unwrap();
    for shape in ["/", "/?view=grid"] {
        let (_, page) = list(temp.path(), shape, "text/html").await;
        let page = String::from_utf8_lossy(&page).into_owned();
        let buttons: Vec<_> = page.split("<button class=view name=view formaction=\"").skip(1).collect();
        let to: Vec<_> =
            buttons.iter().map(|button| button.split_once("\">Preview</button>").unwrap().0).collect();
        assert_eq!(to, ["%22%3E%3Cx%3E.rs", "a%20b.txt"], "{shape}");
        let (_, shown) = list(temp.path(), "/a%20b.txt?view=", "text/html").await;
        assert!(String::from_utf8_lossy(&shown).contains("<code>text</code>"));
    }
}

#[tokio::test]
async fn the_title_is_the_path_as_asked_for() {
    let temp = folder();
    std::fs::create_dir(temp.path().join("<b>")).unwrap();
    for (path, want) in [
        ("///sub%20dir/../%3Cb%3E/?query", "/sub dir/../&lt;b&gt;/?query"),
        ("/?sort=size&order=desc&view=grid", "/"),
        ("/?sort=size&x", "/?sort=size&amp;x"),
    ] {
        let (_, page) = list(temp.path(), path, "text/html").await;
        let page = String::from_utf8_lossy(&page);
        assert!(page.contains(&format!("<title>Directory listing for {want}</title>")), "{page}");
        assert!(page.contains(&format!("<h1 class=\"sr\">Directory listing for {want}</h1>")), "{page}");
    }
    let look = look::Options { title: Some("A & B".into()), theme: None };
    let options = FileOptions { listing: Options { look, no_archive: false }, ..FileOptions::default() };
    let (_, page) = list_with(temp.path(), "/", "text/html", options).await;
    let page = String::from_utf8_lossy(&page).into_owned();
    assert!(page.contains("<title>A &amp; B: /</title>") && page.contains(">A &amp; B</span>"), "{page}");
}

#[tokio::test]
async fn entries_stand_as_the_query_says() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::create_dir(temp.path().join("folder")).unwrap();
    for (name, size, age) in [("a", 3, 1), ("B", 1, 3), ("c", 2, 2), ("d", 2, 2)] {
        let file = std::fs::File::create(temp.path().join(name)).unwrap();
        file.set_len(size).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(age)).unwrap();
    }
    for (query, want) in [
        ("/", "a B c d folder/"),
        ("/?sort=name&order=desc", "folder/ d c B a"),
        ("/?sort=size", "folder/ B c d a"),
        ("/?sort=size&order=desc", "a c d B folder/"),
        ("/?sort=time", "a c d B folder/"),
        ("/?sort=time&order=desc&view=grid", "folder/ B c d a"),
        ("/?sort=nothing", "a B c d folder/"),
    ] {
        let page = String::from_utf8(list(temp.path(), query, "text/html").await.1).unwrap();
        let names: Vec<_> = links(&page).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names.join(" "), want, "{query}");
        assert_eq!(page.contains("<table"), !query.contains("grid"), "{query}");
    }
    let page = String::from_utf8(list(temp.path(), "/?sort=size&order=desc", "text/html").await.1).unwrap();
    let header =
        "<th scope=\"col\" aria-sort=\"descending\"><a href=\"?sort=size&amp;order=asc\">Size</a></th>";
    assert!(page.contains(header) && page.matches("<th scope=\"col\" aria-sort").count() == 1, "{page}");
}

#[tokio::test]
async fn a_page_asks_for_nothing_and_is_small() {
    let temp = folder();
    for query in ["/", "/?view=grid"] {
        let (headers, page) = list(temp.path(), query, "text/html").await;
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"));
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        let page = String::from_utf8_lossy(&page);
        assert!(
            !page.contains("://")
                || page.matches("://").count() == page.matches("http://www.w3.org/2000/svg").count()
        );
        let before = page.find("<bdi><a").unwrap();
        assert!(before <= 40 * 1024, "{before} bytes before the entries");
        for coding in [crate::rfc::accept::Coding::Gzip, crate::rfc::accept::Coding::Brotli] {
            let packed = crate::compress::encode_all(page[..before].as_bytes(), coding).unwrap().len();
            assert!(packed <= 12 * 1024, "{packed} bytes compressed");
        }
    }
}

#[tokio::test]
async fn one_readme_is_shown_and_does_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(temp.path().join(name), text).unwrap();
    let page = || async { String::from_utf8(list(temp.path(), "/", "text/html").await.1).unwrap() };
    assert!(!page().await.contains("<section"));
    write("README.txt", "a < b");
    assert!(page().await.contains("<h2 id=\"readme\">README.txt</h2><pre class=\"plain\">a &lt; b</pre>"));
    write("readme.rst", "Title\n=====");
    assert!(page().await.contains("<pre class=\"plain\">Title\n=====</pre>"));
    write("ReadMe.md", "# Hi\n<script>alert(1)</script>\n\n[x](javascript:y)");
    let shown = page().await;
    assert!(
        shown.contains("<div class=\"md\"><h3 id=\"doc-hi\">Hi</h3>\n<p>x</p>\n</div></section></main>"),
        "{shown}"
    );
    std::fs::remove_file(temp.path().join("ReadMe.md")).unwrap();
    symlink("/etc/hostname", temp.path().join("README.md")).unwrap();
    assert!(page().await.contains("<h2 id=\"readme\">readme.rst</h2>"), "a link that leads out is no README");
}

#[tokio::test]
async fn a_file_is_shown_by_what_it_is() {
    let temp = tempfile::tempdir().unwrap();
    for (name, content, want) in [
        ("a.png", &b"\x89PNG\0"[..], "<img src=\"./a.png\" alt=\"a.png\">"),
        (
            "a.mp3",
            b"\0",
            "<audio src=\"./a.mp3\" controls preload=\"metadata\" aria-label=\"a.mp3\"></audio>",
        ),
        ("a.webm", b"\0", "<video src=\"./a.webm\" controls"),
        ("a.pdf", b"%PDF\0", "<iframe src=\"./a.pdf\" title=\"a.pdf\"></iframe>"),
        ("a.html", b"<script>\nx", "1\n2</pre><pre><code>&lt;script&gt;\nx</code></pre>"),
        ("a.md", b"# A", "<div class=\"md\"><h2 id=\"doc-a\">A</h2>"),
        ("Makefile", b"all:", "<code>all:</code>"),
        ("a:b", b"\0", "There is no preview"),
        ("a.zip", b"PK", "There is no preview"),
    ] {
        std::fs::write(temp.path().join(name), content).unwrap();
        let path: &'static str = format!("/{name}?view").leak();
        let (headers, page) = list(temp.path(), path, "*/*").await;
        let page = String::from_utf8(page).unwrap();
        assert!(page.contains(want), "{name}: {page}");
        assert!(page.contains(&format!(" href=\"./{}\" download>", name.replace(':', "%3A"))), "{page}");
        assert!(headers.contains_key(header::CONTENT_SECURITY_POLICY));
        let path: &'static str = format!("/{name}?view=other").leak();
        assert_eq!(list(temp.path(), path, "*/*").await.1, content, "the file itself is untouched");
    }
    std::fs::write(temp.path().join("long.txt"), "ä".repeat(600_000)).unwrap();
    let (_, page) = list(temp.path(), "/long.txt?view", "*/*").await;
    let page = String::from_utf8(page).unwrap();
    assert!(page.contains("here is its first MiB") && !page.contains('\u{FFFD}'));
}

#[tokio::test]
async fn json_loses_nothing() {
    let temp = folder();
    let (headers, page) = list(temp.path(), "/", "application/json").await;
    assert_eq!(headers[header::CONTENT_TYPE], "application/json");
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&page).unwrap();
    let row = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap();
    assert_eq!(rows.len(), 9);
    assert_eq!((&row("<&\">")["type"], &row("<&\">")["size"]), (&"file".into(), &5.into()));
    assert_eq!((&row("sub dir")["type"], &row("sub dir")["href"]), (&"folder".into(), &"sub%20dir/".into()));
    assert_eq!(row("to-file")["type"], "link");
    assert_eq!(row("\u{FFFD}")["href"], "%ED%B3%BF");
    assert!(row("b")["mtime"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());

    let empty = tempfile::tempdir().unwrap();
    assert_eq!(list(empty.path(), "/", "application/json").await.1, b"[\n]\n");
}

#[tokio::test]
async fn a_large_folder_comes_in_pieces_and_whole() {
    const ENTRIES: usize = if cfg!(debug_assertions) { 5_000 } else { 100_000 };
    let temp = tempfile::tempdir().unwrap();
    let names: Vec<_> = (0..ENTRIES).map(|number| format!("file-{number:06}.txt")).collect();
    for name in &names {
        std::fs::File::create(temp.path().join(name)).unwrap();
    }
    let (_, page) = list(temp.path(), "/", "text/html").await;
    let page = String::from_utf8(page).unwrap();
    assert!(page.len() > 4 * PIECE);
    assert!(links(&page).iter().map(|(href, _)| *href).eq(names.iter()));
    assert_eq!(
        page.matches("<noscript class=\"rest\">").count(),
        1,
        "what comes later is text to the page's script"
    );
    assert!(page.contains("file-000999.txt</a></bdi>") && page.ends_with(&format!("{END}\n")));
    let (_, json) = list(temp.path(), "/", "application/json").await;
    assert_eq!(serde_json::from_slice::<Vec<serde_json::Value>>(&json).unwrap().len(), ENTRIES);
}

#[tokio::test]
async fn many_who_ask_together_have_what_each_alone_would_have() {
    let long_name = "\u{e9}".repeat(100);
    for (entries, name) in [(3, ""), (900, &*long_name), (AT_ONCE + 200, "")] {
        let temp = tempfile::tempdir().unwrap();
        for number in 0..entries {
            std::fs::write(temp.path().join(format!("{number:04}{name}")), "").unwrap();
        }
        let files = Files::open(temp.path(), FileOptions::default()).unwrap();
        let ask = async |target: &'static str| {
            let request = Request::get(target);
            let response = files.handle(request, SafePath::parse(b"/").unwrap()).await.unwrap();
            let has_length = response.body().len().is_some();
            let page = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(has_length, entries <= AT_ONCE && page.len() < MOST_WHOLE, "of {}", page.len());
            String::from_utf8(page.to_vec()).unwrap()
        };
        let (one, two, three, turned) = tokio::join!(ask("/"), ask("/"), ask("/"), ask("/?order=desc"));
        assert_eq!(links(&one).len(), entries);
        assert!(one == two && two == three);
        assert!(links(&turned).into_iter().rev().eq(links(&one)), "what is asked for decides");
        std::fs::remove_file(temp.path().join(format!("0001{name}"))).unwrap();
        assert_eq!(links(&ask("/").await).len(), entries - 1, "nothing is kept");
    }
}
