//! Child processes that say which step they are at, and may end themselves there.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Prints a line `step NAME` for every step of the library, and does something at one of them.
struct Steps {
    /// The step, how often it is passed before, and what happens there.
    moment: Option<(String, usize, Act)>,
    passed: AtomicUsize,
}

type Act = Box<dyn Fn() + Send + Sync>;

/// From now on this process says its steps; at the `nth` (from 1) step of that name it is killed.
pub(crate) fn say(fatal: Option<(&str, usize)>) {
    let die: fn() -> Act = || Box::new(|| die());
    listen(fatal.map(|(name, nth)| (name.to_owned(), nth, die())));
}

/// Calls `act` at the first step of that name.
pub(crate) fn call_at(name: &str, act: impl FnOnce() + Send + 'static) {
    let act = Mutex::new(Some(act));
    let once = move || {
        if let Some(act) = act.lock().unwrap().take() {
            act();
        }
    };
    listen(Some((name.to_owned(), 1, Box::new(once))));
}

fn listen(moment: Option<(String, usize, Act)>) {
    let passed = AtomicUsize::new(0);
    tracing::subscriber::set_global_default(Steps { moment, passed }).unwrap();
}

/// Ends this process as `kill -9` does.
pub(crate) fn die() -> ! {
    let me = rustix::process::getpid();
    rustix::process::kill_process(me, rustix::process::Signal::KILL).unwrap();
    loop {
        std::thread::park();
    }
}

/// Writes a line at once and whole: what reads it must not miss the last one.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(format!("{text}\n").as_bytes());
    let _ = out.flush();
}

impl Subscriber for Steps {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "hf_repository::step"
    }

    fn event(&self, event: &Event<'_>) {
        struct Message(String);
        impl Visit for Message {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        line(&format!("step {}", message.0));
        if let Some((name, nth, act)) = &self.moment
            && *name == message.0
            && self.passed.fetch_add(1, Ordering::SeqCst) + 1 == *nth
        {
            act();
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
