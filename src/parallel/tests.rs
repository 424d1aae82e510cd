use super::*;
use crate::error::{Error, ErrorKind};

fn failure(kind: ErrorKind) -> Error {
    Error::new(kind, "failed")
}

#[test]
fn results_are_in_the_order_of_the_items() {
    for count in [0, 1, 7, 1000] {
        let items: Vec<usize> = (0..count).collect();
        let doubled = map(&items, &CancelToken::new(), |item| Ok(item * 2));
        let wanted: Vec<usize> = items.iter().map(|item| item * 2).collect();
        assert_eq!(doubled.expect("worked"), wanted);
    }
}

#[test]
fn each_thread_has_something_of_its_own() {
    let items = [(); 100];
    let numbers = AtomicUsize::new(0);
    let begin = || Ok((numbers.fetch_add(1, Ordering::Relaxed), 0));
    let work = |own: &mut (usize, usize), (): &()| {
        own.1 += 1;
        Ok(*own)
    };
    let done = map_with(&items, &CancelToken::new(), begin, work).expect("worked");
    let most = |thread| done.iter().filter(|(of, _)| *of == thread).count();
    let begun = numbers.into_inner();
    assert!(begun <= threads() && (0..begun).map(most).sum::<usize>() == 100);
}

#[test]
fn the_first_failure_ends_it() {
    let items: Vec<usize> = (0..10_000).collect();
    let begun = AtomicUsize::new(0);
    let work = |item: &usize| match item {
        3 => Err(failure(ErrorKind::DiskFull)),
        _ => Ok(begun.fetch_add(1, Ordering::Relaxed)),
    };
    let failed = map(&items, &CancelToken::new(), work).expect_err("one failed");
    assert_eq!(failed.kind(), ErrorKind::DiskFull);
    let begin = || Err::<(), _>(failure(ErrorKind::Io));
    let failed = map_with(&items, &CancelToken::new(), begin, |(), _| Ok(()));
    assert_eq!(failed.expect_err("none could begin").kind(), ErrorKind::Io);
}

#[test]
fn it_can_be_cancelled() {
    let items: Vec<usize> = (0..10_000).collect();
    let (cancel, begun) = (CancelToken::new(), AtomicUsize::new(0));
    let work = |_: &usize| {
        cancel.cancel();
        begun.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    let failed = map(&items, &cancel, work).expect_err("cancelled");
    assert_eq!(failed.kind(), ErrorKind::Cancelled);
    assert!(begun.into_inner() <= threads());
}

#[test]
fn a_panic_comes_to_the_caller_and_ends_the_others() {
    let items: Vec<usize> = (0..1000).collect();
    let work = |item: &usize| {
        assert!(*item != 5, "out of order");
        Ok(())
    };
    let cancel = CancelToken::new();
    let caught = std::panic::catch_unwind(|| map(&items, &cancel, work).map(drop));
    let panic = caught.expect_err("a panic");
    let text = panic.downcast_ref::<&str>().copied();
    assert_eq!(text, Some("out of order"));
}

#[test]
fn what_is_fed_comes_to_the_caller_and_little_waits() {
    let items: Vec<usize> = (0..1000).collect();
    let (cancel, begun) = (CancelToken::new(), AtomicUsize::new(0));
    let caller = thread::current().id();
    let work = |(): &mut (), item: &usize| {
        begun.fetch_add(1, Ordering::SeqCst);
        assert_ne!(thread::current().id(), caller);
        Ok(*item)
    };
    let mut taken = Vec::new();
    let take = |item| {
        assert_eq!(thread::current().id(), caller);
        taken.push(item);
        let ahead = begun.load(Ordering::SeqCst) - taken.len();
        assert!(ahead <= 3 * threads(), "{ahead}");
        Ok(())
    };
    feed(&items, &cancel, || Ok(()), work, take).expect("worked");
    taken.sort_unstable();
    assert_eq!(taken, items);
    let none = |_: usize| Err(failure(ErrorKind::Io));
    feed(&[], &cancel, || Ok(()), work, none).expect("nothing to do");
}

#[test]
fn a_failure_on_either_side_ends_the_feeding() {
    let items: Vec<usize> = (0..10_000).collect();
    let cancel = CancelToken::new();
    let begun = AtomicUsize::new(0);
    let count = |item: usize| {
        begun.fetch_add(1, Ordering::SeqCst);
        Ok(item)
    };
    let fails = |(): &mut (), item: &usize| match item {
        5 => Err(failure(ErrorKind::DiskFull)),
        _ => count(*item),
    };
    let failed = feed(&items, &cancel, || Ok(()), fails, |_| Ok(()));
    assert_eq!(failed.expect_err("one failed").kind(), ErrorKind::DiskFull);
    assert!(begun.load(Ordering::SeqCst) < 9_999);

    begun.store(0, Ordering::SeqCst);
    let works = |(): &mut (), item: &usize| count(*item);
    let refuse = |_| Err(failure(ErrorKind::Network));
    let failed = feed(&items, &cancel, || Ok(()), works, refuse);
    assert_eq!(failed.expect_err("refused").kind(), ErrorKind::Network);
    assert!(begun.load(Ordering::SeqCst) <= 3 * threads() + 1);

    let begin = || Err::<(), _>(failure(ErrorKind::Io));
    let failed = feed(&items, &cancel, begin, works, |_| Ok(()));
    assert_eq!(failed.expect_err("none could begin").kind(), ErrorKind::Io);
    let stop = |_| {
        cancel.cancel();
        Ok(())
    };
    let failed = feed(&items, &cancel, || Ok(()), works, stop);
    assert_eq!(failed.expect_err("cancelled").kind(), ErrorKind::Cancelled);
}

#[test]
fn a_panic_among_those_that_feed_comes_to_the_caller() {
    let items: Vec<usize> = (0..1000).collect();
    let work = |(): &mut (), item: &usize| {
        assert!(*item != 5, "out of order");
        Ok(())
    };
    let cancel = CancelToken::new();
    let run = || feed(&items, &cancel, || Ok(()), work, |()| Ok(()));
    let panic = std::panic::catch_unwind(run).expect_err("a panic");
    assert_eq!(panic.downcast_ref::<&str>().copied(), Some("out of order"));
}

#[test]
fn two_things_are_done_at_once() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let heard = both(|| receiver.recv(), move || sender.send(7).expect("heard"));
    assert_eq!(heard, Ok(7));
    let caught = std::panic::catch_unwind(|| both(|| 1, || panic!("beside")));
    let panic = caught.expect_err("a panic");
    assert_eq!(panic.downcast_ref::<&str>().copied(), Some("beside"));
}
