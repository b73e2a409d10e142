//! How long calls take, all of them together.
//!
//! Counted as the system counts processor time: by a clock that ticks every few milliseconds, each tick for what runs just then.
//! That is right on average, however short a call is, and costs a call next to nothing.

/// The time that several things take together, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Busy {
    running: u32,
    millis: u64,
    /// When something began or ended last, by [`super::seat::now`].
    since: u32,
    /// Whether the guest is away from the loop, which counts as one that runs.
    guest_is_away: bool,
}

impl Busy {
    /// One more runs.
    pub(super) fn begin(&mut self, now: u32) {
        self.settle(now);
        self.running += 1;
    }

    /// One of them has ended.
    pub(super) fn end(&mut self, now: u32) {
        self.settle(now);
        self.running = self.running.saturating_sub(1);
    }

    /// The guest leaves the loop, or comes back to it.
    pub(super) fn guest_goes(&mut self, away: bool, now: u32) {
        match (std::mem::replace(&mut self.guest_is_away, away), away) {
            (false, true) => self.begin(now),
            (true, false) => self.end(now),
            _ => {}
        }
    }

    /// The time so far, that of those that still run included.
    pub(super) fn millis(&self, now: u32) -> u64 {
        self.millis + u64::from(self.running) * u64::from(now.wrapping_sub(self.since))
    }

    fn settle(&mut self, now: u32) {
        self.millis = self.millis(now);
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_several_counts_while_it_runs() {
        let mut busy = Busy::default();
        assert_eq!(busy.millis(500), 0);
        busy.begin(1000);
        assert_eq!(busy.millis(1010), 10);
        busy.begin(1010);
        busy.end(1015);
        assert_eq!(busy.millis(1015), 20);
        busy.end(1016);
        assert_eq!((busy.millis(1016), busy.millis(9999)), (21, 21));
    }

    #[test]
    fn a_guest_counts_while_it_is_away() {
        let mut busy = Busy::default();
        busy.guest_goes(false, 5);
        busy.guest_goes(true, 10);
        busy.guest_goes(true, 12);
        busy.guest_goes(false, 15);
        assert_eq!(busy.millis(99), 5);
    }

    #[test]
    fn the_clock_may_wrap_around() {
        let mut busy = Busy::default();
        busy.begin(u32::MAX - 4);
        busy.end(5);
        assert_eq!(busy.millis(7), 10);
    }
}
