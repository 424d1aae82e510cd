//! What of a multipart upload is done, kept across processes.
//!
//! One file for each object: a line with all that the server laid out, then a line for each part
//! that the storage took. Lines are appended and not waited for: what a power cut takes away is
//! uploaded again. The URLs in it are permissions, so the file is for its owner alone.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self as std_fs, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::multipart::{Plan, Upload};
use crate::error::{Error, Result};
use crate::fs;
use crate::id::LfsOid;
use crate::lfs::Object;
use crate::lfs::api::{self, Action};
use crate::url::Url;

/// Version of the format.
const VERSION: u32 = 1;
/// Longest use of an upload whose end the server did not say: S3 signs for a week at most.
const LONGEST_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// An upload that expires this soon is not worth going on with.
const MARGIN: Duration = Duration::from_secs(60);

/// The journals of a clone for one server.
pub(super) struct Journals<'a> {
    folder: &'a Path,
    lfs: &'a Url,
}

/// One upload's journal; whoever has it open has it locked.
pub(super) struct Journal {
    file: File,
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Header {
    version: u32,
    /// The LFS server that laid the upload out.
    lfs: String,
    pub(super) oid: String,
    pub(super) size: u64,
    part_size: u64,
    pub(super) parts: Vec<String>,
    complete: WireAction,
    verify: Option<WireAction>,
    authenticated: bool,
    /// Seconds since 1970.
    expires: u64,
}

#[derive(Serialize, Deserialize)]
struct WireAction {
    url: String,
    headers: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Finished {
    part: u32,
    etag: String,
}

impl<'a> Journals<'a> {
    pub(super) fn new(folder: &'a Path, lfs: &'a Url) -> Self {
        Self { folder, lfs }
    }

    /// Objects with an upload that was begun.
    pub(super) fn list(&self) -> HashSet<LfsOid> {
        let mut found = HashSet::new();
        for entry in std_fs::read_dir(self.folder)
            .into_iter()
            .flatten()
            .flatten()
        {
            let written = entry.metadata().and_then(|meta| meta.modified());
            if written.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > LONGEST_LIFE)) {
                let _ = std_fs::remove_file(entry.path());
            } else if let Ok(oid) = entry.file_name().to_string_lossy().parse() {
                found.insert(oid);
            }
        }
        found
    }

    fn path(&self, oid: LfsOid) -> PathBuf {
        self.folder.join(oid.to_string())
    }

    /// Writes a new upload down. Without a journal it goes on all the same, but not after a crash.
    pub(super) fn begin(&self, object: Object, plan: Plan) -> Plan {
        let journal = self.create(object, &plan.upload);
        if let Err(error) = &journal {
            tracing::warn!(%error, "the upload cannot be resumed if it breaks off");
        }
        Plan {
            journal: journal.ok().flatten(),
            ..plan
        }
    }

    /// `None` if another process is at the same object.
    fn create(&self, object: Object, upload: &Upload) -> Result<Option<Journal>> {
        let path = self.path(object.oid);
        let failed = |error| Error::io("write", &path, error);
        fs::create_dir_all(self.folder)?;
        let header = Header::new(self.lfs, object, upload);
        let mut line = super::wire::json(&header)?;
        line.push(b'\n');
        let mut file = fs::open_private(&path)?;
        if file.try_lock().is_err() || !fs::is_still_at(&file, &path) {
            return Ok(None);
        }
        file.set_len(0).map_err(failed)?;
        file.write_all(&line).map_err(failed)?;
        Ok(Some(Journal { file, path }))
    }

    /// An upload that was begun, if it can go on.
    pub(super) fn resume(&self, object: Object) -> Option<Plan> {
        let path = self.path(object.oid);
        let file = File::options().read(true).append(true).open(&path).ok()?;
        // Somebody is at it.
        file.try_lock().ok()?;
        if !fs::is_still_at(&file, &path) {
            return None;
        }
        let journal = Journal { file, path };
        let plan = read(&journal.file).and_then(|(header, finished)| {
            let fits = header.version == VERSION
                && header.lfs == self.lfs.to_full()
                && header.oid == object.oid.to_string()
                && header.size == object.size
                && header.expires > seconds(SystemTime::now() + MARGIN);
            fits.then_some((header.into_upload()?, finished))
        });
        // Whoever wrote it says no more than the server might.
        let may_go = |url: &Url| api::complaint(self.lfs, url).is_none();
        let plan = plan.filter(|(upload, _)| upload.urls().all(may_go));
        let Some((upload, finished)) = plan else {
            journal.remove();
            return None;
        };
        // Ends the line that a killed process did not finish.
        (&journal.file).write_all(b"\n").ok()?;
        tracing::debug!(oid = %object.oid, parts = finished.len(), "going on with an upload");
        Some(Plan {
            upload,
            finished: Mutex::new(finished),
            journal: Some(journal),
        })
    }
}

impl Journal {
    /// A part is there.
    pub(super) fn finished(&self, part: u32, etag: &str) {
        let line = serde_json::to_vec(&Finished {
            part,
            etag: etag.to_owned(),
        });
        let written = line.map_err(std::io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            // One call: lines of two threads do not mix.
            (&self.file).write_all(&line)
        });
        if let Err(error) = written {
            tracing::warn!(%error, "a part that is there may be uploaded again");
        }
    }

    /// Nothing of it is needed any more.
    pub(super) fn remove(&self) {
        let _ = std_fs::remove_file(&self.path);
    }
}

impl WireAction {
    fn new(action: &Action) -> Self {
        Self {
            url: action.url.to_full(),
            headers: action.headers.clone(),
        }
    }

    fn into_action(self) -> Option<Action> {
        Some(Action {
            url: Url::parse(&self.url).ok()?,
            headers: self.headers,
            expires: None,
        })
    }
}

impl Header {
    pub(super) fn new(lfs: &Url, object: Object, upload: &Upload) -> Self {
        Self {
            version: VERSION,
            lfs: lfs.to_full(),
            oid: object.oid.to_string(),
            size: object.size,
            part_size: upload.part_size,
            parts: upload.parts.iter().map(Url::to_full).collect(),
            complete: WireAction::new(&upload.complete),
            verify: upload.verify.as_ref().map(WireAction::new),
            authenticated: upload.authenticated,
            expires: expires(upload.complete.expires),
        }
    }

    pub(super) fn into_upload(self) -> Option<Upload> {
        let parts: Option<Vec<Url>> = self.parts.iter().map(|url| Url::parse(url).ok()).collect();
        let parts = parts?;
        let expires = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.expires));
        let fits = self.part_size > 0 && self.size.div_ceil(self.part_size) == parts.len() as u64;
        let verify = match self.verify {
            Some(verify) => Some(verify.into_action()?),
            None => None,
        };
        let upload = Upload {
            part_size: self.part_size,
            parts,
            complete: Action {
                expires,
                ..self.complete.into_action()?
            },
            verify,
            authenticated: self.authenticated,
        };
        fits.then_some(upload)
    }
}

/// The whole lines; a process may have been killed in the middle of the last one.
pub(super) fn read(file: impl Read) -> Option<(Header, BTreeMap<u32, String>)> {
    let mut lines = BufReader::new(file).split(b'\n').map_while(Result::ok);
    let header: Header = serde_json::from_slice(&lines.next()?).ok()?;
    let count = u32::try_from(header.parts.len()).ok()?;
    let finished = lines
        .filter_map(|line| serde_json::from_slice::<Finished>(&line).ok())
        .filter(|finished| (1..=count).contains(&finished.part))
        .map(|finished| (finished.part, finished.etag))
        .collect();
    Some((header, finished))
}

fn expires(end: Option<SystemTime>) -> u64 {
    let latest = SystemTime::now() + LONGEST_LIFE;
    seconds(end.unwrap_or(latest).min(latest))
}

fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
