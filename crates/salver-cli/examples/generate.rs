//! The manual page and the shell completions, from the options themselves: `cargo run --example generate -- DIR` writes
//! DIR/salver.1, DIR/salver.bash, DIR/_salver and DIR/salver.fish.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use salver_cli::options::Options;

/// Writes all of it into `dir`, which is made if it is not there.
pub(crate) fn write(dir: &Path) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let mut page = File::create(dir.join("salver.1"))?;
    clap_mangen::Man::new(command()).manual("User Commands").render(&mut page)?;
    page.flush()?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command(), "salver", dir)?;
    }
    Ok(())
}

fn command() -> Command {
    Options::command()
}

fn main() -> ExitCode {
    let Some(dir) = std::env::args_os().nth(1) else {
        return fail("no folder; give the one to write to: cargo run --example generate -- DIR");
    };
    match write(dir.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("{}: {error}; name a folder you may write to", dir.display())),
    }
}

fn fail(message: &str) -> ExitCode {
    // Nobody is left to hear that standard error is closed.
    let _ = writeln!(io::stderr(), "generate: {message}");
    ExitCode::FAILURE
}
