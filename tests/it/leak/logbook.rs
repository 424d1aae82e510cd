//! Everything that is logged, at every level, in a file.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Writes down all spans and events with all their fields, and what other crates tell `log`.
pub(crate) struct Logbook {
    file: Mutex<File>,
    spans: AtomicU64,
}

/// Takes down everything in this process from now on.
pub(crate) fn begin(path: &Path) {
    let book = || Logbook {
        file: Mutex::new(
            File::options()
                .create(true)
                .append(true)
                .open(path)
                .unwrap(),
        ),
        spans: AtomicU64::new(1),
    };
    tracing::subscriber::set_global_default(book()).unwrap();
    log::set_boxed_logger(Box::new(book())).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.0, " {field}={value}").unwrap();
    }
}

impl Logbook {
    fn note(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut Fields)) {
        let mut fields = Fields(format!("{} {}", metadata.level(), metadata.target()));
        record(&mut fields);
        writeln!(
            self.file.lock().unwrap(),
            "{} {}",
            metadata.name(),
            fields.0
        )
        .unwrap();
    }
}

impl Subscriber for Logbook {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.note(span.metadata(), |fields| span.record(fields));
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut fields = Fields(String::new());
        values.record(&mut fields);
        writeln!(self.file.lock().unwrap(), "{}", fields.0).unwrap();
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.note(event.metadata(), |fields| event.record(fields));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl log::Log for Logbook {
    /// Below INFO ureq prints what goes over the wire, which docs/secrets.md says.
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        !metadata.target().starts_with("ureq") || metadata.level() <= log::Level::Info
    }

    fn log(&self, record: &log::Record<'_>) {
        if !log::Log::enabled(self, record.metadata()) {
            return;
        }
        let (level, target) = (record.level(), record.target());
        writeln!(
            self.file.lock().unwrap(),
            "log {level} {target} {}",
            record.args()
        )
        .unwrap();
    }

    fn flush(&self) {}
}
