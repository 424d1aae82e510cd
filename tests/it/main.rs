//! The library against a loopback Hub, with real git and git-lfs as judges.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "the rules of the library are not those of its tests"
)]

mod adopting;
mod agents;
mod alternates;
mod attributes;
mod authors;
mod background;
mod bad_input;
mod branch_jobs;
mod branches;
mod cards;
mod changing;
mod cheap;
mod child;
mod configuration;
mod conformance;
mod conversions;
mod corners;
mod crash;
mod credentials;
mod deferred;
mod deferred_corners;
mod durability;
mod elsewhere;
mod ends;
mod engines;
mod fault_stories;
mod faults;
mod formats;
mod fsck;
mod fsck_corners;
mod giftless;
mod heavy;
mod hidden_files;
mod history;
mod hostile;
mod interleavings;
mod layers;
mod leak;
mod legacy;
mod logins;
mod looking;
mod lookups;
mod many_files;
mod merging;
mod migration;
mod moved_remote;
mod names;
mod offline;
mod parity_python;
mod parts;
mod permissions;
mod predecessor;
mod preemption;
mod progress;
mod promises;
mod proxy;
mod pruning;
mod pull_requests;
mod push_corners;
mod reaching;
mod readers;
mod ref_ends;
mod remembered;
mod remote_corners;
mod revisions;
mod rewriting;
mod round_trip;
mod rudolfs;
mod scope;
mod secrets;
mod security;
mod sent_packs;
mod small_objects;
mod ssh;
mod staging;
mod steps;
mod stores;
mod support;
mod tags;
mod tls;
mod together;
mod tokens;
mod tracking;
mod transfers;
