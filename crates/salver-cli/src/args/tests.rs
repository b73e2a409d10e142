//! Every source of options, and the table of options against itself and against the contract.

use std::collections::HashSet;
use std::fs;

use super::*;

/// Reads `argv` (without the program's name) with these variables.
fn parsed(argv: &[&str], environment: &[(&str, &str)]) -> Result<Parsed, Refusal> {
    let argv = std::iter::once("salver").chain(argv.iter().copied()).map(OsString::from);
    parse(argv, environment.iter().map(|(name, value)| (name.into(), value.into())))
}

/// The value that counts for `key`, as it is written in TOML.
fn effective(parsed: &Parsed, key: &str) -> Option<String> {
    let toml = as_toml(parsed).unwrap();
    toml.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = ").map(str::to_owned))
}

fn message(refusal: Refusal) -> String {
    match refusal {
        Refusal::Shown(text) => panic!("shown: {text}"),
        Refusal::Usage(message) => message,
        Refusal::Config(error) => error.to_string(),
    }
}

#[test]
fn the_earlier_source_wins_and_replaces() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("salver.toml");
    fs::write(&path, "keep_alive = 1\nhidden = true\nbind = ['::1', '127.0.0.1']\nheader = [['A', '1']]")
        .unwrap();
    let config = path.to_str().unwrap();
    for (argv, environment, key, want) in [
        (&[][..], &[][..], "keep_alive", "75"),
        (&["-c", config], &[], "keep_alive", "1"),
        (&[], &[("SALVER_CONFIG", config)], "keep_alive", "1"),
        (&["-c", config], &[("SALVER_KEEP_ALIVE", "2")], "keep_alive", "2"),
        (&["-c", config, "--keep-alive", "3"], &[("SALVER_KEEP_ALIVE", "2")], "keep_alive", "3"),
        (&["-c", config], &[("SALVER_KEEP_ALIVE", "")], "keep_alive", "1"),
        (&["-c", config], &[], "hidden", "true"),
        (&["-c", config, "--hidden=false"], &[], "hidden", "false"),
        (&["--hidden"], &[("SALVER_HIDDEN", "0")], "hidden", "true"),
        (&[], &[("SALVER_HIDDEN", "yes")], "hidden", "true"),
        (&["-c", config], &[], "bind", "[\"::1\", \"127.0.0.1\"]"),
        (&["-c", config], &[("SALVER_BIND", "a 'b'")], "bind", "[\"a\", \"b\"]"),
        (&[], &[("SALVER_BIND", "[::1]:80 'unix:/a b'")], "bind", "[\"[::1]:80\", \"unix:/a b\"]"),
        (&["-c", config, "-b", "c"], &[("SALVER_BIND", "a b")], "bind", "[\"c\"]"),
        (&["-c", config], &[], "header", "[[\"A\", \"1\"]]"),
        (
            &["-c", config],
            &[("SALVER_HEADER", "B 'c d' E -f")],
            "header",
            "[[\"B\", \"c d\"], [\"E\", \"-f\"]]",
        ),
        (&["--header", "X", "-1", "--header", "Y", "2"], &[], "header", "[[\"X\", \"-1\"], [\"Y\", \"2\"]]"),
        (&["--keep-alive", "1", "--keep-alive", "2"], &[], "keep_alive", "2"),
    ] {
        let parsed = parsed(argv, environment).map_err(message).unwrap();
        assert_eq!(effective(&parsed, key).as_deref(), Some(want), "{argv:?} {environment:?}");
    }
}

#[test]
fn words_are_a_target_and_a_port() {
    for (argv, target, port) in [
        (&[][..], None, 8000),
        (&["9000"], None, 9000),
        (&["site"], Some("site"), 8000),
        (&["site", "9000"], Some("site"), 9000),
        (&["./9000"], Some("./9000"), 8000),
        (&["9000", "80"], Some("9000"), 80),
        (&["-d", "site", "9000"], None, 9000),
        (&["9000", "-d", "site", "-b", "::1"], None, 9000),
        (&["--port", "1", "site"], Some("site"), 1),
        (&["0"], None, 0),
    ] {
        let options = parsed(argv, &[]).map_err(message).unwrap().options.targets;
        assert_eq!(options.target.as_deref(), target.map(OsStr::new), "{argv:?}");
        assert_eq!(options.port, port, "{argv:?}");
    }
    for (argv, environment, target) in [
        (&[][..], &[("SALVER_TARGET", "a"), ("SALVER_DIRECTORY", "b")][..], Some("a")),
        (&["-d", "c"], &[("SALVER_TARGET", "a")], None),
        (&["c"], &[("SALVER_DIRECTORY", "b")], Some("c")),
    ] {
        let options = parsed(argv, environment).map_err(message).unwrap().options.targets;
        assert_eq!(options.target.as_deref(), target.map(OsStr::new), "{argv:?} {environment:?}");
    }
    let kubernetes = parsed(&[], &[("SALVER_PORT", "tcp://10.0.0.1:80")]).map_err(message).unwrap();
    assert_eq!(kubernetes.options.targets.port, 8000);
}

#[test]
fn wrong_use_is_one_line() {
    for (argv, environment, want) in [
        (&["--nope"][..], &[][..], "unexpected argument '--nope' found"),
        (&["--hiden"], &[], "'--hidden'"),
        (
            &["--symlinks", "all"],
            &[],
            "invalid value 'all' for '--symlinks <WHICH>' [possible values: inside, follow",
        ),
        (&["99999"], &[], "99999"),
        (&["a", "b"], &[], "invalid value 'b' for '[PORT]'"),
        (&["a", "1", "b"], &[], "unexpected argument 'b'"),
        (&["1", "--port", "2"], &[], "PORT and --port say the same thing"),
        (&["a", "-d", "b"], &[], "TARGET and --directory say the same thing"),
        (&["a", "--mount", "/=b"], &[], "TARGET and --mount / say the same thing"),
        (&["-d", "a", "--mount", "/=b"], &[], "--directory and --mount / say the same thing"),
        (&["--access-log", "syslog:loud"], &[], "no facility \"loud\"; there are kern, user"),
        (&["-w", "0"], &[], "give a number from 1 to 512, or `auto`"),
        (&["--umask", "9"], &[], "give octal digits"),
        (&["--access-log-format", "x"], &[], "holds no atom"),
        (&[], &[("SALVER_KEEP_ALIVE", "x")], "SALVER_KEEP_ALIVE: invalid value 'x'"),
        (&[], &[("SALVER_HEADER", "A")], "SALVER_HEADER: "),
        (&[], &[("SALVER_BIND", "'a")], "SALVER_BIND: a quote is not closed"),
        (&[], &[("SALVER_PRELOAD", "x")], "SALVER_PRELOAD: invalid value 'x'"),
        (&[], &[("SALVER_HEADER", "'a b' c")], "SALVER_HEADER: --header a b c: "),
        (&["--header", "a b", "c"], &[], "--header a b c: no name of a header"),
        (&["--header", "Content-Length", "5"], &[], "--header Content-Length 5: the server sets"),
        (&[".", "abc"], &[], "invalid value 'abc' for '[PORT]': no port; give a number from 0 to 65535"),
        (&["--limit-body", "1g"], &[], "give a number of bytes without a unit"),
        (
            &["--max-requests", "-1"],
            &[],
            "'--max-requests <N>': give a whole number, without a sign or a unit",
        ),
        (&["--max-requests", "99999999999999999999"], &[], "that is too much; give a smaller number"),
        (&["--threads", "0"], &[], "'--threads <N>': give at least 1"),
        (&["--keep-alive", "-1"], &[], "'-1' is no time in seconds; give a number such as 30 or 0.5"),
        (&["--content-type", ""], &[], "no media type; give one such as text/plain"),
        (&["--limit-concurrency", "0"], &[], "with 0 every request would be refused"),
        (&["--limit-request-line", "0"], &[], "with 0 every request would be refused"),
        (&["--limit-request-fields", "0"], &[], "with 0 every request would be refused"),
        (&["--limit-header-size", "0"], &[], "with 0 every request would be refused"),
        (&["--no\nUsage: x"], &[], "--no\\u{a}Usage: x"),
        (&["-c", "/nonexistent.toml"], &[], "--config /nonexistent.toml: No such file"),
    ] {
        let message = message(parsed(argv, environment).unwrap_err());
        assert!(message.contains(want) && !message.contains('\n'), "{argv:?} {environment:?}: {message}");
    }
}

#[test]
fn a_variable_that_is_no_option_is_told_and_ignored() {
    for (name, value, want) in [
        ("SALVER_HIDEN", "1", Some("SALVER_HIDEN: no such option; ignored; did you mean SALVER_HIDDEN?")),
        ("SALVER_ZZZ", "1", Some("SALVER_ZZZ: no such option; ignored; `salver --help` names them all")),
        ("SALVER_HELP", "1", Some("SALVER_HELP: an option of the command line alone; ignored")),
        ("SALVER_ZZZ", "", None),
        ("SALVER_HIDDEN", "1", None),
        ("SALVER_PORT", "tcp://10.0.0.1:80", None),
        ("SALVER_PORT_80_TCP_ADDR", "10.0.0.1", None),
        ("SALVER_SERVICE_HOST", "10.0.0.1", None),
        ("OTHER", "1", None),
    ] {
        let warnings = parsed(&[], &[(name, value)]).map_err(message).unwrap().warnings;
        assert_eq!(warnings.first().map(String::as_str), want, "{name}");
    }
}

#[test]
fn a_variable_that_is_not_utf_8_is_named() {
    use std::os::unix::ffi::OsStringExt as _;
    for name in ["SALVER_KEEP_ALIVE", "SALVER_BIND"] {
        let variable = (OsString::from(name), OsString::from_vec(vec![0xff]));
        let error = parse(["salver".into()].into_iter(), [variable].into_iter()).unwrap_err();
        let message = message(error);
        assert!(
            message.starts_with(&format!("{name}: ")) && message.contains("write it in UTF-8"),
            "{message}"
        );
    }
}

#[test]
fn a_mistake_in_a_file_is_said_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("salver.toml");
    fs::write(&path, "# all of it\n\nhiden = true\n").unwrap();
    let path = path.to_str().unwrap();
    let Err(Refusal::Config(error)) = parsed(&["-c", path], &[]) else { panic!("it is wrong") };
    assert_eq!(error.to_string(), format!("{path}:3: hiden: no such option; hidden is one"));
}

#[test]
fn the_printed_configuration_reads_back_as_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("salver.toml");
    let argv = [
        "-b",
        "::1",
        "-b",
        "unix:/tmp/a\"b",
        "--header",
        "A",
        "é\\",
        "--mount",
        "/x=y",
        "--hidden",
        "--umask=022",
    ];
    let argv =
        argv.into_iter().chain(["--keep-alive=0.5", "--content-type", "text/x", "--pid=007", "site", "9000"]);
    let first = parsed(&argv.collect::<Vec<_>>(), &[]).map_err(message).unwrap();
    let printed = as_toml(&first).unwrap();
    fs::write(&path, &printed).unwrap();
    let second = parsed(&["-c", path.to_str().unwrap()], &[]).map_err(message).unwrap();
    assert_eq!(as_toml(&second).unwrap(), printed);
    for line in ["port = 9000", "target = \"site\"", "pid = \"007\"", "hidden = true", "umask = \"022\""] {
        assert!(printed.lines().any(|printed| printed == line), "{line} in\n{printed}");
    }
}

#[test]
fn the_table_of_options_is_sound() {
    let mut command = All::command();
    command.build();
    command.clone().debug_assert();
    let mut names = HashSet::new();
    for arg in command.get_arguments() {
        let id = arg.get_id();
        assert!(arg.get_help().is_some_and(|help| !help.to_string().is_empty()), "{id} is not documented");
        let Some(long) = arg.get_long() else { continue };
        assert!(names.insert(long.to_owned()), "--{long} is there twice");
        assert_eq!(long.replace('-', "_"), id.as_str(), "a key is the long name of its option");
        assert!(arg.get_help_heading().is_some(), "--{long} stands in no group");
        if arg.get_action().takes_values() {
            assert!(
                arg.get_value_names().is_some_and(|names| names.iter().all(|name| name.len() < 14)),
                "--{long}"
            );
        }
    }
}

/// The long names in the contract's table of options.
const CONTRACT: &str = "bind directory protocol cgi tls-cert tls-key tls-password-file certfile keyfile content-type header \
    hidden symlinks workers threads timeout graceful-timeout keep-alive header-timeout body-timeout send-timeout \
    limit-request-line limit-request-fields limit-header-size limit-body limit-concurrency max-requests \
    max-requests-jitter reload reload-dir chdir app-dir env-file forwarded-allow-ips access-log access-log-format \
    log-level config check-config print-config pid user group umask mount";

#[test]
fn every_option_of_the_contract_is_there() {
    let command = All::command();
    for name in CONTRACT.split_whitespace() {
        let is_named = |arg: &clap::Arg| {
            arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(|names| names.contains(&name))
        };
        let there = command.get_arguments().any(is_named);
        assert!(there, "--{name}");
    }
    for (short, name) in [
        ('b', "bind"),
        ('d', "directory"),
        ('p', "protocol"),
        ('c', "config"),
        ('u', "user"),
        ('g', "group"),
        ('t', "timeout"),
        ('e', "env"),
    ] {
        let arg = command.get_arguments().find(|arg| arg.get_short() == Some(short)).unwrap();
        assert_eq!(arg.get_long(), Some(name));
    }
}
