//! A bounded cache, shared by the event loops.
//!
//! Bounded in bytes and in entries; what was not used since the hand last came by goes first (the clock algorithm: a use
//! sets a mark, and moves nothing). Cut in parts with a lock each, so that loops seldom meet.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Values by name.
#[derive(Debug)]
pub(crate) struct Cache<V> {
    shards: Box<[Mutex<Shard<V>>]>,
}

#[derive(Debug)]
struct Shard<V> {
    places: HashMap<Arc<[u8]>, usize, Fnv>,
    slots: Vec<Option<Slot<V>>>,
    free: Vec<usize>,
    hand: usize,
    /// The sum of the slots' costs.
    bytes: usize,
    max_bytes: usize,
    max_entries: usize,
}

#[derive(Debug)]
struct Slot<V> {
    key: Arc<[u8]>,
    value: Arc<V>,
    cost: usize,
    used: bool,
}

impl<V> Cache<V> {
    /// A cache of at most `max_bytes` and `max_entries`.
    pub(crate) fn new(max_bytes: usize, max_entries: usize) -> Self {
        let shard = || {
            Mutex::new(Shard {
                places: HashMap::default(),
                slots: Vec::new(),
                free: Vec::new(),
                hand: 0,
                bytes: 0,
                max_bytes: max_bytes / SHARDS,
                max_entries: max_entries / SHARDS,
            })
        };
        Self { shards: (0..SHARDS).map(|_| shard()).collect() }
    }

    /// The value of `key`.
    pub(crate) fn find(&self, key: &[u8]) -> Option<Arc<V>> {
        let mut shard = self.shard(key)?;
        let slot = shard.slot(key)?;
        slot.used = true;
        Some(slot.value.clone())
    }

    /// Puts a value that takes `cost` bytes in; what was there under that name goes.
    pub(crate) fn insert(&self, key: &[u8], value: Arc<V>, cost: usize) {
        let Some(mut shard) = self.shard(key) else { return };
        shard.remove(key);
        let cost = cost + key.len() + OVERHEAD;
        if cost > shard.max_bytes {
            return;
        }
        let key: Arc<[u8]> = key.into();
        let slot = Slot { key: key.clone(), value, cost, used: false };
        shard.make_room(cost, 1);
        let place = match shard.free.pop() {
            Some(place) => place,
            None => {
                shard.slots.push(None);
                shard.slots.len() - 1
            }
        };
        if let Some(free) = shard.slots.get_mut(place) {
            *free = Some(slot);
            shard.bytes += cost;
            shard.places.insert(key, place);
        }
    }

    /// Counts `cost` bytes more for `value`, if it still is the value of `key`.
    pub(crate) fn charge(&self, key: &[u8], value: &Arc<V>, cost: usize) {
        let Some(mut shard) = self.shard(key) else { return };
        let Some(slot) = shard.slot(key).filter(|slot| Arc::ptr_eq(&slot.value, value)) else { return };
        slot.cost += cost;
        slot.used = true;
        shard.bytes += cost;
        shard.make_room(0, 0);
    }

    /// Forgets the value of `key`.
    pub(crate) fn remove(&self, key: &[u8]) {
        if let Some(mut shard) = self.shard(key) {
            shard.remove(key);
        }
    }

    fn shard(&self, key: &[u8]) -> Option<MutexGuard<'_, Shard<V>>> {
        // The map's places come from the same hash's other bits.
        let shard = usize::try_from((Fnv::default().hash_one(key) >> 32) % SHARDS as u64).unwrap_or(0);
        // No code under the lock panics half-way through a change.
        self.shards.get(shard).map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<V> Shard<V> {
    fn slot(&mut self, key: &[u8]) -> Option<&mut Slot<V>> {
        let place = *self.places.get(key)?;
        self.slots.get_mut(place)?.as_mut()
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some(place) = self.places.remove(key) {
            self.clear(place);
        }
    }

    fn clear(&mut self, place: usize) {
        if let Some(slot) = self.slots.get_mut(place).and_then(Option::take) {
            self.bytes -= slot.cost;
            self.free.push(place);
        }
    }

    /// Moves the hand on until `bytes` and `entries` more find room.
    fn make_room(&mut self, bytes: usize, entries: usize) {
        while !self.places.is_empty()
            && (self.bytes + bytes > self.max_bytes || self.places.len() + entries > self.max_entries)
        {
            let place = self.hand;
            self.hand = (self.hand + 1) % self.slots.len();
            match self.slots.get_mut(place) {
                Some(Some(slot)) if slot.used => slot.used = false,
                Some(Some(slot)) => {
                    self.places.remove(&slot.key);
                    self.clear(place);
                }
                _ => {}
            }
        }
    }
}

/// The hash of a name: FNV-1a, a few instructions a byte. Only names of files that there are get into the cache, and not many of
/// them: nobody gains by choosing them so that they meet.
#[derive(Debug)]
struct NameHasher(u64);

type Fnv = BuildHasherDefault<NameHasher>;

impl Default for NameHasher {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn write_usize(&mut self, _: usize) {} // a name's length says nothing that its bytes do not

    fn finish(&self) -> u64 {
        // The map looks at the highest bits and the choice of a part at those in the middle, where short names differ least.
        let mixed = (self.0 ^ self.0 >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ mixed >> 32
    }
}

/// How often something was used in the current short time.
#[derive(Debug, Default)]
pub(crate) struct Heat(AtomicU64);

impl Heat {
    /// Counts a use in the span `tick`, and tells whether there were so many in it that a check, done at each of them, need
    /// not be done again before it ends.
    ///
    /// A person or a script never uses a file that often, and so always sees it as it is.
    pub(crate) fn is_hot(&self, tick: u64) -> bool {
        // A count lost between threads costs one check more.
        let seen = self.0.load(Ordering::Relaxed);
        let (span, uses) = (seen >> COUNT_BITS, seen & COUNT_MASK);
        if span != tick & (u64::MAX >> COUNT_BITS) {
            self.0.store(tick << COUNT_BITS | 1, Ordering::Relaxed);
        } else if uses > CHECKED_USES {
            return true;
        } else {
            self.0.store(seen + 1, Ordering::Relaxed);
        }
        false
    }

    /// Whether it was used so often when it was last.
    pub(crate) fn was_hot(&self) -> bool {
        self.0.load(Ordering::Relaxed) & COUNT_MASK > CHECKED_USES
    }
}

const SHARDS: usize = 8;

/// What an entry takes beside its content and name, in bytes: its headers above all.
const OVERHEAD: usize = 3072;

const COUNT_BITS: u32 = 16;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;

/// How many uses in a span are checked, each.
const CHECKED_USES: u64 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(cache: &Cache<usize>) -> usize {
        cache.shards.iter().map(|shard| shard.lock().unwrap().bytes).sum()
    }

    fn entries(cache: &Cache<usize>) -> usize {
        let count = |shard: &Mutex<Shard<usize>>| {
            let shard = shard.lock().unwrap();
            assert_eq!(shard.places.len(), shard.slots.iter().flatten().count());
            assert_eq!(shard.bytes, shard.slots.iter().flatten().map(|slot| slot.cost).sum::<usize>());
            shard.places.len()
        };
        cache.shards.iter().map(count).sum()
    }

    #[test]
    fn is_bounded_in_entries_and_in_bytes() {
        let cache = Cache::new(1 << 20, 80);
        for number in 0..1000 {
            cache.insert(format!("{number}").as_bytes(), Arc::new(number), 10);
            assert!(entries(&cache) <= 80);
        }
        let cache = Cache::new(8 * 10 * (OVERHEAD + 100), 1 << 20);
        for number in 0..1000 {
            cache.insert(format!("{number}").as_bytes(), Arc::new(number), 10);
            assert!(bytes(&cache) <= 8 * 10 * (OVERHEAD + 100));
        }
        assert!(entries(&cache) > 40);
        cache.insert(b"huge", Arc::new(0), 1 << 30);
        assert_eq!(cache.find(b"huge"), None);
    }

    #[test]
    fn names_are_in_all_parts() {
        let cache = Cache::new(1 << 30, 1 << 20);
        for number in 0..400 {
            cache.insert(format!("{number}").as_bytes(), Arc::new(number), 1);
        }
        for shard in &cache.shards {
            assert!((30..70).contains(&shard.lock().unwrap().places.len()));
        }
    }

    #[test]
    fn what_is_used_stays() {
        let cache = Cache::new(1 << 30, 80);
        cache.insert(b"used", Arc::new(7), 10);
        for number in 0..1000 {
            cache.insert(format!("{number}").as_bytes(), Arc::new(number), 10);
            assert_eq!(cache.find(b"used").as_deref(), Some(&7));
        }
    }

    #[test]
    fn a_name_has_one_value_and_its_cost_is_counted_once() {
        let cache = Cache::new(1 << 20, 80);
        for number in 0..1000 {
            cache.insert(b"name", Arc::new(number), 100);
        }
        let value = cache.find(b"name").unwrap();
        assert_eq!((*value, entries(&cache), bytes(&cache)), (999, 1, 100 + 4 + OVERHEAD));
        cache.charge(b"name", &value, 50);
        assert_eq!(bytes(&cache), 150 + 4 + OVERHEAD);
        cache.charge(b"name", &Arc::new(999), 50); // another value, gone by now
        assert_eq!(bytes(&cache), 150 + 4 + OVERHEAD);
        cache.charge(b"name", &value, 1 << 20);
        assert_eq!((entries(&cache), bytes(&cache)), (0, 0));
    }

    #[test]
    fn the_first_uses_of_a_span_are_checked_each() {
        let heat = Heat::default();
        for tick in [0, 1, 7] {
            let checked = (0..100).filter(|_| !heat.is_hot(tick)).count();
            assert!((32..=33).contains(&checked), "{checked}");
        }
    }
}
