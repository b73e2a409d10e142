//! Every option of the command, as groups from the code that obeys them.

use salver::{ServerOptions, finish, guard, handler, http1, http2, tls};

use crate::{announce, applications, args, events, https, monitor, process, sandbox, supervisor, targets};

/// Serves a folder over HTTP: type it where you would type `python3 -m http.server`
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "salver", version, args_override_self = true, max_term_width = 110, after_help = SOURCES)]
#[command(disable_help_flag = true, disable_version_flag = true)]
pub struct Options {
    /// What is served, and where.
    #[command(flatten, next_help_heading = "What is served, and where")]
    pub targets: targets::Options,

    /// What happens once the server runs.
    #[command(flatten)]
    pub announce: announce::Options,

    /// Files.
    #[command(flatten, next_help_heading = "Files")]
    pub files: handler::files::Options,

    /// HTTPS.
    #[command(flatten, next_help_heading = "HTTPS")]
    pub https: https::Options,

    /// Certificates of a public authority.
    #[command(flatten)]
    pub acme: https::acme::Options,

    /// Certificates and clients.
    #[command(flatten)]
    pub tls: tls::Options,

    /// Headers of responses.
    #[command(flatten)]
    pub headers: finish::headers::Options,

    /// Programs that answer.
    #[command(flatten, next_help_heading = "Programs that answer")]
    pub gateway: handler::gateway::Options,

    /// How often applications are called at once.
    #[command(flatten)]
    pub turns: salver::turns::Options,

    /// The surroundings of applications.
    #[command(flatten)]
    pub applications: applications::Options,

    /// WebSockets of applications.
    #[command(flatten)]
    pub websocket: salver::websocket::Options,

    /// CGI scripts.
    #[command(flatten)]
    pub cgi: handler::cgi::Options,

    /// HTTP/1.
    #[command(flatten, next_help_heading = "Times and limits")]
    pub http1: http1::Options,

    /// HTTP/2.
    #[command(flatten)]
    pub http2: http2::Options,

    /// Limits of the whole server.
    #[command(flatten)]
    pub guard: guard::Options,

    /// How the server stops.
    #[command(flatten)]
    pub server: ServerOptions,

    /// The access log.
    #[command(flatten, next_help_heading = "Logs")]
    pub log: finish::log::Options,

    /// The event log.
    #[command(flatten)]
    pub events: events::Options,

    /// Worker processes.
    #[command(flatten, next_help_heading = "Worker processes")]
    pub workers: supervisor::Options,

    /// Seeing inside.
    #[command(flatten)]
    pub monitor: monitor::Options,

    /// Confinement.
    #[command(flatten)]
    pub sandbox: sandbox::Options,

    /// The process.
    #[command(flatten, next_help_heading = "Process")]
    pub process: process::Options,

    /// Where options come from.
    #[command(flatten, next_help_heading = "Configuration")]
    pub args: args::Options,
}

const SOURCES: &str = "Each option is also a key of the config file (keep_alive = 5) and an environment variable \
    (SALVER_KEEP_ALIVE=5). The command line wins over the environment, and that over the file.\n\n\
    Signals: TERM stops when running requests have ended, INT (Ctrl-C) and QUIT stop at once, HUP reloads the \
    configuration with no request lost, USR1 reopens the access log. With workers: TTIN and TTOU start and stop one more, USR2 \
    starts the new program on the same sockets.\n\n\
    `salver status` shows the workers of a running server (a folder of that name is `salver ./status`).\n\n\
    HTTPS: `salver --tls` needs no files. `salver trust` makes this machine trust its authority, `salver untrust` undoes that \
    (where a file or folder of that name exists, it is served instead).\n\n\
    Examples:\n  salver ~/site 9000\n  salver shop.wsgi:application --mount /static=./static\n  salver -b 127.0.0.1 --mount /docs=./manual --mount /api=cgi:./scripts";
