//! Programs in front of the real ones, which write down how they were called.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What the library and its children call.
const PROGRAMS: [&str; 9] = [
    "git", "git-lfs", "ssh", "sh", "bash", "cat", "mkfifo", "rm", "test",
];

/// A folder for PATH, and the recordings of all that was started by way of it.
pub(crate) struct Recorder {
    bin: PathBuf,
    pub(crate) records: PathBuf,
}

impl Recorder {
    pub(crate) fn new(folder: &Path) -> Self {
        let (bin, records) = (folder.join("bin"), folder.join("records"));
        for folder in [&bin, &records] {
            fs::create_dir_all(folder).unwrap();
        }
        for name in PROGRAMS {
            let Some(real) = real(name) else { continue };
            let script = format!(
                "#!/bin/sh\nto={records}/{name}.$$\n/bin/cat /proc/$$/cmdline >$to.argv\n\
                 /bin/cat /proc/$$/environ >$to.environ\n/bin/ls -lad \"$PWD\" \"$PWD\"/* >$to.folder 2>&1\n\
                 exec {real} \"$@\"\n",
                records = records.display(),
                real = real.display(),
            );
            let file = bin.join(name);
            fs::write(&file, script).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { bin, records }
    }

    /// For PATH: the recorders come first, for grandchildren too.
    pub(crate) fn path(&self) -> String {
        format!("{}:{}", self.bin.display(), std::env::var("PATH").unwrap())
    }

    /// How often a program was started.
    pub(crate) fn count(&self, name: &str) -> usize {
        let records = fs::read_dir(&self.records).unwrap().flatten();
        let own = |file: &fs::DirEntry| {
            let file = file.file_name().to_string_lossy().into_owned();
            file.starts_with(&format!("{name}.")) && file.ends_with(".argv")
        };
        records.filter(own).count()
    }
}

fn real(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap();
    let mut found = std::env::split_paths(&path).map(|folder| folder.join(name));
    found.find(|file| file.is_file())
}
