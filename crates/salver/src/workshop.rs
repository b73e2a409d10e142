//! Work that keeps a processor busy (listings, compression): never on a loop.
//!
//! As many jobs at once as there are processors, first come, first served, on threads of a lower priority: however many clients
//! ask for such work, the loops go on. Long work comes as many short jobs, so nobody waits for somebody else's whole file. A
//! job that nobody waits for any more is not begun; when there has been none for a while, the allocator is told. Refused: to wait for clients or the disk of others; a runtime's own pool is
//! for what blocks.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

/// The job panicked; the panic hook has said where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a job of the workshop failed")]
pub(crate) struct JobFailed;

/// What a job will have made; dropped before its turn, the job is not begun.
#[derive(Debug)]
pub(crate) struct Made<T>(oneshot::Receiver<T>);

impl<T> Future for Made<T> {
    type Output = Result<T, JobFailed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map_err(|_| JobFailed)
    }
}

/// Does `job` on another thread, in its turn. What it makes is [`JobFailed`] when it panics, or when no thread can be started.
pub(crate) fn run<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> Made<T> {
    let (done, result) = oneshot::channel();
    Workshop::the_one().queue(Box::new(move || {
        if done.is_closed() {
            return;
        }
        if let Ok(made) = catch_unwind(AssertUnwindSafe(job)) {
            // Whoever waited may have left meanwhile.
            let _ = done.send(made);
        }
    }));
    Made(result)
}

/// Has `relieved` called when the work has come to rest, on each thread that did some of it; whoever says so first is obeyed.
pub(crate) fn when_relieved(relieved: fn()) {
    let _ = RELIEVED.set(relieved);
}

static RELIEVED: OnceLock<fn()> = OnceLock::new();

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Workshop {
    bench: Mutex<Bench>,
    work: Condvar,
}

#[derive(Default)]
struct Bench {
    jobs: VecDeque<Job>,
    /// Threads that there are, and those of them that wait.
    threads: usize,
    idle: usize,
}

impl Workshop {
    /// One for the process: its processors are what is shared out.
    fn the_one() -> &'static Self {
        static WORKSHOP: OnceLock<Workshop> = OnceLock::new();
        WORKSHOP.get_or_init(Self::default)
    }

    fn queue(&'static self, job: Job) {
        let mut bench = self.bench();
        bench.jobs.push_back(job);
        if bench.idle >= bench.jobs.len() {
            drop(bench);
            self.work.notify_one();
        } else if bench.threads < most_threads() {
            let thread = thread::Builder::new().name("salver-workshop".into());
            match thread.spawn(|| self.work()) {
                Ok(_) => bench.threads += 1,
                Err(error) if bench.threads == 0 => {
                    tracing::error!("no thread for a listing or compression: {error}; look at `ulimit -u`");
                    bench.jobs.clear(); // whoever waits hears that it failed
                }
                Err(_) => {} // those that there are will do it
            }
        }
    }

    fn work(&self) {
        // On Linux this is the priority of the thread; without it the work is merely less polite.
        let _ = rustix::process::setpriority_process(None, NICE);
        let mut bench = self.bench();
        let mut has_worked = false;
        loop {
            while let Some(job) = bench.jobs.pop_front() {
                drop(bench);
                job();
                has_worked = true;
                bench = self.bench();
            }
            bench.idle += 1;
            let patience = if has_worked { REST } else { Duration::MAX };
            let waited = self.work.wait_timeout(bench, patience).unwrap_or_else(PoisonError::into_inner);
            bench = waited.0;
            bench.idle -= 1;
            if has_worked && waited.1.timed_out() && bench.jobs.is_empty() {
                drop(bench);
                // What a large folder took lies with the allocator, which by itself gives nothing back while nothing is asked of it.
                if let Some(relieved) = RELIEVED.get() {
                    relieved();
                }
                has_worked = false;
                bench = self.bench();
            }
        }
    }

    fn bench(&self) -> MutexGuard<'_, Bench> {
        self.bench.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn most_threads() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}

/// How long there is no work before it has come to rest.
const REST: Duration = Duration::from_millis(100);

/// How much less urgent than the loops the work is.
const NICE: i32 = 5;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn jobs_are_done_few_at_a_time_and_a_panic_is_its_own() {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let jobs: Vec<_> = (0..64)
            .map(|number| {
                let (now, most) = (Arc::clone(&now), Arc::clone(&most));
                tokio::spawn(run(move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::yield_now();
                    now.fetch_sub(1, Ordering::SeqCst);
                    assert!(number % 8 != 7, "it panics");
                    number
                }))
            })
            .collect();
        for (number, job) in jobs.into_iter().enumerate() {
            let want = if number % 8 == 7 { Err(JobFailed) } else { Ok(number) };
            assert_eq!(job.await.unwrap(), want);
        }
        assert!(most.load(Ordering::SeqCst) <= most_threads());
    }

    #[tokio::test]
    async fn a_job_that_nobody_waits_for_is_not_begun() {
        let begun = Arc::new(AtomicUsize::new(0));
        let gates: Vec<_> = (0..most_threads()).map(|_| std::sync::mpsc::channel::<()>()).collect();
        let (open, wait): (Vec<_>, Vec<_>) = gates.into_iter().unzip();
        let busy: Vec<_> =
            wait.into_iter().map(|gate| tokio::spawn(run(move || gate.recv().is_ok()))).collect();
        tokio::task::yield_now().await;
        let counted = Arc::clone(&begun);
        let left = tokio::spawn(run(move || counted.fetch_add(1, Ordering::SeqCst)));
        tokio::task::yield_now().await;
        left.abort();
        assert!(left.await.unwrap_err().is_cancelled());
        open.iter().for_each(|gate| gate.send(()).unwrap());
        for job in busy {
            job.await.unwrap().unwrap();
        }
        run(|| ()).await.unwrap();
        assert_eq!(begun.load(Ordering::SeqCst), 0);
    }
}
