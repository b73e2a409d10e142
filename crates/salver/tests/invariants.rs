//! The invariants of ARCHITECTURE.md that can be read off the source. A line that breaks one is named here.
#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking

use std::path::{Path, PathBuf};

/// A source file: its path below the root of the repository, and its text without the unit tests at its end.
struct Source {
    path: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every file below `folder` that ends in one of `endings`, but what is built or fetched.
fn sources(folder: &str, endings: &[&str]) -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                let foreign = ["target", "build", "node_modules", "corpus", "artifacts", "data"];
                if !name.starts_with('.') && !foreign.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let text = std::fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                found.push(Source { path, text });
            }
        }
    }
    assert!(!found.is_empty(), "nothing found below {folder}");
    found
}

/// The source of the library and the command, without unit tests.
fn code() -> Vec<Source> {
    let mut sources = sources("crates", &[".rs"]);
    let tests = ["/tests.rs", "/corpus.rs"]; // modules of unit tests
    sources.retain(|source| {
        source.path.contains("/src/") && !tests.iter().any(|name| source.path.ends_with(name))
    });
    for source in &mut sources {
        if let Some(at) = source.text.find("#[cfg(test)]\nmod tests") {
            source.text.truncate(at);
        }
    }
    sources
}

/// Asserts that `words` stand in code (not in comments) only in files that `allowed` accepts.
fn only_in(words: &[&str], allowed: impl Fn(&str) -> bool, invariant: &str) {
    for source in code() {
        for (number, line) in source.text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if let Some(word) = words.iter().find(|word| code.contains(**word)) {
                assert!(allowed(&source.path), "{}:{}: `{word}`: {invariant}", source.path, number + 1);
            }
        }
    }
}

#[test]
fn the_pure_parts_do_no_io_and_read_no_clock() {
    let pure = |path: &str| {
        path.contains("/rfc/")
            || (path.contains("/http1/") && !path.contains("/conn/") && !path.ends_with("incoming.rs"))
    };
    let words =
        ["std::fs", "std::net::Tcp", "tokio", "rustix", "Instant", "SystemTime::now", "async ", "socket"];
    only_in(&words, |path| !pure(path), "rfc/ and http1's parsers and writers are bytes in, values out");
}

#[test]
fn only_the_pipeline_orders_steps() {
    let words = ["guard.check(", "routes.find(", "headers.apply(", "compress::apply(", "page::error("];
    only_in(&words, |path| path.ends_with("src/answer.rs"), "answer.rs alone orders the steps");
}

#[test]
fn only_the_page_turns_errors_into_responses() {
    let allowed = |path: &str| path.ends_with("finish/page.rs") || path.ends_with("src/error.rs");
    only_in(&[".cause()"], allowed, "an error's cause reaches the log, never the wire");
}

#[test]
fn only_the_resolver_opens_served_files() {
    let words =
        ["openat", "File::open", "fs::read(", "fs::read_dir", "OpenOptions", "Dir::read_from", "Dir::new"];
    let allowed = [
        "handler/files/resolver.rs",
        "handler/files/walk.rs",   // the resolver's way on a kernel without openat2
        "handler/files/links.rs",  // and for absolute links
        "handler/listing/rows.rs", // reads the folder that the resolver opened
        "server/accept.rs",        // the descriptor kept in reserve
        "finish/log/output.rs",    // the log
        "tls/pem.rs",              // certificates and keys
    ];
    let allowed =
        |path: &str| path.contains("salver-cli/") || allowed.iter().any(|file| path.ends_with(file));
    only_in(&words, allowed, "served files are opened beneath a root's descriptor, by one resolver");
    let constructor = |path: &str| path.ends_with("rfc/path.rs");
    only_in(&["SafePath {"], constructor, "SafePath has its constructors in rfc/path.rs alone");
}

#[test]
fn there_is_one_accept_loop() {
    // The control socket speaks no HTTP.
    let allowed = |path: &str| path.ends_with("server/accept.rs") || path.ends_with("supervisor/control.rs");
    only_in(&[".accept()", "accept_with("], allowed, "one accept loop for every listener");
}

#[test]
fn unsafe_stands_in_named_files_with_its_reason() {
    let named = [
        "crates/salver/src/listen/inherited.rs",
        "crates/salver-cli/src/memory.rs",
        "crates/salver-cli/src/privileges.rs",
        "crates/salver-cli/src/supervisor/inherit.rs",
        "crates/salver-py/src/descriptor.rs",
        "crates/salver-py/src/interrupt.rs",
        "crates/salver-py/src/text.rs",
    ];
    only_in(
        &["unsafe {", "unsafe fn", "unsafe impl", "allow(unsafe_code)"],
        |path| named.contains(&path),
        "a named file",
    );
    for source in code().iter().filter(|source| named.contains(&source.path.as_str())) {
        let (blocks, reasons) =
            (source.text.matches("unsafe {").count(), source.text.matches("SAFETY:").count());
        assert!(reasons >= blocks && blocks > 0, "{}: {blocks} blocks, {reasons} SAFETY lines", source.path);
    }
}

#[test]
fn no_file_is_longer_than_500_lines() {
    let endings = [".rs", ".py", ".mjs", ".js", ".sh", ".c", ".css"];
    for folder in ["crates", "tests", "bench", "fuzz", "examples"] {
        for source in sources(folder, &endings) {
            let lines = source.text.lines().count();
            assert!(lines <= 500, "{}: {lines} lines", source.path);
        }
    }
}

#[test]
fn nothing_lies_in_a_crate_that_its_neighbour_below_needs() {
    for (folder, words) in [("crates/salver/src", &["salver_cli", "std::env::", "pyo3"][..])] {
        for source in sources(folder, &[".rs"]) {
            for word in words {
                assert!(!source.text.contains(word), "{}: `{word}`: nothing depends upward", source.path);
            }
        }
    }
}
