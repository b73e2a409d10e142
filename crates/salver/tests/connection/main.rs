//! One connection, seen from the client's end of a real socket.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test fails by panicking

use std::io::Write as _;
use std::net::Shutdown;

use salver::{guard, http1};

mod support;
mod turns;

use support::{read_all, read_until, serve, serve_with, statuses};

const CLOSE: &str = "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = serve();
    let mut wire = String::new();
    for number in 0..200 {
        wire += &format!("GET /{number} HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    let answers = server.exchange(&(wire + CLOSE));
    let at = |name: &str| answers.find(&format!("hello {name}")).unwrap_or_else(|| panic!("{name}"));
    let places: Vec<_> = (0..200).map(|number| at(&format!("{number}HTTP"))).collect();
    assert!(places.is_sorted() && places[199] < at("last"));
    assert_eq!(statuses(&answers).len(), 201);
}

#[test]
fn nothing_behind_a_bad_request_is_acted_upon() {
    let server = serve();
    for (bad, status) in [
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n", 400),
        ("GET / HTTP/9.9\r\nHost: x\r\n\r\n", 505),
        ("GET /\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        ("\x16\x03\x01\x02\x00\x01\x00", 400),
    ] {
        let good = "GET /first HTTP/1.1\r\nHost: x\r\n\r\n";
        let answers = server.exchange(&format!("{good}{bad}{CLOSE}"));
        assert_eq!(statuses(&answers), [200, status], "{bad:?}");
        assert!(answers.contains("Connection: close\r\n"), "{answers}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(9000));
    assert_eq!(statuses(&server.exchange(&format!("{long}{CLOSE}"))), [414]);
    let fat = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(70_000));
    assert_eq!(statuses(&server.exchange(&format!("{fat}{CLOSE}"))), [431]);
}

#[test]
fn a_bad_body_is_the_requests_fault_whatever_the_handler_makes_of_it() {
    let server = serve();
    for path in ["read", "read-elsewhere", "ignore", "hello"] {
        for bad in
            ["0x5\r\nhello\r\n0\r\n\r\n", "5\r\nhelloX\r\n0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n", "\r\n"]
        {
            let head = format!("POST /{path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
            let answers = server.exchange(&format!("{head}{bad}{CLOSE}"));
            assert_eq!(statuses(&answers), [400], "{bad:?}");
        }
    }
}

#[test]
fn bodies_are_read_by_whoever_has_them() {
    let server = serve();
    for path in ["read", "read-elsewhere"] {
        let counted = format!("POST /{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
        let chunked = format!(
            "POST /{path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
             2;ext=1\r\nhe\r\n3\r\nllo\r\n0\r\nTrailer: t\r\n\r\n"
        );
        let answers = server.exchange(&format!("{counted}{chunked}{CLOSE}"));
        assert_eq!(answers.matches("read 5").count(), 2, "{answers}");
    }
}

#[test]
fn a_body_nobody_read_is_never_taken_for_a_request() {
    let server = serve();
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    let length = smuggled.len();
    let counted = format!("POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{smuggled}");
    let answers = server.exchange(&format!("{counted}{CLOSE}"));
    assert_eq!(statuses(&answers), [200, 200], "a short body is read and the connection kept");
    assert!(!answers.contains("smuggled") && answers.contains("hello last"));

    let mut socket = server.connect();
    socket.write_all(b"POST /ignore HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    for piece in ["1", "8\r\nGET /sm", "uggled HTT", "P/1.1\r\n", "\r\n0\r", "\n\r\n", CLOSE] {
        socket.write_all(piece.as_bytes()).unwrap();
    }
    let answers = read_all(&mut socket);
    assert_eq!(statuses(&answers), [200, 200], "also one in chunks, however it comes: {answers}");
    assert!(answers.ends_with("hello last"));

    let large = "x".repeat(500_000);
    let counted = format!("POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n{large}");
    let answers = server.exchange(&format!("{counted}{CLOSE}"));
    assert_eq!(statuses(&answers), [200], "a long one ends the connection");
    assert!(answers.contains("Connection: close") && answers.ends_with("ignored"));
}

#[test]
fn an_answer_does_not_wait_for_the_end_of_a_body_that_nobody_wants() {
    let server = serve();
    for half in [
        "Content-Length: 5\r\n\r\nhe",
        "Content-Length: 5\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhe",
    ] {
        let answer = server.exchange(&format!("POST /ignore HTTP/1.1\r\nHost: x\r\n{half}"));
        assert_eq!(statuses(&answer), [200], "{half:?}");
        assert!(answer.contains("Connection: close\r\n") && answer.ends_with("ignored"), "{answer}");
    }
}

#[test]
fn a_long_body_that_nobody_wants_does_not_keep_the_loop_busy() {
    let server = serve();
    let mut socket = server.connect();
    socket
        .write_all(b"POST /slow-stream HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\nstart")
        .unwrap();
    let answer = read_until(&mut socket, "0\r\n\r\n");
    assert!(answer.contains("Connection: close") && answer.contains("4\r\nlate\r\n"), "{answer}");
    assert_eq!(statuses(&server.exchange(CLOSE)), [200], "and others are served");
}

#[test]
fn continue_is_sent_when_the_handler_reads_and_not_before() {
    let server = serve();
    let mut socket = server.connect();
    let head = |path: &str, version: &str| {
        format!("POST /{path} HTTP/{version}\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    };
    socket.write_all(head("read", "1.1").as_bytes()).unwrap();
    assert_eq!(read_until(&mut socket, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    socket.write_all(b"hello").unwrap();
    assert!(read_until(&mut socket, "read 5").starts_with("HTTP/1.1 200 OK"));

    let answers = server.exchange(&head("ignore", "1.1"));
    assert_eq!(statuses(&answers), [200], "who does not read gets no body, and the connection ends");
    assert!(answers.contains("Connection: close"));

    let answers = server.exchange(&(head("read", "1.0") + "hello"));
    assert_eq!(statuses(&answers), [200], "1.0 knows no interim answer");
    let answers = server.exchange(&head("read", "1.1").replace("100-continue", "200-maybe"));
    assert_eq!(statuses(&answers), [417]);
}

#[test]
fn a_panic_costs_its_own_request_only() {
    let server = serve();
    for path in ["panic", "panic-later"] {
        let answers = server.exchange(&format!("GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n{CLOSE}"));
        assert_eq!(statuses(&answers), [500, 200], "{path}");
    }
    for path in ["panic-stream", "fail-stream"] {
        let answers = server.exchange(&format!("GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n{CLOSE}"));
        assert!(
            answers.contains("3\r\none\r\n") && !answers.contains("0\r\n\r\n"),
            "cut, not ended: {answers}"
        );
        assert_eq!(statuses(&answers), [200], "and nothing after it");
    }
    assert_eq!(statuses(&server.exchange(CLOSE)), [200]);
}

#[test]
fn the_framing_is_the_connections() {
    let server = serve();
    let get = |path: &str, version: &str| {
        server.exchange(&format!("GET /{path} HTTP/{version}\r\nHost: x\r\nConnection: close\r\n\r\n"))
    };
    assert!(get("stream", "1.1").ends_with("\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"));
    let answer = get("stream", "1.0");
    assert!(answer.ends_with("\r\n\r\nonetwo") && !answer.contains("chunked"), "{answer}");
    assert!(get("long", "1.1").ends_with("\r\n\r\nonet"), "more than Content-Length is cut off");
    assert!(get("short", "1.1").contains("Content-Length: 5"), "less closes the connection");
    let bare = get("interim", "1.1");
    assert!(bare.starts_with("HTTP/1.1 500 Internal Server Error\r\nDate: "), "{bare}");
    assert!(bare.ends_with(" GMT\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), "{bare}");
    assert_eq!(statuses(&bare), [500]);
    for path in ["204", "304"] {
        assert!(get(path, "1.1").ends_with("\r\n\r\n"), "no content");
    }
    let answers = server.exchange(&format!(
        "HEAD /x HTTP/1.1\r\nHost: x\r\n\r\nHEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n{CLOSE}"
    ));
    assert_eq!(statuses(&answers), [200, 200, 200]);
    assert!(answers.contains("Content-Length: 7\r\n") && !answers.contains("hello x"), "{answers}");
}

#[test]
fn a_connection_is_kept_or_not_as_its_client_asks() {
    let server = serve();
    let old = "GET /old HTTP/1.0\r\n\r\n";
    assert_eq!(statuses(&server.exchange(&format!("{old}{CLOSE}"))), [200], "1.0 closes");
    let kept = "GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let answers = server.exchange(&format!("{kept}{CLOSE}"));
    assert_eq!(statuses(&answers), [200, 200]);
    assert!(answers.contains("Connection: keep-alive"));

    let options = http1::Options { protocol: http1::Protocol::Http10, ..Default::default() };
    let server = serve_with(options, guard::Options::default());
    let get = "GET /new HTTP/1.1\r\nHost: x\r\n\r\n";
    let answers = server.exchange(&format!("{get}{CLOSE}"));
    assert_eq!(statuses(&answers), [200], "--protocol HTTP/1.0 closes after each answer");
    assert!(answers.starts_with("HTTP/1.0 200 OK"));
    let get = "GET /new HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n";
    assert_eq!(
        statuses(&server.exchange(&format!("{get}{CLOSE}"))),
        [200, 200],
        "unless the client asks to keep it"
    );
}

#[test]
fn an_echo_streams_both_ways_at_once() {
    let server = serve();
    let mut socket = server.connect();
    socket.write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    let mut start = read_until_after(&mut socket, b"3\r\none\r\n", "3\r\none\r\n");
    assert!(start.starts_with("HTTP/1.1 200 OK"));
    start = read_until_after(&mut socket, b"3\r\ntwo\r\n", "3\r\ntwo\r\n");
    assert_eq!(start, "3\r\ntwo\r\n");
    socket.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(read_until(&mut socket, "0\r\n\r\n"), "0\r\n\r\n");
    socket.write_all(CLOSE.as_bytes()).unwrap();
    assert_eq!(statuses(&read_all(&mut socket)), [200], "and the connection goes on");
}

fn read_until_after(socket: &mut std::net::TcpStream, wire: &[u8], end: &str) -> String {
    socket.write_all(wire).unwrap();
    read_until(socket, end)
}

#[test]
fn a_large_answer_waits_for_its_client() {
    let server = serve();
    let answer = server.exchange("GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(answer.split_once("\r\n\r\n").unwrap().1.len(), 8_000_000);
}

#[test]
fn half_a_close_is_no_leaving_on_the_last_request() {
    let server = serve();
    let mut socket = server.connect();
    socket.write_all(CLOSE.as_bytes()).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    assert!(read_all(&mut socket).ends_with("hello last"));
    let mut socket = server.connect();
    socket.write_all(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut socket), "", "on a kept connection it is: the handler is dropped");
    let mut socket = server.connect();
    socket.write_all(b"GET /never HTTP/1.0\r\n\r\n").unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut socket), "", "on the last one it may be: the handler is dropped after a while");
}

#[test]
fn limits_of_the_server_are_answered() {
    let limits = guard::Options { limit_body: Some(10), limit_concurrency: Some(1), ..Default::default() };
    let server = serve_with(http1::Options::default(), limits);
    let counted =
        "POST /read HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 11\r\n\r\nhello world";
    assert_eq!(statuses(&server.exchange(counted)), [413]);
    let chunked =
        "POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n";
    assert_eq!(statuses(&server.exchange(chunked)), [413], "also where no length was declared");
    let small = "POST /read HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10\r\n\r\nhello worl";
    assert_eq!(statuses(&server.exchange(small)), [200]);

    let mut busy = server.connect();
    busy.write_all(b"POST /read HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        .unwrap();
    read_until(&mut busy, "100 Continue\r\n\r\n");
    let refused = server.exchange(CLOSE);
    assert_eq!(statuses(&refused), [503]);
    assert!(refused.contains("Retry-After: "));
    busy.write_all(b"ok").unwrap();
    read_until(&mut busy, "read 2");
    assert_eq!(statuses(&server.exchange(CLOSE)), [200]);
}

#[test]
fn what_takes_too_long_is_over() {
    let options = http1::Options {
        header_timeout: 1.into(),
        body_timeout: 1.into(),
        keep_alive: 1.into(),
        send_timeout: 1.into(),
        ..Default::default()
    };
    let server = serve_with(options, guard::Options::default());
    assert_eq!(server.exchange(""), "", "nothing at all: a silent close");
    assert_eq!(statuses(&server.exchange("GET / HTTP/1.1\r\nHo")), [408], "half a head");
    assert_eq!(statuses(&server.exchange("GET / HTTP/1.1\r\nHost: x\r\n\r\n")), [200], "an idle connection");
    let half = "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel";
    assert_eq!(statuses(&server.exchange(half)), [408], "half a body");
    // A client that never reads: the send times out, and what is left in its socket is no whole answer.
    let mut socket = server.connect();
    socket.write_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    wait_until_closed(&socket);
}

/// Waits, without reading, until the other end has closed.
fn wait_until_closed(socket: &std::net::TcpStream) {
    use rustix::event::{PollFd, PollFlags, poll};
    use std::os::fd::AsFd as _;
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let mut watched = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::RDHUP)];
        let second = rustix::time::Timespec { tv_sec: 1, tv_nsec: 0 };
        poll(&mut watched, Some(&second)).unwrap();
        if watched[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR) {
            return;
        }
        assert!(std::time::Instant::now() < limit, "the server still waits");
    }
}

#[test]
fn a_graceful_stop_answers_what_runs_and_what_is_queued() {
    let mut server = serve();
    let mut idle = server.connect();
    idle.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    read_until(&mut idle, "hello x");
    let mut running = server.connect();
    running
        .write_all(b"POST /read HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        .unwrap();
    read_until(&mut running, "100 Continue\r\n\r\n");
    let mut queued: Vec<_> = (0..32).map(|_| server.connect()).collect();
    for socket in &mut queued {
        socket.write_all(b"GET /queued HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    let handle = server.running.take().unwrap();
    handle.stop().graceful();
    for socket in &mut queued {
        // Those that were answered before the stop came were told that they are kept, and are closed as the idle one is.
        let answer = read_all(socket);
        assert!(statuses(&answer) == [200] && answer.ends_with("hello queued"), "{answer}");
    }
    assert_eq!(read_all(&mut idle), "", "an idle connection is closed");
    running.write_all(b"ok").unwrap();
    let answer = read_all(&mut running);
    assert!(answer.ends_with("read 2") && answer.contains("Connection: close"), "{answer}");
    handle.wait();
    assert!(std::net::TcpStream::connect(server.address).is_err(), "and the port is free");
}
