//! Which secret may go where, and where further ones come from when a server wants them.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use zeroize::Zeroizing;

use super::grant::{Auth, Grant, PlainHttp, header};
use super::seat::{Asked, Refused, Seat};
use super::source::{LoginSource, Wanted};
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::secret::Token;
use crate::url::{Origin, Url};

/// The secrets of a client and of all clients made from it. They may be replaced while requests are under way.
#[derive(Clone)]
pub(crate) struct Grants {
    shared: Arc<Shared>,
    /// Tokens that were given out, the latest first.
    given: Arc<Mutex<VecDeque<Token>>>,
    plain: PlainHttp,
}

/// Tokens that stay known after they were replaced: a server may repeat one minutes later.
const REMEMBERED: usize = 16;
/// How long a request that is done waits for the source of its login to keep it: most do in no time, so
/// that it is kept even if the program ends with that request. A locked key chain waits for a person.
const PATIENCE: Duration = Duration::from_secs(1);

struct Shared {
    seats: Mutex<HashMap<Origin, Seat>>,
    /// Somebody has asked the sources.
    changed: Condvar,
    /// In the order in which they are asked.
    sources: Vec<Arc<dyn LoginSource>>,
}

/// What goes with a request, and by what it is known later.
pub(super) struct Sent {
    pub(super) header: Option<Zeroizing<String>>,
    number: u64,
}

/// What a server made of a login, or of there being none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    Took,
    /// It wants one, or another one.
    Refused,
    /// Whatever it says, it is not about the login.
    Other,
}

/// What to do after a refusal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// There is another login: send the request again.
    Again,
    /// That was it; what was tried, for the error.
    Stop(String),
}

impl Grants {
    /// Of several grants for an origin those behind the first are for when it is refused.
    pub(super) fn new(
        grants: Vec<Grant>,
        sources: Vec<Arc<dyn LoginSource>>,
        plain: PlainHttp,
    ) -> Self {
        let mut seats: HashMap<Origin, Seat> = HashMap::new();
        for grant in grants {
            seats.entry(grant.origin.clone()).or_default().add(grant);
        }
        Self {
            shared: Arc::new(Shared {
                seats: Mutex::new(seats),
                changed: Condvar::new(),
                sources,
            }),
            given: Arc::default(),
            plain,
        }
    }

    fn seats(&self) -> MutexGuard<'_, HashMap<Origin, Seat>> {
        let seats = self.shared.seats.lock();
        seats.unwrap_or_else(PoisonError::into_inner)
    }

    /// The grant for an origin; logins of sources are none.
    pub(crate) fn find(&self, origin: &Origin) -> Option<Grant> {
        self.seats().get(origin)?.own().cloned()
    }

    /// Adds a grant; it takes the place of what there was for its origin.
    pub(crate) fn put(&self, grant: Grant) {
        let mut seats = self.seats();
        seats
            .entry(grant.origin.clone())
            .or_default()
            .replace(grant);
    }

    /// User name and token for a URL, for a program of the user's own: only those of the URL's own
    /// origin, and what was not asked for over plain http only as [`PlainHttp`] says.
    ///
    /// # Errors
    /// If there should be one, but the caller's provider gives no token.
    pub(crate) fn login(&self, url: &Url) -> Result<Option<(String, Token)>> {
        let current = self.current(url).0;
        let Some((user, secret)) = current else {
            return Ok(None);
        };
        let user = user.unwrap_or_else(|| super::grant::ANY_USER.to_owned());
        Ok(Some((user, self.giving(secret.token()?))))
    }

    /// Whether there is a login for a URL's origin, or may be one.
    pub(super) fn may_have_login(&self, url: &Url) -> bool {
        self.current(url).0.is_some() || {
            let exhausted = self.seats().get(&url.origin()).map(Seat::is_exhausted);
            let mut sources = self.shared.sources.iter();
            !exhausted.unwrap_or_default() && sources.any(|source| source.serves(url))
        }
    }

    /// Whether there is a login for a URL's origin.
    pub(super) fn has_login(&self, url: &Url) -> bool {
        self.current(url).0.is_some()
    }

    fn current(&self, url: &Url) -> (Option<(Option<String>, crate::secret::Secret)>, u64) {
        let may_travel = self.plain.allows(url);
        let mut seats = self.seats();
        match seats.get_mut(&url.origin()) {
            Some(seat) => (seat.current(may_travel), seat.number),
            None => (None, 0),
        }
    }

    /// What a request to a URL is sent with: only what is for its own origin.
    ///
    /// # Errors
    /// If there should be something, but the caller's provider gives no token.
    pub(super) fn authorization(&self, auth: Auth, url: &Url) -> Result<Sent> {
        // A copy: a provider may take its time, and may itself replace the token.
        let (current, number) = match auth {
            Auth::None => (None, 0),
            Auth::Basic | Auth::Bearer => self.current(url),
        };
        let header = match current {
            Some((user, secret)) => header(auth, user.as_deref(), &self.giving(secret.token()?)),
            None => None,
        };
        Ok(Sent { header, number })
    }

    /// Remembers a token that leaves here, so that it is recognised in what comes back.
    fn giving(&self, token: Token) -> Token {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if !given.contains(&token) {
            given.truncate(REMEMBERED - 1);
            given.push_front(token.clone());
        }
        token
    }

    /// Takes note of a server's reaction; `wanted` is what a login would be for. Whoever comes with the
    /// same refusal while the sources are being asked waits for their answer.
    ///
    /// # Errors
    /// [`ErrorKind::Cancelled`](crate::error::ErrorKind::Cancelled).
    pub(super) fn react(
        &self,
        sent: &Sent,
        reaction: Reaction,
        wanted: &Wanted,
        cancel: &CancelToken,
    ) -> Result<Then> {
        let origin = wanted.url.origin();
        match reaction {
            Reaction::Other => Ok(Then::Stop(String::new())),
            Reaction::Took => {
                let news = self
                    .seats()
                    .get_mut(&origin)
                    .and_then(|seat| seat.accept(sent.number));
                if let Some(asked) = news {
                    self.approve(asked, cancel);
                }
                Ok(Then::Stop(String::new()))
            }
            Reaction::Refused => self.refused(sent, &origin, wanted, cancel),
        }
    }

    /// Tells a source that its login is good. Whoever sent the request waits for that a little only,
    /// and not being waited for does not make it untrue.
    fn approve(&self, asked: Asked, cancel: &CancelToken) {
        let source = Arc::clone(&self.shared.sources[asked.source]);
        let (done, told) = mpsc::channel();
        let cancelled = done.clone();
        let _registered = cancel.on_cancel(move || {
            let _ = cancelled.send(());
        });
        let thread = thread::Builder::new().spawn(move || {
            let Asked { wanted, offer, .. } = asked;
            // What goes wrong there is logged there.
            let _ = source.approve(&wanted, &offer, &CancelToken::new());
            let _ = done.send(());
        });
        match thread {
            Ok(_) => drop(told.recv_timeout(PATIENCE)),
            Err(error) => tracing::warn!(%error, "nobody was told that a login is good"),
        }
    }

    /// What was tried for a URL's origin.
    pub(super) fn story(&self, url: &Url) -> String {
        let seats = self.seats();
        seats
            .get(&url.origin())
            .map(Seat::story)
            .unwrap_or_default()
    }

    fn refused(
        &self,
        sent: &Sent,
        origin: &Origin,
        wanted: &Wanted,
        cancel: &CancelToken,
    ) -> Result<Then> {
        let own_may_go = self.plain.allows(&wanted.url);
        let sources = &self.shared.sources;
        let _turn = {
            let mut seats = self.not_asking(origin, cancel)?;
            let seat = seats.entry(origin.clone()).or_default();
            if seat.is_exhausted() {
                return Ok(Then::Stop(seat.story()));
            }
            if seat.number != sent.number {
                return Ok(Then::Again);
            }
            seat.asking = true;
            Turn {
                grants: self,
                origin,
            }
        };
        let with = |seat: &mut Seat| (seat.refuse(own_may_go, sources), seat.number);
        let (refused, number) = with(self.seats().entry(origin.clone()).or_default());
        let refused = match refused {
            Refused::OneOfSeveral => return Ok(Then::Again),
            Refused::Last => None,
            Refused::Asked(asked) => {
                if let Err(error) = reject(&*sources[asked.source], &asked, cancel) {
                    let mut seats = self.seats();
                    seats
                        .entry(origin.clone())
                        .or_default()
                        .put_back(asked, number);
                    return Err(error);
                }
                Some(asked)
            }
        };
        let serves = |source: &dyn LoginSource| source.serves(&wanted.url);
        loop {
            let index = {
                let mut seats = self.seats();
                let seat = seats.entry(origin.clone()).or_default();
                if seat.number != number {
                    // The caller has set a token meanwhile.
                    return Ok(Then::Again);
                }
                match seat.next_source(serves, sources) {
                    Some(index) => index,
                    None => return Ok(Then::Stop(seat.story())),
                }
            };
            let offer = sources[index].get(wanted, cancel);
            let known = |offer: &super::Offer| {
                refused
                    .as_ref()
                    .is_some_and(|old| old.offer.login == offer.login)
            };
            let mut seats = self.seats();
            let seat = seats.entry(origin.clone()).or_default();
            match offer {
                Err(error) => {
                    seat.not_answered(index, number);
                    return Err(error);
                }
                Ok(Some(offer)) if !known(&offer) => {
                    if seat.number == number {
                        seat.sit(index, wanted.clone(), offer);
                    }
                    return Ok(Then::Again);
                }
                Ok(_) => seat.had_nothing(sources[index].name()),
            }
        }
    }

    /// Waits until nobody is asking about a server.
    fn not_asking(
        &self,
        origin: &Origin,
        cancel: &CancelToken,
    ) -> Result<MutexGuard<'_, HashMap<Origin, Seat>>> {
        let shared = Arc::clone(&self.shared);
        let _registered = cancel.on_cancel(move || {
            let _held = shared.seats.lock().unwrap_or_else(PoisonError::into_inner);
            shared.changed.notify_all();
        });
        let asking = |seats: &mut HashMap<Origin, Seat>| {
            seats.get(origin).is_some_and(|seat| seat.asking) && !cancel.is_cancelled()
        };
        let waited = self.shared.changed.wait_while(self.seats(), asking);
        let seats = waited.unwrap_or_else(PoisonError::into_inner);
        cancel.check()?;
        Ok(seats)
    }
}

fn reject(source: &dyn LoginSource, asked: &Asked, cancel: &CancelToken) -> Result<()> {
    let Asked { wanted, offer, .. } = asked;
    match asked.accepted {
        true => source.retract(wanted, offer, cancel),
        false => source.reject(wanted, offer, cancel),
    }
}

/// The right to ask the sources about one server; given back when dropped.
struct Turn<'a> {
    grants: &'a Grants,
    origin: &'a Origin,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(seat) = self.grants.seats().get_mut(self.origin) {
            seat.asking = false;
        }
        self.grants.shared.changed.notify_all();
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grants({})", self.seats().len())
    }
}

#[cfg(test)]
mod tests;
