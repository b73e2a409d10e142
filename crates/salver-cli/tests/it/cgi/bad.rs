//! Scripts that fail: each a hundred times, and nothing is left of them.

use super::life::nothing_is_left;
use super::*;

/// What a client sends to a bad script, and what it must see.
struct Bad {
    name: &'static str,
    /// `None`: there is no such script.
    script: Option<&'static str>,
    request: &'static str,
    /// The status; 0 where the client does not wait for one.
    status: u16,
}

const GET: &str = "GET /cgi-bin/run HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const POST: &str =
    "POST /cgi-bin/run HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 6\r\n\r\nunread";

const BAD: &[Bad] = &[
    Bad { name: "missing", script: None, request: GET, status: 404 },
    Bad {
        name: "not executable",
        script: None,
        request: "GET /cgi-bin/plain HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        status: 403,
    },
    Bad {
        name: "not a file",
        script: None,
        request: "GET /cgi-bin/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        status: 403,
    },
    Bad { name: "no header", script: Some("#!/bin/sh\necho\necho hello\n"), request: GET, status: 502 },
    Bad { name: "no output", script: Some("#!/bin/sh\n"), request: GET, status: 502 },
    Bad {
        name: "garbage",
        script: Some("#!/bin/sh\nhead -c 9999 /dev/urandom\n"),
        request: GET,
        status: 502,
    },
    Bad { name: "no end", script: Some("#!/bin/sh\necho 'X: y'\n"), request: GET, status: 502 },
    Bad {
        name: "too long",
        script: Some("#!/bin/sh\nprintf 'X: '\nhead -c 70000 /dev/zero | tr '\\0' a\n"),
        request: GET,
        status: 502,
    },
    Bad {
        name: "injection",
        script: Some("#!/bin/sh\nprintf 'X: a\\rSet-Cookie: b\\n\\n'\n"),
        request: GET,
        status: 502,
    },
    Bad { name: "signal", script: Some("#!/bin/sh\nkill -SEGV $$\n"), request: GET, status: 502 },
    Bad { name: "interpreter", script: Some("#!/no/such\n"), request: GET, status: 502 },
    Bad { name: "no program", script: Some("\u{1}\u{2}"), request: GET, status: 502 },
    Bad { name: "hang", script: Some("#!/bin/sh\nsleep 300\n"), request: GET, status: 504 },
    Bad {
        name: "double fork",
        script: Some("#!/bin/sh\nprintf 'X: y\\n\\n'\nsleep 300 &\n"),
        request: GET,
        status: 200,
    },
    Bad { name: "unread", script: Some("#!/bin/sh\nprintf 'X: y\\n\\n'\n"), request: POST, status: 200 },
    Bad {
        name: "flood",
        script: Some("#!/bin/sh\nhead -c 1000000 /dev/zero >&2\nprintf 'X: y\\n\\n'\n"),
        request: GET,
        status: 200,
    },
    Bad {
        name: "hang midway",
        script: Some("#!/bin/sh\nprintf 'X: y\\n\\npart'\nsleep 300\n"),
        request: GET,
        status: 200,
    },
    Bad { name: "gone", script: Some("#!/bin/sh\ntouch started\nsleep 300\n"), request: GET, status: 0 },
];

#[test]
fn a_hundred_of_each_leave_nothing() {
    for Bad { name, script, request, status } in BAD {
        let spool = tempfile::tempdir().unwrap();
        let args =
            ["--cgi", "--timeout", if name.starts_with("hang") { "0.1" } else { "10" }, "--cgi-limit", "100"];
        let server = serve(args).env("TMPDIR", spool.path()).script("cgi-bin/hello", HELLO);
        let server = server.file("cgi-bin/plain", HELLO);
        let server = script.iter().fold(server, |server, text| server.script("cgi-bin/run", text)).start();
        server.get("/cgi-bin/hello").status(200);
        let files = || std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
        let before = files();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let server = Arc::clone(&server);
                std::thread::spawn(move || (0..25).for_each(|_| once(&server, name, request, *status)))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        nothing_is_left(&server);
        until(&format!("{name}: as many descriptors as before"), || files() <= before);
        assert_eq!(std::fs::read_dir(spool.path()).unwrap().count(), 0, "{name}");
        server.get("/cgi-bin/hello").status(200).contains("hello");
    }
}

fn once(server: &Arc<Server>, name: &str, request: &str, status: u16) {
    if status != 0 {
        let answer = server.send(request);
        assert!(!answer.text().contains("Set-Cookie") && !answer.text().contains("/bin/sh"), "{name}");
        answer.status(status);
        return;
    }
    let mut socket = server.connect();
    socket.write_all(request.as_bytes()).unwrap();
    until("a script runs", || server.path("cgi-bin/started").exists());
}

#[test]
fn a_hundred_large_bodies_of_unknown_length_leave_no_file() {
    let spool = tempfile::tempdir().unwrap();
    let server = with([("count", "#!/bin/sh\nprintf 'X: y\\n\\n'\nwc -c\n".into()), ("hello", HELLO.into())]);
    let server = server.env("TMPDIR", spool.path()).start();
    server.get("/cgi-bin/hello").status(200);
    let files = || std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    let before = files();
    let wire = post("/cgi-bin/count", "Transfer-Encoding: chunked\r\n", &chunked(&[b'x'; 1_200_000]));
    for number in 0..100 {
        // Every other client leaves before its last bytes.
        if number % 2 == 0 {
            assert!(server.send(&wire).status(200).text().contains("1200000\n"));
        } else {
            let mut socket = server.connect();
            let _ = socket.write_all(&wire[..wire.len() - 100]);
        }
    }
    nothing_is_left(&server);
    until("as many descriptors as before", || files() <= before);
    assert_eq!(std::fs::read_dir(spool.path()).unwrap().count(), 0);
}

#[test]
fn what_cannot_be_executed_is_forbidden() {
    let server = serve(["--cgi"]).file("cgi-bin/plain", HELLO).script("cgi-bin/folder/x", HELLO).start();
    let fifo = server.path("cgi-bin/fifo");
    assert!(std::process::Command::new("mkfifo").args(["-m", "755"]).arg(&fifo).status().unwrap().success());
    for target in ["/cgi-bin/plain", "/cgi-bin/folder", "/cgi-bin/fifo", "/cgi-bin/"] {
        server.get(target).status(403);
    }
}

#[test]
fn standard_error_is_logged_by_lines_and_only_so_much_of_it() {
    let talk = "#!/bin/sh\nprintf 'one\\ntwo\\033[2J' >&2\nprintf 'X: y\\n\\n'\n";
    let server = with([("talk", talk.into())]).start();
    server.get("/cgi-bin/talk").status(200);
    let mut lines = Vec::new();
    while !lines.iter().any(|line: &String| line.contains("two")) {
        lines.push(server.logged());
    }
    assert!(lines.iter().any(|line| line.ends_with("[WARNING] CGI talk: one")), "{lines:?}");
    assert!(lines.iter().any(|line| line.ends_with("CGI talk: two\\u{1b}[2J")), "{lines:?}");

    let flood = "#!/bin/sh\nyes 0123456789 | head -c 100000000 >&2\nprintf 'X: y\\n\\ndone'\n";
    let server = with([("flood", flood.into())]).start();
    server.send("GET /cgi-bin/flood HTTP/1.0\r\n\r\n").status(200).body("done");
    let mut logged = 0;
    loop {
        let line = server.logged();
        if line.contains("more bytes of standard error were dropped") {
            assert!(line.contains(&format!("{} more bytes", 100_000_000 - 65_536)), "{line}");
            break;
        }
        logged += line.matches("0123456789").count() * 11;
    }
    assert!(logged <= 65_536 + 11, "{logged}");
}

#[test]
fn a_script_that_reads_nothing_answers_a_large_body() {
    let server = with([("deaf", "#!/bin/sh\nprintf 'X: y\\n\\ndone'\n".into())]).start();
    let mut socket = server.connect();
    let mut sending = socket.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        let head = b"POST /cgi-bin/deaf HTTP/1.0\r\nContent-Length: 10000000\r\n\r\n";
        let _ = sending.write_all(head).and_then(|()| sending.write_all(&[b'x'; 10_000_000])); // it may be reset
    });
    let mut all = Vec::new();
    let _ = socket.read_to_end(&mut all);
    sender.join().unwrap();
    assert!(String::from_utf8_lossy(&all).ends_with("done"), "{}", String::from_utf8_lossy(&all));
}
