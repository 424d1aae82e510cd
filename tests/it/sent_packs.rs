//! The packs that pushes send: whoever makes them, git finds nothing wrong with them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::{Arc, Mutex};

use hf_repository::{ErrorKind, Event, Progress};
use mini_hub::Route;

use crate::support::moving::{commit, requests, sent};
use crate::support::{World, write};

/// Text that does not compress well, different for each seed.
fn text(seed: u64, length: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = String::with_capacity(length + 16);
    while out.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out += &format!("{state:016x}");
    }
    out.truncate(length);
    out
}

/// Bytes that the pushes of `push` sent.
fn bytes_of(w: &World, push: impl FnOnce()) -> u64 {
    w.hub.clear_requests();
    push();
    sent(&requests(w, Route::ReceivePack))
}

/// The hub's repository is whole, and has what is here.
fn assert_arrived(w: &World, id: &str, folder: &Path) {
    let bare = w.bare(id);
    w.git(&bare, &["fsck", "--strict", "--no-dangling"]);
    let (here, there) = (
        w.git(folder, &["rev-parse", "HEAD^{tree}"]),
        w.git(&bare, &["rev-parse", "main^{tree}"]),
    );
    assert_eq!(here, there);
}

fn many(folder: &Path, seed: u64) {
    for number in 0..80 {
        let name = format!("d{}/e/f{number}.txt", number % 3);
        write(folder, &name, text(seed * 1000 + number, 700));
    }
}

#[test]
fn many_new_files_arrive_and_nothing_else_is_sent() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir().to_owned();
    many(&folder, 1);
    symlink("d0/e/f0.txt", folder.join("link")).unwrap();
    write(&folder, "run.sh", "#!/bin/sh\n");
    fs::set_permissions(folder.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    commit(&repo, "empty.txt", Vec::new());
    let first = bytes_of(&w, || drop(repo.push().unwrap()));
    assert_arrived(&w, "alice/m", &folder);

    // Half of it by git, in files of their own; some of it as it was before.
    write(&folder, "d1/e/f1.txt", text(7, 700));
    write(&folder, "again.txt", text(1000, 700));
    w.git(&folder, &["add", "-A"]);
    w.git(&folder, &["commit", "-q", "-m", "by git"]);
    let second = bytes_of(&w, || drop(repo.push().unwrap()));
    assert_arrived(&w, "alice/m", &folder);
    assert!(first > 80 * 400 && second < first / 10, "{first} {second}");
}

#[test]
fn what_is_moved_or_copied_is_not_sent_again() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir().to_owned();
    many(&folder, 1);
    commit(&repo, "one.txt", Vec::new());
    let _ = repo.push().unwrap();

    fs::rename(folder.join("d1"), folder.join("moved")).unwrap();
    fs::copy(folder.join("d0/e/f0.txt"), folder.join("copied.txt")).unwrap();
    commit(&repo, "new.txt", b"new".to_vec());
    let bytes = bytes_of(&w, || drop(repo.push().unwrap()));
    assert_arrived(&w, "alice/m", &folder);
    // A commit, a tree, and a file of three bytes.
    assert!(bytes < 1500, "{bytes}");
}

#[test]
fn what_lies_in_packs_of_any_form_arrives() {
    let w = World::new();
    for (at, form) in ["packs of git", "large offsets", "a damaged index"]
        .iter()
        .enumerate()
    {
        let id = format!("alice/m{at}");
        w.model(&id);
        let repo = w.clone(&id, &format!("ours{at}"));
        let folder = repo.workdir().to_owned();
        many(&folder, 1);
        // Like one another: git makes deltas of them.
        for number in 0..30 {
            let like = format!("{}{number}", text(5, 2000));
            write(&folder, &format!("like{number}.txt"), like);
        }
        commit(&repo, "one.txt", b"one".to_vec());
        w.git(&folder, &["repack", "-q", "-a", "-d", "-f"]);
        let packs = fs::read_dir(folder.join(".git/objects/pack")).unwrap();
        let index = packs
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|end| end == "idx"))
            .unwrap();
        match at {
            1 => {
                fs::remove_file(&index).unwrap();
                let pack = index.with_extension("pack");
                let pack = pack.to_str().unwrap();
                w.git(&folder, &["index-pack", "--index-version=2,0x40", pack]);
            }
            2 => {
                // Beside a good one: whoever reads it must get over it.
                let odd = index.with_file_name("pack-odd.idx");
                let whole = fs::read(&index).unwrap();
                fs::write(&odd, &whole[..whole.len() / 3]).unwrap();
            }
            _ => {}
        }
        let _ = repo.push().unwrap();
        if at == 2 {
            fs::remove_file(index.with_file_name("pack-odd.idx")).unwrap();
        }
        assert_arrived(&w, &id, &folder);
        w.assert_sound(&folder);
        drop((repo, form));
    }
}

#[test]
fn versions_of_the_same_files_are_sent_as_deltas() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir().to_owned();
    let base = text(3, 20_000);
    for version in 0..10 {
        commit(&repo, "log.txt", format!("{base}{version}").into_bytes());
    }
    let bytes = bytes_of(&w, || drop(repo.push().unwrap()));
    assert_arrived(&w, "alice/m", &folder);
    // Ten of them, at half their size, would be five times as much.
    assert!(bytes < 20_000, "{bytes}");
}

#[test]
fn a_large_text_and_an_empty_repository() {
    let w = World::new();
    w.empty_model("alice/m");
    let repo = w.prepare("alice/m", "ours").clone_repo().unwrap();
    let folder = repo.workdir().to_owned();
    // Above what is taken as a whole, below what the Hub refuses.
    commit(&repo, "large.txt", text(1, 6 << 20).into_bytes());
    let told: Arc<Mutex<Vec<u64>>> = Arc::default();
    let heard = Arc::clone(&told);
    drop(repo);
    let repo = w
        .prepare("alice/m", "ours")
        .progress(Progress::new(move |event| {
            if let Event::Pack { bytes, .. } = event {
                heard.lock().unwrap().push(*bytes);
            }
        }))
        .open()
        .unwrap();
    let bytes = bytes_of(&w, || drop(repo.push().unwrap()));
    assert_arrived(&w, "alice/m", &folder);
    let told = told.lock().unwrap();
    assert!(told.is_sorted() && told.len() > 3, "{told:?}");
    let last = *told.last().unwrap();
    assert!(last <= bytes && last + 1000 > bytes, "{last} of {bytes}");
}

#[test]
fn of_a_new_branch_only_what_is_new_is_sent() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir().to_owned();
    many(&folder, 2);
    commit(&repo, "one.txt", b"one".to_vec());
    let _ = repo.push().unwrap();
    w.git(&folder, &["checkout", "-q", "-b", "other"]);
    commit(&repo, "two.txt", b"two".to_vec());
    let bytes = bytes_of(&w, || drop(repo.push().unwrap()));
    assert!(bytes < 1000, "{bytes}");
    w.git(w.bare("alice/m"), &["fsck", "--strict"]);
    assert_eq!(
        w.remote_tip("alice/m", "other").as_deref(),
        Some(w.git(&folder, &["rev-parse", "HEAD"]).trim())
    );
}

#[test]
fn of_a_rotten_pack_nothing_is_sent_and_the_error_says_which() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir().to_owned();
    for number in 0..60 {
        write(&folder, &format!("f{number}.txt"), text(number, 50_000));
    }
    commit(&repo, "one.txt", b"one".to_vec());
    let tip = w.remote_tip("alice/m", "main");
    let packs = fs::read_dir(folder.join(".git/objects/pack")).unwrap();
    let made = packs.map(|entry| entry.unwrap().path());
    let pack = made
        .filter(|path| path.extension().is_some_and(|end| end == "pack"))
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    let index = pack.with_extension("idx");
    let flip = |file: &Path, at: usize| {
        let mut bytes = fs::read(file).unwrap();
        bytes[at] ^= 1;
        fs::remove_file(file).unwrap();
        fs::write(file, bytes).unwrap();
    };
    // Behind what is looked at before a push: near the end of the last file.
    let last = fs::metadata(&pack).unwrap().len() as usize - 500;
    flip(&pack, last);
    let error = repo.push().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Git);
    let (told, pack_text) = (error.to_string(), pack.to_string_lossy());
    assert!(told.contains("cannot push: the object "), "{told}");
    assert!(told.contains(&*pack_text), "{told}");
    assert!(error.hint().unwrap().contains("git fsck"), "{error:?}");
    assert_eq!(w.remote_tip("alice/m", "main"), tip);
    // A small file is found before.
    flip(&pack, last);
    write(&folder, "small.txt", "small");
    commit(&repo, "two.txt", b"two".to_vec());
    let blob = w.git(&folder, &["rev-parse", "HEAD:small.txt"]);
    let blob = folder
        .join(".git/objects")
        .join(&blob[..2])
        .join(&blob[2..]);
    let length = fs::metadata(&blob).unwrap().len() as usize;
    flip(&blob, length - 1);
    let error = repo.push().unwrap_err();
    let (told, ours) = (error.to_string(), folder.to_string_lossy());
    assert!(told.contains(&*ours), "{told}");
    assert!(error.hint().unwrap().contains("git fsck"), "{error:?}");
    assert_eq!(w.remote_tip("alice/m", "main"), tip);
    // What is wrong about the checksum alone does no harm.
    flip(&blob, length - 1);
    let rows = (fs::metadata(&index).unwrap().len() as usize - 1032 - 40) / 28;
    flip(&index, 1032 + rows * 20);
    let _ = repo.push().unwrap();
    assert_arrived(&w, "alice/m", &folder);
}

#[test]
fn many_files_that_lie_loose_arrive() {
    let w = World::new();
    w.model("alice/m");
    let repo = w.clone("alice/m", "ours");
    let folder = repo.workdir().to_owned();
    // Sizes at which somebody else makes the entry, and writes it piece by piece.
    for (name, length) in [("a", 70_000), ("b", 131_073), ("c", (4 << 20) + 1)] {
        write(&folder, name, text(1, length));
    }
    for number in 0..90 {
        write(
            &folder,
            &format!("d{}/f{number}", number % 7),
            text(number, 300),
        );
    }
    w.git(&folder, &["add", "-A"]);
    w.git(&folder, &["commit", "-q", "-m", "by git"]);
    let tip = w.remote_tip("alice/m", "main");
    let blob = w.git(&folder, &["rev-parse", "HEAD:a"]);
    let blob = folder
        .join(".git/objects")
        .join(&blob[..2])
        .join(&blob[2..]);
    let whole = fs::read(&blob).unwrap();
    // Behind what is looked at before a push.
    let mut rotten = whole.clone();
    rotten[whole.len() - 9] ^= 1;
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, rotten).unwrap();
    let error = repo.push().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Git);
    assert!(
        error.to_string().contains(&*folder.to_string_lossy()),
        "{error}"
    );
    assert_eq!(w.remote_tip("alice/m", "main"), tip);
    fs::write(&blob, whole).unwrap();
    let _ = repo.push().unwrap();
    assert_arrived(&w, "alice/m", &folder);
}
