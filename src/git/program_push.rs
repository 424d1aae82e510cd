//! Pushing by the `git` program, to remotes that only it reaches.

use super::Git;
use super::program::{Side, explain};
use super::push::{Lease, PushOutcome, RefUpdate, RefsPush, silence};
use super::remote::Remote;
use crate::cancel::CancelToken;
use crate::error::Result;

/// git's words for a ref that is not where the lease says.
const STALE: &str = "stale info";
/// git's words for a ref that is to be deleted and does not exist.
const GONE: &str = "remote ref does not exist";

impl Git {
    /// Changes refs, and runs no hook of the clone: what they would do (git-lfs's uploads objects) has
    /// been done.
    pub(super) fn program_push(
        &self,
        url: &str,
        updates: &[RefUpdate],
        cancel: &CancelToken,
    ) -> Result<RefsPush> {
        let action = format!("push to {url}");
        let check = || -> Result<()> {
            let there = self.program_advertisement(url, Side::Push, cancel)?;
            let mut updates = updates.iter();
            updates.try_for_each(|update| update.check_lease(there.find(&update.name)))
        };
        if updates.len() > 1 {
            // The program would go on with those that are where they should be.
            check()?;
        }
        let mut program = self
            .program(&action)
            .arguments(["push", "--porcelain", "--no-verify", "--no-follow-tags"])
            .arguments(["--recurse-submodules=no", "--no-signed", "--no-thin"]);
        for update in updates {
            let expected = match update.lease {
                Lease::Any => continue,
                Lease::Absent => String::new(),
                Lease::At(id) => id.to_string(),
            };
            let lease = format!("--force-with-lease={}:{expected}", update.name);
            program = program.arguments([&lease]);
        }
        let refspecs: Vec<String> = updates.iter().map(RefUpdate::refspec).collect();
        let ran = program
            .arguments(["--", url])
            .arguments(&refspecs)
            .run_to_end(cancel, &mut || {})?;
        let told = String::from_utf8_lossy(&ran.output);
        let mut outcomes = Vec::new();
        for update in updates {
            match read_push(&told, &update.name) {
                Some(PushOutcome::Refused(reason)) if reason == STALE => {
                    check()?;
                    outcomes.push(PushOutcome::Refused(reason));
                }
                Some(outcome) => outcomes.push(outcome),
                None if update.to.is_none() && ran.words.contains(GONE) => {
                    check()?;
                    outcomes.push(PushOutcome::Accepted);
                }
                None => {
                    let failure = ran.failure.map(|error| explain(error, &ran.words, &action));
                    let remote = Remote::Ssh(url.to_owned());
                    return Err(failure.unwrap_or_else(|| silence(&remote, &update.name)));
                }
            }
        }
        Ok(RefsPush {
            outcomes,
            server_text: server_text(&ran.words),
        })
    }
}

/// `<flag>\t<from>:<to>\t<summary> (<reason>)`, from `git push --porcelain`.
pub(super) fn read_push(text: &str, full_name: &str) -> Option<PushOutcome> {
    text.lines().find_map(|line| {
        let mut fields = line.splitn(3, '\t');
        let (flag, refs, summary) = (fields.next()?, fields.next()?, fields.next()?);
        if refs.rsplit_once(':')?.1 != full_name {
            return None;
        }
        if flag != "!" {
            return Some(PushOutcome::Accepted);
        }
        let reason = summary
            .split_once('(')
            .map_or(summary, |(_, reason)| reason);
        let reason = reason.strip_suffix(')').unwrap_or(reason);
        Some(PushOutcome::Refused(reason.to_owned()))
    })
}

/// What the server said, out of what git did.
pub(super) fn server_text(words: &str) -> String {
    let lines = words
        .lines()
        .filter_map(|line| line.strip_prefix("remote:"));
    let lines: Vec<&str> = lines
        .map(|line| line.trim_end().trim_start_matches(' '))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789012345678901234567890123456789";

    #[test]
    fn outcomes_are_read_ref_by_ref() {
        let name = "refs/heads/main";
        let line =
            |flag: &str, summary: &str| format!("To x\n{flag}\t{ID}:{name}\t{summary}\nDone\n");
        for (flag, summary) in [("*", "[new branch]"), (" ", "1..2"), ("=", "[up to date]")] {
            assert_eq!(
                read_push(&line(flag, summary), name),
                Some(PushOutcome::Accepted)
            );
        }
        for (summary, reason) in [
            ("[rejected] (fetch first)", "fetch first"),
            (
                "[remote rejected] (pre-receive hook declined)",
                "pre-receive hook declined",
            ),
            ("[remote rejected]", "[remote rejected]"),
        ] {
            let refused = Some(PushOutcome::Refused(reason.to_owned()));
            assert_eq!(read_push(&line("!", summary), name), refused);
        }
        assert_eq!(read_push(&line("*", "x"), "refs/heads/other"), None);
        assert_eq!(read_push("Everything up-to-date\n", name), None);
    }

    #[test]
    fn the_servers_words_are_told_from_gits() {
        assert_eq!(
            server_text("remote: no \nfatal: x\nremote:\nremote:  two\n"),
            "no\n\ntwo"
        );
    }
}
