//! Watching bodies while they move: the stall watchdog, and the cap on bytes per second.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use super::Bandwidth;
use crate::cancel::CancelToken;

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

#[cfg(test)]
mod tests {
    use super::*;

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
