use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Instant;

use super::*;
use crate::handler::{Answer, Handler, Reply, Response};
use crate::listen::{Address, Listeners};
use crate::request::Local;
use crate::{Error, Request, SafePath, Server, Site, Stop};

mod guests;

/// A handler whose answer is made by a blocking function.
struct Blocking<F>(Turns, Arc<F>);

/// One answer on its way from a call to its connection.
struct Job<F> {
    turns: Turns,
    make: Arc<F>,
    slot: Mutex<(Option<Answer>, Option<Waker>)>,
}

impl<F: Fn(&Turns) -> String + Send + Sync + 'static> Call for Job<F> {
    fn run(self: Arc<Self>) {
        let body = (self.make)(&self.turns);
        self.put(Ok(Response::new(body.into())));
    }

    fn overdue(self: Arc<Self>, _: Duration, thread: Option<u32>) {
        let message = if thread.is_some() { "running" } else { "queued" };
        self.put(Err(Error::new(http::StatusCode::GATEWAY_TIMEOUT, message)));
    }
}

impl<F> Job<F> {
    fn put(&self, answer: Answer) {
        let mut slot = self.slot.lock().unwrap();
        slot.0 = Some(answer);
        if let Some(waker) = slot.1.take() {
            self.turns.wake(waker);
        }
    }
}

impl<F: Fn(&Turns) -> String + Send + Sync + 'static> Handler for Blocking<F> {
    fn handle(&self, _: Request, _: SafePath) -> Reply<'_> {
        let job = Arc::new(Job { turns: self.0.clone(), make: Arc::clone(&self.1), slot: Mutex::default() });
        let mut queued = false;
        Reply::later(std::future::poll_fn(move |cx| {
            let mut slot = job.slot.lock().unwrap();
            if let Some(answer) = slot.0.take() {
                return Poll::Ready(answer);
            }
            slot.1 = Some(cx.waker().clone());
            drop(slot);
            if !std::mem::replace(&mut queued, true) {
                job.turns.queue(Arc::clone(&job) as Arc<dyn Call>);
            }
            Poll::Pending
        }))
    }
}

/// A server with turns on a thread of its own.
struct Running {
    address: SocketAddr,
    stop: Stop,
    thread: Option<thread::JoinHandle<()>>,
}

fn of_threads(threads: usize) -> Turns {
    Turns::new(&Options { threads: NonZeroUsize::new(threads) })
}

/// Turns in which a call may take so long.
fn timed(threads: usize, timeout: Duration) -> Turns {
    let turns = of_threads(threads);
    turns.set_timeout(timeout);
    turns
}

impl Running {
    fn start(threads: usize, site: impl FnOnce(&Turns) -> Site) -> Self {
        Self::start_with(of_threads(threads), site)
    }

    fn start_with(turns: Turns, site: impl FnOnce(&Turns) -> Site) -> Self {
        Self::start_in(turns, Anywhere, 1, site)
    }

    fn start_in(turns: Turns, place: impl Place, loops: usize, site: impl FnOnce(&Turns) -> Site) -> Self {
        let listeners = Listeners::open(&["127.0.0.1:0".parse::<Address>().unwrap()], loops).unwrap();
        let driven = Server::new(site(&turns)).drive(listeners).unwrap();
        let Local::Tcp(address) = driven.locals()[0] else { panic!() };
        let stop = driven.stop();
        let thread = thread::spawn(move || turns.run(driven, place).unwrap());
        Self { address, stop, thread: Some(thread) }
    }

    fn get(&self, path: &str) -> String {
        let mut socket = TcpStream::connect(self.address).unwrap();
        write!(socket, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer.split("\r\n\r\n").nth(1).unwrap().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.now();
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A gate that calls wait at until it is opened.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar, AtomicUsize);

impl Gate {
    fn pass(&self) {
        self.2.fetch_add(1, Ordering::SeqCst);
        let open = self.0.lock().unwrap();
        drop(self.1.wait_while(open, |open| !*open).unwrap());
        self.2.fetch_sub(1, Ordering::SeqCst);
    }

    fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    /// Waits until so many calls are held.
    fn held(&self, count: usize) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.2.load(Ordering::SeqCst) != count {
            assert!(
                Instant::now() < until,
                "{} instead of {count} at the gate",
                self.2.load(Ordering::SeqCst)
            );
            thread::yield_now();
        }
    }
}

fn blocking(turns: &Turns, make: impl Fn(&Turns) -> String + Send + Sync + 'static) -> impl Handler {
    Blocking(turns.clone(), Arc::new(make))
}

/// A place with a lock that calls hold, and that whoever comes to it has to take.
#[derive(Default)]
struct Locked(Mutex<()>);

impl Place for Locked {
    fn inhabit(&self, life: &mut (dyn FnMut() + Send)) {
        drop(self.0.lock().unwrap());
        life();
    }

    fn enter(&self, calls: &mut dyn FnMut()) {
        let _held = self.0.lock().unwrap();
        calls();
    }
}

#[test]
fn a_call_that_holds_the_lock_of_its_place_holds_up_neither_the_loop_nor_the_timeouts() {
    let gate = Arc::new(Gate::default());
    let held = Arc::clone(&gate);
    let turns = timed(4, Duration::from_millis(300));
    let server = Running::start_in(turns, Locked::default(), 1, |turns| {
        let slow = blocking(turns, move |_| {
            held.pass();
            "slow".into()
        });
        let files = crate::handler::redirect::open("/elsewhere").unwrap();
        Site::new().mount("/slow", slow).and_then(|site| site.mount("/file", files)).unwrap()
    });
    let (done, told) = mpsc::channel();
    thread::scope(|scope| {
        let ask = |path: &'static str| {
            let (server, done) = (&server, done.clone());
            scope.spawn(move || done.send((path, server.get(path))));
        };
        ask("/slow");
        gate.held(1);
        ask("/file");
        ask("/slow"); // waits for the lock
        let answers: Vec<_> = (0..3).map(|_| told.recv_timeout(Duration::from_secs(10))).collect();
        gate.open();
        let paths: Vec<_> = answers.iter().map(|answer| answer.as_ref().map(|(path, _)| *path)).collect();
        assert_eq!(paths, [Ok("/file"), Ok("/slow"), Ok("/slow")]);
        for (path, body) in answers.into_iter().flatten().filter(|(path, _)| *path == "/slow") {
            assert!(body.contains("running"), "{path}: {body}");
        }
    });
}

#[test]
fn one_loop_serves_the_queues_of_several() {
    let turns = Turns::new(&Options::default());
    let server = Running::start_in(turns, Anywhere, 3, |turns| {
        Site::new().mount("/", blocking(turns, |_| "called".into())).unwrap()
    });
    let (done, ended) = mpsc::channel();
    thread::scope(|scope| {
        let server = &server;
        scope.spawn(move || {
            for _ in 0..40 {
                assert_eq!(server.get("/"), "called"); // from a new port each, which chooses the queue
            }
            done.send(()).unwrap();
        });
        let ended = ended.recv_timeout(Duration::from_secs(20));
        server.stop.now();
        ended.expect("every queue is served");
    });
}

#[test]
fn quick_calls_run_on_one_thread() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let server = Running::start(8, |turns| {
        let quick = blocking(turns, move |_| {
            noted.lock().unwrap().push(thread::current().id());
            "quick".into()
        });
        Site::new().mount("/", quick).unwrap()
    });
    let mut socket = TcpStream::connect(server.address).unwrap();
    let mut ask = || {
        socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut reader = BufReader::new(&socket);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        let mut body = [0; 5];
        reader.read_exact(&mut body).unwrap();
        assert_eq!(&body, b"quick");
    };
    // A busy machine makes a quick call look slow now and then, and those behind it.
    let one_thread = (0..200).any(|_| {
        seen.lock().unwrap().clear();
        (0..10).for_each(|_| ask());
        let seen = seen.lock().unwrap();
        seen.iter().all(|thread| *thread == seen[0])
    });
    assert!(one_thread);
}

#[test]
fn slow_calls_hold_up_neither_the_loop_nor_other_calls_up_to_the_bound() {
    let gate = Arc::new(Gate::default());
    let held = Arc::clone(&gate);
    let server = Running::start(3, |turns| {
        let slow = blocking(turns, move |_| {
            held.pass();
            "slow".into()
        });
        let quick = blocking(turns, |_| "quick".into());
        let files = crate::handler::redirect::open("/elsewhere").unwrap();
        Site::new()
            .mount("/slow", slow)
            .and_then(|site| site.mount("/quick", quick))
            .and_then(|site| site.mount("/files", files))
            .unwrap()
    });
    thread::scope(|scope| {
        let mut clients: Vec<_> = (0..2).map(|_| scope.spawn(|| server.get("/slow"))).collect();
        gate.held(2);
        assert_eq!(server.get("/quick"), "quick", "a place is free");
        clients.extend((0..3).map(|_| scope.spawn(|| server.get("/slow"))));
        gate.held(3);
        for _ in 0..10 {
            server.get("/files"); // the loop goes on with all places taken
        }
        assert_eq!(gate.2.load(Ordering::SeqCst), 3, "never more than the bound");
        gate.open();
        assert!(clients.into_iter().all(|client| client.join().unwrap() == "slow"));
    });
}

#[test]
fn with_one_thread_calls_never_overlap() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (running, peak) = (Arc::clone(&now), Arc::clone(&most));
    let server = Running::start(1, |turns| {
        let call = blocking(turns, move |turns| {
            peak.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            let (done, wait) = tokio::sync::oneshot::channel::<()>();
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(3)); // the client's time, as long as a wait may be
                drop(done);
            });
            let _ = turns.wait(wait);
            running.fetch_sub(1, Ordering::SeqCst);
            "done".into()
        });
        Site::new().mount("/", call).unwrap()
    });
    thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(|| server.get("/"))).collect();
        assert!(clients.into_iter().all(|client| client.join().unwrap() == "done"));
    });
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[test]
fn who_waits_for_a_client_gives_its_place_to_others() {
    let (entered, entering) = mpsc::channel();
    let (release, released) = tokio::sync::watch::channel(false);
    let server = Running::start(2, |turns| {
        let waiting = blocking(turns, move |turns| {
            entered.send(()).unwrap();
            let mut released = released.clone();
            turns.wait(async move {
                let _ = released.wait_for(|released| *released).await;
            });
            "waited".into()
        });
        let quick = blocking(turns, |_| "quick".into());
        Site::new().mount("/wait", waiting).and_then(|site| site.mount("/quick", quick)).unwrap()
    });
    thread::scope(|scope| {
        let clients: Vec<_> = (0..5).map(|_| scope.spawn(|| server.get("/wait"))).collect();
        (0..5).for_each(|_| entering.recv().unwrap()); // more than there are places
        assert_eq!(server.get("/quick"), "quick");
        release.send_replace(true);
        assert!(clients.into_iter().all(|client| client.join().unwrap() == "waited"));
    });
}

#[test]
fn a_silent_call_is_told_and_so_is_one_that_never_got_its_turn() {
    let gate = Arc::new(Gate::default());
    let held = Arc::clone(&gate);
    let turns = timed(1, Duration::from_millis(200));
    let server = Running::start_with(turns, |turns| {
        let slow = blocking(turns, move |_| {
            held.pass();
            "slow".into()
        });
        Site::new().mount("/", slow).unwrap()
    });
    thread::scope(|scope| {
        let running = scope.spawn(|| server.get("/"));
        gate.held(1);
        let queued = scope.spawn(|| server.get("/"));
        assert_eq!(running.join().unwrap(), "504 Gateway Timeout: running\n");
        assert_eq!(queued.join().unwrap(), "504 Gateway Timeout: queued\n");
        gate.open();
    });
}

#[test]
fn a_call_that_panics_costs_nobody_else_anything() {
    let turns = Turns::new(&Options::default());
    turns.set_timeout(Duration::from_millis(100));
    let server = Running::start_with(turns, |turns| {
        let panics = blocking(turns, |_| panic!("as it may"));
        let quick = blocking(turns, |_| "quick".into());
        Site::new().mount("/panic", panics).and_then(|site| site.mount("/", quick)).unwrap()
    });
    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.write_all(b"GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    for _ in 0..5 {
        assert_eq!(server.get("/"), "quick");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn threads_of_calls_are_woken_in_time() {
    for _ in 0..4 {
        let latest = latest_slack_beside_a_sentinel_that_may_be_late();
        assert!(latest < 1_000_000, "a call slept up to {latest} ns too long");
    }
}

#[cfg(target_os = "linux")]
fn latest_slack_beside_a_sentinel_that_may_be_late() -> u64 {
    let latest = Arc::new(AtomicU64::new(0));
    let server = Running::start(4, |turns| {
        let seen = Arc::clone(&latest);
        let note = move || {
            seen.fetch_max(rustix::thread::current_timer_slack().unwrap(), Ordering::SeqCst);
        };
        let note_too = note.clone();
        let quick = blocking(turns, move |_| {
            let until = Instant::now() + Duration::from_micros(300);
            while Instant::now() < until {}
            note();
            "quick".into()
        });
        let slow = blocking(turns, move |_| {
            thread::sleep(Duration::from_millis(30));
            note_too();
            "slow".into()
        });
        Site::new().mount("/slow", slow).and_then(|site| site.mount("/", quick)).unwrap()
    });
    let until = Instant::now() + Duration::from_millis(400); // the sentinel may be late by then
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while Instant::now() < until {
                    server.get("/");
                }
            });
        }
    });
    thread::scope(|scope| {
        for path in ["/slow", "/slow", "/", "/"] {
            scope.spawn(|| server.get(path));
        }
    });
    latest.load(Ordering::SeqCst)
}
