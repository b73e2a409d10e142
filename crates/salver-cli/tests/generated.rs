//! The manual page and the completions know every option, and their readers understand them.
#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking
#![allow(dead_code)] // `main` of the example

use std::path::Path;
use std::process::{Command, Stdio};

use clap::CommandFactory as _;
use salver_cli::options::Options;

#[path = "../examples/generate.rs"]
mod generate;

/// The long options that `--help` shows.
fn long_options() -> Vec<String> {
    let command = Options::command();
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let long: Vec<_> = shown.filter_map(|arg| arg.get_long().map(str::to_owned)).collect();
    assert!(long.len() > 20, "{long:?}");
    long
}

fn generated() -> (tempfile::TempDir, impl Fn(&str) -> String) {
    let folder = tempfile::tempdir().unwrap();
    generate::write(folder.path()).unwrap();
    let path = folder.path().to_owned();
    (folder, move |name| std::fs::read_to_string(path.join(name)).unwrap())
}

/// Runs `program`, unless this machine has none: what it says on both its outputs.
fn said(program: &str, args: &[&str], file: &Path) -> Option<(bool, String)> {
    let output = Command::new(program)
        .args(args)
        .arg(file)
        .env("MANWIDTH", "80")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

#[test]
fn the_page_and_the_completions_list_every_long_option() {
    let (_folder, read) = generated();
    let page = read("salver.1").replace("\\-", "-");
    for long in long_options() {
        assert!(page.contains(&format!("--{long}")), "salver.1: --{long}");
        assert!(read("salver.bash").contains(&format!("--{long}")), "salver.bash: --{long}");
        assert!(read("_salver").contains(&format!("--{long}")), "_salver: --{long}");
        assert!(read("salver.fish").contains(&format!("-l {long}")), "salver.fish: --{long}");
    }
    let headings = command_headings();
    for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "VERSION"].map(String::from).iter().chain(&headings) {
        let line = page
            .lines()
            .find(|line| line.strip_prefix(".SH ").is_some_and(|name| name.trim_matches('"') == section));
        assert!(line.is_some(), "salver.1: {section}");
    }
}

/// The headings of `--help`, as the page spells them.
fn command_headings() -> Vec<String> {
    let command = Options::command();
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set() && !arg.is_positional());
    shown.filter_map(|arg| arg.get_help_heading().map(str::to_uppercase)).collect()
}

#[test]
fn those_who_read_them_have_nothing_to_complain_about() {
    let (folder, _read) = generated();
    let page = folder.path().join("salver.1");
    for (program, args, file) in [
        ("groff", &["-k", "-man", "-Tutf8", "-ww", "-z"][..], "salver.1"),
        ("mandoc", &["-T", "lint", "-W", "error"], "salver.1"),
        ("bash", &["-n"], "salver.bash"),
        ("zsh", &["-n"], "_salver"),
        ("fish", &["--no-execute"], "salver.fish"),
    ] {
        let Some((success, text)) = said(program, args, &folder.path().join(file)) else { continue };
        assert!(success && text.is_empty(), "{program} {file}: {text}");
    }
    if let Some((success, text)) = said("man", &["-l"], &page)
        && success
    {
        assert!(text.contains("--keep-alive"), "{text}");
    }
}
