//! The door to other programs.
//!
//! A child gets no `GIT_*` variable of ours that names a repository and no variable with a secret of
//! ours, speaks English and never prompts. It runs in a process group of its own, and the whole group is killed when the caller
//! cancels: what a program started must not go on after it.
//!
//! | file | concern |
//! |---|---|
//! | `program` | what to run and how |
//! | `child` | a program that runs, and talking to it |
//! | `environment` | the variables a child does not get |
//! | `group` | the processes that end together |
//! | `ssh` | what ssh says when it gives up |
//! | `pipes` | the threads that keep a child from blocking |

#![allow(
    dead_code,
    reason = "custom transfer agents and the ssh transport need all of it"
)]

mod child;
mod environment;
mod group;
mod pipes;
mod program;
pub(crate) mod ssh;
#[cfg(test)]
mod tests;

pub(crate) use child::Child;
pub(crate) use program::{Input, Program, Ran};
