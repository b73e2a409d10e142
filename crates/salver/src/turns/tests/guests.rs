//! Loops of somebody else's that take turns with ours.

use super::*;

#[test]
fn a_guest_that_comes_and_goes_never_holds_up_the_server() {
    let (turns, rounds) = (of_threads(2), 400);
    let listeners = Listeners::open(&["127.0.0.1:0".parse::<Address>().unwrap()], 1).unwrap();
    let site = Site::new().mount("/", blocking(&turns, |_| "called".into())).unwrap();
    let driven = Server::new(site).drive(listeners).unwrap();
    let Local::Tcp(address) = driven.locals()[0] else { panic!() };
    let stop = driven.stop();
    let guest = turns.clone();
    let thread = thread::spawn(move || {
        turns
            .run_beside(driven, Anywhere, || {
                // Away for about as long as it takes until somebody is sent to take the turn over.
                for round in 0_u64.. {
                    let mut polls = 0;
                    let visited = guest.visit(|cx| {
                        polls += 1;
                        cx.waker().wake_by_ref();
                        if polls > 20 { Poll::Ready(()) } else { Poll::Pending }
                    });
                    if visited.is_none() {
                        return;
                    }
                    thread::sleep(Duration::from_micros(800 + round % 16 * 100));
                }
            })
            .unwrap();
    });
    let running = Running { address, stop, thread: Some(thread) };
    let (done, ended) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..rounds {
                assert_eq!(running.get("/"), "called");
            }
            done.send(()).unwrap();
        });
        ended.recv_timeout(Duration::from_secs(20)).expect("every request is answered");
    });
}

/// Runs `guest` beside a server without a site, and stops it.
fn beside(guest: impl FnOnce(&Turns)) {
    let turns = Turns::new(&Options::default());
    let listeners = Listeners::open(&["127.0.0.1:0".parse::<Address>().unwrap()], 1).unwrap();
    let driven = Server::new(Site::new()).drive(listeners).unwrap();
    let stop = driven.stop();
    turns
        .run_beside(driven, Anywhere, || {
            guest(&turns);
            stop.now();
            while turns.visit(|_| Poll::<()>::Pending).is_some() {}
        })
        .unwrap();
}

#[test]
fn a_guest_that_is_stuck_is_succeeded() {
    beside(|turns| {
        // Long enough for the first thread to have found that it is a spare.
        let until = Instant::now() + Duration::from_millis(20);
        turns.visit(|cx| {
            cx.waker().wake_by_ref();
            if Instant::now() < until { Poll::Pending } else { Poll::Ready(()) }
        });
        let until = Instant::now() + Duration::from_secs(10);
        while turns.counted().take_overs == 0 {
            assert!(Instant::now() < until, "nobody took over");
        }
    });
}

#[test]
fn a_call_behind_one_that_lasts_is_made_where_a_guest_turns() {
    struct Told(Arc<Gate>);
    impl Call for Told {
        fn run(self: Arc<Self>) {
            self.0.pass();
        }
    }
    beside(|turns| {
        let gate = Arc::new(Gate::default());
        let (mut queued, until) = (false, Instant::now() + Duration::from_secs(10));
        turns.visit(|cx| {
            cx.waker().wake_by_ref();
            if !queued && turns.0.state().sentinel.is_some() {
                queued = true; // the sentinel sleeps
                turns.queue(Arc::new(Told(Arc::clone(&gate))));
                turns.queue(Arc::new(Told(Arc::clone(&gate))));
            }
            assert!(Instant::now() < until, "nobody found that the first call lasts");
            if gate.2.load(Ordering::SeqCst) == 2 { Poll::Ready(()) } else { Poll::Pending }
        });
        gate.open();
    });
}

#[test]
fn progress_is_a_beat() {
    // That a guest which beats is not succeeded cannot be tested by itself: a busy machine keeps the processor from it.
    let turns = Turns::new(&Options::default());
    let beats = || turns.0.beats(&turns.0.state());
    let before = beats();
    assert_eq!(beats(), before);
    turns.progress();
    assert_ne!(beats(), before);
}
