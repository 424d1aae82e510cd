//! Who we are to a server: where tokens and passwords come from when nobody passed one.
//!
//! | file | concern |
//! |---|---|
//! | `hub_token` | the Hub's own places: variables, the token file |
//! | `protocol` | the words git and its credential helpers exchange |
//! | `helpers` | which helpers git's config names for a URL |
//! | `ask` | asking them: by the git program, else one by one |
//! | `store` | the file of git's `store` helper |

#![allow(dead_code, reason = "the 401 hook, which follows, uses all of it")]

mod ask;
mod helpers;
mod hub_token;
mod protocol;
mod store;

pub(crate) use hub_token::{Found, find_secret};
