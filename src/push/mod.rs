//! Pushing, at once or in the background.

mod report;
mod send;
mod state;

pub use report::{PushReport, PushedRef};
pub(crate) use send::Sending;
pub use state::PushState;
