//! Archives of real folders, opened by Python where it is there, and byte by byte.

use std::os::unix::fs::symlink;

use http::{HeaderMap, HeaderName, Method};
use http_body_util::BodyExt as _;

use super::*;
use crate::handler::Handler as _;
use crate::handler::files::{Files, Options, Symlinks};

struct Got {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

async fn get(files: &Files, target: &'static str, fields: &[(&'static str, &str)]) -> Got {
    let mut request = Request::get(target);
    for (name, value) in fields {
        request.headers.insert(HeaderName::from_static(name), HeaderValue::try_from(*value).unwrap());
    }
    let rest = SafePath::parse(request.target.path()).unwrap();
    match files.handle(request, rest).await {
        Ok(response) => {
            let (head, body) = response.into_parts();
            let said = body.len();
            let body = body.collect().await.unwrap().to_bytes().to_vec();
            assert!(said.is_none_or(|said| said == body.len() as u64), "{said:?} {}", body.len());
            Got { status: head.status.as_u16(), headers: head.headers, body }
        }
        Err(error) => Got { status: error.status().as_u16(), headers: HeaderMap::new(), body: Vec::new() },
    }
}

/// Files of every kind, with links and hidden names.
fn folder() -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("root");
    std::fs::create_dir_all(root.join("sub/deep")).unwrap();
    std::fs::create_dir(root.join("empty")).unwrap();
    let large: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
    for (name, content) in [
        ("a.txt", &b"hello"[..]),
        ("sub/deep/ä €.txt", b"name"),
        ("sub/none", b""),
        ("large.bin", &large),
        (".secret", b"hidden"),
        ("sub/.git", b"hidden"),
    ] {
        std::fs::write(root.join(name), content).unwrap();
    }
    std::fs::write(root.join("x".repeat(150)), "long name").unwrap();
    std::fs::write(temp.path().join("outside"), "outside").unwrap();
    symlink("a.txt", root.join("link")).unwrap();
    symlink("../outside", root.join("out")).unwrap();
    symlink("..", root.join("sub/loop")).unwrap();
    symlink("nothing", root.join("dangling")).unwrap();
    temp
}

fn open(temp: &tempfile::TempDir, options: Options) -> Files {
    Files::open(&temp.path().join("root"), options).unwrap()
}

/// Names and lengths in an archive, as Python's standard library reads it: checksums are checked there.
fn unpacked(archive: &[u8], name: &str) -> Vec<String> {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join(name);
    std::fs::write(&path, archive).unwrap();
    let script = "import sys, zipfile, tarfile\n\
        p = sys.argv[1]\n\
        if p.endswith('zip'):\n\
        \x20   z = zipfile.ZipFile(p)\n\
        \x20   assert z.testzip() is None\n\
        \x20   print(*sorted(f'{i.filename} {len(z.read(i))}' for i in z.infolist()), sep='\\n')\n\
        else:\n\
        \x20   t = tarfile.open(p)\n\
        \x20   print(*sorted(f\"{m.name}{'/' * m.isdir()} {len(t.extractfile(m).read()) if m.isfile() else 0}\" for m in t), sep='\\n')\n";
    let output = std::process::Command::new("python3")
        .arg("-c")
        .arg(script)
        .arg(&path)
        .env("PYTHONUTF8", "1")
        .output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn entries() -> Vec<String> {
    let long = "x".repeat(150);
    let mut names: Vec<_> = [
        "a.txt 5",
        "empty/ 0",
        "large.bin 2800000",
        "link 5",
        "sub/ 0",
        "sub/deep/ 0",
        "sub/loop/ 0",
        "sub/none 0",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push("sub/deep/ä €.txt 4".to_owned());
    names.push(format!("{long} 9"));
    names.sort();
    names
}

#[tokio::test]
async fn an_index_hides_no_archive_and_a_wrong_question_is_answered() {
    let temp = folder();
    std::fs::write(temp.path().join("root/sub/deep/index.html"), "the page").unwrap();
    let files = open(&temp, Options::default());
    let packed = get(&files, "/sub/deep/?archive=zip", &[]).await;
    assert_eq!(unpacked(&packed.body, "a.zip"), ["index.html 8", "ä €.txt 4"]);
    // What is no archive of ours is the page's own business.
    for query in ["", "?archive=2024", "?archive", "?view"] {
        let target: &'static str = format!("/sub/deep/{query}").leak();
        assert_eq!(get(&files, target, &[]).await.body, b"the page", "{query}");
    }
    assert_eq!(
        get(&files, "/sub/?sort=size&archive=tar", &[]).await.headers[header::CONTENT_TYPE],
        "application/x-tar"
    );
    for query in ["archive=rar", "archive=", "archive", "sort=name&archive=ZIP"] {
        let request = Request::get(format!("/sub/?{query}"));
        let rest = SafePath::parse(request.target.path()).unwrap();
        let error = files.handle(request, rest).await.unwrap_err();
        assert_eq!(error.status(), 400, "{query}");
        assert_eq!(error.message(), "There is no such archive; ask for zip, tar, tar.zst");
    }
    let mut options = Options::default();
    options.listing.no_archive = true;
    let files = open(&temp, options);
    assert_eq!(get(&files, "/sub/deep/?archive=zip", &[]).await.body, b"the page");
    assert_eq!(get(&files, "/sub/?archive=rar", &[]).await.status, 403);
}

#[tokio::test]
async fn what_is_served_is_packed() {
    let temp = folder();
    let files = open(&temp, Options::default());
    let zip = get(&files, "/?archive=zip", &[]).await;
    assert_eq!(zip.headers[header::CONTENT_TYPE], "application/zip");
    assert_eq!(zip.headers[header::CONTENT_DISPOSITION], "attachment; filename*=UTF-8''files.zip");
    assert_eq!(unpacked(&zip.body, "a.zip"), entries());
    let tar = get(&files, "/?archive=tar", &[]).await;
    assert_eq!(unpacked(&tar.body, "a.tar"), entries());
    let packed = get(&files, "/?archive=tar.zst", &[]).await;
    assert_eq!(packed.headers[header::CONTENT_TYPE], "application/zstd");
    assert!(!packed.headers.contains_key(header::CONTENT_ENCODING));
    assert_eq!(crate::compress::tests::decode(&packed.body, Coding::Zstd), tar.body);
    let sub = get(&files, "/sub/deep/?archive=zip", &[]).await;
    assert_eq!(sub.headers[header::CONTENT_DISPOSITION], "attachment; filename*=UTF-8''deep.zip");
    assert_eq!(unpacked(&sub.body, "a.zip"), ["ä €.txt 4"]);
    let empty = get(&files, "/empty/?archive=zip", &[]).await;
    assert_eq!(unpacked(&empty.body, "a.zip"), [""]);
}

#[tokio::test]
async fn the_options_of_files_hold() {
    let temp = folder();
    let all = open(&temp, Options { hidden: true, ..Options::default() });
    let names = unpacked(&get(&all, "/?archive=tar", &[]).await.body, "a.tar");
    assert!(names.contains(&".secret 6".into()) && names.contains(&"sub/.git 6".into()), "{names:?}");
    let never = open(&temp, Options { symlinks: Symlinks::Never, ..Options::default() });
    let names = unpacked(&get(&never, "/?archive=zip", &[]).await.body, "a.zip");
    assert!(!names.iter().any(|name| name.contains("link") || name.contains("loop")), "{names:?}");
    let follow = open(&temp, Options { symlinks: Symlinks::Follow, ..Options::default() });
    let names = unpacked(&get(&follow, "/?archive=zip", &[]).await.body, "a.zip");
    assert!(names.contains(&"out 7".into()), "{names:?}");
    let mut options = Options::default();
    options.listing.no_archive = true;
    assert_eq!(get(&open(&temp, options), "/?archive=zip", &[]).await.status, 403);
}

#[tokio::test]
async fn a_zip_is_the_same_from_any_byte_on() {
    let temp = folder();
    let files = open(&temp, Options::default());
    let whole = get(&files, "/?archive=zip", &[]).await;
    let etag = whole.headers[header::ETAG].to_str().unwrap().to_owned();
    let length = whole.body.len();
    let mut starts: Vec<usize> = (0..length).step_by(length / 23).collect();
    // Every place among the headers and the directory, too.
    starts.extend(0..80);
    starts.extend((length - 1200..length).step_by(7));
    for start in starts {
        for end in [length, (start + 1000).min(length), start + 1] {
            let range = format!("bytes={start}-{}", end - 1);
            let part = get(&files, "/?archive=zip", &[("range", &range), ("if-range", &etag)]).await;
            assert_eq!(part.status, 206, "{range}");
            assert_eq!(
                part.headers[header::CONTENT_RANGE].to_str().unwrap(),
                format!("bytes {start}-{}/{length}", end - 1)
            );
            assert!(part.body == whole.body[start..end], "{range}");
        }
    }
    assert_eq!(get(&files, "/?archive=zip", &[("range", &format!("bytes={length}-"))]).await.status, 416);
    assert_eq!(get(&files, "/?archive=zip", &[("if-none-match", &etag)]).await.status, 304);
    assert_eq!(get(&files, "/?archive=zip", &[("if-match", "\"other\"")]).await.status, 412);
    // A folder that changed is another archive: what was sent before cannot be gone on with.
    std::fs::write(temp.path().join("root/a.txt"), "HELLO").unwrap();
    let changed = get(&files, "/?archive=zip", &[("range", "bytes=5-"), ("if-range", &etag)]).await;
    assert_eq!((changed.status, changed.body.len()), (200, length));
}

#[tokio::test]
async fn head_reads_no_file_and_says_the_length() {
    let temp = folder();
    let files = open(&temp, Options::default());
    let whole = get(&files, "/?archive=zip", &[]).await;
    let request = Request { method: Method::HEAD, ..Request::get("/?archive=zip") };
    let response = files.handle(request, SafePath::root()).await.unwrap();
    assert_eq!(response.body().len(), Some(whole.body.len() as u64));
    assert_eq!(response.headers()[header::ACCEPT_RANGES], "bytes");
}

#[tokio::test]
async fn a_file_that_changes_meanwhile_cuts_the_archive() {
    let temp = folder();
    let files = open(&temp, Options::default());
    for target in ["/?archive=zip", "/?archive=tar"] {
        let request = Request::get(target);
        let response = files.handle(request, SafePath::root()).await.unwrap();
        std::fs::write(temp.path().join("root/sub/none"), target).unwrap();
        let error = response.into_body().collect().await.unwrap_err();
        assert!(error.to_string().contains("sub/none changed"), "{error}");
    }
}

#[tokio::test]
#[cfg_attr(debug_assertions, ignore = "reads 5 GiB")]
async fn what_is_huge_is_said_in_64_bits() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::create_dir(temp.path().join("root")).unwrap();
    let write =
        |name: &str, size| std::fs::File::create(temp.path().join("root").join(name)).unwrap().set_len(size);
    write("a.iso", 5 << 30).unwrap();
    write("b.iso", 7).unwrap();
    let files = open(&temp, Options::default());
    let request = Request::get("/?archive=zip");
    let length = files.handle(request, SafePath::root()).await.unwrap().body().len().unwrap();
    let range = format!("bytes={}-", (5_u64 << 30) - 1000);
    let part = get(&files, "/?archive=zip", &[("range", &range)]).await;
    assert_eq!(part.body.len() as u64, length - (5 << 30) + 1000);
    // Behind the same number of zeros, it is the archive but for its first header, which Python does not need.
    let temp = tempfile::NamedTempFile::new().unwrap();
    temp.as_file().set_len(length - part.body.len() as u64).unwrap();
    use std::os::unix::fs::FileExt as _;
    temp.as_file().write_all_at(&part.body, length - part.body.len() as u64).unwrap();
    let script = "import sys, zipfile\nprint(*((i.filename, i.file_size, i.header_offset) for i in zipfile.ZipFile(sys.argv[1]).infolist()))";
    let output =
        std::process::Command::new("python3").arg("-c").arg(script).arg(temp.path()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.starts_with("('a.iso', 5368709120, 0) ('b.iso', 7, 53687"),
        "{said} {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn every_file_of_a_tar_is_padded_wherever_its_pieces_end() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("root");
    std::fs::create_dir_all(root.join("a")).unwrap();
    std::fs::create_dir(root.join("b")).unwrap();
    std::fs::write(root.join("b/last"), "last").unwrap();
    let files = open(&temp, Options::default());
    // Around the sizes at which header and content just fill a piece, and at which content does.
    let sizes =
        [PIECE - 1100, PIECE - 600, PIECE - 513, PIECE - 512, PIECE - 511, PIECE - 100, PIECE, PIECE + 1];
    for size in sizes {
        std::fs::write(root.join("a/file"), vec![b'x'; size]).unwrap();
        let tar = get(&files, "/?archive=tar", &[]).await.body;
        assert_eq!(tar.len() % 512, 0, "{size}");
        let names = unpacked(&tar, "a.tar");
        assert!(names.iter().any(|name| name.contains("b/last")), "{size}: {names:?}");
    }
}
