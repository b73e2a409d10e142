//! The same thing for many who ask at the same time, made once for all of them. Nothing is kept: who asks while something is being
//! made has the next one, so that what everybody gets was made after it was asked for.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

/// What is being made for whom.
#[derive(Debug)]
pub(super) struct Together<K, T> {
    lanes: Mutex<HashMap<K, Lane<T>>>,
}

/// What is made of one key, one after the other.
#[derive(Debug)]
struct Lane<T> {
    /// Held by whoever makes.
    gate: Arc<tokio::sync::Mutex<()>>,
    /// The latest.
    making: Arc<Making<T>>,
}

#[derive(Debug)]
struct Making<T> {
    has_begun: AtomicBool,
    made: OnceCell<T>,
    /// How many wait for it.
    askers: AtomicUsize,
}

/// One who asks; a lane that nobody asks for ends.
struct Asker<'t, K: Eq + Hash, T> {
    together: &'t Together<K, T>,
    key: K,
    gate: Arc<tokio::sync::Mutex<()>>,
    making: Arc<Making<T>>,
}

impl<K: Clone + Eq + Hash, T: Clone> Together<K, T> {
    /// What `make` makes, or what somebody else makes of the same key and has not begun yet. If they leave, `make` makes it.
    ///
    /// # Errors
    /// That of `make`; errors are not shared.
    pub(super) async fn get<E>(&self, key: K, make: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let asker = self.join(key);
        let making = async {
            let _turn = asker.gate.lock().await;
            asker.making.has_begun.store(true, Ordering::SeqCst);
            make.await
        };
        asker.making.made.get_or_try_init(|| making).await.cloned()
    }

    fn join(&self, key: K) -> Asker<'_, K, T> {
        let mut lanes = self.lanes();
        let lane = lanes.entry(key.clone()).or_default();
        if lane.making.has_begun.load(Ordering::SeqCst) {
            lane.making = Arc::default();
        }
        let (gate, making) = (Arc::clone(&lane.gate), Arc::clone(&lane.making));
        making.askers.fetch_add(1, Ordering::SeqCst);
        Asker { together: self, key, gate, making }
    }
}

impl<K, T> Together<K, T> {
    fn lanes(&self) -> MutexGuard<'_, HashMap<K, Lane<T>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, T> Drop for Asker<'_, K, T> {
    fn drop(&mut self) {
        let mut lanes = self.together.lanes();
        let is_last = self.making.askers.fetch_sub(1, Ordering::SeqCst) == 1;
        if is_last && lanes.get(&self.key).is_some_and(|lane| Arc::ptr_eq(&lane.making, &self.making)) {
            lanes.remove(&self.key);
        }
    }
}

impl<K, T> Default for Together<K, T> {
    fn default() -> Self {
        Self { lanes: Mutex::default() }
    }
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self { gate: Arc::default(), making: Arc::default() }
    }
}

impl<T> Default for Making<T> {
    fn default() -> Self {
        Self { has_begun: AtomicBool::new(false), made: OnceCell::new(), askers: AtomicUsize::new(0) }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::{Pin, pin};
    use std::task::Poll;

    use tokio::sync::Notify;

    use super::*;

    /// Polls once what cannot be ready.
    async fn begin<T>(mut future: Pin<&mut impl Future<Output = T>>) {
        poll_fn(|cx| {
            assert!(future.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
    }

    async fn make(may: &Notify, result: Result<u32, u32>) -> Result<u32, u32> {
        may.notified().await;
        result
    }

    #[tokio::test]
    async fn who_asks_during_a_making_has_the_next_one_with_all_others_who_do() {
        let (together, may) = (Together::default(), Notify::new());
        let mut first = pin!(together.get("a", make(&may, Ok(1))));
        begin(first.as_mut()).await;
        let mut second = pin!(together.get("a", make(&may, Ok(2))));
        let mut third = pin!(together.get("a", make(&may, Ok(3))));
        begin(second.as_mut()).await;
        begin(third.as_mut()).await;
        assert_eq!(together.get("b", async { Ok::<_, u32>(9) }).await, Ok(9), "another thing does not wait");
        may.notify_one();
        assert_eq!(first.await, Ok(1));
        begin(second.as_mut()).await; // begins to make
        let mut fourth = pin!(together.get("a", make(&may, Ok(4))));
        begin(fourth.as_mut()).await;
        may.notify_one();
        assert_eq!((second.await, third.await), (Ok(2), Ok(2)));
        may.notify_one();
        assert_eq!(fourth.await, Ok(4), "what it has was made after it asked");
        assert!(together.lanes().is_empty());
    }

    #[tokio::test]
    async fn who_leaves_or_fails_leaves_it_to_the_others() {
        let (together, may) = (Together::default(), Notify::new());
        let mut first = Box::pin(together.get("a", make(&may, Ok(1))));
        begin(first.as_mut()).await;
        let mut second = Box::pin(together.get("a", make(&may, Ok(2))));
        let mut third = pin!(together.get("a", make(&may, Err(3))));
        let mut fourth = pin!(together.get("a", make(&may, Ok(4))));
        begin(second.as_mut()).await;
        begin(third.as_mut()).await;
        begin(fourth.as_mut()).await;
        drop(first);
        begin(second.as_mut()).await;
        drop(second);
        begin(third.as_mut()).await;
        may.notify_one();
        assert_eq!(third.await, Err(3));
        begin(fourth.as_mut()).await;
        may.notify_one();
        assert_eq!(fourth.await, Ok(4));
        assert!(together.lanes().is_empty());
    }
}
