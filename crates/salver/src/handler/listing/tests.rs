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
    let files = Files::open(folder, FileOptions::default()).unwrap();
    let target = Target::new(Bytes::from(path));
    let rest = SafePath::parse(target.path()).unwrap();
    let peer =
        Peer { remote: None, local: Arc::new(Local::Unix(PathBuf::new())), scheme: crate::Scheme::Http };
    let headers = [(header::ACCEPT, HeaderValue::from_static(accept))].into_iter().collect();
    let request =
        Request { method: Method::GET, target, version: Version::HTTP_11, headers, body: Body::Empty, peer };
    let (head, body) = files.handle(request, rest).await.unwrap().into_parts();
    (head.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

/// The `href` and the text of every link.
fn links(page: &str) -> Vec<(&str, &str)> {
    let links = page.split("<a href=\"").skip(1);
    links.map(|link| link.split_once("</a>").unwrap().0.split_once("\">").unwrap()).collect()
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
async fn the_title_is_the_path_as_asked_for() {
    let temp = folder();
    std::fs::create_dir(temp.path().join("<b>")).unwrap();
    let (_, page) = list(temp.path(), "///sub%20dir/../%3Cb%3E/?query", "text/html").await;
    let page = String::from_utf8(page).unwrap();
    for element in ["title", "h1"] {
        let want = format!("<{element}>Directory listing for /sub dir/../&lt;b&gt;/?query</{element}>");
        assert!(page.contains(&want), "{page}");
    }
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
    let (_, json) = list(temp.path(), "/", "application/json").await;
    assert_eq!(serde_json::from_slice::<Vec<serde_json::Value>>(&json).unwrap().len(), ENTRIES);
}
