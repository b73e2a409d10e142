//! TLS as a client meets it, with rustls on the other side of a real socket.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // a test fails by panicking

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use salver::listen::{Address, Listeners};
use salver::tls::{ClientAuth, Options, Tls};
use salver::{Handler, Reply, Request, Response, Running, SafePath, Server, Site};

/// An authority with the certificates it gave.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn give(&self, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.into()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let made = params.signed_by(&key, &self.0).unwrap();
        let pem = made.pem() + &key.serialize_pem();
        (made.der().clone(), key.into(), pem)
    }

    /// Writes a certificate for `name` with its key.
    fn write(&self, folder: &Path, file: &str, name: &str) -> std::path::PathBuf {
        let path = folder.join(file);
        std::fs::write(&path, self.give(name).2).unwrap();
        path
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }

    fn client(&self) -> ClientConfig {
        ClientConfig::builder().with_root_certificates(self.roots()).with_no_client_auth()
    }
}

/// Says what the session is, or waits.
struct Ways;

impl Handler for Ways {
    fn handle(&self, request: Request, rest: SafePath) -> Reply<'_> {
        if rest.as_bytes() == b"slow" {
            return Reply::later(async {
                tokio::time::sleep(Duration::from_millis(200)).await;
                Ok(Response::new("slow".into()))
            });
        }
        if rest.as_bytes() == b"big" {
            return Reply::ready(Ok(Response::new(vec![b'x'; 3_000_000].into())));
        }
        let session = request.peer.tls.as_ref();
        let variables = session.iter().flat_map(|session| session.variables());
        let lines: Vec<_> = variables.map(|(name, value)| format!("{name}={value}")).collect();
        Reply::ready(Ok(Response::new(format!("{:?}\n{}\n", request.peer.scheme, lines.join("\n")).into())))
    }
}

struct Served {
    running: Option<Running>,
    address: SocketAddr,
    tls: Tls,
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().now();
            running.wait();
        }
    }
}

fn serve(options: &Options) -> Served {
    let tls = Tls::open(options).unwrap();
    let site = Site::new().mount("/", Ways).unwrap();
    let listeners = Listeners::open(&["127.0.0.1:0".parse::<Address>().unwrap()], 1).unwrap();
    let running = Server::new(site).tls(tls.clone()).start(listeners).unwrap();
    let address = match &running.locals()[0] {
        salver::Local::Tcp(address) => *address,
        other => panic!("{other}"),
    };
    Served { running: Some(running), address, tls }
}

type Stream = StreamOwned<ClientConnection, TcpStream>;

impl Served {
    fn tcp(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.set_nodelay(true).unwrap();
        socket
    }

    fn connect(&self, config: &Arc<ClientConfig>, name: &str) -> Stream {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), self.tcp())
    }

    /// Asks once on a connection of its own; says what came, or why nothing did.
    fn ask(&self, config: &Arc<ClientConfig>, name: &str) -> Result<(String, HandshakeKind), String> {
        let mut stream = self.connect(config, name);
        let answer = exchange(&mut stream, "/", "close").map_err(|error| error.to_string())?;
        Ok((answer, stream.conn.handshake_kind().unwrap()))
    }
}

fn exchange(stream: &mut Stream, target: &str, connection: &str) -> std::io::Result<String> {
    write!(stream, "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\n\r\n")?;
    let mut answer = Vec::new();
    if connection == "close" {
        stream.read_to_end(&mut answer)?;
    } else {
        while !answer.ends_with(b"\n\n") && !answer.ends_with(b"slow") {
            let mut piece = [0; 4096];
            match stream.read(&mut piece)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => answer.extend_from_slice(&piece[..count]),
            }
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn the_name_a_client_asks_for_chooses_the_certificate() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let [a, b] = ["a.test", "b.test"].map(|name| authority.write(folder.path(), name, name));
    let server = serve(&Options { tls_cert: vec![a, b], ..Options::default() });
    let client = Arc::new(authority.client());
    for name in ["a.test", "b.test"] {
        let (answer, _) = server.ask(&client, name).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("Https\n"), "{answer}");
        for line in [
            "SSL_PROTOCOL=TLSv1.3",
            &format!("SSL_TLS_SNI={name}"),
            "SSL_CLIENT_VERIFY=NONE",
            "SSL_CIPHER=TLS_",
        ] {
            assert!(answer.contains(line), "{line} in {answer}");
        }
    }
    let error = server.ask(&client, "c.test").unwrap_err();
    assert!(error.contains("NotValidForName") || error.contains("not valid for name"), "{error}");
}

#[test]
fn a_session_is_resumed_for_its_host_alone() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let [a, b] = ["a.test", "b.test"].map(|name| authority.write(folder.path(), name, name));
    let server = serve(&Options { tls_cert: vec![a, b], ..Options::default() });
    for versions in [&[&rustls::version::TLS13][..], &[&rustls::version::TLS12]] {
        let client = ClientConfig::builder_with_protocol_versions(versions)
            .with_root_certificates(authority.roots())
            .with_no_client_auth();
        let client = Arc::new(client);
        let kinds = ["a.test", "a.test", "b.test", "a.test"].map(|name| server.ask(&client, name).unwrap().1);
        assert_eq!(kinds[0], HandshakeKind::Full);
        assert_eq!([kinds[1], kinds[3]], [HandshakeKind::Resumed; 2], "{versions:?}");
        assert_ne!(kinds[2], HandshakeKind::Resumed);
        // A client that offers a ticket of one host at another (its cache knows no hosts) gets a whole handshake.
        let mut mixing = ClientConfig::builder_with_protocol_versions(versions)
            .with_root_certificates(authority.roots())
            .with_no_client_auth();
        mixing.resumption = rustls::client::Resumption::store(Arc::new(Mixing::default()));
        let mixing = Arc::new(mixing);
        assert_eq!(server.ask(&mixing, "a.test").unwrap().1, HandshakeKind::Full);
        let (answer, kind) = server.ask(&mixing, "b.test").unwrap();
        assert_ne!(kind, HandshakeKind::Resumed, "{versions:?}");
        assert!(answer.contains("SSL_TLS_SNI=b.test"), "{answer}");
        server.tls.reload().unwrap();
        assert_eq!(
            server.ask(&client, "a.test").unwrap().1,
            HandshakeKind::Resumed,
            "sessions outlive a reload"
        );
    }
}

/// A client's cache that takes every host for the same.
#[derive(Debug, Default)]
struct Mixing(
    std::sync::Mutex<(
        Vec<rustls::client::Tls13ClientSessionValue>,
        Option<rustls::client::Tls12ClientSessionValue>,
    )>,
);

impl rustls::client::ClientSessionStore for Mixing {
    fn set_kx_hint(&self, _: ServerName<'static>, _: rustls::NamedGroup) {}
    fn kx_hint(&self, _: &ServerName<'_>) -> Option<rustls::NamedGroup> {
        None
    }
    fn set_tls12_session(&self, _: ServerName<'static>, value: rustls::client::Tls12ClientSessionValue) {
        self.0.lock().unwrap().1 = Some(value);
    }
    fn tls12_session(&self, _: &ServerName<'_>) -> Option<rustls::client::Tls12ClientSessionValue> {
        self.0.lock().unwrap().1.clone()
    }
    fn remove_tls12_session(&self, _: &ServerName<'static>) {}
    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: rustls::client::Tls13ClientSessionValue) {
        self.0.lock().unwrap().0.push(value);
    }
    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<rustls::client::Tls13ClientSessionValue> {
        self.0.lock().unwrap().0.pop()
    }
}

#[test]
fn a_reload_is_for_new_connections_and_a_bad_one_changes_nothing() {
    let (folder, authority, later) = (tempfile::tempdir().unwrap(), Authority::new(), Authority::new());
    let cert = authority.write(folder.path(), "cert", "a.test");
    let server = serve(&Options { tls_cert: vec![cert.clone()], ..Options::default() });
    let (before, after) = (Arc::new(authority.client()), Arc::new(later.client()));
    let mut kept = server.connect(&before, "a.test");
    assert!(exchange(&mut kept, "/slow", "keep-alive").unwrap().ends_with("slow"));

    let mixed = later.give("a.test").2.split("-----BEGIN PRIVATE").next().unwrap().to_owned();
    let expired = {
        let mut params = CertificateParams::new(vec!["a.test".into()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().pem() + &key.serialize_pem()
    };
    for (content, words) in [
        ("", "no certificate in it"),
        (mixed.as_str(), "no private key in it"),
        (&(mixed.clone() + &KeyPair::generate().unwrap().serialize_pem()), "not the key of its certificate"),
        (&expired, "expired on "),
    ] {
        std::fs::write(&cert, content).unwrap();
        let error = server.tls.reload().unwrap_err().to_string();
        assert!(error.starts_with("--tls-cert ") && error.contains(words) && error.contains("; "), "{error}");
        assert!(server.ask(&before, "a.test").is_ok(), "the old one stays: {words}");
    }
    later.write(folder.path(), "cert", "a.test");
    server.tls.reload().unwrap();
    assert!(server.ask(&after, "a.test").is_ok());
    assert!(exchange(&mut kept, "/slow", "keep-alive").unwrap().ends_with("slow"), "no connection is lost");
}

#[test]
fn clients_show_who_they_are_where_they_are_asked() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let cert = authority.write(folder.path(), "cert", "a.test");
    let trusted = Authority::new();
    let ca = folder.path().join("ca");
    std::fs::write(&ca, trusted.0.pem()).unwrap();
    let client = |shown: Option<&Authority>| {
        let builder = ClientConfig::builder().with_root_certificates(authority.roots());
        Arc::new(match shown.map(|by| by.give("alice")) {
            None => builder.with_no_client_auth(),
            Some((cert, key, _)) => builder.with_client_auth_cert(vec![cert], key).unwrap(),
        })
    };
    let (nobody, alice, stranger) = (client(None), client(Some(&trusted)), client(Some(&authority)));
    for (auth, nobody_comes_in, stranger_comes_in) in [
        (None, false, false),
        (Some(ClientAuth::Required), false, false),
        (Some(ClientAuth::Optional), true, false),
        (Some(ClientAuth::None), true, true),
    ] {
        let options = Options {
            tls_cert: vec![cert.clone()],
            client_ca: Some(ca.clone()),
            client_auth: auth,
            ..Options::default()
        };
        let server = serve(&options);
        assert_eq!(server.ask(&nobody, "a.test").is_ok(), nobody_comes_in, "{auth:?}");
        assert_eq!(server.ask(&stranger, "a.test").is_ok(), stranger_comes_in, "{auth:?}");
        // The second comes by a ticket, and is still known.
        for _ in 0..2 {
            let (answer, _) = server.ask(&alice, "a.test").unwrap();
            let known = answer.contains("SSL_CLIENT_VERIFY=SUCCESS\n")
                && answer.contains("SSL_CLIENT_S_DN_CN=alice\n");
            assert_eq!(known, auth != Some(ClientAuth::None), "{auth:?}: {answer}");
        }
        // Whom the authorities of today do not know does not come in by a ticket of yesterday.
        if auth != Some(ClientAuth::None) {
            std::fs::write(&ca, Authority::new().0.pem()).unwrap();
            server.tls.reload().unwrap();
            assert!(server.ask(&alice, "a.test").is_err(), "{auth:?}");
            std::fs::write(&ca, trusted.0.pem()).unwrap();
        }
    }
    let alone =
        Options { tls_cert: vec![cert], client_auth: Some(ClientAuth::Required), ..Options::default() };
    assert!(Tls::open(&alone).unwrap_err().to_string().contains("add --client-ca FILE"));
}

#[test]
fn a_handshake_in_single_bytes_is_one_and_a_cut_one_leaves_nothing_behind() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let cert = authority.write(folder.path(), "cert", "a.test");
    let server = serve(&Options { tls_cert: vec![cert], ..Options::default() });
    let config = Arc::new(authority.client());
    let name = || ServerName::try_from("a.test").unwrap();
    let mut hello = Vec::new();
    ClientConnection::new(Arc::clone(&config), name()).unwrap().write_tls(&mut hello).unwrap();

    // Segments of one byte.
    let mut client = ClientConnection::new(Arc::clone(&config), name()).unwrap();
    let mut socket = server.tcp();
    let mut first = Vec::new();
    client.write_tls(&mut first).unwrap();
    first.iter().for_each(|byte| socket.write_all(&[*byte]).unwrap());
    let mut stream = StreamOwned::new(client, socket);
    assert!(exchange(&mut stream, "/", "close").unwrap().starts_with("HTTP/1.1 200 "));

    // Records of one byte: the server's own hello comes.
    let mut socket = server.tcp();
    let records: Vec<u8> = hello[5..].iter().flat_map(|byte| [22, 3, 1, 0, 1, *byte]).collect();
    socket.write_all(&records).unwrap();
    let mut answer = [0; 6];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!((answer[0], answer[5]), (22, 2), "a ServerHello");

    // A close behind each byte of the hello, and in the middle of what follows.
    for length in (0..=hello.len()).step_by(7) {
        let mut socket = server.tcp();
        socket.write_all(&hello[..length]).unwrap();
    }
    for steps in 0..3 {
        let mut client = ClientConnection::new(Arc::clone(&config), name()).unwrap();
        let mut socket = server.tcp();
        for _ in 0..steps {
            while client.wants_write() {
                client.write_tls(&mut socket).unwrap();
            }
            client.read_tls(&mut socket).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    assert!(server.ask(&config, "a.test").is_ok());
}

#[test]
fn a_file_without_end_is_not_read_to_it() {
    let zero = Options { tls_cert: vec!["/dev/zero".into()], ..Options::default() };
    let message = Tls::open(&zero).unwrap_err().to_string();
    assert!(message.starts_with("--tls-cert /dev/zero: more than 4 MiB; "), "{message}");
}

#[test]
fn who_says_nothing_is_not_waited_for() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let cert = authority.write(folder.path(), "cert", "a.test");
    let timeout = Duration::from_millis(300).into();
    let options = Options { tls_cert: vec![cert], tls_handshake_timeout: timeout, ..Options::default() };
    let server = serve(&options);
    for begin in [&b""[..], &[22], &[22, 3, 1, 2, 0, 1]] {
        let mut socket = server.tcp();
        socket.write_all(begin).unwrap();
        let mut rest = Vec::new();
        let ended = socket.read_to_end(&mut rest).map_err(|error| error.kind());
        assert!(matches!(ended, Ok(0) | Err(ErrorKind::ConnectionReset)), "{ended:?}");
    }
}

#[test]
fn a_stop_lets_what_runs_end_and_says_farewell() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let cert = authority.write(folder.path(), "cert", "a.test");
    let mut server = serve(&Options { tls_cert: vec![cert], ..Options::default() });
    let config = Arc::new(authority.client());
    let (mut idle, mut busy) = (server.connect(&config, "a.test"), server.connect(&config, "a.test"));
    assert!(exchange(&mut idle, "/slow", "keep-alive").is_ok());
    write!(busy, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let _silent = server.tcp();
    let running = server.running.take().unwrap();
    running.stop().graceful();
    let mut answer = String::new();
    busy.read_to_string(&mut answer).unwrap(); // an end without close_notify would be an error
    assert!(answer.ends_with("slow") && answer.contains("\r\nConnection: close\r\n"), "{answer}");
    assert_eq!(idle.read_to_end(&mut Vec::new()).unwrap(), 0);
    running.wait();
}

#[test]
fn much_is_sent_whole() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let cert = authority.write(folder.path(), "cert", "a.test");
    let server = serve(&Options { tls_cert: vec![cert], ..Options::default() });
    let mut stream = server.connect(&Arc::new(authority.client()), "a.test");
    let answer = exchange(&mut stream, "/big", "close").unwrap();
    assert_eq!(answer.split_once("\r\n\r\n").unwrap().1.len(), 3_000_000);
}
