//! What git and git-lfs say of a folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use hf_repository::Repository;

use super::World;

impl World {
    /// git, git-lfs and the library all call the clone sound and its tree clean.
    #[track_caller]
    pub(crate) fn assert_sound(&self, folder: &Path) {
        self.assert_clean(folder);
        let output = self.try_git(folder, &["fsck", "--strict", "--no-dangling"]);
        let told =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git fsck: {told}");
        if super::git_lfs() {
            self.git(folder, &["lfs", "fsck"]);
        }
    }

    /// Nothing differs, as the library, git with its filters, and git by stat alone see it.
    #[track_caller]
    pub(crate) fn assert_clean(&self, folder: &Path) {
        self.assert_clean_by_stat(folder);
        if super::git_lfs() {
            assert_eq!(
                self.git(folder, &["status", "--porcelain"]),
                "",
                "git status"
            );
        }
        let status = Repository::open(folder).unwrap().status().unwrap();
        assert!(status.is_clean(), "{:?}", status.entries);
    }
}

impl World {
    /// The stat of the index is that of the files: no filter is needed to tell.
    #[track_caller]
    fn assert_clean_by_stat(&self, folder: &Path) {
        // git looks at files of the index's own second again; for once it must not have to.
        let index = self.git(folder, &["rev-parse", "--git-path", "index"]);
        let index = fs::File::options()
            .append(true)
            .open(folder.join(&index))
            .unwrap();
        let written = index.metadata().unwrap().modified().unwrap();
        index
            .set_modified(written + Duration::from_secs(2))
            .unwrap();
        let no_filter = ["-c", "filter.lfs.process=", "-c", "filter.lfs.clean=false"];
        let arguments = [no_filter.as_slice(), &["diff-files", "--name-only"]].concat();
        assert_eq!(self.git(folder, &arguments), "", "git diff-files");
        index.set_modified(written).unwrap();
    }
}

impl World {
    /// Whether git finds that attributes give these paths to LFS, in their order.
    #[track_caller]
    pub(crate) fn lfs_by_git<S: AsRef<str>>(&self, folder: &Path, paths: &[S]) -> Vec<bool> {
        let mut child = self
            .command("git", folder)
            .args(["check-attr", "-z", "--stdin", "filter"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let asked: Vec<&str> = paths.iter().map(AsRef::as_ref).collect();
        let mut stdin = child.stdin.take().unwrap();
        let question = asked.join("\0") + "\0";
        let writer = std::thread::spawn(move || stdin.write_all(question.as_bytes()));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        let told: Vec<&str> = told.split_terminator('\0').collect();
        let told: Vec<(&str, bool)> = told
            .chunks(3)
            .map(|triple| (triple[0], triple[2] == "lfs"))
            .collect();
        assert!(told.iter().map(|(path, _)| *path).eq(asked));
        told.into_iter().map(|(_, lfs)| lfs).collect()
    }
}

/// Every file below a folder but git's own: its kind and its content.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, (char, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            let name = path
                .strip_prefix(folder)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            let kind = entry.file_type().unwrap();
            if name == ".git" {
                continue;
            } else if kind.is_dir() {
                open.push(path);
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                found.insert(
                    name,
                    ('l', target.to_string_lossy().into_owned().into_bytes()),
                );
            } else {
                use std::os::unix::fs::PermissionsExt;
                let executable = entry.metadata().unwrap().permissions().mode() & 0o100 != 0;
                let kind = if executable { 'x' } else { 'f' };
                found.insert(name, (kind, fs::read(&path).unwrap()));
            }
        }
    }
    found
}

/// Two folders hold the same files.
#[track_caller]
pub(crate) fn assert_same_files(one: &Path, other: &Path) {
    let (one, other) = (files(one), files(other));
    let names = |files: &BTreeMap<String, (char, Vec<u8>)>| -> Vec<String> {
        files
            .iter()
            .map(|(name, (kind, content))| format!("{kind} {name} {}", content.len()))
            .collect()
    };
    assert_eq!(names(&one), names(&other));
    assert!(one == other, "the same names, but other content");
}

/// What must not change when a call is refused: files, index, refs, and the server's side.
#[derive(Debug, PartialEq)]
pub(crate) struct Scene {
    files: BTreeMap<String, (char, Vec<u8>)>,
    index: String,
    refs: String,
    head: String,
    objects: BTreeMap<String, (char, Vec<u8>)>,
    server_refs: String,
    server_objects: Vec<String>,
}

impl World {
    pub(crate) fn scene(&self, folder: &Path, id: &str) -> Scene {
        let server = self.bare(id);
        let objects = server.join("lfs/objects");
        let stored = folder.join(".git/lfs/objects");
        let below = |folder: &Path| {
            if folder.exists() {
                files(folder)
            } else {
                BTreeMap::new()
            }
        };
        let refs = ["for-each-ref", "--format=%(objectname) %(refname)"];
        let server_refs = if server.exists() {
            self.git(&server, &refs)
        } else {
            String::new()
        };
        Scene {
            files: files(folder),
            index: self.git(folder, &["ls-files", "-s"]),
            refs: self.git(folder, &refs),
            head: fs::read_to_string(folder.join(".git/HEAD")).unwrap(),
            objects: below(&stored),
            server_refs,
            server_objects: below(&objects).into_keys().collect(),
        }
    }
}

impl Scene {
    /// The local side alone, refs and objects left aside: those a fetch may bring.
    pub(crate) fn files_only(self) -> impl std::fmt::Debug + PartialEq {
        (self.files, self.index, self.head)
    }
}
