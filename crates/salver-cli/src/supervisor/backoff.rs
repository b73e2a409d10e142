//! How long a place stays empty when its workers keep dying. Pure.

use std::time::Duration;

/// The deaths in a row at one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Backoff(u32);

impl Backoff {
    /// A worker died after it `lived`; how long to wait before the next one: nothing after the first death, at most five seconds.
    pub(super) fn died(&mut self, lived: Duration) -> Duration {
        if lived >= LONG_LIFE {
            self.0 = 0;
        }
        let wait = match self.0 {
            0 => Duration::ZERO,
            deaths => FIRST.saturating_mul(1 << (deaths - 1).min(16)).min(MOST),
        };
        self.0 += 1;
        wait
    }
}

const FIRST: Duration = Duration::from_millis(200);
const MOST: Duration = Duration::from_secs(5);
/// Whoever lived so long did not die of its start.
const LONG_LIFE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_and_has_an_end() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..9).map(|_| backoff.died(Duration::from_millis(5)).as_millis()).collect();
        assert_eq!(waits, [0, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
        assert_eq!(backoff.died(Duration::from_secs(60)), Duration::ZERO, "a long life begins anew");
        assert_eq!(backoff.died(Duration::ZERO), Duration::from_millis(200));
    }
}
