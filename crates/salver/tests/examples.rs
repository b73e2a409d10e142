//! Each example, as it stands in examples/, does what its first line says.
#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking
#![allow(dead_code)] // `main` of each example

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use salver::{Local, Running};

#[path = "../examples/axum.rs"]
mod axum_;
#[path = "../examples/embed.rs"]
mod embed;
#[path = "../examples/hello.rs"]
mod hello;
#[path = "../examples/own_handler.rs"]
mod own_handler;
#[path = "../examples/upload_echo.rs"]
mod upload_echo;

const ANYWHERE: &str = "127.0.0.1:0";

fn connect(running: &Running) -> TcpStream {
    let [Local::Tcp(address)] = running.locals() else { panic!("{running:?}") };
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

/// Status and content of the answer to one request.
fn ask(running: &Running, request: &str, body: &str) -> (String, String) {
    let mut socket = connect(running);
    let length = body.len();
    let wire = format!(
        "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    socket.write_all(wire.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, content) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().to_owned(), content.to_owned())
}

fn answered(status: &str, content: &str) -> (String, String) {
    (status.into(), content.into())
}

#[test]
fn hello_greets() {
    let running = hello::start(ANYWHERE).unwrap();
    assert_eq!(ask(&running, "GET /", ""), answered("200", "hello, world\n"));
}

#[test]
fn own_handler_greets_and_echoes() {
    let running = own_handler::start(ANYWHERE).unwrap();
    assert_eq!(ask(&running, "GET /echo/you", ""), answered("200", "hello you at 127.0.0.1\n"));
    assert_eq!(ask(&running, "POST /echo", "said"), answered("200", "said"));
    assert_eq!(ask(&running, "PUT /echo", "said").0, "501");
}

#[test]
fn embed_serves_its_folder_and_stops_with_grace() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".a"), "content").unwrap();
    let running = embed::start(folder.path(), ANYWHERE).unwrap();
    assert_eq!(ask(&running, "GET /files/.a", ""), answered("200", "content"));
    assert_eq!(ask(&running, "GET /", "").0, "404");
    running.stop().graceful();
    running.wait();
}

#[test]
fn axum_answers_beside_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "content").unwrap();
    let running = axum_::start(folder.path(), ANYWHERE).unwrap();
    assert_eq!(ask(&running, "GET /a.txt", ""), answered("200", "content"));
    assert_eq!(ask(&running, "GET /api/greet/you%2Fme", ""), answered("200", "hello you/me\n"));
    assert_eq!(ask(&running, "POST /api/count", "vier"), answered("200", "4 letters\n"));
    assert_eq!(ask(&running, "GET /api/count", "").0, "405");
    assert_eq!(ask(&running, "GET /api/a.txt", "").0, "404");
}

#[test]
fn upload_echo_answers_while_it_is_sent() {
    let running = upload_echo::start(ANYWHERE).unwrap();
    let mut socket = connect(&running);
    let head = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    socket.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    let mut byte = [0];
    for (chunk, sent_back) in [("5\r\nfirst\r\n", "FIRST\r\n"), ("6\r\nsecond\r\n", "SECOND\r\n")] {
        socket.write_all(chunk.as_bytes()).unwrap();
        while !answer.ends_with(sent_back) {
            assert_eq!(socket.read(&mut byte).unwrap(), 1, "closed after {answer:?}");
            answer.push(char::from(byte[0]));
        }
    }
    socket.write_all(b"0\r\n\r\n").unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut rest = String::new();
    socket.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "0\r\n\r\n");
}
