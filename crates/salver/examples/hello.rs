//! The smallest server: `cargo run --example hello`, then open http://127.0.0.1:8000/.
//!
//! Takes the address to listen on as its argument (127.0.0.1:8000 without one).
#![allow(clippy::print_stdout)] // an example may

use salver::listen::{Address, Listeners};
use salver::{Handler, Reply, Request, Response, Running, SafePath, Server, Site, StartError};

struct Hello;

impl Handler for Hello {
    fn handle(&self, _request: Request, _rest: SafePath) -> Reply<'_> {
        Reply::ready(Ok(Response::new("hello, world\n".into())))
    }
}

pub(crate) fn start(address: &str) -> Result<Running, StartError> {
    let listeners = Listeners::open(&[address.parse::<Address>()?], 1)?;
    Server::new(Site::new().mount("/", Hello)?).start(listeners)
}

fn main() -> Result<(), StartError> {
    let running = start(&std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".into()))?;
    for local in running.locals() {
        println!("Serving {local}");
    }
    running.wait();
    Ok(())
}
