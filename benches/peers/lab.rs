//! Where the jobs are done: a Hub, a home for git, folders, and who does what in which turn.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::limits::{self, Limits};
use super::sides::{self, Hub, Memory, Remote, Sample, clocked};
use super::table::{Row, Table, median};
use super::tools::Tools;

/// What the command line asks for.
pub(crate) struct Options {
    pub(crate) sizes: Sizes,
    pub(crate) plots: Option<PathBuf>,
    rounds: usize,
    only: Vec<String>,
    fetch: bool,
}

/// How much there is to do.
pub(crate) struct Sizes {
    /// Bytes of the one LFS file, and of eight together.
    pub(crate) large: u64,
    /// Text files of 1 KiB.
    pub(crate) many: u64,
    /// The same, where they are only looked at.
    pub(crate) huge: u64,
    /// LFS files of 10 KiB.
    pub(crate) small_lfs: u64,
    /// LFS files whose old objects are pruned.
    pub(crate) pruned: u64,
    /// Saves one after another, and the bytes of each.
    pub(crate) saves: (u64, u64),
}

const FULL: Sizes = Sizes {
    large: 1 << 30,
    many: 10_000,
    huge: 100_000,
    small_lfs: 5_000,
    pruned: 1_000,
    saves: (100, 64 << 20),
};

const QUICK: Sizes = Sizes {
    large: 64 << 20,
    many: 500,
    huge: 5_000,
    small_lfs: 150,
    pruned: 100,
    saves: (11, 4 << 20),
};

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Self {
        let mut options = Self {
            sizes: FULL,
            plots: None,
            rounds: 5,
            only: Vec::new(),
            fetch: true,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().expect("a value behind the option").clone();
            match argument.as_str() {
                "--quick" => options.sizes = QUICK,
                "--plots" => options.plots = Some(value().into()),
                "--rounds" => options.rounds = value().parse().expect("a number of rounds"),
                "--rows" => options.only = value().split(',').map(str::to_owned).collect(),
                "--no-fetch" => options.fetch = false,
                // cargo's own.
                "--bench" => {}
                _ => panic!("unknown option {argument}"),
            }
        }
        options
    }
}

/// Who does a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Theirs,
}

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Theirs => "theirs",
        }
    }
}

/// One side's turn in one round.
#[derive(Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) side: Side,
    /// Round 0 warms up, and is the one in which memory is watched.
    pub(crate) round: usize,
}

impl Turn {
    fn memory(self) -> Memory {
        if self.round == 0 {
            Memory::Watched
        } else {
            Memory::Alone
        }
    }
}

/// Processes started to see how long that takes.
const STARTS: usize = 21;

pub(crate) struct Lab {
    pub(crate) options: Options,
    pub(crate) tools: Tools,
    pub(crate) hub: Hub,
    pub(crate) limits: Limits,
    pub(crate) table: Table,
    /// Seconds that the start of a process takes.
    start: f64,
    folder: TempDir,
}

impl Lab {
    pub(crate) fn new(options: Options) -> Self {
        let tools = Tools::find(options.fetch);
        // The disk that cargo builds on is a disk; the system's folder for temporary files may be none.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut hub = Hub::start(&folder.path().join("hub"));
        let home = folder.path().join("home");
        fs::create_dir_all(home.join("bin")).unwrap();
        // No background repacking: it would run into somebody else's turn.
        let config = format!(
            "[user]\n\tname = B\n\temail = b@x\n[init]\n\tdefaultBranch = main\n[gc]\n\tauto = 0\n\
             [lfs]\n\tlocksverify = false\n\
             [filter \"lfs\"]\n\tclean = git-lfs clean -- %f\n\tsmudge = git-lfs smudge -- %f\n\
             \tprocess = git-lfs filter-process\n\trequired = true\n\
             [credential]\n\thelper = \"!f() {{ echo username=u; echo password={}; }}; f\"\n",
            hub.token
        );
        fs::write(home.join(".gitconfig"), config).unwrap();
        if let Some(git_lfs) = tools.git_lfs.as_deref().filter(|path| path.is_absolute()) {
            std::os::unix::fs::symlink(git_lfs, home.join("bin/git-lfs")).unwrap();
        }
        let limits = Limits::measure(&mut hub, folder.path(), options.sizes.large);
        limits.print();
        let mut version = Command::new("git");
        version.arg("version");
        let starts = (0..STARTS).map(|_| clocked(&mut version, Memory::Alone).0.seconds);
        let start = median(starts.collect());
        println!("# ours is the call in process plus {start:.4} s, the start of a process");
        Self {
            options,
            tools,
            hub,
            limits,
            table: Table::default(),
            start,
            folder,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a folder of many files out of the way until the bench ends.
    ///
    /// ext4 passes over inodes that were deleted in the last minutes, one by one, whenever it creates a
    /// file: whoever deletes thousands makes the next turn many times slower.
    pub(crate) fn put_away(&self, folder: &Path) {
        let trash = self.path("put-away");
        fs::create_dir_all(&trash).unwrap();
        let number = fs::read_dir(&trash).unwrap().count();
        fs::rename(folder, trash.join(number.to_string())).unwrap();
    }

    pub(crate) fn wants(&self, names: &[&str]) -> bool {
        let only = &self.options.only;
        let wanted = |name: &&str| only.iter().any(|part| name.contains(part.as_str()));
        only.is_empty() || names.iter().any(wanted)
    }

    /// Does the jobs of some rows, ours and theirs by turns, and prints the rows.
    ///
    /// Rows that nobody wants are done once, as others build on them.
    pub(crate) fn rows(
        &mut self,
        rows: &[Row],
        mut work: impl FnMut(&mut Self, Turn) -> Vec<Sample>,
    ) {
        let names: Vec<&str> = rows.iter().map(|row| row.name).collect();
        let each = rows.iter().map(|row| row.times).max().unwrap_or(1);
        let rounds = if self.wants(&names) {
            self.options.rounds * each
        } else {
            0
        };
        let mut taken: [Vec<Vec<Sample>>; 2] = Default::default();
        let creates = rows.iter().find_map(|row| row.creates);
        let mut created = Vec::new();
        for round in 0..=rounds {
            if let Some(files) = creates {
                let folder = self.path(&format!("beside-{}-{round}", names[0]));
                created.push(limits::create(&folder, files));
            }
            for (side, taken) in [Side::Ours, Side::Theirs].into_iter().zip(&mut taken) {
                taken.push(work(self, Turn { side, round }));
            }
        }
        if rounds == 0 {
            return;
        }
        for (at, row) in rows.iter().enumerate() {
            let of = |side: &[Vec<Sample>]| side.iter().map(|samples| samples[at]).collect();
            let mut row = *row;
            if let Some(files) = row.creates {
                let seconds = median(created.clone());
                println!(
                    "# beside {}: {files} files created in {seconds:.4} s",
                    row.name
                );
                row.limit = Some(seconds);
            }
            self.table.add(&row, of(&taken[0]), of(&taken[1]));
        }
    }

    /// A job of ours: the call, in process, and the process start that a peer needs besides.
    pub(crate) fn ours(&self, words: &[&str]) -> Sample {
        let (peak_kib, calls) = self.our_calls(words);
        Sample {
            seconds: calls[0] + self.start,
            peak_kib,
        }
    }

    /// The same, where the peer's is a call as well.
    pub(crate) fn our_call(&self, words: &[&str]) -> Sample {
        let (peak_kib, calls) = self.our_calls(words);
        Sample {
            seconds: calls[0],
            peak_kib,
        }
    }

    /// A job's most memory in KiB, and the seconds of its calls. It has a process to itself, which says
    /// how much memory that had.
    pub(crate) fn our_calls(&self, words: &[&str]) -> (u64, Vec<f64>) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg(sides::JOB).args(words);
        self.surround(&mut command);
        let (_, text) = clocked(&mut command, Memory::Alone);
        let mut lines = text.lines();
        let peak_kib = lines.next().unwrap().parse().unwrap();
        (peak_kib, lines.map(|line| line.parse().unwrap()).collect())
    }

    /// A job of git's.
    pub(crate) fn theirs(&self, folder: &Path, words: &[&str], turn: Turn) -> Sample {
        clocked(&mut self.git_command(folder, words), turn.memory()).0
    }

    /// What has to be done and is not measured.
    pub(crate) fn git(&self, folder: &Path, words: &[&str]) -> String {
        let output = self.git_command(folder, words).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {words:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn git_command(&self, folder: &Path, words: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.args(words).current_dir(folder);
        command.stderr(Stdio::inherit());
        self.surround(&mut command);
        command
    }

    /// The environment both sides have.
    pub(crate) fn surround(&self, command: &mut Command) {
        let home = self.path("home");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let before = std::iter::once(home.join("bin"));
        let path = std::env::join_paths(before.chain(std::env::split_paths(&path))).unwrap();
        command
            .env("PATH", path)
            .env("HOME", &home)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("HF_ENDPOINT", &self.hub.url)
            .env("HF_TOKEN", &self.hub.token)
            .env_remove("GIT_CONFIG_GLOBAL");
    }

    /// A clone of a new repository of the Hub, made by git.
    pub(crate) fn new_clone(&mut self, name: &str) -> (PathBuf, Remote) {
        let remote = self.hub.create(name);
        let folder = self.path(name);
        let target = folder.to_string_lossy().into_owned();
        self.git(self.folder.path(), &["clone", "-q", &remote.url, &target]);
        (folder, remote)
    }

    /// Points a clone at a new repository of the Hub, as if nothing had been pushed.
    pub(crate) fn send_elsewhere(&mut self, folder: &Path, name: &str) -> Remote {
        let remote = self.hub.create(name);
        self.git(folder, &["config", "remote.origin.url", &remote.url]);
        self.git(folder, &["fetch", "-q", "origin"]);
        remote
    }
}

/// Clones for both sides to work in, and what each was at the start.
pub(crate) struct Pair {
    name: &'static str,
    files: Files,
}

/// Whether there are so many files that they cannot be deleted between turns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Files {
    Few,
    Many,
}

impl Pair {
    pub(crate) fn new(
        lab: &mut Lab,
        name: &'static str,
        files: Files,
        fill: impl Fn(&Path),
    ) -> Self {
        for side in [Side::Ours, Side::Theirs] {
            let (folder, _) = lab.new_clone(&format!("{name}-{}", side.name()));
            fill(&folder);
            copy(&folder.join(".git"), &folder.with_extension("git"));
        }
        Self { name, files }
    }

    pub(crate) fn folder(&self, lab: &Lab, side: Side) -> PathBuf {
        lab.path(&format!("{}-{}", self.name, side.name()))
    }

    /// Makes git forget everything since the clone; the files stay.
    pub(crate) fn forget(&self, lab: &Lab, side: Side) -> PathBuf {
        let folder = self.folder(lab, side);
        if self.files == Files::Few {
            // Gigabytes that would only take room.
            let _ = fs::remove_dir_all(folder.join(".git/lfs/objects"));
        }
        lab.put_away(&folder.join(".git"));
        copy(&folder.with_extension("git"), &folder.join(".git"));
        folder
    }

    pub(crate) fn remove(self, lab: &Lab) {
        for side in [Side::Ours, Side::Theirs] {
            let folder = self.folder(lab, side);
            match self.files {
                Files::Few => fs::remove_dir_all(folder).unwrap(),
                Files::Many => lab.put_away(&folder),
            }
        }
    }
}

/// Copies a folder with everything in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.unwrap().success());
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
