//! Pointers, rules and answers, whoever wrote them.

use super::Object;
use super::api::{Answer, BUILT_IN, BatchResponse, Question, check};
use super::attributes::{Outcome, track, untrack};
use super::pattern::Pattern;
use super::pointer::{MAX_POINTER_BYTES, Pointer};
use crate::error::Error;
use crate::gitattributes::{Case, Glob, Macros, Rules, decide, split};
use crate::id::LfsOid;
use crate::path::RepoPath;
use crate::probe::{assert_fit_to_print, parts};
use crate::progress::Direction;
use crate::url::Url;

pub(crate) use super::agent::fuzz::agent;
pub(crate) use super::git_lfs::fuzz::git_lfs_output;
pub(crate) use super::transfer::fuzz::upload_journal;

/// What transfers are asked about here: seeds name these.
pub(super) fn objects() -> [Object; 3] {
    let oid = |digit: &str| digit.repeat(64).parse::<LfsOid>().expect("an oid");
    [("a", 5), ("b", 20 << 20), ("c", 1 << 62)].map(|(digit, size)| Object {
        oid: oid(digit),
        size,
    })
}

pub(crate) fn pointer(data: &[u8]) {
    if let Ok(found) = Pointer::parse(data) {
        assert!(data.len() < MAX_POINTER_BYTES);
        assert!(
            i64::try_from(found.size).is_ok(),
            "git-lfs has signed sizes"
        );
        assert_canonical(&found);
    }
    // One that was never text: an oid and a size.
    if let Some((oid, rest)) = data.split_first_chunk::<32>() {
        let size = rest
            .first_chunk::<8>()
            .map_or(0, |it| u64::from_le_bytes(*it));
        let size = size & (u64::MAX >> 1);
        assert_canonical(&Pointer::new(LfsOid::from_bytes(*oid), size));
    }
}

/// What is written is the one spelling of what is read.
fn assert_canonical(pointer: &Pointer) {
    let written = pointer.encode();
    let again = Pointer::parse(&written);
    if pointer.size == 0 {
        assert_eq!(again, Ok(Pointer::new(LfsOid::EMPTY, 0)));
    } else {
        assert_eq!(again.as_ref(), Ok(pointer));
    }
    assert_eq!(again.map(|it| it.encode()), Ok(written));
}

/// The file, and the patterns, one a line: `=` before a name, anything else for a glob.
pub(crate) fn attributes(data: &[u8]) {
    let [before, list] = parts(data);
    let read = |line: &str| match line.strip_prefix('=') {
        Some(name) => RepoPath::new(name.replace('\r', "\n"))
            .ok()
            .map(Pattern::Literal),
        None => Some(Pattern::Glob(line.to_owned())),
    };
    let patterns: Vec<Pattern> = list
        .split('\n')
        .filter_map(read)
        .filter(|pattern| pattern.check_new().is_ok())
        .collect();
    for pattern in &patterns {
        assert_one_word(pattern);
    }
    let once = track(before.as_bytes(), &patterns);
    assert_eq!(once.outcomes.len(), patterns.len());
    let twice = track(&once.content, &patterns);
    assert_eq!(twice.content, once.content, "tracking twice");
    assert!(twice.outcomes.iter().all(|it| *it == Outcome::Unchanged));
    let none = untrack(&once.content, &patterns);
    let again = untrack(&none.content, &patterns);
    assert_eq!(again.content, none.content, "untracking twice");

    // What is nobody's rule for these files stays, in its order and to the byte.
    let of_others = |content: &[u8]| -> Vec<String> {
        let text = String::from_utf8_lossy(content).into_owned();
        let lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
        let is_theirs = |line: &&str| {
            let split = split(line.as_bytes());
            !split.is_some_and(|it| patterns.iter().any(|pattern| pattern.is_spelt(&it.word)))
        };
        let kept = lines.filter(is_theirs).filter(|line| !line.is_empty());
        kept.map(str::to_owned).collect()
    };
    // Whatever the rules are, they can be asked.
    let rules = Rules::parse(before.as_bytes());
    let mut macros = Macros::default();
    macros.add(&rules);
    for name in list.split('\n') {
        let asked = std::iter::once((name, &rules));
        decide(asked, &macros, &["filter"], Case::Folds);
    }

    let wanted = of_others(before.as_bytes());
    assert_eq!(of_others(&once.content), wanted, "tracking");
    assert_eq!(of_others(&none.content), wanted, "untracking");
}

/// The spelling is one word that git takes for a pattern, and means the pattern.
fn assert_one_word(pattern: &Pattern) {
    let word = pattern.spelling();
    assert!(
        !word.is_empty() && !word.starts_with(['#', '"', '!']),
        "{word:?}"
    );
    assert!(
        !word.contains(|c: char| c == ' ' || c.is_ascii_control()),
        "{word:?}"
    );
    let line = format!("{word} filter=lfs");
    let split = split(line.as_bytes()).expect("a line");
    assert_eq!(
        (&*split.word, split.rest),
        (word.as_bytes(), b" filter=lfs".as_slice())
    );
    assert!(pattern.is_spelt(&split.word), "{pattern:?} is not {word:?}");
    // What is named is matched.
    let glob = Glob::parse(&split.word).expect("no negation");
    if let Pattern::Literal(path) = pattern {
        assert!(
            glob.matches(path.as_str(), Case::Counts),
            "{path} is not matched by {word:?}"
        );
    }
}

/// The first byte decides the direction; what follows is the JSON.
pub(crate) fn batch(data: &[u8]) {
    let Some((first, json)) = data.split_first() else {
        return;
    };
    let direction = match first % 2 {
        0 => Direction::Upload,
        _ => Direction::Download,
    };
    let Ok(response) = serde_json::from_slice::<BatchResponse>(json) else {
        return;
    };
    let objects = objects();
    let question = Question {
        direction,
        ref_name: None,
        transfers: &BUILT_IN,
        objects: &objects,
    };
    let url = Url::parse("https://hub.example/info/lfs/objects/batch").expect("a URL");
    let answers = match check(&url, question, response) {
        Ok(answers) => answers,
        Err(error) => return assert_fit_to_print(&error.to_string()),
    };
    assert!(BUILT_IN.contains(&&*answers.transfer));
    let spoken_of: Vec<Object> = answers.objects.iter().map(|(object, _)| *object).collect();
    assert_eq!(
        spoken_of, objects,
        "all that was asked, in its order, and no more"
    );
    for (object, answer) in &answers.objects {
        match answer {
            Answer::Nothing => assert_eq!(direction, Direction::Upload),
            Answer::Refused(error) => assert_fit_to_print(&error.to_string()),
            Answer::Transfer(actions) => {
                for action in [Some(&actions.transfer), actions.verify.as_ref()] {
                    let Some(action) = action else { continue };
                    assert_same_url(&action.url);
                }
                super::transfer::fuzz::plan(*object, actions);
            }
        }
    }
}

pub(super) fn assert_same_url(url: &Url) {
    let again = Url::parse_with_userinfo(&url.to_full()).expect("read again");
    assert!(again.0 == *url && again.1.is_none());
}

/// The words of a peer that is not a server.
pub(super) fn assert_complaint(why: &str) {
    let error = Error::new(crate::error::ErrorKind::Protocol, why);
    assert_fit_to_print(&error.to_string());
}
