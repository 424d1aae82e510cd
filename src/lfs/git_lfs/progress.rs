//! What git-lfs says of its transfers while it works.
//!
//! It appends lines to the file that `GIT_LFS_PROGRESS` names,
//! `<direction> <file#>/<files> <bytes>/<total> <name>`, one for every 32 KiB or so. Lines of parallel
//! transfers interleave; names may hold blanks. A download's name is the path in the work tree, an
//! upload's is that in the store. (A pipe will not do: after every line git-lfs syncs the file, and
//! gives up where that fails.)

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::meter::Meter;
use super::super::{Job, Object, total_bytes};
use crate::error::{Error, Result};
use crate::fs::{self, Secluded};
use crate::id::LfsOid;
use crate::progress::{Direction, Event};

/// Bytes of lines that were read and still lie on disk; then their space is given back.
const LEFT_ON_DISK: u64 = 1 << 20;

/// Listens to the transfers of one job.
pub(super) struct Listener {
    direction: Direction,
    by_oid: HashMap<LfsOid, Arc<Meter>>,
    by_path: HashMap<String, LfsOid>,
    moved: HashSet<LfsOid>,
    /// Lines that name none of the objects.
    unknown: usize,
    file: File,
    path: PathBuf,
    /// The start of a line whose end is not there yet.
    pending: Vec<u8>,
    read: u64,
    given_back: u64,
    folder: Secluded,
}

impl Listener {
    /// For the objects of `job` that are to be moved.
    pub(super) fn new(job: &Job<'_>, direction: Direction, objects: &[Object]) -> Result<Self> {
        job.progress.report(|| Event::TransferStarted {
            direction,
            objects: objects.len(),
            bytes: total_bytes(objects),
        });
        // In memory: git-lfs syncs after every line, which would hold up transfers on a disk.
        let folder = Secluded::new()?;
        let path = folder.path().join("progress");
        let file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .open(&path);
        let names = objects.iter().filter_map(|object| {
            let path = job.names.get(&object.oid)?;
            Some((path.to_string(), object.oid))
        });
        let meters = objects
            .iter()
            .map(|object| (object.oid, Meter::new(job, direction, *object)));
        Ok(Self {
            direction,
            by_oid: meters.collect(),
            by_path: names.collect(),
            moved: HashSet::new(),
            unknown: 0,
            file: file.map_err(|error| Error::io("create", &path, error))?,
            path,
            pending: Vec::new(),
            read: 0,
            given_back: 0,
            folder,
        })
    }

    pub(super) fn direction(&self) -> Direction {
        self.direction
    }

    /// For `GIT_LFS_PROGRESS`.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A folder that only we and our children may enter, and that goes with this.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Reads what was said since, and reports it.
    pub(super) fn hear(&mut self) {
        let before = self.pending.len();
        if let Err(error) = self.file.read_to_end(&mut self.pending) {
            tracing::debug!(%error, "the progress of git-lfs cannot be read");
            return;
        }
        self.read += (self.pending.len() - before) as u64;
        let Some(end) = self.pending.iter().rposition(|byte| *byte == b'\n') else {
            return;
        };
        let rest = self.pending.split_off(end + 1);
        let lines = std::mem::replace(&mut self.pending, rest);
        for line in lines.split(|byte| *byte == b'\n') {
            self.hear_line(line);
        }
        if self.read - self.given_back > LEFT_ON_DISK {
            fs::give_back(&self.file, self.read);
            self.given_back = self.read;
        }
    }

    fn hear_line(&mut self, line: &[u8]) {
        let Some(line) = Line::parse(line, self.direction) else {
            return;
        };
        let oid = oid_of_store_path(line.name).or_else(|| self.by_path.get(line.name).copied());
        match oid.and_then(|oid| Some((oid, self.by_oid.get(&oid)?))) {
            Some((oid, meter)) => {
                meter.reached(line.bytes);
                self.moved.insert(oid);
            }
            None => self.unknown += 1,
        }
    }

    /// Whether bytes of the object were moved, as far as one can tell: if some line was not
    /// understood, it may have been about any object.
    pub(super) fn moved(&self, object: Object) -> bool {
        self.unknown > 0 || self.moved.contains(&object.oid)
    }

    /// The object is where it belongs.
    pub(super) fn finished(&self, object: Object) {
        if let Some(meter) = self.by_oid.get(&object.oid) {
            meter.finished();
        }
    }
}

pub(super) struct Line<'a> {
    bytes: u64,
    pub(super) name: &'a str,
}

impl<'a> Line<'a> {
    /// `None` for other directions (`clean`, `checkout`) and for what is no such line.
    pub(super) fn parse(line: &'a [u8], direction: Direction) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let mut fields = line.splitn(4, ' ');
        let wanted = match direction {
            Direction::Upload => "upload",
            Direction::Download => "download",
        };
        if fields.next()? != wanted {
            return None;
        }
        let (_files, bytes) = (fields.next()?, fields.next()?);
        Some(Self {
            bytes: bytes.split_once('/')?.0.parse().ok()?,
            name: fields.next()?,
        })
    }
}

/// From `…/objects/aa/bb/<oid>`.
pub(super) fn oid_of_store_path(name: &str) -> Option<LfsOid> {
    Path::new(name).file_name()?.to_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    use crate::cancel::CancelToken;
    use crate::path::RepoPath;
    use crate::progress::Progress;

    #[test]
    fn lines_of_git_lfs_become_events() {
        let oid = |digit: &str| digit.repeat(64).parse::<LfsOid>().expect("valid");
        let objects = [("a", 10), ("b", 20), ("c", 30)].map(|(digit, size)| Object {
            oid: oid(digit),
            size,
        });
        let names = [("a", "dir/with blanks ü.bin"), ("b", "b.bin")];
        let names = names.map(|(digit, name)| (oid(digit), RepoPath::new(name).expect("valid")));
        let (progress, events) = Progress::channel();
        let job = Job {
            remote: &crate::lfs::Remote::Folder(crate::lfs::Neighbour::plain("nowhere")),
            remote_name: "origin",
            ref_name: None,
            commit: None,
            objects: &objects,
            names: &HashMap::from(names),
            progress: &progress,
            cancel: &CancelToken::new(),
        };
        let mut listener = Listener::new(&job, Direction::Download, &objects).expect("listens");
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(listener.path())
            .expect("there");
        let said = format!(
            "download 1/3 5/10 dir/with blanks ü.bin\nclean 1/1 7/7 b.bin\n\
             download 2/3 ?/? b.bin\nnonsense\ndownload 3/3 30/30 /s/objects/cc/cc/{}\n",
            "c".repeat(64)
        ) + "dow";
        file.write_all(said.as_bytes()).expect("written");
        listener.hear();
        file.write_all(b"nload 1/3 10/10 dir/with blanks \xc3\xbc.bin\n")
            .expect("written");
        listener.hear();
        let moved = objects.map(|object| listener.moved(object));
        assert_eq!(moved, [true, false, true]);
        listener.finished(objects[0]);
        drop(listener);
        drop(progress);
        let events: Vec<String> = events.map(|event| format!("{event:?}")).collect();
        assert!(events[0].contains("objects: 3, bytes: 60"), "{events:?}");
        let last = events.last().expect("some");
        assert!(
            last.contains("TransferFinished") && last.contains("with blanks"),
            "{last}"
        );
    }
}
