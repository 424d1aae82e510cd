//! Named pipes that other programs write lines into, or read an answer from.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What ends the reading thread; it goes through the pipe itself, so that it comes after all lines.
const END: &[u8] = b"\x04\n";
/// A longer line is cut into several; no path on disk is longer than 4 KiB.
const LINE_BYTES: u64 = 64 << 10;
/// Between looks at whether somebody opened a pipe to read.
const PAUSE: Duration = Duration::from_millis(5);

/// A named pipe, and the thread that reads what is written into it until this is dropped.
///
/// Nothing is lost and nothing piles up on disk: a writer that is faster waits.
pub(crate) struct LinePipe {
    /// Also for reading: with both ends open here nobody ever waits for the other side to appear.
    pipe: File,
    reader: Option<JoinHandle<()>>,
}

impl LinePipe {
    /// Makes the pipe at `path`, readable and writable by its owner only; `hear` gets every line.
    pub(crate) fn new(
        path: &Path,
        mut hear: impl FnMut(&[u8]) + Send + 'static,
    ) -> io::Result<Self> {
        make(path)?;
        let pipe = OpenOptions::new().read(true).write(true).open(path)?;
        let mut lines = BufReader::new(pipe.try_clone()?);
        let reader = thread::Builder::new().spawn(move || {
            let mut line = Vec::new();
            loop {
                line.clear();
                let read = lines.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line);
                if !matches!(read, Ok(1..)) || line == END {
                    return;
                }
                hear(line.strip_suffix(b"\n").unwrap_or(&line));
            }
        })?;
        Ok(Self {
            pipe,
            reader: Some(reader),
        })
    }
}

impl Drop for LinePipe {
    fn drop(&mut self) {
        // Line by line it reads on until this comes, so there is room for it.
        if self.pipe.write_all(END).is_ok()
            && let Some(reader) = self.reader.take()
        {
            let _ = reader.join();
        }
    }
}

#[cfg(target_os = "linux")]
fn make(path: &Path) -> io::Result<()> {
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    Ok(rustix::fs::mkfifoat(rustix::fs::CWD, path, mode)?)
}

#[cfg(not(target_os = "linux"))]
fn make(_path: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Writes a short answer into a pipe that somebody else made and is about to read from.
///
/// # Errors
/// If nobody reads it within `patience`.
pub(crate) fn answer(path: &Path, text: &[u8], patience: Duration) -> io::Result<()> {
    use rustix::fs::{FileType, OFlags};
    let deadline = Instant::now() + patience;
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    loop {
        match rustix::fs::open(path, flags, rustix::fs::Mode::empty()) {
            Ok(pipe) => {
                let kind = FileType::from_raw_mode(rustix::fs::fstat(&pipe)?.st_mode);
                if kind != FileType::Fifo {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
                return File::from(pipe).write_all(text);
            }
            Err(rustix::io::Errno::NXIO) if Instant::now() < deadline => thread::sleep(PAUSE),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn lines_of_many_writers_arrive_whole_and_all() {
        let folder = tempfile::tempdir().expect("creates");
        let path = folder.path().join("pipe");
        let (sender, heard) = mpsc::channel();
        let pipe = LinePipe::new(&path, move |line| {
            let _ = sender.send(line.to_vec());
        });
        let pipe = pipe.expect("made");
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let path = path.clone();
                thread::spawn(move || {
                    for number in 0..5_000 {
                        let mut file = OpenOptions::new().append(true).open(&path).expect("there");
                        let line = format!("{writer} {number} with words\n");
                        file.write_all(line.as_bytes()).expect("written");
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().expect("no panic");
        }
        drop(pipe);
        let heard: Vec<Vec<u8>> = heard.iter().collect();
        assert_eq!(heard.len(), 15_000);
        assert!(heard.iter().all(|line| line.ends_with(b" with words")));
    }

    #[test]
    fn a_pipe_nobody_writes_into_ends_when_dropped() {
        let folder = tempfile::tempdir().expect("creates");
        let path = folder.path().join("pipe");
        drop(LinePipe::new(&path, |_| {}).expect("made"));
        let refused = || {
            answer(&path, b"x", Duration::ZERO).is_err_and(|error| error.raw_os_error().is_some())
        };
        assert!(crate::probe::soon(refused), "there is no reader");
        std::fs::write(folder.path().join("file"), "old").expect("written");
        let error = answer(&folder.path().join("file"), b"x", Duration::ZERO);
        assert_eq!(
            error.expect_err("no pipe").kind(),
            io::ErrorKind::InvalidInput
        );
    }
}
