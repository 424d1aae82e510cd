//! Names of servers, looked up once for many requests.
//!
//! ureq looks the name up for every request, even for one that goes over an open connection, and makes a
//! thread for it: the 10,000 of a push of 5,000 small LFS objects took a third of our CPU time.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::Uri;
use ureq::config::Config;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// How long addresses are good for: an open connection goes without the name for longer than that, and who
/// cannot connect tries again until they are looked up anew.
const GOOD_FOR: Duration = Duration::from_secs(5);

/// Looks a name up as `by` does, and remembers it for a moment.
#[derive(Debug, Default)]
pub(super) struct Resolving<R = DefaultResolver> {
    by: R,
    known: Mutex<HashMap<String, (Instant, Vec<SocketAddr>)>>,
}

impl<R: Resolver> Resolver for Resolving<R> {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let name = match (uri.scheme(), uri.authority()) {
            (Some(scheme), Some(authority)) => DefaultResolver::host_and_port(scheme, authority),
            _ => None,
        };
        // It says what is wrong with such an address.
        let Some(name) = name else {
            return self.by.resolve(uri, config, timeout);
        };
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((when, addresses)) = known().get(&name)
            && when.elapsed() < GOOD_FOR
        {
            let mut found = self.empty();
            addresses.iter().for_each(|address| found.push(*address));
            return Ok(found);
        }
        let found = self.by.resolve(uri, config, timeout)?;
        let mut known = known();
        known.retain(|_, (when, _)| when.elapsed() < GOOD_FOR);
        known.insert(name, (Instant::now(), found.to_vec()));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU16, Ordering};

    use super::*;

    /// Gives the number of the call as the port; the first fails.
    #[derive(Debug, Default)]
    struct Counting(AtomicU16);

    impl Resolver for Counting {
        fn resolve(
            &self,
            _: &Uri,
            _: &Config,
            _: NextTimeout,
        ) -> Result<ResolvedSocketAddrs, ureq::Error> {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            if number == 0 {
                return Err(ureq::Error::HostNotFound);
            }
            let mut found = self.empty();
            found.push(SocketAddr::from(([127, 0, 0, 1], number)));
            Ok(found)
        }
    }

    #[test]
    fn a_name_is_looked_up_once_for_many_requests() {
        let resolving = Resolving::<Counting>::default();
        let look = |url: &'static str| {
            let url = Uri::from_static(url);
            let found = resolving.resolve(&url, &Config::default(), NextTimeout::default());
            found.map(|found| found.iter().map(SocketAddr::port).collect::<Vec<_>>())
        };
        // What was not found is looked up again.
        look("http://a.example/1").expect_err("the first fails");
        assert_eq!(look("http://a.example/2").expect("found"), [1]);
        assert_eq!(look("http://a.example:80/3").expect("known"), [1]);
        assert_eq!(look("https://a.example/4").expect("another port"), [2]);
        assert_eq!(look("http://b.example/5").expect("another name"), [3]);
    }
}
