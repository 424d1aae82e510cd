//! The one door to HTTP: git, Git LFS and the Hub's API all go through here.
//!
//! | file | concern |
//! |---|---|
//! | `settings` | timeouts, proxies, certificates |
//! | `grant` | which secret may go where |
//! | `request`, `response` | what is sent, what came back |
//! | `client` | sending, and following redirects |
//! | `status` | what a status code means, in one place |
//! | `retry` | what is worth another try, and when |

mod client;
mod grant;
mod request;
mod response;
pub(crate) mod retry;
mod settings;
mod status;
#[cfg(test)]
mod tests;

pub(crate) use client::Client;
pub(crate) use grant::{Auth, Grant};
pub(crate) use request::{Body, Request};
pub(crate) use response::Response;
pub(crate) use settings::Settings;
