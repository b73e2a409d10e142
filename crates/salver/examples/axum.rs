//! An axum application beside files, on salver's engine: `cargo run --example axum --features tower -- FOLDER`.
//!
//! Takes the folder (`.` without one) and the address to listen on (127.0.0.1:8000 without one).
#![allow(clippy::print_stdout)] // an example may

use std::path::Path;

use axum::Router;
use axum::extract::Path as Segment;
use axum::routing::{get, post};
use salver::handler::files::{self, Files};
use salver::listen::{Address, Listeners};
use salver::tower::Mounted;
use salver::{Running, Server, Site, StartError};

async fn greet(Segment(name): Segment<String>) -> String {
    format!("hello {name}\n")
}

async fn count(body: String) -> String {
    format!("{} letters\n", body.chars().count())
}

pub(crate) fn start(folder: &Path, address: &str) -> Result<Running, StartError> {
    // The router sees the path below its mount: /api/greet/you is its /greet/you.
    let api = Router::new().route("/greet/{name}", get(greet)).route("/count", post(count));
    let site = Site::new()
        .mount("/", Files::open(folder, files::Options::default())?)?
        .mount("/api", Mounted::new(api))?;
    let listeners = Listeners::open(&[address.parse::<Address>()?], 1)?;
    Server::new(site).start(listeners)
}

fn main() -> Result<(), StartError> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().unwrap_or_else(|| ".".into());
    let address = args.next().unwrap_or_else(|| "127.0.0.1:8000".into());
    let running = start(folder.as_ref(), &address)?;
    for local in running.locals() {
        println!("Serving {local}");
    }
    running.wait();
    Ok(())
}
