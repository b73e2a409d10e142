//! Files that are kept open in the cache.

use std::os::fd::AsRawFd as _;

use super::*;
use crate::body::FileRange;

const MEDIUM: usize = 16 * 1024;

/// The body as the connection gets it.
async fn body(files: &Files, path: &'static str) -> (HeaderMap, Body) {
    let rest = SafePath::parse(path.as_bytes()).unwrap();
    let (head, body) = files.handle(Request::get(path), rest).await.unwrap().into_parts();
    (head.headers, body)
}

fn descriptor(range: &FileRange) -> Option<i32> {
    range.file().map(|file| file.as_raw_fd())
}

/// The file's content, once it was asked for so often that it stays open, or ought to.
async fn hot(files: &Files, path: &'static str) -> FileRange {
    for _ in 0..4000 {
        let (_, Body::File(range)) = body(files, path).await else { panic!("no file") };
        if range.file().is_some() {
            return range;
        }
    }
    let (_, Body::File(range)) = body(files, path).await else { panic!("no file") };
    range
}

#[tokio::test]
async fn a_hot_file_that_sendfile_suits_stays_open_and_is_in_memory_too() {
    let mut site = site().file("medium.bin", vec![7; MEDIUM]).file("small.bin", vec![7; 8 * 1024]).settled();
    let young = hot(&site.files, "/medium.bin").await;
    assert_eq!(
        (descriptor(&young), young.in_memory()),
        (None, Some(&[7; MEDIUM][..])),
        "it may be changed again"
    );
    site.files.quiet = Duration::ZERO;
    while site.files.tick() == site.files.tick() {} // no longer hot
    for _ in 0..3 {
        let (_, Body::File(range)) = body(&site.files, "/medium.bin").await else { panic!("no file") };
        assert_eq!(descriptor(&range), None);
    }
    let first = hot(&site.files, "/medium.bin").await;
    let (_, Body::File(second)) = body(&site.files, "/medium.bin").await else { panic!("no file") };
    assert_eq!(descriptor(&first), descriptor(&second));
    assert_ne!(descriptor(&first), None);
    assert_eq!(second.content().as_deref(), Some(&[7; MEDIUM][..]));
    let small = hot(&site.files, "/small.bin").await;
    assert_eq!((descriptor(&small), small.in_memory()), (None, Some(&[7; 8 * 1024][..])));
}

#[tokio::test]
async fn a_file_that_stays_open_never_keeps_the_tag_of_what_it_was() {
    let mut site = site().file("a", vec![0; MEDIUM]).settled();
    site.files.quiet = Duration::ZERO;
    for number in 1..=20 {
        hot(&site.files, "/a").await;
        let mut before = HeaderMap::new();
        for _ in 0..200 {
            before = body(&site.files, "/a").await.0; // so often that its path is not looked at for a moment
        }
        // Of the same length, in the same place.
        std::fs::write(site.path("a"), [number; MEDIUM]).unwrap();
        let (after, Body::File(mut range)) = body(&site.files, "/a").await else { panic!("no file") };
        assert_ne!(before["etag"], after["etag"]);
        assert_eq!(range.read_piece().unwrap().as_deref(), Some(&[number; MEDIUM][..]));
    }
}

#[tokio::test]
async fn few_files_stay_open() {
    assert_eq!(open_cost(None), CACHE_BYTES / OPEN_FILES);
    assert_eq!(open_cost(Some(1 << 20)), CACHE_BYTES / OPEN_FILES);
    assert_eq!(open_cost(Some(4096)), CACHE_BYTES / 128);
    assert_eq!(open_cost(Some(0)), CACHE_BYTES);
    let mut site = site();
    (site.files.open_cost, site.files.quiet) = (open_cost(Some(4096)), Duration::ZERO);
    for number in 0..300 {
        site = site.file(&format!("{number}"), vec![7; MEDIUM]);
    }
    let site = site.settled();
    for number in 0..300 {
        let path: &'static str = format!("/{number}").leak();
        assert_ne!(descriptor(&hot(&site.files, path).await), None);
    }
    let names = (0..300).map(|number| format!("{number}"));
    let kept = names.filter_map(|name| site.files.cache.find(name.as_bytes()));
    let open = kept.filter(|stored| stored.content.file().is_some()).count();
    assert!((64..=128).contains(&open), "{open}");
}
