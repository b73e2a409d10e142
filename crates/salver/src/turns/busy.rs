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
    fn the_clock_may_wrap_around() {
        let mut busy = Busy::default();
        busy.begin(u32::MAX - 4);
        busy.end(5);
        assert_eq!(busy.millis(7), 10);
    }
}
