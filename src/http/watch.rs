//! Watching bodies while they move: the stall watchdog, and the cap on bytes per second.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use super::Bandwidth;
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind};

/// The least that has to move.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pulse {
    /// Length of the window.
    pub(super) window: Duration,
    /// Bytes in each window.
    pub(super) bytes: u64,
}

/// A body on its way.
///
/// Total silence ends a read or write by the connection's own timeout. What it cannot see is a peer
/// that moves a byte now and then: that is counted here.
pub(super) struct Watched<R> {
    inner: R,
    pulse: Option<Pulse>,
    window_began: Instant,
    moved: u64,
    bandwidth: Bandwidth,
    cancel: CancelToken,
}

impl<R: Read> Watched<R> {
    pub(super) fn new(
        inner: R,
        pulse: Option<Pulse>,
        bandwidth: Bandwidth,
        cancel: CancelToken,
    ) -> Self {
        Self {
            inner,
            pulse,
            window_began: Instant::now(),
            moved: 0,
            bandwidth,
            cancel,
        }
    }

    /// Judges the window when it is over. Only reads that moved something are counted: the end of a
    /// body is never late.
    fn beat(&mut self, count: usize) -> io::Result<()> {
        let Some(pulse) = self.pulse else {
            return Ok(());
        };
        self.moved += count as u64;
        if self.window_began.elapsed() < pulse.window {
            return Ok(());
        }
        if self.moved < pulse.bytes {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "almost nothing moves",
            ));
        }
        self.moved = 0;
        self.window_began = Instant::now();
        Ok(())
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.bandwidth.piece(buffer.len());
        let count = self.inner.read(&mut buffer[..piece])?;
        if count > 0 {
            self.beat(count)?;
        }
        let waited = Instant::now();
        self.bandwidth
            .take(count, &self.cancel)
            .map_err(io::Error::other)?;
        // A pause of our own is not the peer's fault.
        self.window_began += waited.elapsed();
        Ok(count)
    }
}

/// The source of a body that has to give just so many bytes.
///
/// Its failures are not the network's: they come out of a request as they went in.
pub(super) struct Source<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Source<R> {
    pub(super) fn new(inner: R, length: u64) -> Self {
        Self {
            inner,
            left: length,
        }
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let count = match self.inner.read(&mut buffer[..most]) {
            // The other side would be waited for for ever.
            Ok(0) => Err(short()),
            result => result,
        };
        let count = count.map_err(|error| {
            let text = "cannot read what is to be uploaded";
            let hint = "did something change it meanwhile? check the disk, and the LFS store with git lfs fsck";
            let error = Error::new(ErrorKind::Io, text)
                .with_hint(hint)
                .with_source(error);
            io::Error::other(error)
        })?;
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_is_too_short_is_an_error() {
        let mut source = Source::new(&b"abc"[..], 5);
        let mut text = Vec::new();
        let error = source.read_to_end(&mut text).expect_err("too short");
        assert!(error.get_ref().is_some_and(|inner| inner.is::<Error>()));
        let mut text = Vec::new();
        let longer = Source::new(&b"abcdef"[..], 5).read_to_end(&mut text);
        assert_eq!((longer.expect("enough"), &*text), (5, &b"abcde"[..]));
    }

    /// A peer that gives so many bytes at a time, and takes its time over each.
    struct Slow(usize, Duration);

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            std::thread::sleep(self.1);
            let count = self.0.min(buffer.len());
            buffer[..count].fill(0);
            Ok(count)
        }
    }

    fn watched(inner: Slow, bytes: u64) -> Watched<Slow> {
        let pulse = Pulse {
            window: Duration::from_millis(30),
            bytes,
        };
        Watched::new(
            inner,
            Some(pulse),
            Bandwidth::unlimited(),
            CancelToken::new(),
        )
    }

    #[test]
    fn a_drip_is_a_stall() {
        let mut drip = watched(Slow(1, Duration::from_millis(5)), 100);
        let error = (0..100)
            .find_map(|_| drip.read(&mut [0; 64]).err())
            .expect("given up");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn slow_is_not_too_slow() {
        let mut slow = watched(Slow(64, Duration::from_millis(5)), 64);
        for _ in 0..20 {
            assert_eq!(slow.read(&mut [0; 64]).expect("alive"), 64);
        }
    }
}
