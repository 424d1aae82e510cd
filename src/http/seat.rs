//! Who we are to one server: what is sent, what was tried, and what is left to try.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::grant::{Given, Grant};
use super::source::{LoginSource, Offer, Wanted};
use crate::secret::Secret;

/// After this long without a login the sources are asked again: the user may have logged in meanwhile,
/// and a training runs for weeks.
const ASKED_AGAIN: Duration = Duration::from_secs(60);

/// What became of a secret that stayed here.
pub(super) const NOT_SENT: &str = "not sent without TLS";

/// What is known about logins for one origin.
#[derive(Default)]
pub(super) struct Seat {
    /// What is sent from the start, without anybody being asked: the first of these, and those behind
    /// it when it is refused.
    own: VecDeque<Grant>,
    /// How many of `own` were refused in a row.
    own_refused: usize,
    /// What a source gave; it takes the place of `own`.
    asked: Option<Asked>,
    /// Changes with every login that is put in use or taken out of it: tells those who come back with
    /// a refusal whether it is news.
    pub(super) number: u64,
    /// The next of the sources.
    next: usize,
    /// Sources that do not like to be asked twice, and were asked.
    spent: Vec<usize>,
    tried: Vec<(&'static str, Fate)>,
    /// Since when there is nothing left to try.
    exhausted: Option<Instant>,
    /// Somebody is asking the sources.
    pub(super) asking: bool,
}

/// A login in use, and where it is from.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) source: usize,
    pub(super) wanted: Wanted,
    pub(super) offer: Offer,
    pub(super) accepted: bool,
}

/// What a server did not take, and so what comes next.
pub(super) enum Refused {
    /// A source's login, of which the source is told.
    Asked(Asked),
    /// An own secret, behind which there is another one to send.
    OneOfSeveral,
    /// The last of our own, or that there was none.
    Last,
}

/// What came of a login, or of asking for one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Refused,
    Nothing,
    /// The way to the server is not safe enough.
    NotSent,
}

impl Fate {
    fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Nothing => "nothing",
            Self::NotSent => NOT_SENT,
        }
    }
}

impl Seat {
    /// Adds a secret to send when those before it are refused.
    pub(super) fn add(&mut self, own: Grant) {
        self.own.push_back(own);
    }

    /// The own secret that is sent as long as no source gave a login.
    pub(super) fn own(&self) -> Option<&Grant> {
        self.own.front()
    }

    /// What to send now. `own_may_go` says whether the way is safe enough for a secret that is sent
    /// unasked; what a source gave for this very server may go as git would send it.
    pub(super) fn current(&mut self, own_may_go: bool) -> Option<(Option<String>, Secret)> {
        let now = SystemTime::now();
        let expired = |asked: &Asked| asked.offer.expires.is_some_and(|expires| expires < now);
        if let Some(old) = self.asked.take_if(|asked| expired(asked)) {
            // Its source may have a new one, when the server says that it wants one.
            self.number += 1;
            self.next = old.source;
        }
        if let Some(Asked { offer, .. }) = &self.asked {
            let user = Some(offer.login.user().to_owned());
            return Some((user, Secret::Token(offer.login.password().clone())));
        }
        let own = self.own().filter(|_| own_may_go)?;
        Some((own.user.clone(), own.secret.clone()))
    }

    /// Puts another own secret in use, for whatever there was.
    pub(super) fn replace(&mut self, own: Grant) {
        *self = Self {
            number: self.number + 1,
            asking: self.asking,
            spent: std::mem::take(&mut self.spent),
            own: VecDeque::from([own]),
            ..Self::default()
        };
    }

    /// The server took login `number`. If it is one that its source was not told of yet, that one.
    pub(super) fn accept(&mut self, number: u64) -> Option<Asked> {
        if number != self.number {
            return None;
        }
        let Some(asked) = &mut self.asked else {
            self.own_refused = 0;
            return None;
        };
        if asked.accepted {
            return None;
        }
        asked.accepted = true;
        // What failed before is no part of what may fail next: logins are renewed for weeks.
        self.tried.clear();
        Some(asked.clone())
    }

    /// Whether it was found lately that there is nothing left to try.
    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted
            .is_some_and(|since| since.elapsed() < ASKED_AGAIN)
    }

    /// The server did not take what is sent now.
    pub(super) fn refuse(&mut self, own_may_go: bool, sources: &[Arc<dyn LoginSource>]) -> Refused {
        if self.exhausted.take().is_some() {
            self.next = 0;
            self.own_refused = 0;
            self.tried.clear();
        }
        self.number += 1;
        if let Some(asked) = self.asked.take() {
            let source = &sources[asked.source];
            self.note(source.name(), Fate::Refused);
            // It was good once: that it no longer is says nothing about what the source has now.
            if asked.accepted && source.is_patient() {
                self.next = asked.source;
            }
            return Refused::Asked(asked);
        }
        if !own_may_go {
            for own in self.own.clone() {
                self.note(own.given.name(), Fate::NotSent);
            }
        } else if let Some(given) = self.own().map(|own| own.given.clone()) {
            self.note(given.name(), Fate::Refused);
            self.own_refused += 1;
            if self.own_refused < self.own.len() {
                self.own.rotate_left(1);
                return Refused::OneOfSeveral;
            }
        }
        if let Some(Given::ByCaller(_)) = self.own().map(|own| &own.given) {
            self.next = sources.len();
        }
        Refused::Last
    }

    fn note(&mut self, name: &'static str, fate: Fate) {
        if !self.tried.contains(&(name, fate)) {
            self.tried.push((name, fate));
        }
    }

    /// A source could not be told of a refusal: it is when the same is refused again.
    pub(super) fn put_back(&mut self, asked: Asked, number: u64) {
        if self.number == number {
            self.asked = Some(asked);
        }
    }

    /// A source did not get to answer: it is asked again.
    pub(super) fn not_answered(&mut self, source: usize, number: u64) {
        self.spent.retain(|spent| *spent != source);
        if self.number == number {
            self.next = source;
        }
    }

    /// The source to ask next; without one the seat is exhausted.
    pub(super) fn next_source(
        &mut self,
        serves: impl Fn(&dyn LoginSource) -> bool,
        sources: &[Arc<dyn LoginSource>],
    ) -> Option<usize> {
        while let Some(source) = sources.get(self.next) {
            let index = self.next;
            self.next += 1;
            if self.spent.contains(&index) || !serves(source.as_ref()) {
                continue;
            }
            if !source.is_patient() {
                self.spent.push(index);
            }
            return Some(index);
        }
        self.exhausted = Some(Instant::now());
        None
    }

    /// A source had nothing.
    pub(super) fn had_nothing(&mut self, name: &'static str) {
        // What it had and was refused is worth telling, not that there is no more of it.
        if self.tried.last() != Some(&(name, Fate::Refused)) {
            self.tried.push((name, Fate::Nothing));
        }
    }

    /// Puts a source's login in use.
    pub(super) fn sit(&mut self, source: usize, wanted: Wanted, offer: Offer) {
        self.number += 1;
        self.asked = Some(Asked {
            source,
            wanted,
            offer,
            accepted: false,
        });
    }

    /// What was tried and what came of it, for an error: "HF_TOKEN (refused), netrc (nothing)".
    pub(super) fn story(&self) -> String {
        let told = |(name, fate): &(&str, Fate)| format!("{name} ({})", fate.word());
        self.tried.iter().map(told).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_while_the_sources_are_asked_again() {
        let mut seat = Seat::default();
        assert_eq!(seat.next_source(|_| true, &[]), None);
        seat.had_nothing("one");
        assert!(seat.is_exhausted());
        seat.exhausted = Instant::now().checked_sub(ASKED_AGAIN);
        assert!(!seat.is_exhausted());
        seat.next = 3;
        assert!(matches!(seat.refuse(true, &[]), Refused::Last));
        assert_eq!((seat.next, seat.story()), (0, String::new()));
    }
}
