//! Who we are to a server: where tokens and passwords come from when nobody passed one.
//!
//! | file | concern |
//! |---|---|
//! | `hub_token` | the Hub's own places: variables, the token file |
//! | `protocol` | the words git and its credential helpers exchange |
//! | `helpers` | which helpers git's config names for a URL |
//! | `ask` | asking them: by the git program, else one by one |
//! | `git_source` | their logins for servers that want one |
//! | `store` | the file of git's `store` helper |
//! | `keep` | keeping a login, and forgetting it |
//! | `netrc` | the file of curl |
//! | `prompt` | the caller's own function |

mod ask;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod git_source;
mod helpers;
mod hub_token;
mod keep;
mod netrc;
mod prompt;
mod protocol;
mod store;

pub use prompt::CredentialRequest;

pub(crate) use ask::Helpers;
pub(crate) use hub_token::{Found, find_secret};
pub(crate) use keep::Keeper;
pub(crate) use netrc::Netrc;
pub(crate) use prompt::{Asking, Prompt};
