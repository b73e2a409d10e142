//! What systemd is told (sd_notify(3)): that the server can answer, reloads, ends, and is alive. Nobody else hears anything of it.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

/// Tells systemd, and knows when its watchdog has to hear of us.
#[derive(Debug)]
pub(crate) struct Notify {
    watchdog: Option<Duration>,
    told: Instant,
}

impl Notify {
    /// As the environment has it.
    pub(crate) fn new() -> Self {
        let watchdog = sd_notify::watchdog_enabled().map(|limit| limit / 2);
        Self { watchdog, told: Instant::now() }
    }

    /// Requests are answered from now on, by this process and its children.
    pub(crate) fn ready(&self) {
        tell(&[NotifyState::Ready, NotifyState::MainPid(std::process::id())]);
    }

    /// The configuration is loaded anew; [`Notify::ready`] follows.
    pub(crate) fn reloading(&self) {
        let Ok(now) = NotifyState::monotonic_usec_now() else { return };
        tell(&[NotifyState::Reloading, now]);
    }

    /// The process with this number goes on with the work of this one, which ends.
    pub(crate) fn succeeded(&self, pid: u32) {
        tell(&[NotifyState::Ready, NotifyState::MainPid(pid)]);
    }

    /// The server ends.
    pub(crate) fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// Says to the watchdog that we are alive, if it is time; how long until it is again.
    pub(crate) fn watchdog(&mut self) -> Option<Duration> {
        let every = self.watchdog?;
        if self.told.elapsed() >= every {
            tell(&[NotifyState::Watchdog]);
            self.told = Instant::now();
        }
        Some(every.saturating_sub(self.told.elapsed()))
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!("systemd does not hear: {error}");
    }
}
