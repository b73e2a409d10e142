//! A server for tests: on a port of its own of 127.0.0.1, and gone when the test is.

use std::net::{Ipv4Addr, SocketAddr};

use crate::listen::{Address, Listeners};
use crate::request::Local;
use crate::server::{Running, Server};
use crate::start_error::StartError;

/// Serves a [`Site`](crate::Site), or a [`Server`] with options, on a free port of 127.0.0.1.
///
/// ```
/// use std::io::{Read as _, Write as _};
///
/// let server = salver::testing::serve(salver::Site::new())?;
/// let mut client = std::net::TcpStream::connect(server.address())?;
/// client.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.contains(" 404 Not Found\r\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the system has no port or thread left.
pub fn serve(server: impl Into<Server>) -> Result<Served, StartError> {
    let address = Address::Tcp { host: Ipv4Addr::LOCALHOST.to_string(), port: Some(0) };
    let running = server.into().start(Listeners::open(&[address], 1)?)?;
    match running.locals() {
        [Local::Tcp(address)] => Ok(Served { address: *address, running: Some(running) }),
        _ => Err(StartError::new("127.0.0.1 was bound, and is not served; start again")),
    }
}

/// A server that ends with this value: at once, and before `drop` returns.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    running: Option<Running>,
}

impl Served {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of `target`, which begins with a slash.
    ///
    /// ```
    /// let server = salver::testing::serve(salver::Site::new())?;
    /// assert_eq!(server.url("/a"), format!("http://{}/a", server.address()));
    /// # Ok::<(), salver::StartError>(())
    /// ```
    pub fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    /// Ends it as a stop with grace does: what runs is answered.
    pub fn finish(mut self) {
        if let Some(running) = self.running.take() {
            running.stop().graceful();
            running.wait();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().now();
            running.wait();
        }
    }
}
