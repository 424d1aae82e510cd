//! The one door to HTTP: git, Git LFS and the Hub's API all go through here.
//!
//! | file | concern |
//! |---|---|
//! | `settings` | timeouts, and which proxy counts: what the environment and git's config say |
//! | `proxies` | which proxies there are, and for whom |
//! | `trust` | whose certificates are believed |
//! | `certificates` | certificates in files and folders |
//! | `route` | the way to one URL, and the agent for it |
//! | `resolving` | addresses of servers, kept for a moment |
//! | `together` | a head and its body in one piece |
//! | `extra_header` | headers the user wants on requests |
//! | `grant` | one secret, and how it is presented |
//! | `grants` | which secret may go where, and who is asked for others |
//! | `seat` | who we are to one server |
//! | `source` | where logins come from that a server wants |
//! | `headers` | headers that may carry a permission |
//! | `request`, `response` | what is sent, what came back |
//! | `client` | sending, and following redirects |
//! | `status` | what a status code means, in one place |
//! | `failure` | why no answer came |
//! | `untrusted` | what is wrong with a certificate |
//! | `retry` | what is worth another try, and when |
//! | `watch` | bodies that hardly move, and the cap on bytes per second |
//! | `host` | what all work of the process shares about one server |
//! | `limits`, `bandwidth` | what callers choose |

mod bandwidth;
mod certificates;
mod client;
mod extra_header;
mod failure;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod grant;
mod grants;
mod headers;
mod host;
mod limits;
mod proxies;
mod request;
mod resolving;
mod response;
pub(crate) mod retry;
mod route;
mod seat;
mod settings;
mod source;
mod status;
#[cfg(test)]
mod tests;
mod together;
mod trust;
mod untrusted;
mod watch;
#[cfg(test)]
mod way_tests;

pub use bandwidth::Bandwidth;
pub use limits::NetworkLimits;

pub(crate) use client::Client;
pub(crate) use grant::{ANY_USER, Auth, Given, Grant, PlainHttp};
pub(crate) use host::{Bucket, Host};
pub(crate) use request::{Body, Request};
pub(crate) use response::Response;
pub(crate) use settings::{Reach, Remote, Settings, offline};
pub(crate) use source::{Lasts, LoginSource, Offer, Wanted};
pub(crate) use trust::Verification;
