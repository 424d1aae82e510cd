//! What all work of this process shares about one server: transfers at a time, and when to come back.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cancel::CancelToken;
use crate::error::Result;
use crate::url::Origin;

/// What servers count apart from one another: the Hub has a quota for its API that says nothing of
/// its git server or its storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Bucket {
    /// The Hub's API and the LFS batch API.
    #[default]
    Api,
    /// git's own requests.
    Git,
    /// The bytes of objects.
    Storage,
}

/// One server.
#[derive(Default)]
pub(crate) struct Host {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    transfers: usize,
    /// Nothing is sent before.
    closed_until: HashMap<Bucket, Instant>,
}

/// Servers remembered; far more than a training run talks to.
const REMEMBERED: usize = 256;

static HOSTS: LazyLock<Mutex<HashMap<Origin, Arc<Host>>>> = LazyLock::new(Mutex::default);

impl Host {
    /// The server at an origin: the same one for the whole process.
    pub(crate) fn at(origin: &Origin) -> Arc<Self> {
        let mut hosts = HOSTS.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= REMEMBERED {
            hosts.retain(|_, host| Arc::strong_count(host) > 1);
        }
        Arc::clone(hosts.entry(origin.clone()).or_default())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for one of `limit` places among all transfers to and from this server.
    pub(crate) fn place(self: &Arc<Self>, limit: usize, cancel: &CancelToken) -> Result<Place> {
        let host = Arc::clone(self);
        let _registered = cancel.on_cancel(move || {
            let _held = host.state();
            host.changed.notify_all();
        });
        let full = |state: &mut State| state.transfers >= limit.max(1) && !cancel.is_cancelled();
        let waited = self.changed.wait_while(self.state(), full);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        cancel.check()?;
        state.transfers += 1;
        Ok(Place(Arc::clone(self)))
    }

    /// The server wants to hear nothing for a while.
    pub(super) fn close(&self, bucket: Bucket, time: Duration) {
        let Some(until) = Instant::now().checked_add(time) else {
            return;
        };
        let mut state = self.state();
        let closed = state.closed_until.entry(bucket).or_insert(until);
        *closed = (*closed).max(until);
    }

    /// How long it still wants to hear nothing.
    pub(super) fn closed_for(&self, bucket: Bucket) -> Duration {
        let state = self.state();
        let until = state.closed_until.get(&bucket);
        until.map_or(Duration::ZERO, |until| {
            until.saturating_duration_since(Instant::now())
        })
    }
}

/// A place among a server's transfers; given back when dropped.
pub(crate) struct Place(Arc<Host>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.state().transfers -= 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::Url;

    fn host(name: &str) -> Arc<Host> {
        Host::at(
            &Url::parse(&format!("http://{name}"))
                .expect("valid")
                .origin(),
        )
    }

    #[test]
    fn a_server_is_the_same_one_for_everybody() {
        host("same.example:80").close(Bucket::Api, Duration::from_secs(60));
        assert!(host("same.example").closed_for(Bucket::Api) > Duration::from_secs(50));
        assert!(host("same.example").closed_for(Bucket::Storage).is_zero());
        assert!(host("other.example").closed_for(Bucket::Api).is_zero());
    }

    #[test]
    fn places_are_given_back() {
        let (host, cancel) = (host("places.example"), CancelToken::new());
        let first = host.place(1, &cancel).expect("free");
        let waiter = std::thread::spawn({
            let (host, cancel) = (Arc::clone(&host), cancel.clone());
            move || host.place(1, &cancel).map(drop)
        });
        drop(first);
        waiter.join().expect("no panic").expect("got its turn");
        let _second = host.place(1, &cancel).expect("free again");
        let waiter = std::thread::spawn({
            let (host, cancel) = (Arc::clone(&host), cancel.clone());
            move || host.place(1, &cancel).map(drop)
        });
        cancel.cancel();
        assert!(waiter.join().expect("no panic").is_err());
    }
}
