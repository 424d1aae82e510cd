//! The processes that end together: a program and all it started.

use std::io;
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Between looks at whether a child has ended: short at first, as most end at once when their
/// output does, then longer, so that waiting costs nothing.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];

/// For duct: the child leads a process group of its own.
pub(super) fn in_own(command: &mut std::process::Command) -> io::Result<()> {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(not(unix))]
    let _ = command;
    Ok(())
}

/// A running program with all it started.
pub(super) struct Group {
    leader: Mutex<Leader>,
}

enum Leader {
    /// Its id is ours to send signals to: nobody else gets it before we have asked how it ended.
    Running(Box<duct::Handle>),
    Ended(ExitStatus),
}

impl Group {
    pub(super) fn new(leader: duct::Handle) -> Self {
        Self {
            leader: Mutex::new(Leader::Running(Box::new(leader))),
        }
    }

    fn leader(&self) -> MutexGuard<'_, Leader> {
        self.leader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills every process of the group, unless the program has ended by itself.
    pub(super) fn kill(&self) {
        let Leader::Running(handle) = &*self.leader() else {
            return;
        };
        #[cfg(unix)]
        for pid in handle.pids() {
            let pid = i32::try_from(pid).ok();
            if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
                // Fails only if all of them are gone.
                let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
            }
        }
        let _ = handle.kill();
    }

    /// Whether the program has ended; what it started may run on.
    pub(super) fn has_ended(&self) -> bool {
        !matches!(self.ended(), Ok(None))
    }

    /// How the program ended, if it has.
    fn ended(&self) -> io::Result<Option<ExitStatus>> {
        let mut leader = self.leader();
        let status = match &*leader {
            Leader::Running(handle) => handle.try_wait()?.map(|output| output.status),
            Leader::Ended(status) => return Ok(Some(*status)),
        };
        if let Some(status) = status {
            *leader = Leader::Ended(status);
        }
        Ok(status)
    }

    /// Waits for the program's end; `None` if it does not come by `deadline`.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> io::Result<Option<ExitStatus>> {
        let [mut pause, longest] = PAUSES;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(Some(status));
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(None);
            }
            thread::sleep(pause);
            pause = longest.min(pause * 2);
        }
    }
}
