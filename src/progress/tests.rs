use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use super::*;

fn sample(bytes: u64) -> Event {
    let direction = Direction::Upload;
    Event::Pack { direction, bytes }
}

fn step(files: usize) -> Event {
    Event::CheckedOut {
        files,
        total: usize::MAX,
    }
}

/// Samples as they are, steps as negative numbers.
fn number(event: &Event) -> i64 {
    match event {
        Event::Pack { bytes, .. } => i64::try_from(*bytes).expect("small"),
        Event::CheckedOut { files, .. } => -i64::try_from(*files).expect("small"),
        other => panic!("{other:?}"),
    }
}

fn long_enough(done: impl Fn() -> bool) -> bool {
    let began = Instant::now();
    while !done() && began.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(1));
    }
    done()
}

#[test]
fn old_samples_give_way_and_steps_do_not() {
    let (progress, mut events) = Progress::channel();
    for bytes in 0..500 {
        progress.report(|| sample(bytes));
        if bytes % 2 == 0 {
            progress.report(|| step(usize::try_from(bytes).expect("small") + 1));
        }
    }
    drop(progress);
    let numbers: Vec<i64> = std::iter::from_fn(|| events.try_next())
        .map(|event| number(&event))
        .collect();
    let steps: Vec<i64> = numbers.iter().copied().filter(|n| *n < 0).collect();
    assert_eq!(steps, (0..250).map(|n| -2 * n - 1).collect::<Vec<_>>());
    let samples: Vec<i64> = numbers.iter().copied().filter(|n| *n >= 0).collect();
    assert_eq!(samples, (436..500).collect::<Vec<_>>());
    assert_eq!(numbers[numbers.len() - 3..], [498, -499, 499], "in order");
    assert!(events.next().is_none());
}

#[test]
fn a_call_that_is_done_has_told_a_quick_handler_all() {
    let heard = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heard);
    let progress = Progress::new(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    for round in 1..20 {
        let settled = progress.settled();
        progress.report(|| step(1));
        drop(settled);
        assert_eq!(heard.load(Ordering::Relaxed), round);
    }
}

#[test]
fn a_handler_that_never_returns_costs_one_wait() {
    let (release, blocked) = mpsc::channel::<()>();
    let progress = Progress::new(move |_| {
        let _ = blocked.recv();
    });
    let began = Instant::now();
    for _ in 0..50 {
        progress.report(|| step(1));
        progress.settle();
    }
    let took = began.elapsed();
    assert!(took >= SETTLE && took < SETTLE * 5, "{took:?}");
    // It comes back, catches up, and is waited for again.
    drop(release);
    assert!(long_enough(|| {
        progress.report(|| step(1));
        let began = Instant::now();
        progress.settle();
        began.elapsed() < SETTLE
    }));
}

#[test]
fn a_handler_that_panics_is_let_go() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let progress = Progress::new(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        panic!("as the test wants");
    });
    for _ in 0..3 {
        progress.report(|| step(1));
        progress.settle();
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert!(long_enough(|| Arc::strong_count(&calls) == 1), "freed");
}

#[test]
fn the_thread_ends_with_the_last_clone_and_after_the_last_event() {
    let heard = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heard);
    let progress = Progress::new(move |_| {
        std::thread::sleep(Duration::from_millis(5));
        count.fetch_add(1, Ordering::Relaxed);
    });
    let clone = progress.clone();
    for _ in 0..10 {
        clone.report(|| step(1));
    }
    drop(progress);
    drop(clone);
    assert!(long_enough(|| Arc::strong_count(&heard) == 1));
    assert_eq!(heard.load(Ordering::Relaxed), 10);
}

#[test]
fn a_handler_may_call_what_reports() {
    let slot: Arc<std::sync::Mutex<Option<Progress>>> = Arc::default();
    let inner = Arc::clone(&slot);
    let (tell, told) = mpsc::channel();
    let progress = Progress::new(move |event| {
        if number(event) == -1 {
            let own = inner.lock().expect("no panic").take().expect("set");
            own.report(|| step(2));
            let began = Instant::now();
            own.settle();
            tell.send(began.elapsed()).expect("heard");
        }
    });
    *slot.lock().expect("no panic") = Some(progress.clone());
    // The thread's first event only makes it known who it is.
    progress.report(|| step(3));
    progress.settle();
    progress.report(|| step(1));
    assert!(told.recv().expect("told") < SETTLE);
}

#[test]
fn events_that_are_dropped_stop_nothing() {
    let (progress, events) = Progress::channel();
    progress.report(|| step(1));
    progress.settle();
    drop(events);
    progress.report(|| step(2));
    assert_eq!(format!("{progress:?}"), "Progress(channel)");
}

#[test]
fn reading_waits_as_long_as_it_says() {
    let (progress, mut events) = Progress::channel();
    let began = Instant::now();
    assert!(events.next_timeout(Duration::from_millis(30)).is_none());
    assert!(began.elapsed() >= Duration::from_millis(30));
    let later = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        progress.report(|| step(1));
    });
    assert!(events.next_timeout(Duration::MAX).is_some());
    assert!(events.next().is_none(), "the last sender is gone");
    later.join().expect("no panic");
}
