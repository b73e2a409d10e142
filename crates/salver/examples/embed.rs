//! A file server inside a program of one's own: `cargo run --example embed -- FOLDER`.
//!
//! Takes the folder (`.` without one) and the address to listen on (127.0.0.1:8000 without one). A loop a core, an access log on
//! standard error, and a stop that lets running requests end when standard input does.
#![allow(clippy::print_stdout)] // an example may

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use salver::finish::log::{self, AccessLog};
use salver::handler::files::{self, Files};
use salver::listen::{Address, Listeners};
use salver::{Running, Server, Site, StartError};

pub(crate) fn start(folder: &Path, address: &str) -> Result<Running, StartError> {
    let files = Files::open(folder, files::Options { hidden: true, ..Default::default() })?;
    let log = AccessLog::open(&log::Options::default())?;
    let site = Site::new().mount("/files", files)?.log(Arc::new(log));

    let loops = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let listeners = Listeners::open(&[address.parse::<Address>()?], loops)?;
    Server::new(site).start(listeners)
}

fn main() -> Result<(), StartError> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().unwrap_or_else(|| ".".into());
    let address = args.next().unwrap_or_else(|| "127.0.0.1:8000".into());

    let running = start(folder.as_ref(), &address)?;
    for local in running.locals() {
        println!("Serving {local}files/ until standard input ends");
    }
    // Whatever is typed means nothing; its end means stop.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    running.stop().graceful();
    running.wait();
    Ok(())
}
