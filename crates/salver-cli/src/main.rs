//! The `salver` command.

fn main() -> std::process::ExitCode {
    salver_cli::main(std::env::args_os())
}
