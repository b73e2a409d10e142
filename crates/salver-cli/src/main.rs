//! The `salver` command.

/// Connections come and go by the thousand: mimalloc gives their memory back to the system, which glibc's does not, and costs
/// less where they come.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    salver_cli::main(std::env::args_os())
}
