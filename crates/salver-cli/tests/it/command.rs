//! What is typed, printed and returned: the contract of the command line.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::support::{Serve, salver, serve};

/// The exit code and the lines on standard error.
fn fails(args: &[&str]) -> (i32, Vec<String>) {
    let output = salver(args);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{args:?}");
    let errors = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), errors.lines().map(str::to_owned).collect())
}

#[test]
fn the_current_folder_is_served_and_announced_as_http_server_does() {
    let answer = serve([""; 0]).file("a", "1").get("/a").status(200).body("1");
    let port = answer.server().address().port();
    assert_eq!(
        answer.server().line,
        format!("Serving HTTP on 127.0.0.1 port {port} (http://127.0.0.1:{port}/) ...\n")
    );
}

#[test]
fn all_interfaces_are_the_default() {
    let answer = serve(["--port", "0"]).file("a", "1").get("/a").status(200);
    assert!(answer.server().line.starts_with("Serving HTTP on 0.0.0.0 port "), "{}", answer.server().line);
}

#[test]
fn an_ipv6_host_is_in_brackets_in_the_url_only() {
    let server = serve(["-b", "[::1]:0"]).start();
    let port = server.address().port();
    assert_eq!(server.line, format!("Serving HTTP on ::1 port {port} (http://[::1]:{port}/) ...\n"));
}

#[test]
fn a_target_is_a_folder_or_one_file() {
    serve(["sub"]).file("sub/a", "1").file("b", "2").get("/a").status(200).body("1").get("/b").status(404);
    serve(["-d", "sub"]).file("sub/a", "1").get("/a").status(200).body("1");
    serve(["files:sub"]).file("sub/a", "1").get("/a").status(200).body("1");
    serve(["a.txt"]).file("a.txt", "1").file("b", "2").get("/").status(200).body("1").get("/b").status(404);
}

#[test]
fn mounts_take_the_longest_prefix_on_whole_segments() {
    serve(["--mount", "/api=x", "--mount", "/api/deep=y"])
        .file("x/f", "x")
        .file("y/f", "y")
        .file("apix/f", "z")
        .get("/api/f")
        .body("x")
        .get("/api/deep/f")
        .body("y")
        .get("/apix/f")
        .body("z")
        .get("/api/none")
        .status(404);
}

#[test]
fn a_unix_socket_is_served() {
    let server = serve(["-b", "unix:s"]).file("a", "1").start();
    assert_eq!(server.line, "Serving HTTP on unix:s ...\n");
    let mut stream = UnixStream::connect(server.path("s")).unwrap();
    stream.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n1"), "{answer}");
    let line = server.logged();
    assert!(line.starts_with("- - - ["), "{line}");
}

#[test]
fn wrong_use_is_usage_and_one_line_and_2() {
    for (args, want) in [
        (&["--no-such"][..], "salver: error: unexpected argument '--no-such' found"),
        (&["--symlinks", "some"], "salver: error: invalid value 'some'"),
        (&["70000"], "salver: error: invalid value '70000'"),
        (&["-w", "0"], "salver: error: invalid value '0' for '--workers <N|auto>': give a number from 1"),
        (&["--header", "a b", "1"], "salver: error: --header a b 1: no name of a header"),
        (&["--mount", "/x=.", "--mount", "/x/=."], "salver: error: mount '/x': mounted twice"),
    ] {
        let (code, lines) = fails(args);
        let [usage, error] = &lines[..] else { panic!("{args:?}: {lines:?}") };
        assert_eq!((code, usage.as_str()), (2, "Usage: salver [OPTIONS] [TARGET] [PORT]"), "{args:?}");
        assert!(error.starts_with(want), "{error}");
    }
}

#[test]
fn what_cannot_start_is_one_line_and_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (args, want) in [
        (&["no-such-folder"][..], "no-such-folder"),
        (&["wsgi:app", "--python", "no-such-python"], "no-such-python: no such interpreter"),
        (&["app:app", "--python", "true"], "true has no package `salver`, which hosts applications; install"),
        (&["app:app", "--python", "echo"], "echo has salver -c import"),
        (&["--chdir", "no-such-folder"], "--chdir no-such-folder: No such file or directory"),
        (&["-d", "no-such-folder"], "no-such-folder"),
        (&["--mount", "/x=no-such-folder"], "no-such-folder"),
        (&["-b", &taken], "is taken"),
        (&["-b", "192.0.2.1:0"], "192.0.2.1"),
        (&["-c", "no-such.toml"], "no-such.toml"),
        (&["-u", "no-such-user"], "--user no-such-user: no such user"),
        (&["-g", "no-such-group"], "--group no-such-group: no such group"),
        (&["--access-log", "/no/such/log"], "/no/such/log"),
        (&["--pid", "/no/such/pid"], "--pid /no/such/pid"),
        (&["missing.iso"], "no file or folder missing.iso; create it or name another"),
        (&["--mount", "/x=redirect:foo"], "give https://… or /path"),
        (&["no\nsuch\u{1b}"], "no file or folder no\\u{a}such\\u{1b}"),
    ] {
        let (code, lines) = fails(args);
        let [error] = &lines[..] else { panic!("{args:?}: {lines:?}") };
        assert_eq!(code, 1, "{args:?}");
        assert!(error.starts_with("salver: error: ") && error.contains(want), "{args:?}: {error}");
    }
}

#[test]
fn help_and_version_are_answers() {
    let help = salver(["--help"]);
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success() && text.contains("Usage: salver [OPTIONS] [TARGET] [PORT]"), "{text}");
    assert!(
        text.contains("--hidden") && !text.contains("--target"),
        "help lists what is typed, nothing else"
    );
    let version = salver(["--version"]);
    assert_eq!(
        String::from_utf8(version.stdout).unwrap(),
        concat!("salver ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn the_environment_and_a_file_give_options() {
    let config = "bind = '127.0.0.1:0'\n[header]\nX-From = 'file'\n";
    serve(["-c", "salver.toml"])
        .file("salver.toml", config)
        .file("a", "1")
        .get("/a")
        .header("x-from", "file");
    serve([""; 0])
        .env("SALVER_HEADER", "X-From 'the environment'")
        .file("a", "1")
        .get("/a")
        .header("x-from", "the environment");
}

#[test]
fn the_configuration_is_checked_without_serving() {
    let checked = |config: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        fs::write(&path, config).unwrap();
        let output = salver(["--check-config".as_ref(), "-c".as_ref(), path.as_os_str()]);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(checked("hidden = true"), (Some(0), String::new()));
    let (code, error) = checked("\nkeep_alive = 'long'");
    assert_eq!(code, Some(1));
    assert!(
        error.contains("c.toml:2: keep_alive: invalid value 'long'") && error.lines().count() == 1,
        "{error}"
    );
    for (config, want) in [
        ("hidden = true\ntls_cert = '/no/such'", "c.toml:2: tls_cert /no/such: No such file"),
        ("\n\nuser = 'no-such-user'", "c.toml:3: user no-such-user: no such user"),
        ("chdir = '/no/such'", "c.toml:1: chdir /no/such: No such file"),
    ] {
        let (code, error) = checked(config);
        assert!(code == Some(1) && error.contains(want) && error.lines().count() == 1, "{error}");
    }
    let (code, error) = checked("target = 'no-such'");
    assert!(code == Some(1) && error.contains("no-such"), "{error}");
}

#[test]
fn ctrl_c_says_so_and_succeeds() {
    for (signal, printed) in
        [("INT", "\nKeyboard interrupt received, exiting.\n"), ("TERM", ""), ("QUIT", "")]
    {
        let server = serve([""; 0]).start();
        server.signal(signal);
        let (status, rest) = server.wait();
        assert_eq!((status.code(), rest.as_str()), (Some(0), printed), "{signal}");
    }
}

#[test]
fn signals_that_were_ignored_at_the_start_stay_ignored() {
    let server = serve([""; 0]).file("a", "1").ignoring("INT HUP").start();
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    assert_eq!(u64::from_str_radix(mask, 16).unwrap() & 3, 3, "{status}");
    server.signal("INT");
    server.get("/a").status(200);
    server.signal("TERM");
    assert_eq!(server.wait().0.code(), Some(0));
}

#[test]
fn a_variable_that_is_no_option_is_logged_at_the_start() {
    let server = serve([""; 0]).env("SALVER_HIDEN", "1").start();
    let line = server.logged();
    assert!(line.contains("[WARNING] SALVER_HIDEN: no such option; ignored"), "{line}");
}

#[test]
fn who_the_process_becomes_must_be_able_to_read_what_it_serves() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    let (code, lines) = fails(&[path, "-u", "54321", "-b", "127.0.0.1:0"]);
    assert!(
        code == 1 && lines.len() == 1 && lines[0].contains("allow the user of --user to read it"),
        "{lines:?}"
    );
}

#[test]
fn the_log_belongs_to_who_the_process_becomes_and_the_pid_file_that_stays_is_told() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let server = serve(["-u", "54321", "--access-log", "log", "--pid", "run/pid", "-d", "public"])
        .file("public/a", "1")
        .file("run/x", "")
        .start();
    assert_eq!(fs::metadata(server.path("log")).unwrap().uid(), 54321);
    server.signal("TERM");
    let line = server.logged();
    assert!(line.contains("[WARNING] --pid run/pid: Permission denied"), "{line}");
}

#[test]
fn a_signal_for_worker_processes_is_told_and_survived() {
    let server = serve([""; 0]).file("a", "1").start();
    for signal in ["USR2", "TTIN", "TTOU"] {
        server.signal(signal);
        let line = server.logged();
        assert!(
            line.contains("[WARNING]")
                && line.contains(&format!("SIG{signal} is for a server with worker processes")),
            "{line}"
        );
    }
    server.get("/a").status(200);
}

#[test]
fn usr1_opens_the_log_anew() {
    let server = serve(["--access-log", "log", "--access-log-format", "%(r)s"]).file("a", "1").start();
    server.get("/a").status(200);
    wait_for(|| fs::read_to_string(server.path("log")).unwrap() == "GET /a HTTP/1.1\n");
    fs::rename(server.path("log"), server.path("log.1")).unwrap();
    server.signal("USR1");
    wait_for(|| server.path("log").exists());
    server.get("/b").status(404);
    wait_for(|| fs::read_to_string(server.path("log")).unwrap() == "GET /b HTTP/1.1\n");
}

#[test]
fn access_lines_are_http_server_s() {
    let answer = serve([""; 0])
        .file("a", "1")
        .get("/a")
        .get("/none")
        .send("GET /\x1b\\\u{e9} HTTP/1.1\r\nHost: x\r\n\r\n");
    let lines: Vec<String> = (0..5).map(|_| answer.server().logged()).collect();
    let told: Vec<&str> = lines.iter().map(|line| line.split_once("] ").unwrap().1).collect();
    assert!(lines.iter().all(|line| line.starts_with("127.0.0.1 - - [") && line.is_ascii()), "{lines:?}");
    assert_eq!(told[0], "\"GET /a HTTP/1.1\" 200 -");
    assert_eq!(told[1], "code 404, message File not found");
    assert_eq!(told[2], "\"GET /none HTTP/1.1\" 404 -");
    assert!(told[3].starts_with("code 400, message Bad request"), "{lines:?}");
    assert_eq!(told[4], "\"GET /\\x1b\\\\\\xc3\\xa9 HTTP/1.1\" 400 -");
}

#[test]
fn the_log_may_go_to_standard_output_or_nowhere() {
    let server = serve(["--access-log", "-", "--access-log-format", "%(m)s %(U)s %(s)s %(B)s"])
        .file("a", "12")
        .start();
    server.get("/a");
    assert_eq!(server.printed(), "GET /a 200 2");
    let server = serve(["--access-log", "off"]).file("a", "1").start();
    server.get("/a");
    server.signal("TTIN");
    let line = server.logged();
    assert!(line.contains("SIGTTIN"), "the access line would have come first: {line}");
}

#[test]
fn a_pid_file_holds_our_number_until_the_end() {
    let server = serve(["--pid", "pid"]).start();
    let path = server.path("pid");
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", server.pid()));
    let (code, lines) = fails(&["--pid", path.to_str().unwrap(), "-b", "127.0.0.1:0"]);
    assert!(code == 1 && lines[0].contains("runs already"), "{lines:?}");
    server.signal("TERM");
    assert_eq!(server.wait().0.code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn root_becomes_somebody_else_for_good() {
    if !rustix::process::geteuid().is_root() {
        let (code, lines) = fails(&["-u", "root", "-b", "127.0.0.1:0"]);
        assert!(code == 1 && lines[0].contains("start as root"), "{lines:?}");
        return;
    }
    let server =
        serve(["-u", "54321", "-g", "54322", "--umask", "077", "-d", "public"]).file("public/a", "1").start();
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    for line in [
        "Uid:\t54321\t54321\t54321\t54321",
        "Gid:\t54322\t54322\t54322\t54322",
        "NoNewPrivs:\t1",
        "Umask:\t0077",
    ] {
        assert!(status.lines().any(|found| found == line), "{line} in\n{status}");
    }
    assert!(status.lines().any(|line| line.trim_end() == "Groups:\t54322"), "{status}");
}

#[test]
fn who_is_not_root_hears_of_the_option_that_was_typed() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_salver"));
    command.args(["-d", "/", "-u", "0", "-b", "127.0.0.1:0"]);
    if rustix::process::geteuid().is_root() {
        command.uid(54321);
    }
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(error.starts_with("salver: error: --user: ") && error.contains("start as root"), "{error}");
}

#[test]
fn the_limit_of_open_files_is_raised() {
    let server = serve([""; 0]).start();
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<&str> = line.split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{line}");
}

#[test]
fn options_reach_the_code_that_obeys_them() {
    serve(["--hidden"]).file(".x", "1").get("/.x").status(200).body("1").get("/").contains("href=\".x\"");
    serve([""; 0]).file(".x", "1").get("/.x").status(404);
    serve(["--content-type", "text/x"]).file("a", "1").get("/a").header("content-type", "text/x");
    serve(["--header", "X-A", "1"]).file("a", "1").get("/a").header("x-a", "1").get("/none").no_header("x-a");
    serve(["--limit-request-line", "20"])
        .send("GET /01234567890123456789 HTTP/1.1\r\nHost: x\r\n\r\n")
        .status(414);
    serve(["--limit-body", "3"])
        .send("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\n1234")
        .status(413);
}

/// Waits for something that happens soon.
#[track_caller]
fn wait_for(happened: impl Fn() -> bool) {
    for _ in 0..2000 {
        if happened() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("it does not happen");
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let start = || Serve::start(serve(["no-such-folder"]));
    let panic = std::panic::catch_unwind(start).err().expect("it does not start");
    assert!(panic.downcast_ref::<String>().unwrap().contains("no-such-folder"));
}
