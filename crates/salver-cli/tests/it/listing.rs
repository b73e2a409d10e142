//! Listings and what belongs to them, by the command's options.

use std::process::Command;

use crate::support::{salver, serve};

#[test]
fn a_page_allows_itself_and_nothing_else() {
    let answer = serve(["--title", "Our <files>"]).file("a b.txt", "x").get("/").status(200);
    let policy = answer.find("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    answer
        .header("x-content-type-options", "nosniff")
        .contains("<title>Our &lt;files&gt;: /</title>")
        .contains("<bdi><a href=\"a%20b.txt\">a b.txt</a></bdi>")
        .contains("<td title=\"1 byte\">1 B</td>")
        .get("/?sort=size&order=desc")
        .contains("aria-sort=\"descending\"")
        .get("/a%20b.txt?view")
        .contains("<code>x</code>")
        .get("/a%20b.txt")
        .no_header("content-security-policy")
        .body("x");
}

#[test]
fn error_pages_look_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let theme = folder.path().join("theme.css");
    std::fs::write(&theme, "body { --mine: 1 }").unwrap();
    let answer =
        serve(["--theme".as_ref(), theme.as_os_str()]).get("/").contains("body { --mine: 1 }</style>");
    let error = answer.send("GET /no HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nConnection: close\r\n\r\n");
    let error = error.status(404).contains("body { --mine: 1 }</style>").contains("Not Found</h1>");
    assert_eq!(error.find("content-security-policy"), answer.find("content-security-policy"));
    answer.get("/no").status(404).body("404 Not Found: File not found\n");
}

#[test]
fn a_theme_that_is_none_is_said_before_anything_is_bound() {
    let output = salver(["--theme", "missing.css", "0"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("salver: error: --theme missing.css: ") && said.lines().count() == 1, "{said}");
}

#[test]
fn a_folder_comes_as_an_archive_and_goes_on_where_it_was_cut() {
    let answer =
        serve(["--bind", "127.0.0.1:0"]).file("sub/a.txt", "hello").file(".hidden", "x").get("/?archive=zip");
    let whole = answer.find("content-length").unwrap().parse::<usize>().unwrap();
    let answer =
        answer.status(200).header("content-type", "application/zip").header("accept-ranges", "bytes");
    let etag = answer.find("etag").unwrap();
    let part = answer.send(format!(
        "GET /?archive=zip HTTP/1.1\r\nHost: x\r\nRange: bytes=40-\r\nIf-Range: {etag}\r\nConnection: close\r\n\r\n"
    ));
    part.status(206)
        .header("content-range", &format!("bytes 40-{}/{whole}", whole - 1))
        .header("content-length", &(whole - 40).to_string())
        .contains("sub/a.txt")
        .get("/sub/?archive=tar.zst")
        .status(200)
        .header("content-disposition", "attachment; filename*=UTF-8''sub.tar.zst")
        .header("content-type", "application/zstd");
    let answer = serve(["--no-archive"]).file("a", "x").get("/?archive=zip").status(403).get("/").status(200);
    answer.contains("href=\"a\"").lacks("?archive=");
}

/// Runs the binary with a terminal as standard output; what it prints there until it is told to stop, and on standard error.
const ON_A_TERMINAL: &str = r"
import os, pty, signal, subprocess, sys
main, side = pty.openpty()
server = subprocess.Popen(sys.argv[1:], stdin=side, stdout=side, stderr=subprocess.PIPE)
os.close(side)
printed = b''
while b'...' not in printed:
    printed += os.read(main, 1000)
# Its answer says that the lines for people are out: a signal is obeyed after them.
server.send_signal(signal.SIGTERM)
said = server.stderr.read()
server.wait()
sys.stdout.buffer.write(printed.strip() + b'\n' + said)
";

#[test]
fn on_a_terminal_other_machines_are_told_the_way() {
    let said = |bind: &str| {
        let mut command = Command::new("python3");
        command.args(["-c", ON_A_TERMINAL, env!("CARGO_BIN_EXE_salver"), "--bind", bind, "0"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let own = said("127.0.0.1");
    assert!(own.starts_with("Serving HTTP on 127.0.0.1 port ") && own.lines().count() == 1, "{own}");
    let everywhere = said("0.0.0.0");
    let ways = everywhere.lines().filter(|line| line.starts_with("From other machines: http://")).count();
    // A machine without a network has nobody to tell.
    assert_eq!(everywhere.contains('\u{2580}') || everywhere.contains('\u{2584}'), ways > 0, "{everywhere}");
    assert!(!everywhere.contains("machines: http://127."), "{everywhere}");
}

#[test]
fn behind_a_pipe_there_is_one_line() {
    let server = serve(["--bind", "127.0.0.1:0"]).start();
    server.signal("TERM");
    let (status, rest) = server.wait();
    assert!(status.success() && rest.is_empty(), "{rest}");
}

#[test]
fn the_browser_is_opened_at_this_machine() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (program, noted) = (folder.path().join("xdg-open"), folder.path().join("noted"));
    let fifo = noted.to_str().unwrap();
    assert!(Command::new("mkfifo").arg(fifo).status().unwrap().success());
    std::fs::write(&program, format!("#!/bin/sh\necho \"$1\" > '{fifo}'\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let server = serve(["--open"]).env("PATH", path).start();
    let url = std::fs::read_to_string(fifo).unwrap(); // waits for the other end
    assert_eq!(url.trim(), server.url());
}
