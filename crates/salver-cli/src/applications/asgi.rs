//! How ASGI applications are run; whoever hosts them obeys.

/// How ASGI applications are run.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// The event loop: asyncio's own drives the server itself; uvloop, which has to be installed, runs beside it
    #[arg(id = "loop", long = "loop", value_name = "LOOP", default_value = "auto")]
    pub event_loop: EventLoop,

    /// Whether applications are told of startup and shutdown; auto: those that want to be
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub lifespan: Lifespan,

    /// The path that a proxy before us cuts off: the beginning of every root_path
    #[arg(long, value_name = "PATH", default_value = "")]
    pub root_path: String,

    /// TARGET names a function that makes the application
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set, num_args = 0..=1,
        require_equals = true, default_value = "false", default_missing_value = "true")]
    pub factory: bool,
}

/// Which event loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum EventLoop {
    /// The best one, which is asyncio's.
    Auto,
    /// asyncio's.
    Asyncio,
    /// uvloop's.
    Uvloop,
}

/// Whether there is a lifespan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Lifespan {
    /// If the application takes it.
    Auto,
    /// It must.
    On,
    /// None.
    Off,
}

impl EventLoop {
    /// As it is spelled.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Asyncio => "asyncio",
            Self::Uvloop => "uvloop",
        }
    }
}

impl Lifespan {
    /// As it is spelled.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        }
    }
}
