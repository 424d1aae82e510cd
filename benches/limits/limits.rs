//! What the machine itself needs for the same bytes, on the same disk: nobody can be quicker.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use sha2::{Digest, Sha256};

use super::data;
use super::sides::Hub;
use super::table::median;

/// Each is measured so often.
const ROUNDS: usize = 5;
/// Files that are created and looked at.
const FILES: u64 = 2_000;
/// Bytes read, hashed or sent at a time.
const BUFFER: usize = 1 << 20;

/// Median seconds: for each byte, or for each file.
pub(crate) struct Limits {
    bytes: u64,
    sha256: f64,
    copy: f64,
    fsync: f64,
    put: f64,
    get: f64,
    /// A new file of 1 KiB.
    create: f64,
    lstat: f64,
    read: f64,
    /// A new file of 1 KiB, synced.
    create_synced: f64,
}

impl Limits {
    /// Measures with so many bytes in one file.
    pub(crate) fn measure(hub: &mut Hub, folder: &Path, bytes: u64) -> Self {
        let (source, copy) = (folder.join("limit-source"), folder.join("limit-copy"));
        data::noise_file(&source, 7, bytes);
        let mut oid = String::new();
        #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
        let each = |seconds: f64| seconds / bytes as f64;
        let sha256 = repeated(&mut || oid = hash(&source));
        let copied = repeated(&mut || {
            fs::copy(&source, &copy).unwrap();
        });
        let mut synced = Vec::new();
        for _ in 0..ROUNDS {
            rustix::fs::sync();
            fs::remove_file(&copy).unwrap();
            fs::copy(&source, &copy).unwrap();
            let file = File::options().append(true).open(&copy).unwrap();
            synced.push(clocked(&mut || file.sync_all().unwrap()));
        }
        let store = Store::new(hub, &oid, bytes);
        let put = repeated(&mut || store.put(&source));
        let get = repeated(&mut || store.get());
        store.remove();
        fs::remove_file(&source).unwrap();
        fs::remove_file(&copy).unwrap();
        let (create, lstat, read) = files(&folder.join("limit-files"));
        Self {
            bytes,
            sha256: each(sha256),
            copy: each(copied),
            fsync: each(median(synced)),
            put: each(put),
            get: each(get),
            create,
            lstat,
            read,
            create_synced: synced_files(&folder.join("limit-synced")),
        }
    }

    pub(crate) fn print(&self) {
        let mib = self.bytes >> 20;
        for (name, each) in [
            ("sha256", self.sha256),
            ("copy", self.copy),
            ("fsync", self.fsync),
            ("put", self.put),
            ("get", self.get),
        ] {
            println!("# limit {name} {mib} MiB {:.4} s", each * real(self.bytes));
        }
        for (name, each) in [
            ("create", self.create),
            ("lstat", self.lstat),
            ("read", self.read),
            ("create-and-fsync", self.create_synced),
        ] {
            println!("# limit {name} 1000 files of 1 KiB {:.4} s", each * 1000.0);
        }
    }

    /// Storing bytes under their SHA-256, durably: hashing on one core beside the copy on the other.
    pub(crate) fn store(&self, bytes: u64) -> f64 {
        real(bytes) * self.sha256.max(self.copy + self.fsync)
    }

    pub(crate) fn sha256(&self, bytes: u64) -> f64 {
        real(bytes) * self.sha256
    }

    pub(crate) fn put(&self, bytes: u64) -> f64 {
        real(bytes) * self.put
    }

    /// Bytes that arrive, are hashed beside that, made durable, and copied into the work tree.
    pub(crate) fn receive(&self, bytes: u64) -> f64 {
        real(bytes) * (self.sha256.max(self.get + self.fsync) + self.copy)
    }

    pub(crate) fn lstat(&self, files: u64) -> f64 {
        real(files) * self.lstat
    }

    /// New files that are there for good.
    pub(crate) fn synced(&self, files: u64) -> f64 {
        real(files) * self.create_synced
    }

    pub(crate) fn read(&self, files: u64) -> f64 {
        real(files) * self.read
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn real(number: u64) -> f64 {
    number as f64
}

fn clocked(work: &mut dyn FnMut()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64()
}

/// The median of some runs, each with an idle disk; the first warms up.
fn repeated(work: &mut dyn FnMut()) -> f64 {
    work();
    let run = |_| {
        rustix::fs::sync();
        clocked(work)
    };
    median((0..ROUNDS).map(run).collect())
}

fn hash(path: &Path) -> String {
    let mut hasher = Sha256::new();
    let (mut file, mut buffer) = (File::open(path).unwrap(), vec![0; BUFFER]);
    loop {
        match file.read(&mut buffer).unwrap() {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    let digest = hasher.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Seconds to create so many files of 1 KiB in a new folder, a hundred to a folder below it.
///
/// The caller deletes them, at the very end: ext4 passes over inodes that were deleted lately, one by one.
pub(crate) fn create(folder: &Path, files: u64) -> f64 {
    for number in 0..files.div_ceil(100) {
        fs::create_dir_all(folder.join(format!("d{number}"))).unwrap();
    }
    rustix::fs::sync();
    clocked(&mut || {
        for number in 0..files {
            fs::write(name_in(folder, number), [b'x'; 1024]).unwrap();
        }
    })
}

fn name_in(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("d{}/f{number}", number / 100))
}

/// Seconds to create a file, to look at it, and to read it.
fn files(folder: &Path) -> (f64, f64, f64) {
    let mut times: [Vec<f64>; 3] = Default::default();
    for round in 0..ROUNDS {
        let folder = &folder.join(round.to_string());
        times[0].push(create(folder, FILES));
        times[1].push(clocked(&mut || {
            for number in 0..FILES {
                let meta = fs::symlink_metadata(name_in(folder, number));
                assert_eq!(meta.unwrap().size(), 1024);
            }
        }));
        times[2].push(clocked(&mut || {
            for number in 0..FILES {
                let bytes = fs::read(name_in(folder, number));
                assert_eq!(bytes.unwrap().len(), 1024);
            }
        }));
    }
    let [create, lstat, read] = times.map(|times| median(times) / real(FILES));
    (create, lstat, read)
}

fn synced_files(folder: &Path) -> f64 {
    const SYNCED: u32 = 50;
    fs::create_dir_all(folder).unwrap();
    rustix::fs::sync();
    let seconds = clocked(&mut || {
        for number in 0..SYNCED {
            let mut file = File::create(folder.join(number.to_string())).unwrap();
            file.write_all(&[b'x'; 1024]).unwrap();
            file.sync_all().unwrap();
        }
    });
    seconds / f64::from(SYNCED)
}

/// An object of the Hub's storage, sent and got by nothing but an HTTP client.
struct Store {
    agent: ureq::Agent,
    batch: String,
    token: String,
    oid: String,
    bytes: u64,
    remote: super::sides::Remote,
}

impl Store {
    fn new(hub: &mut Hub, oid: &str, bytes: u64) -> Self {
        let remote = hub.create("limits");
        let config = ureq::Agent::config_builder()
            .output_buffer_size(BUFFER)
            .input_buffer_size(BUFFER);
        Self {
            agent: config.build().into(),
            batch: format!("{}.git/info/lfs/objects/batch", remote.url),
            token: hub.token.clone(),
            oid: oid.to_owned(),
            bytes,
            remote,
        }
    }

    /// Where an operation goes, and the headers it needs.
    fn action(&self, operation: &str) -> (String, Vec<(String, String)>) {
        let (oid, size) = (&self.oid, self.bytes);
        let asked = serde_json::json!({
            "operation": operation, "transfers": ["basic"], "hash_algo": "sha256",
            "objects": [{ "oid": oid, "size": size }],
        });
        let answer = self
            .agent
            .post(&self.batch)
            .header("Authorization", format!("Bearer {}", self.token))
            .header("Accept", "application/vnd.git-lfs+json")
            .header("Content-Type", "application/vnd.git-lfs+json")
            .send(asked.to_string())
            .unwrap();
        let text = answer.into_body().read_to_string().unwrap();
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        let action = &answer["objects"][0]["actions"][operation];
        let headers = action["header"].as_object().into_iter().flatten();
        let headers =
            headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
        (
            action["href"].as_str().unwrap().to_owned(),
            headers.collect(),
        )
    }

    fn put(&self, file: &Path) {
        // What is there already is not asked for again.
        self.forget();
        let (href, headers) = self.action("upload");
        let mut request = self.agent.put(href);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut file = File::open(file).unwrap();
        let body = ureq::SendBody::from_reader(&mut file);
        let request = request.header("Content-Length", self.bytes.to_string());
        request.send(body).unwrap();
    }

    fn get(&self) {
        let (href, headers) = self.action("download");
        let mut request = self.agent.get(href);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut body = request.call().unwrap().into_body().into_reader();
        let mut buffer = vec![0; BUFFER];
        let mut got = 0;
        loop {
            match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => got += count as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(got, self.bytes);
    }

    fn forget(&self) {
        let objects = self.remote.folder().join("lfs/objects");
        let _ = fs::remove_dir_all(objects);
    }

    fn remove(self) {
        self.remote.remove();
    }
}
