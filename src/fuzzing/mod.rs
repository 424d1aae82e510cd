//! Bodies of the fuzz targets: bytes in, a panic out where a promise is broken.
//!
//! Not part of the library's interface: it exists only for its own tests and under `--cfg fuzzing`,
//! which `cargo fuzz` sets. Each body is written once, next to the code it looks at, and run twice:
//! by the fuzzers in `fuzz/`, and for a moment each by the tests below, from the same seeds.

#[cfg(test)]
mod tests;
mod words;

/// Lists the targets: a function for each, and a table of all.
macro_rules! targets {
    ($($(#[$doc:meta])* $name:ident => $body:path;)*) => {
        $($(#[$doc])* pub fn $name(data: &[u8]) {
            $body(data);
        })*

        /// A body: takes bytes, and panics where a promise is broken.
        pub type Body = fn(&[u8]);

        /// Every target by the name it has in `fuzz/` and in `fixtures/seeds/`.
        pub const TARGETS: &[(&str, Body)] = &[$((stringify!($name), $name)),*];
    };
}

targets! {
    /// Pointer files.
    pointer => crate::lfs::fuzz::pointer;
    /// Rules in `.gitattributes`: pattern, line, and back.
    attributes => crate::lfs::fuzz::attributes;
    /// Answers of the LFS batch API, and the parts that they ask for.
    batch => crate::lfs::fuzz::batch;
    /// What transfer agents say.
    agent => crate::lfs::fuzz::agent;
    /// What git-lfs says of itself and its transfers.
    git_lfs_output => crate::lfs::fuzz::git_lfs_output;
    /// What is written down of uploads in parts.
    upload_journal => crate::lfs::fuzz::upload_journal;
    /// What is written down of promised pushes.
    push_journal => crate::push::fuzz::journal;
    /// `Retry-After` and `RateLimit`.
    rate_limit => crate::http::fuzz::rate_limit;
    /// The body of an error, as it gets into ours.
    server_words => crate::http::fuzz::server_words;
    /// What `git ls-remote` and `git push --porcelain` print.
    git_output => crate::git::fuzz::output;
    /// `.lfsconfig`.
    lfs_config => crate::git::fuzz::lfs_config;
    /// Paths and names of refs, with libgit2 as the judge.
    names => crate::git::fuzz::names;
    /// What git's credential helpers and we say to one another.
    credential_protocol => crate::credential::fuzz::protocol;
    /// Files of git's `store` helper.
    credential_store => crate::credential::fuzz::store;
    /// Model cards.
    card => crate::card::fuzz::card;
    /// Sources of clones, with a password in them.
    source => words::source;
    /// What others say, as it is shown.
    redaction => words::redaction;
    /// URLs, and words with URLs in them.
    url => words::url;
}
