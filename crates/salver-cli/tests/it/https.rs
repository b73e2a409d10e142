//! HTTPS as it is typed: what is printed, and what cannot start.

use std::fs;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};

use crate::support::{salver, serve};

/// A certificate and its key, in PEM.
fn certificate(adjust: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let mut params = CertificateParams::new(vec!["localhost".into()]).unwrap();
    adjust(&mut params);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn write(folder: &Path, name: &str, content: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn what_is_wrong_with_a_certificate_is_one_line_and_1() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = certificate(|_| {});
    let (_, other) = certificate(|_| {});
    let (expired, expired_key) = certificate(|params| params.not_after = rcgen::date_time_ymd(2001, 1, 1));
    let (early, early_key) = certificate(|params| params.not_before = rcgen::date_time_ymd(4000, 1, 1));
    let legacy =
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let file = |name: &str, content: &str| write(folder.path(), name, content);
    let (cert, key, other) = (file("c", &cert), file("k", &key), file("o", &other));
    let (expired, early) = (file("e", &(expired + &expired_key)), file("n", &(early + &early_key)));
    let (sealed, password, wrong) = (file("s", SEALED), file("p", "hunter2\n"), file("w", "hunter3"));
    let (text, legacy) = (file("t", "nothing"), file("l", legacy));
    let damaged = file("d", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for (args, want) in [
        (&["--tls-cert", "none"][..], "--tls-cert none: No such file or directory"),
        (&["--tls-cert", "."], "--tls-cert .: Is a directory"),
        (&["--tls-cert", &text], "no certificate in it; name a file with a certificate in PEM"),
        (&["--tls-cert", &cert], "no private key in it; name the key's file by --tls-key"),
        (&["--tls-cert", &cert, "--tls-key", &text], "no private key in it; name a file with a private key"),
        (&["--tls-cert", &cert, "--tls-key", "none"], "--tls-key none: No such file"),
        (&["--tls-cert", &cert, "--tls-key", &other], "not the key of its certificate"),
        (&["--tls-cert", &damaged, "--tls-key", &key], "the certificate is damaged"),
        (&["--tls-cert", &expired], "expired on Mon, 01 Jan 2001"),
        (&["--tls-cert", &early], "not valid before"),
        (&["--tls-cert", &cert, "--tls-key", &sealed], "the key has a password; add --tls-password-file"),
        (&["--tls-cert", &cert, "--tls-key", &legacy], "convert it: openssl pkcs8 -topk8"),
        (
            &["--tls-cert", &cert, "--tls-key", &sealed, "--tls-password-file", &wrong],
            "the password does not open the key; correct the file of --tls-password-file",
        ),
        (
            &["--tls-cert", &cert, "--tls-key", &sealed, "--tls-password-file", &password],
            "not the key of its certificate", // so the password was good
        ),
        (
            &["--tls-cert", &cert, "--tls-key", &key, "--tls-password-file", "none"],
            "--tls-password-file none: No such file",
        ),
        (&["--tls-cert", &cert, "--tls-key", &key, "--tls-key", &key], "more keys than certificates"),
        (&["--tls-cert", &cert, "--tls-key", &key, "--client-ca", &text], "--client-ca "),
        (&["--tls-cert", &cert, "--tls-key", &key, "--client-auth", "optional"], "add --client-ca FILE"),
        (&["--certfile", "none", "--keyfile", "none"], "--tls-cert none: No such file"),
        (&["--tls-key", &key], "--tls-key: HTTPS is not spoken; add --tls-cert FILE"),
        (&["--redirect-http", "0"], "--redirect-http: HTTPS is not spoken"),
        (&["--client-ca", &cert], "--client-ca: HTTPS is not spoken"),
        (&["-b", "unix:s", "--tls-cert", &cert, "--tls-key", &key], "every address is a Unix socket"),
        (&["--acme", "*.example.org"], "--acme *.example.org: a wildcard takes a challenge in DNS"),
        (&["--acme", "127.0.0.1"], "--acme 127.0.0.1: an address is no domain; use --tls"),
        (&["--acme", "a.test", "--acme-directory", "http://a.test"], "give a URL that begins with https://"),
        (&["--acme", "a.test", "-u", "nobody"], "name a folder by --tls-data DIR"),
    ] {
        let output = salver(args);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), errors.lines().count()), (Some(1), 1), "{args:?}: {errors}");
        assert!(errors.starts_with("salver: error: ") && errors.contains(want), "{args:?}: {errors}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn https_is_announced_and_plain_http_is_sent_there() {
    let (cert, key) = certificate(|_| {});
    let server = serve(["--tls-cert", "c.pem", "--redirect-http", "0"]).file("c.pem", cert + &key).start();
    let port = server.line.split(' ').nth(5).unwrap().to_owned();
    assert_eq!(
        server.line,
        format!("Serving HTTPS on 127.0.0.1 port {port} (https://127.0.0.1:{port}/) ...\n")
    );
    let clear = server.printed();
    assert!(clear.starts_with("Serving HTTP on 127.0.0.1 port "), "{clear}");
    let clear: std::net::SocketAddr =
        clear.split_once("(http://").unwrap().1.split_once('/').unwrap().0.parse().unwrap();
    server
        .at(clear)
        .get("/a?b", &[])
        .status(308)
        .header("Location", &format!("https://localhost:{port}/a?b"));
    server
        .at(server.address())
        .get("/a?b", &[("Accept", "text/html")])
        .status(400)
        .header("Connection", "close")
        .contains(&format!("<a href=\"https://localhost:{port}/a?b\">"));
}

#[test]
fn a_key_in_the_folder_that_is_served_is_not() {
    let (cert, key) = certificate(|_| {});
    let server = serve(["--tls-cert", "c.pem", "--tls-key", "k.pem", "--redirect-http", "0"])
        .file(".well-known/acme-challenge/x", "the way in without TLS")
        .file("c.pem", cert)
        .file("k.pem", key)
        .start();
    let _https = server.line.clone();
    let clear = server.printed();
    let clear = clear.split_once("(http://").unwrap().1.split_once('/').unwrap().0.parse().unwrap();
    let below = "/.well-known/acme-challenge/";
    server.at(clear).get(&format!("{below}x"), &[]).status(200);
    server.at(clear).get(&format!("{below}../../c.pem"), &[]).status(308);
    std::os::unix::fs::symlink("../../k.pem", server.path(".well-known/acme-challenge/k")).unwrap();
    std::os::unix::fs::symlink("../../c.pem", server.path(".well-known/acme-challenge/c")).unwrap();
    server.at(clear).get(&format!("{below}c"), &[]).status(200);
    server.at(clear).get(&format!("{below}k"), &[]).status(404);
}

/// A key of OpenSSL's making under the password `hunter2`.
const SEALED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n\
    MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAi/XrydgMKyTwICCAAw\n\
    DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEEOr3KCTs8g72qxV4124ec0EgZAj\n\
    aCBbKKJtcyN1Dp3bvyq8aNDeKqy8f9PhXiTossOdjCC4Gb3jV8BlXdryJv8Z46uo\n\
    5yPg+tbH4o3yNL7RHxFVnz3scDQfLd8mHRlER93OFJS0BoCSUGkq3adIBYogVHfS\n\
    1Go5auQ2/c696CATRTJlVhRGqWIcFsuLwXvA3E1g3J5rO3IgF8jrbHMuFCCY4X8=\n\
    -----END ENCRYPTED PRIVATE KEY-----\n\n";
