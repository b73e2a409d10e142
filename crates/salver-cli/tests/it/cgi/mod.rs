//! CGI scripts, asked for over HTTP.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{Serve, Server, salver, serve};

mod bad;
mod life;

/// Says hello.
const HELLO: &str = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\nhello\\n'\n";
/// Sends its input back.
const ECHO: &str = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\nexec cat\n";
/// Prints its environment, its arguments and its working folder.
const TELL: &str =
    "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\nenv\necho \"ARGS=$*\"\necho \"FOLDER=$(pwd)\"\n";

/// A script that prints `output`, in which `printf` reads its escapes.
fn prints(output: &str) -> String {
    format!("#!/bin/sh\nprintf '{output}'\n")
}

/// A server with `--cgi` and these scripts in `/cgi-bin`.
fn with<'s>(scripts: impl IntoIterator<Item = (&'s str, String)>) -> Serve {
    let serve = serve(["--cgi"]);
    scripts.into_iter().fold(serve, |serve, (name, text)| serve.script(&format!("cgi-bin/{name}"), &text))
}

/// A request with a body, on a connection that closes.
fn post(target: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n");
    [head.as_bytes(), body].concat()
}

/// `body` in chunks of 10,000 bytes.
fn chunked(body: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    for piece in body.chunks(10_000) {
        wire.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        wire.extend_from_slice(piece);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    wire
}

/// Waits until `done` says so.
#[track_caller]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "not in 20 seconds: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_script_learns_of_its_request_and_of_nothing_else() {
    let server = with([("tell", TELL.into())]).env("SECRET", "ours").start();
    let target = "/cgi-bin//tell/a%20b/?q=%20x";
    let fields = [
        ("X-Twice", "1"),
        ("X-Twice", "2"),
        ("Cookie", "a=1"),
        ("Cookie", "b=2"),
        ("Authorization", "Basic c2VjcmV0"),
        ("Proxy", "http://evil/"),
        ("X_Y", "dropped"),
    ];
    let text = server.request("GET", target, &fields).status(200).text();
    let folder = server.path("").canonicalize().unwrap().display().to_string();
    let port = server.address().port();
    for line in [
        "GATEWAY_INTERFACE=CGI/1.1",
        "REQUEST_METHOD=GET",
        "SCRIPT_NAME=/cgi-bin/tell",
        "PATH_INFO=/a b/",
        &format!("PATH_TRANSLATED={folder}/a b/"),
        &format!("DOCUMENT_ROOT={folder}"),
        &format!("SCRIPT_FILENAME={folder}/cgi-bin/tell"),
        &format!("FOLDER={folder}/cgi-bin"),
        "QUERY_STRING=q=%20x",
        &format!("REQUEST_URI={target}"),
        "REMOTE_ADDR=127.0.0.1",
        "SERVER_NAME=localhost",
        &format!("SERVER_PORT={port}"),
        "SERVER_PROTOCOL=HTTP/1.1",
        "AUTH_TYPE=Basic",
        "HTTP_X_TWICE=1, 2",
        "HTTP_COOKIE=a=1; b=2",
        "TZ=UTC",
        "ARGS=",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    for part in ["SECRET", "c2VjcmV0", "HTTP_PROXY", "HTTP_AUTHORIZATION", "X_Y", "HTTPS=", "CONTENT_LENGTH"]
    {
        assert!(!text.contains(part), "{part} in {text}");
    }
    server.get("/cgi-bin/tell?a+b%2Bc").contains("ARGS=a b+c\n");
    server.get("/cgi-bin/tell?-s").contains("ARGS=\n");
}

#[test]
fn a_folder_is_mounted_with_an_environment_of_its_own() {
    let args = ["--mount", "/run=cgi:scripts", "-e", "COLOUR=blue", "-e", "LANG=C"];
    let answer = serve(args).script("scripts/deep/tell", TELL).get("/run/deep/tell/x").status(200);
    for line in ["SCRIPT_NAME=/run/deep/tell\n", "PATH_INFO=/x\n", "COLOUR=blue\n", "LANG=C\n"] {
        answer.get("/run/deep/tell/x").contains(line);
    }
    answer.get("/scripts/deep/tell").status(404); // what is run is not sent
    let failed = salver(["cgi:nothing"]);
    let error = String::from_utf8(failed.stderr).unwrap();
    assert!(error.contains("cannot serve the folder nothing") && failed.status.code() == Some(1), "{error}");
}

#[test]
fn what_a_script_says_is_what_the_client_gets() {
    for (output, status, fields, body) in [
        ("Content-Type: a/b\\n\\nx", 200, &[("content-type", "a/b")][..], "x"),
        ("X: y\\r\\n\\r\\n", 200, &[("x", "y")], ""),
        ("Status: 404 No\\nX: y\\n\\nx", 404, &[("x", "y")], "x"),
        ("Status: 302\\nLocation: /cgi-bin/hello\\n\\n", 302, &[("location", "/cgi-bin/hello")], ""),
        ("Location: http://x/\\n\\n", 302, &[("location", "http://x/")], ""),
        ("Location: //x/\\n\\n", 302, &[("location", "//x/")], ""),
        ("Location: /cgi-bin/hello\\n\\nignored", 200, &[], "hello\n"),
        ("Location: /plain.txt\\n\\n", 200, &[("content-type", "text/plain; charset=utf-8")], "plain"),
        ("Location: /nothing\\n\\n", 404, &[], "404 Not Found: File not found\n"),
        ("Content-Length: 2\\n\\nxy", 200, &[("content-length", "2")], "xy"),
        ("Status: 204\\n\\n", 204, &[], ""),
    ] {
        let server =
            with([("run", prints(output)), ("hello", HELLO.into())]).file("plain.txt", "plain").start();
        // HTTP/1.0, so that content of unknown length is not chunked.
        let mut answer = server.send("GET /cgi-bin/run HTTP/1.0\r\n\r\n").status(status).body(body);
        for (name, value) in fields {
            answer = answer.header(name, value);
        }
    }
}

#[test]
fn a_redirect_within_is_a_get_without_the_content_and_ends() {
    let tell =
        "#!/bin/sh\nprintf 'X: y\\n\\n'\necho \"$REQUEST_METHOD $QUERY_STRING ${CONTENT_LENGTH-none}\"\n";
    let server = with([
        ("tell", tell.into()),
        ("to-tell", prints("Location: /cgi-bin/tell?a=b\\n\\n")),
        ("circle", prints("Location: /cgi-bin/circle\\n\\n")),
    ]);
    let server = server.start();
    server
        .send(post("/cgi-bin/to-tell", "Content-Length: 3\r\n", b"abc"))
        .status(200)
        .contains("GET a=b none\n");
    server.get("/cgi-bin/circle").status(502);
}

#[test]
fn every_method_and_any_body_reaches_the_script() {
    let length = "#!/bin/sh\nprintf 'X: y\\n\\n'\necho \"$REQUEST_METHOD $CONTENT_LENGTH $(wc -c)\"\n";
    let server = with([("echo", ECHO.into()), ("length", length.into())]).start();
    for method in ["PUT", "DELETE", "PROPFIND", "PATCH"] {
        let wire = format!("{method} /cgi-bin/length HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello");
        server.send(wire).status(200).body(format!("{method} 5 5\n"));
    }
    server.send("POST /cgi-bin/length HTTP/1.0\r\nContent-Length: 0\r\n\r\n").status(200).body("POST 0 0\n");
    for size in [1, 100_000, 1_000_000, 3_000_000] {
        let body: Vec<u8> = (0..size).map(|at: u32| b'a' + (at % 23) as u8).collect();
        let fields = format!("Content-Length: {size}\r\n");
        for (fields, sent) in
            [(fields.as_str(), body.clone()), ("Transfer-Encoding: chunked\r\n", chunked(&body))]
        {
            let counted = server.send(post("/cgi-bin/length", fields, &sent)).status(200);
            assert!(counted.text().contains(&format!("POST {size} {size}\n")), "{}", counted.text());
        }
    }
}

/// Sends `wire` and reads the answer at the same time, as a client with a large body must.
fn at_once(server: &Arc<Server>, wire: Vec<u8>) -> Vec<u8> {
    let mut socket = server.connect();
    let mut sending = socket.try_clone().unwrap();
    let sender = std::thread::spawn(move || sending.write_all(&wire));
    let mut all = Vec::new();
    socket.read_to_end(&mut all).unwrap();
    sender.join().unwrap().unwrap();
    all
}

#[test]
fn a_large_body_streams_through_a_script_both_ways() {
    let server = with([("echo", ECHO.into())]).start();
    let body: Vec<u8> = (0..20_000_000_u32).map(|at| (at % 251) as u8).collect();
    let head = format!("POST /cgi-bin/echo HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
    let answer = at_once(&server, [head.as_bytes(), &body].concat());
    assert!(answer.ends_with(&body), "{} bytes came back", answer.len());
}

#[test]
fn what_a_script_writes_is_sent_as_it_is_written() {
    let step = "#!/bin/sh\nprintf 'Content-Type: a/b\\n\\none'\nuntil [ -e next ]; do sleep 0.01; done\nprintf two\n";
    let server = with([("step", step.into())]).start();
    let mut socket = server.connect();
    socket.write_all(b"GET /cgi-bin/step HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut seen = Vec::new();
    let mut byte = [0];
    while !seen.ends_with(b"3\r\none\r\n") {
        assert_eq!(socket.read(&mut byte).unwrap(), 1);
        seen.push(byte[0]);
    }
    std::fs::write(server.path("cgi-bin/next"), "").unwrap();
    let mut rest = String::new();
    socket.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "3\r\ntwo\r\n0\r\n\r\n");
}

#[test]
fn head_has_no_content_and_the_script_works_to_its_end() {
    let work = "#!/bin/sh\nprintf 'X: y\\n\\n'\nhead -c 200000 /dev/zero\ntouch done\n";
    for status in ["", "Status: 204\\n"] {
        let work = work.replace("X: y", &format!("{status}X: y"));
        let server = with([("work", work)]).start();
        let method = if status.is_empty() { "HEAD" } else { "GET" };
        server.request(method, "/cgi-bin/work", &[]).header("x", "y").body("");
        until("the script has worked to its end", || server.path("cgi-bin/done").exists());
    }
}

#[test]
fn an_nph_script_owns_the_wire() {
    let server = with([
        ("nph-x", prints("HTTP/1.1 418 Tea\\r\\nx-CaSe: y\\r\\n\\r\\nbody")),
        ("nph-bad", prints("Content-Type: a/b\\n\\nbody")),
    ]);
    let server = server.start();
    let send = |method: &str| {
        let mut socket = server.connect();
        write!(socket, "{method} /cgi-bin/nph-x HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut all = String::new();
        socket.read_to_string(&mut all).unwrap();
        all
    };
    assert_eq!(send("GET"), "HTTP/1.1 418 Tea\r\nx-CaSe: y\r\n\r\nbody");
    assert_eq!(send("HEAD"), "HTTP/1.1 418 Tea\r\nx-CaSe: y\r\n\r\n");
    server.get("/cgi-bin/nph-bad").status(502);
}

#[test]
fn a_script_is_found_by_every_spelling_and_its_source_is_never_sent() {
    let server = with([("x", HELLO.into()), ("deep/y", HELLO.into()), (".hidden", HELLO.into())])
        .script("htbin/x", HELLO)
        .script("other/cgi-bin/x", HELLO)
        .file("cgi-bin/plain", "source")
        .start();
    symlink("cgi-bin/x", server.path("link")).unwrap();
    symlink("cgi-bin", server.path("folder")).unwrap();
    symlink(server.path("cgi-bin/x"), server.path("absolute")).unwrap();
    for target in [
        "/cgi-bin/x",
        "/cgi-bin%2fx",
        "//cgi-bin/x",
        "/x/../cgi-bin/x",
        "/%63gi-bin/x",
        "/cgi-bin/./x",
        "/cgi-bin//x",
        "/cgi-bin/deep/../x",
        "/htbin/x",
        "/cgi-bin/deep/y",
        "/cgi-bin/x/",
        "/cgi-bin/x/..%2f",
        "/cgi-bin/x?y",
    ] {
        let answer = server.get(target);
        // What is left of `x/..` is the folder.
        let want = if target.ends_with("..%2f") { 403 } else { 200 };
        assert!(!answer.text().contains("printf"), "{target}");
        answer.status(want);
    }
    for (target, status) in [
        ("/cgi-bin", 403),
        ("/cgi-bin/", 403),
        ("/cgi-bin/deep", 403),
        ("/cgi-bin/plain", 403),
        ("/cgi-bin/nothing", 404),
        ("/cgi-bin/.hidden", 404),
        ("/cgi-bin/x%00", 400),
        ("/link", 404),
        ("/absolute", 404),
        ("/folder/x", 404),
        ("/folder/", 404),
        ("/CGI-BIN/x", 404),
    ] {
        server.get(target).status(status);
    }
    server.get("/other/cgi-bin/x").status(200).contains("printf"); // only at the root, as http.server
}

#[test]
fn without_the_option_a_folder_of_scripts_is_a_folder() {
    let server = serve([""; 0]).script("cgi-bin/x", HELLO).start();
    server.get("/cgi-bin/x").status(200).body(HELLO);
}

#[test]
fn the_folder_may_come_later() {
    let server = serve(["--cgi"]).file("index.html", "").start();
    server.get("/cgi-bin/x").status(404);
    std::fs::create_dir(server.path("htbin")).unwrap();
    server.get("/htbin/").status(403);
}

#[test]
fn a_client_that_closes_its_half_is_answered() {
    let server = with([("echo", ECHO.into())]).start();
    let mut socket = server.connect();
    socket.write_all(b"POST /cgi-bin/echo HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello").unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut all = String::new();
    socket.read_to_string(&mut all).unwrap();
    assert!(all.ends_with("\r\n\r\nhello"), "{all}");
}
