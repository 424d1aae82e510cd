use super::*;

fn glob(text: &str) -> Pattern {
    Pattern::Glob(text.into())
}

fn literal(name: &str) -> Pattern {
    Pattern::Literal(RepoPath::new(name).expect(name))
}

fn tracked(before: &str, patterns: &[Pattern]) -> String {
    text(track(before.as_bytes(), patterns))
}

fn untracked(before: &str, patterns: &[Pattern]) -> String {
    text(untrack(before.as_bytes(), patterns))
}

fn text(edit: Edit) -> String {
    String::from_utf8(edit.content).expect("utf-8")
}

const RULE: &str = "filter=lfs diff=lfs merge=lfs -text";

#[test]
fn other_lines_stay_as_they_are() {
    let before = "# comment\r\n\r\n*.txt text\r\n[attr]x filter=lfs";
    let edit = track(before.as_bytes(), &[glob("*.bin")]);
    assert_eq!(edit.outcomes, [Outcome::Changed]);
    assert_eq!(text(edit), format!("{before}\r\n*.bin {RULE}\r\n"));
    let odd = format!("\u{feff}\t*.a  {RULE}\n\n# c\n *.b\tx\r\n\n*.bin {RULE}");
    assert_eq!(
        untracked(&odd, &[glob("*.a")]),
        format!("\u{feff}\n# c\n *.b\tx\r\n\n*.bin {RULE}")
    );
    assert_eq!(
        untracked(&odd, &[glob("*.bin")]),
        format!("\u{feff}\t*.a  {RULE}\n\n# c\n *.b\tx\r\n\n")
    );
}

#[test]
fn tracking_twice_changes_nothing() {
    let patterns = [glob("*.bin"), literal("a b#[1].txt"), literal("t\tq\".x")];
    let once = track(b"", &patterns);
    let twice = track(&once.content, &patterns);
    assert_eq!(once.content, twice.content);
    assert_eq!(twice.outcomes, [Outcome::Unchanged; 3]);
    let none = untrack(&once.content, &patterns);
    assert_eq!(
        (none.content.as_slice(), none.outcomes),
        (&b""[..], vec![Outcome::Changed; 3])
    );
}

#[test]
fn a_line_that_says_otherwise_is_changed_in_place() {
    for (before, after) in [
        ("*.bin -filter lockable", "*.bin F lockable"),
        ("*.bin -filter -diff -merge text", "*.bin F"),
        ("*.bin !filter eol=lf", "*.bin eol=lf F"),
        ("*.bin binary", "*.bin binary F"),
        (
            "*.bin diff=bin x=y -filter",
            "*.bin x=y filter=lfs diff=bin merge=lfs -text",
        ),
        ("*.bin filter=lfs -filter", "*.bin F"),
    ] {
        let after = after.replace('F', RULE);
        for end in ["\n", "\r\n"] {
            let edit = tracked(&format!("{before}{end}*.x y{end}"), &[glob("*.bin")]);
            assert_eq!(edit, format!("{after}{end}*.x y{end}"));
        }
    }
    // Git leaves out the first line, and takes the second.
    let broken = "*.bin filter=lfs a,b\n";
    assert_eq!(
        tracked(broken, &[glob("*.bin")]),
        format!("{broken}*.bin {RULE}\n")
    );
}

#[test]
fn lockable_is_kept_and_can_be_said() {
    let lockable = format!("*.bin {RULE} lockable\n");
    let plain = format!("*.bin {RULE}\n");
    for (before, wish, after) in [
        ("", Lockable::Yes, &lockable),
        ("", Lockable::No, &plain),
        (&*plain, Lockable::Yes, &lockable),
        (&*lockable, Lockable::Keep, &lockable),
        (&*lockable, Lockable::No, &plain),
    ] {
        let edit = track_as(before.as_bytes(), &[glob("*.bin")], wish);
        assert_eq!(text(edit), *after, "{before} {wish:?}");
    }
    assert_eq!(untracked(&lockable, &[glob("*.bin")]), "");
}

#[test]
fn only_what_is_of_lfs_is_taken_out() {
    let before = format!("*.bin text\n*.bin {RULE}\n");
    assert_eq!(untracked(&before, &[glob("*.bin")]), "*.bin text\n");
    assert_eq!(
        untrack(before.as_bytes(), &[glob("*.pt")]).outcomes,
        [Outcome::Unchanged]
    );
    for (before, after) in [
        ("\"a b\" F mine=1 lockable\n", "\"a b\" mine=1\n"),
        (
            "/a[[:space:]]b filter=lfs diff=word merge=lfs -text -x",
            "/a[[:space:]]b diff=word -x",
        ),
    ] {
        let edit = untracked(&before.replace('F', RULE), &[literal("a b")]);
        assert_eq!(edit, after);
    }
}

#[test]
fn a_file_gets_a_line_that_counts() {
    // A later line that takes it away from LFS.
    let rule = format!("/x.bin {RULE}\n");
    assert_eq!(
        tracked(&format!("{rule}*.bin -filter\n"), &[literal("x.bin")]),
        format!("*.bin -filter\n{rule}")
    );
    assert_eq!(
        tracked(&format!("{rule}*.pt -filter\n"), &[literal("x.bin")]),
        format!("{rule}*.pt -filter\n")
    );
    // A line that is for files in all folders stays theirs.
    assert_eq!(
        tracked("x.bin -filter\n", &[literal("x.bin")]),
        format!("x.bin -filter\n{rule}")
    );
    assert_eq!(
        tracked("x.bin filter=lfs\n", &[literal("x.bin")]),
        "x.bin filter=lfs\n"
    );
}

#[test]
fn rules_that_only_deleted_files_have() {
    let text = format!(
        "/gone {RULE}\nbare {RULE}\n/a[[:space:]]b {RULE}\n/c[[:cntrl:]]d {RULE}\n*.bin {RULE}\n/text text\n"
    );
    let gone = ["gone", "bare", "a b", "c\td", "x.bin", "text"];
    let gone = gone.map(|name| RepoPath::new(name).expect(name));
    let left = |there: &str| -> Vec<String> {
        let needed = |glob: &Glob| glob.matches(there, Case::Counts);
        let found = rules_of_files(text.as_bytes(), &gone, needed);
        found.iter().map(|file| file.as_str().to_owned()).collect()
    };
    assert_eq!(left("other"), ["gone", "bare", "a b", "c\td"]);
    assert_eq!(left("sub/bare"), ["gone", "a b", "c\td"]);
    assert_eq!(left("c\nd"), ["gone", "bare", "a b"]);
    assert_eq!(left("a\tb"), ["gone", "bare", "c\td"]);
}
