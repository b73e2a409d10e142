//! Starts the binary and speaks HTTP with it, so that a test reads like a transcript:
//!
//!     serve(["--hidden"]).file(".x", "1").get("/.x").status(200).body("1");
//!
//! A server takes a free port and serves a folder of its own; what was started ends when its last answer is dropped.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// A server to be started with `args`.
pub(crate) fn serve<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Serve {
    Serve {
        args: args.into_iter().map(|arg| arg.as_ref().to_owned()).collect(),
        environment: Vec::new(),
        ignored: None,
        folder: tempfile::tempdir().unwrap(),
    }
}

/// Runs the binary to its end in an empty folder.
pub(crate) fn salver<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    let folder = tempfile::tempdir().unwrap();
    command(SALVER.as_ref(), folder.path()).args(args).output().unwrap()
}

/// What a server will be started with.
pub(crate) struct Serve {
    args: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
    /// Signals that it will find ignored.
    ignored: Option<&'static str>,
    folder: TempDir,
}

impl Serve {
    /// A file in the served folder, with the folders it needs.
    pub(crate) fn file(self, name: impl AsRef<OsStr>, content: impl AsRef<[u8]>) -> Self {
        let path = self.folder.path().join(name.as_ref());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// An executable script.
    pub(crate) fn script(self, name: &str, content: &str) -> Self {
        let path = self.folder.path().join(name);
        let serve = self.file(name, content);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        serve
    }

    /// An environment variable.
    pub(crate) fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name, value.as_ref().to_owned()));
        self
    }

    /// Starts it with these signals ignored, as `nohup` and a script's `&` do.
    pub(crate) fn ignoring(mut self, signals: &'static str) -> Self {
        self.ignored = Some(signals);
        self
    }

    /// Starts the server: on a free port of 127.0.0.1 unless its arguments say where.
    pub(crate) fn start(self) -> Arc<Server> {
        let mut command = match self.ignored {
            Some(signals) => {
                let mut shell = command("sh".as_ref(), self.folder.path());
                shell.args(["-c", &format!("trap '' {signals}; exec \"$0\" \"$@\""), SALVER]);
                shell
            }
            None => command(SALVER.as_ref(), self.folder.path()),
        };
        let says_where = |arg: &OsString| {
            ["-b", "--bind", "--port", "-c", "--config"]
                .iter()
                .any(|option| arg.as_bytes().starts_with(option.as_bytes()))
        };
        if !self.args.iter().any(says_where) {
            command.args(["--bind", "127.0.0.1:0"]);
        }
        command.args(&self.args).envs(self.environment).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let errors = Errors::follow(child.stderr.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        if line.is_empty() {
            let status = child.wait().unwrap();
            panic!("salver ended at its start, {status}: {}", errors.rest());
        }
        let address = address(&line);
        Arc::new(Server {
            running: Mutex::new(Some(child)),
            stdout: Mutex::new(stdout),
            errors,
            line,
            address,
            folder: self.folder,
        })
    }

    /// Starts the server and asks it for `target`.
    pub(crate) fn get(self, target: &str) -> Answer {
        self.start().get(target)
    }

    /// Starts the server and sends it `wire`.
    pub(crate) fn send(self, wire: impl AsRef<[u8]>) -> Answer {
        self.start().send(wire)
    }
}

/// A running server.
pub(crate) struct Server {
    running: Mutex<Option<Child>>,
    stdout: Mutex<BufReader<ChildStdout>>,
    errors: Errors,
    /// The first line it printed.
    pub(crate) line: String,
    address: Option<SocketAddr>,
    folder: TempDir,
}

impl Server {
    /// Asks for `target` on a connection of its own.
    pub(crate) fn get(self: &Arc<Self>, target: &str) -> Answer {
        self.request("GET", target, &[])
    }

    /// Sends a request with these headers, on a connection of its own that it asks to close.
    pub(crate) fn request(self: &Arc<Self>, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(wire(method, target, headers))
    }

    /// Sends `wire` as it is and reads until the server closes: the last request should ask for that.
    pub(crate) fn send(self: &Arc<Self>, wire: impl AsRef<[u8]>) -> Answer {
        self.exchange(self.connect(), wire)
    }

    fn exchange(self: &Arc<Self>, mut stream: TcpStream, wire: impl AsRef<[u8]>) -> Answer {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(wire.as_ref()).unwrap();
        let mut bytes = Vec::new();
        // A server that refuses a request may reset what it did not read; what it said before counts.
        let read = stream.read_to_end(&mut bytes).map_err(|error| error.kind());
        assert_ne!(read, Err(ErrorKind::WouldBlock), "not closed after {}", String::from_utf8_lossy(&bytes));
        Answer::read(self.clone(), bytes)
    }

    /// The same server at another of its addresses.
    pub(crate) fn at(self: &Arc<Self>, address: SocketAddr) -> At {
        At { server: Arc::clone(self), address }
    }

    /// A connection that never blocks a test for ever.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address.expect("it listens on TCP")
    }

    /// A file or folder in what it serves.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where a browser of this machine finds it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address())
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.running.lock().unwrap().as_ref().expect("it was not waited for").id()
    }

    /// Sends it a signal, by name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// The next line on standard output, without its end.
    pub(crate) fn printed(&self) -> String {
        let mut line = String::new();
        self.stdout.lock().unwrap().read_line(&mut line).unwrap();
        line.trim_end_matches('\n').to_owned()
    }

    /// The next line on standard error, without its end.
    pub(crate) fn logged(&self) -> String {
        self.errors.next().expect("a line on standard error")
    }

    /// Waits for its end; returns how it ended and what is left on standard output.
    pub(crate) fn wait(&self) -> (ExitStatus, String) {
        let mut child = self.running.lock().unwrap().take().expect("it was not waited for");
        let mut rest = String::new();
        self.stdout.lock().unwrap().read_to_string(&mut rest).unwrap();
        (child.wait().unwrap(), rest)
    }
}

/// A server at an address that is not its first.
pub(crate) struct At {
    server: Arc<Server>,
    address: SocketAddr,
}

impl At {
    /// Sends a GET with these headers, on a connection of its own that it asks to close.
    pub(crate) fn get(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        let stream = TcpStream::connect(self.address).unwrap();
        self.server.exchange(stream, wire("GET", target, headers))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.get_mut().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A request without content that asks to close.
fn wire(method: &str, target: &str, headers: &[(&str, &str)]) -> String {
    let mut wire = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in headers {
        wire.push_str(&format!("{name}: {value}\r\n"));
    }
    wire + "\r\n"
}

/// An answer, and the server that gave it.
pub(crate) struct Answer {
    server: Arc<Server>,
    head: String,
    content: Vec<u8>,
}

impl Answer {
    fn read(server: Arc<Server>, bytes: Vec<u8>) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let (head, content) = bytes.split_at(end.map_or(bytes.len(), |end| end + 4));
        Self { server, head: String::from_utf8_lossy(head).into_owned(), content: content.to_vec() }
    }

    /// Holds it to a status.
    #[track_caller]
    pub(crate) fn status(self, status: u16) -> Self {
        let found = self.head.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
        assert_eq!(found, Some(status), "{}", self.head);
        self
    }

    /// Holds it to a header.
    #[track_caller]
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        assert_eq!(self.find(name).as_deref(), Some(value), "{name} in {}", self.head);
        self
    }

    /// Holds it to the absence of a header.
    #[track_caller]
    pub(crate) fn no_header(self, name: &str) -> Self {
        assert_eq!(self.find(name), None, "{name} in {}", self.head);
        self
    }

    /// Holds it to its content.
    #[track_caller]
    pub(crate) fn body(self, content: impl AsRef<[u8]>) -> Self {
        assert_eq!(String::from_utf8_lossy(&self.content), String::from_utf8_lossy(content.as_ref()));
        self
    }

    /// Holds it to what its content has in it.
    #[track_caller]
    pub(crate) fn contains(self, part: &str) -> Self {
        let content = String::from_utf8_lossy(&self.content);
        assert!(content.contains(part), "{part:?} in {content}");
        self
    }

    /// Its content as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }

    /// Holds it to what its content has not.
    #[track_caller]
    pub(crate) fn lacks(self, part: &str) -> Self {
        let content = String::from_utf8_lossy(&self.content);
        assert!(!content.contains(part), "{part:?} in {content}");
        self
    }

    /// The value of a header.
    pub(crate) fn find(&self, name: &str) -> Option<String> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields
            .clone()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
    }

    /// Asks the same server for `target`.
    pub(crate) fn get(&self, target: &str) -> Self {
        self.server.get(target)
    }

    /// Sends the same server `wire`.
    pub(crate) fn send(&self, wire: impl AsRef<[u8]>) -> Self {
        self.server.send(wire)
    }

    /// The server that gave it.
    pub(crate) fn server(&self) -> &Arc<Server> {
        &self.server
    }
}

/// Standard error, read as it comes so that the server never waits for the test.
struct Errors(Mutex<mpsc::Receiver<String>>);

impl Errors {
    fn follow(stderr: ChildStderr) -> Self {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        });
        Self(Mutex::new(receiver))
    }

    fn next(&self) -> Option<String> {
        self.0.lock().unwrap().recv_timeout(PATIENCE).ok()
    }

    fn rest(&self) -> String {
        std::iter::from_fn(|| self.next()).collect::<Vec<_>>().join("\n")
    }
}

/// A program, in `folder`, with no environment of ours that it would read.
fn command(program: &OsStr, folder: &Path) -> Command {
    let mut command = Command::new(program);
    let ours = std::env::vars_os().filter(|(name, _)| name.as_bytes().starts_with(b"SALVER_"));
    for (name, _) in ours {
        command.env_remove(name);
    }
    command.current_dir(folder).env("TZ", "UTC").stdin(Stdio::null());
    command
}

/// `Serving HTTP on 127.0.0.1 port 8000 (http://127.0.0.1:8000/) ...` → where to connect.
fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("://")?;
    let mut address: SocketAddr = rest.split_once('/')?.0.parse().ok()?;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    Some(address)
}

const SALVER: &str = env!("CARGO_BIN_EXE_salver");

/// How long anything may take before a test fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(20);
