//! Pointers without their content, and content on demand.

use std::fs;
use std::path::{Path, PathBuf};

use hf_repository::{
    CheckoutOptions, Content, Delivery, ErrorKind, Pattern, PullStrategy, RepoPath,
};
use mini_hub::Route;

use crate::support::moving::requests;
use crate::support::saving::save;
use crate::support::{World, newest, path, weights, write};

/// A pointer to an object that no server has.
fn claim(number: u32, size: u64) -> String {
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{number:064x}\nsize {size}\n")
}

/// A model that claims to hold a hundred gigabytes of weights, and a small file with content.
fn with_weights(w: &World) -> PathBuf {
    w.model("alice/m");
    let seed = w.clone("alice/m", "seed");
    for (name, seed_of) in [("tokenizer/t.bin", 1), ("extra/e.bin", 2), ("f.bin", 3)] {
        write(seed.workdir(), name, weights(seed_of, 3000));
    }
    seed.stage().unwrap();
    let _ = seed.commit("small").unwrap();
    seed.push().unwrap();
    // No server would take a pointer without its object: it goes in behind the server's back.
    let folder = seed.workdir();
    for number in 1..=10 {
        write(
            folder,
            &format!("big/{number}.bin"),
            claim(number, 10 << 30),
        );
    }
    seed.stage().unwrap();
    let _ = seed.commit("claimed").unwrap();
    let name = folder.to_string_lossy();
    w.git(w.bare("alice/m"), &["fetch", "-q", &name, "main:main"]);
    folder.to_path_buf()
}

fn lfs_requests(w: &World) -> Vec<Route> {
    let routes = w.hub.requests().into_iter().map(|request| request.route);
    let git = [
        Route::InfoRefsUpload,
        Route::InfoRefsReceive,
        Route::UploadPack,
        Route::ReceivePack,
    ];
    let others = [Route::Api, Route::Page];
    routes
        .filter(|route| !git.contains(route) && !others.contains(route))
        .collect()
}

/// Which LFS files are pointers in the work tree.
fn pointers(folder: &Path) -> Vec<String> {
    let files = crate::support::judge::files(folder);
    let pointer = |content: &[u8]| content.starts_with(b"version https://git-lfs");
    files
        .into_iter()
        .filter(|(_, (_, content))| pointer(content))
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn a_small_file_goes_to_a_large_model_without_an_lfs_byte() {
    let w = World::new();
    with_weights(&w);
    w.hub.clear_requests();
    let prepared = w.prepare("alice/m", "ours").content(Content::PointersOnly);
    let repo = prepared.depth(newest(1)).clone_repo().unwrap();
    let folder = repo.workdir().to_path_buf();
    let before = pointers(&folder);
    assert_eq!(before.len(), 13);
    write(&folder, "README.md", "# changed\n");
    // Touched is not changed.
    write(&folder, "big/1.bin", claim(1, 10 << 30));
    let report = repo.stage().unwrap();
    assert_eq!((report.plain.len(), report.lfs.len()), (1, 0), "{report:?}");
    let _ = repo.commit("card").unwrap();
    assert_eq!(repo.push().unwrap().lfs_bytes, 0);
    write(&folder, "config.json", "{}");
    let (_, handle) = save(&repo, "config");
    assert!(matches!(handle.wait().unwrap(), Delivery::Pushed(_)));
    // A branch of its own, of which the remote has all but the name.
    repo.checkout_with("other", CheckoutOptions::Create)
        .unwrap();
    repo.push().unwrap();
    repo.checkout("main").unwrap();
    assert_eq!(pointers(&folder), before);
    assert_eq!(lfs_requests(&w), []);
    w.assert_clean(&folder);
    // A rename and a removal of pointers need no content either.
    fs::rename(folder.join("big/1.bin"), folder.join("big/one.bin")).unwrap();
    fs::remove_file(folder.join("big/2.bin")).unwrap();
    let (_, handle) = save(&repo, "moved");
    assert!(matches!(handle.wait().unwrap(), Delivery::Pushed(_)));
    assert_eq!(lfs_requests(&w), []);
    // A pointer that becomes a file is a new LFS file; the others go on being pointers.
    write(&folder, "big/3.bin", weights(9, 5000));
    let (_, handle) = save(&repo, "a real one");
    let Delivery::Pushed(report) = handle.wait().unwrap() else {
        panic!("not pushed");
    };
    assert_eq!((report.lfs_objects, report.lfs_bytes), (1, 5000));
    let claimed = crate::support::moving::oid(&w, &folder, "big/3.bin");
    assert!(!claimed.starts_with("00000000"));
    // Both sides move: merges by hand and in the background leave pointers what they are.
    let theirs = w.prepare("alice/m", "theirs");
    let theirs = theirs.content(Content::PointersOnly).clone_repo().unwrap();
    w.hub.clear_requests();
    for round in 0..2 {
        theirs.pull().unwrap();
        write(theirs.workdir(), "theirs.txt", round.to_string());
        theirs.stage().unwrap();
        let _ = theirs.commit("theirs").unwrap();
        theirs.push().unwrap();
        write(&folder, "ours.txt", round.to_string());
        if round == 0 {
            repo.stage().unwrap();
            let _ = repo.commit("ours").unwrap();
            let merged = repo.pull_with(PullStrategy::Merge).unwrap().merged;
            assert!(merged.is_some());
            repo.push().unwrap();
        } else {
            let (_, handle) = save(&repo, "ours");
            assert!(matches!(handle.wait().unwrap(), Delivery::Pushed(_)));
            repo.pull().unwrap();
        }
    }
    assert_eq!(lfs_requests(&w), []);
    assert_eq!(pointers(&folder).len(), 11);
    assert_eq!(
        fs::read(folder.join("big/3.bin")).unwrap(),
        weights(9, 5000)
    );
    repo.prune().unwrap();
    repo.close().unwrap();
    w.assert_clean(&folder);
}

#[test]
fn only_what_the_patterns_catch_gets_its_content() {
    let w = World::new();
    let seed = with_weights(&w);
    let odd = "big [1]/a*.bin";
    let patterns = vec![
        Pattern::Glob("tokenizer/".to_owned()),
        Pattern::Glob("[f].bin".to_owned()),
        Pattern::Literal(path(odd)),
    ];
    let prepared = w.prepare("alice/m", "ours");
    let prepared = prepared.content(Content::Matching(patterns.clone()));
    let repo = prepared.clone_repo().unwrap();
    let folder = repo.workdir().to_path_buf();
    assert_eq!(pointers(&folder).len(), 11);
    assert_eq!(fs::read(folder.join("f.bin")).unwrap(), weights(3, 3000));
    assert_eq!(repo.content().unwrap(), Some(Content::Matching(patterns)));
    // Later pulls and checkouts keep to it, and to what has been asked for besides.
    assert_eq!(
        repo.fetch_content(["extra/*.bin"]).unwrap(),
        [path("extra/e.bin")]
    );
    let theirs = w.prepare("alice/m", "seed").open().unwrap();
    for (name, number) in [
        ("tokenizer/u.bin", 4),
        ("u.bin", 5),
        ("extra/e.bin", 6),
        (odd, 7),
    ] {
        write(&seed, name, weights(number, 3000));
    }
    theirs.stage().unwrap();
    let _ = theirs.commit("more").unwrap();
    theirs.push().unwrap();
    repo.pull().unwrap();
    let left_all = pointers(&folder);
    let mut left = left_all.clone();
    left.retain(|name| !name.starts_with("big/"));
    assert_eq!(left, ["u.bin"]);
    assert_eq!(fs::read(folder.join(odd)).unwrap(), weights(7, 3000));
    w.assert_clean(&folder);
    // No name is no file, and a name of nothing an error; a glob may match nothing.
    let nothing: Vec<RepoPath> = Vec::new();
    assert_eq!(repo.fetch_content(&nothing).unwrap(), nothing);
    assert_eq!(repo.fetch_content(["*.none"]).unwrap(), nothing);
    let error = repo.fetch_content(["tokenizer", "tokeniser"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PathNotFound);
    assert!(error.to_string().contains("tokeniser"), "{error}");
    assert_eq!(pointers(&folder), left_all);
    // Switched later: what is there stays, what comes is as chosen now.
    repo.set_content(&Content::PointersOnly).unwrap();
    write(&seed, "tokenizer/v.bin", weights(8, 3000));
    theirs.stage().unwrap();
    let _ = theirs.commit("v").unwrap();
    theirs.push().unwrap();
    repo.pull().unwrap();
    assert!(pointers(&folder).contains(&"tokenizer/v.bin".to_owned()));
    assert_eq!(fs::read(folder.join("f.bin")).unwrap(), weights(3, 3000));
    // What no server has is an error, and changes nothing.
    let error = repo.fetch_content(["tokenizer", "big/1.bin"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LfsObjectMissing, "{error:?}");
    assert!(pointers(&folder).contains(&"tokenizer/v.bin".to_owned()));
    // But what came with it need not come again.
    w.hub.clear_requests();
    let got = repo.fetch_content(["u.bin", "tokenizer/"]).unwrap();
    assert_eq!(requests(&w, Route::LfsGet).len(), 1);
    assert_eq!(got, [path("tokenizer/v.bin"), path("u.bin")]);
    w.assert_clean(&folder);
    let refused = repo.set_content(&Content::matching(["!x"])).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    let refused = w.prepare("alice/m", "no").content(Content::matching([""]));
    assert_eq!(
        refused.clone_repo().unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert!(!w.path("no").exists());
}
