use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use super::super::grant::Given;
use super::super::source::Offer;
use super::*;
use crate::secret::{Login, Provider, Secret};

fn url(text: &str) -> Url {
    Url::parse(text).expect(text)
}

fn grants(base: &str) -> Grants {
    let grant = Grant {
        origin: url(base).origin(),
        user: None,
        secret: secret("hf_x"),
        given: Given::InPlace("HF_TOKEN"),
    };
    Grants::new(vec![grant], Vec::new(), PlainHttp::Loopback)
}

fn secret(token: &str) -> Secret {
    Secret::Token(token.parse().expect("valid"))
}

#[test]
fn a_token_goes_to_its_origin_only() {
    let grants = grants("https://hub.example");
    let header = |auth, to: &str| {
        let sent = grants.authorization(auth, &url(to)).expect("no provider");
        sent.header.map(|value| value.to_string())
    };
    assert_eq!(
        header(Auth::Bearer, "https://hub.example/api"),
        Some("Bearer hf_x".into())
    );
    assert_eq!(
        header(Auth::Basic, "https://HUB.example:443/"),
        Some("Basic aGZfdXNlcjpoZl94".into())
    );
    for elsewhere in [
        "http://hub.example/",
        "https://hub.example:8443/",
        "https://cdn.hub.example/",
        "https://hub.example.evil/",
    ] {
        assert_eq!(header(Auth::Basic, elsewhere), None, "{elsewhere}");
    }
    assert_eq!(header(Auth::None, "https://hub.example/"), None);
}

#[test]
fn plain_http_is_for_this_machine_only() {
    for (base, sent) in [
        ("http://127.0.0.1:8080", true),
        ("http://hub.example", false),
    ] {
        let header = grants(base).authorization(Auth::Basic, &url(base));
        assert_eq!(
            header.expect("no provider").header.is_some(),
            sent,
            "{base}"
        );
    }
}

#[test]
fn plain_http_elsewhere_is_for_those_who_ask() {
    let base = "http://hub.example";
    let grant = grants(base).find(&url(base).origin()).expect("there");
    let grants = Grants::new(vec![grant], Vec::new(), PlainHttp::Anywhere);
    let header = |to: &str| grants.authorization(Auth::Basic, &url(to));
    assert!(header(base).expect("no provider").header.is_some());
    assert!(grants.login(&url(base)).expect("no provider").is_some());
    for elsewhere in [
        "http://hub.example:81",
        "http://other.example",
        "https://hub.example",
    ] {
        assert!(
            header(elsewhere).expect("no provider").header.is_none(),
            "{elsewhere}"
        );
    }
}

#[test]
fn a_new_token_replaces_the_one_for_its_origin() {
    let grants = grants("https://hub.example");
    let elsewhere = grants.clone();
    for (base, token) in [
        ("https://hub.example", "hf_new"),
        ("https://git.example", "hf_other"),
    ] {
        let (origin, secret) = (url(base).origin(), secret(token));
        elsewhere.put(Grant {
            origin,
            user: None,
            secret,
            given: Given::ByCaller("the token"),
        });
        let header = grants.authorization(Auth::Bearer, &url(base));
        let header = header.expect("no provider").header;
        let header = header.map(|value| value.to_string());
        assert_eq!(header, Some(format!("Bearer {token}")));
    }
    assert!(!format!("{grants:?}").contains("hf_"));
}

#[test]
fn a_provider_is_asked_only_where_its_token_goes() {
    let grants = grants("https://hub.example");
    grants.put(Grant {
        origin: url("https://hub.example").origin(),
        user: None,
        secret: Secret::Provider(Provider::new(|| Err("none today"))),
        given: Given::ByCaller("the provider"),
    });
    let ask = |auth, to: &str| grants.authorization(auth, &url(to));
    assert!(ask(Auth::Basic, "https://cdn.example/").is_ok());
    assert!(ask(Auth::None, "https://hub.example/").is_ok());
    assert!(ask(Auth::Basic, "https://hub.example/").is_err());
}

/// A source that gives what it is told to, one after the other, and writes down how it is used.
#[derive(Default)]
struct Fake {
    name: &'static str,
    offers: Mutex<Vec<Offer>>,
    calls: Mutex<Vec<String>>,
    asked: AtomicUsize,
    hasty: bool,
    /// What somebody cancels while this is asked or told something.
    pulled: Mutex<Option<CancelToken>>,
    /// What this waits for before it keeps a login.
    locked: Option<Mutex<mpsc::Receiver<()>>>,
}

impl Fake {
    fn new(name: &'static str, passwords: &[&str]) -> Arc<Self> {
        let offers = passwords.iter().rev();
        let offers = offers.map(|password| Offer::from(Login::new("u", *password)));
        Arc::new(Self {
            name,
            offers: Mutex::new(offers.collect()),
            ..Self::default()
        })
    }

    fn pull(&self, cancel: &CancelToken) -> Result<()> {
        if let Some(pulled) = self.pulled.lock().expect("no panic").take() {
            pulled.cancel();
        }
        cancel.check()
    }

    fn note(&self, what: &str, offer: Option<&Offer>) {
        let password = offer.map_or("", |offer| offer.login.password().expose());
        let mut calls = self.calls.lock().expect("no panic");
        calls.push(format!("{what} {password}").trim().to_owned());
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().expect("no panic"))
    }
}

impl LoginSource for Fake {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_patient(&self) -> bool {
        !self.hasty
    }

    fn get(&self, _: &Wanted, cancel: &CancelToken) -> Result<Option<Offer>> {
        self.note("get", None);
        self.asked.fetch_add(1, Ordering::SeqCst);
        // Long enough for others to come in between.
        thread::sleep(Duration::from_millis(5));
        self.pull(cancel)?;
        Ok(self.offers.lock().expect("no panic").pop())
    }

    fn approve(&self, _: &Wanted, offer: &Offer, _: &CancelToken) -> Result<()> {
        if let Some(key) = &self.locked {
            let _ = key.lock().expect("no panic").recv();
        }
        self.note("approve", Some(offer));
        Ok(())
    }

    fn reject(&self, _: &Wanted, offer: &Offer, cancel: &CancelToken) -> Result<()> {
        self.pull(cancel)?;
        self.note("reject", Some(offer));
        Ok(())
    }
}

const HOST: &str = "https://hub.example";

fn asking(own: Option<Given>, sources: &[&Arc<Fake>]) -> Grants {
    let grants = own.into_iter().map(|given| Grant {
        origin: url(HOST).origin(),
        user: None,
        secret: secret("own"),
        given,
    });
    let sources = sources
        .iter()
        .map(|source| Arc::clone(source) as Arc<dyn LoginSource>);
    Grants::new(grants.collect(), sources.collect(), PlainHttp::Loopback)
}

/// Sends requests until one is taken, as a server would that takes only this password, or none.
fn session(grants: &Grants, right: &str) -> std::result::Result<usize, String> {
    let wanted = Wanted {
        url: url(HOST),
        user: None,
    };
    let cancel = CancelToken::new();
    for count in 1..10 {
        let login = grants.login(&url(HOST)).expect("no provider");
        let sent = grants
            .authorization(Auth::Basic, &url(HOST))
            .expect("no provider");
        let taken = login.is_some_and(|(_, password)| password.expose() == right);
        let reaction = match taken {
            true => Reaction::Took,
            false => Reaction::Refused,
        };
        match grants
            .react(&sent, reaction, &wanted, &cancel)
            .expect("not cancelled")
        {
            Then::Again => {}
            Then::Stop(_) if taken => return Ok(count),
            Then::Stop(story) => return Err(story),
        }
    }
    panic!("it never ends")
}

#[test]
fn sources_are_asked_in_turn_and_told_how_it_went() {
    let (first, second) = (Fake::new("one", &["bad"]), Fake::new("two", &["good"]));
    let own = Given::InPlace("HF_TOKEN");
    let grants = asking(Some(own), &[&first, &second]);
    assert_eq!(session(&grants, "good"), Ok(3));
    assert_eq!(first.calls(), ["get", "reject bad"]);
    assert_eq!(second.calls(), ["get", "approve good"]);
    // From then on it is known, and nobody is told again.
    assert_eq!(session(&grants, "good"), Ok(1));
    assert!(first.calls().is_empty() && second.calls().is_empty());
}

#[test]
fn what_nobody_knows_is_told_with_what_was_tried() {
    let (first, second) = (Fake::new("one", &[]), Fake::new("two", &["bad"]));
    let grants = asking(Some(Given::InPlace("HF_TOKEN")), &[&first, &second]);
    let story = "HF_TOKEN (refused), one (nothing), two (refused)";
    assert_eq!(session(&grants, "good"), Err(story.to_owned()));
    assert_eq!(second.calls(), ["get", "reject bad"]);
    // Nobody is asked again at once, and the own token is what is sent: it may have been a mistake.
    first.calls();
    assert_eq!(session(&grants, "good"), Err(story.to_owned()));
    assert!(first.calls().is_empty() && second.calls().is_empty());
    assert_eq!(session(&grants, "own"), Ok(1));
}

#[test]
fn the_callers_own_token_is_the_only_one() {
    let source = Fake::new("one", &["good"]);
    let grants = asking(Some(Given::ByCaller("the token")), &[&source]);
    assert_eq!(
        session(&grants, "good"),
        Err("the token (refused)".to_owned())
    );
    assert!(source.calls().is_empty());
    // Another one takes its place, also that of a source's login.
    let grants = asking(None, &[&source]);
    assert_eq!(session(&grants, "good"), Ok(2));
    grants.put(Grant {
        origin: url(HOST).origin(),
        user: None,
        secret: secret("newest"),
        given: Given::ByCaller("the token"),
    });
    assert_eq!(session(&grants, "newest"), Ok(1));
}

#[test]
fn a_login_that_was_good_is_asked_for_again_when_it_is_not() {
    let source = Fake::new("one", &["good", "better"]);
    let grants = asking(None, &[&source]);
    assert_eq!(session(&grants, "good"), Ok(2));
    assert_eq!(session(&grants, "better"), Ok(2));
    let calls = [
        "get",
        "approve good",
        "reject good",
        "get",
        "approve better",
    ];
    assert_eq!(source.calls(), calls);
    // The same again is no news.
    let source = Fake::new("one", &["good", "good"]);
    let grants = asking(None, &[&source]);
    assert_eq!(session(&grants, "good"), Ok(2));
    assert_eq!(session(&grants, "other"), Err("one (refused)".to_owned()));
    assert_eq!(
        source.calls(),
        ["get", "approve good", "reject good", "get"]
    );
    // Who does not like to be asked twice is not.
    let mut hasty = Fake::new("one", &["good", "better"]);
    Arc::get_mut(&mut hasty).expect("alone").hasty = true;
    let grants = asking(None, &[&hasty]);
    assert_eq!(session(&grants, "good"), Ok(2));
    assert_eq!(session(&grants, "better"), Err("one (refused)".to_owned()));
    assert_eq!(hasty.calls(), ["get", "approve good", "reject good"]);
}

#[test]
fn a_login_that_has_expired_is_not_sent() {
    let source = Fake::new("one", &["old", "new"]);
    {
        let mut offers = source.offers.lock().expect("no panic");
        offers[1].expires = Some(SystemTime::UNIX_EPOCH);
    }
    let grants = asking(None, &[&source]);
    // Asked, found to be expired before it is sent, asked again: one request without, one with.
    assert_eq!(session(&grants, "new"), Ok(3));
    assert_eq!(source.calls(), ["get", "get", "approve new"]);
}

#[test]
fn many_at_once_ask_once() {
    let source = Fake::new("one", &["good"]);
    let grants = asking(None, &[&source]);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| session(&grants, "good").expect("known"));
        }
    });
    assert_eq!(source.asked.load(Ordering::SeqCst), 1);
    assert_eq!(source.calls(), ["get", "approve good"]);
    let nobody = Fake::new("one", &[]);
    let grants = asking(None, &[&nobody]);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| session(&grants, "good").expect_err("unknown"));
        }
    });
    assert_eq!(nobody.asked.load(Ordering::SeqCst), 1);
}

#[test]
fn whoever_waits_for_an_answer_can_be_cancelled() {
    let source = Fake::new("one", &["good"]);
    let grants = asking(None, &[&source]);
    let wanted = Wanted {
        url: url(HOST),
        user: None,
    };
    let sent = grants.authorization(Auth::Basic, &url(HOST)).expect("none");
    grants.seats().entry(url(HOST).origin()).or_default().asking = true;
    let cancel = CancelToken::new();
    thread::scope(|scope| {
        let react = || grants.react(&sent, Reaction::Refused, &wanted, &cancel);
        let waiting = scope.spawn(react);
        cancel.cancel();
        assert!(waiting.join().expect("no panic").is_err());
    });
    assert!(source.calls().is_empty());
}

#[test]
fn a_login_that_was_asked_for_goes_as_git_would_send_it() {
    let plain = url("http://git.example");
    let wanted = Wanted {
        url: plain.clone(),
        user: None,
    };
    let source = Fake::new("one", &["good"]);
    let sources: Vec<Arc<dyn LoginSource>> = vec![source];
    let own = Grant {
        origin: plain.origin(),
        user: None,
        secret: secret("own"),
        given: Given::InPlace("HF_TOKEN"),
    };
    let grants = Grants::new(vec![own], sources, PlainHttp::Loopback);
    let header = |to: &Url| grants.authorization(Auth::Basic, to).expect("no provider");
    // The token stays here; what the user keeps for this very server does not.
    let sent = header(&plain);
    assert!(sent.header.is_none());
    let then = grants.react(&sent, Reaction::Refused, &wanted, &CancelToken::new());
    assert_eq!(then.expect("asked"), Then::Again);
    assert_eq!(
        header(&plain).header.as_deref().map(String::as_str),
        Some("Basic dTpnb29k")
    );
    for elsewhere in [
        "https://git.example",
        "http://git.example:81",
        "http://example",
    ] {
        assert!(header(&url(elsewhere)).header.is_none(), "{elsewhere}");
    }
    let story = "HF_TOKEN (not sent without TLS), one (refused)";
    let then = grants.react(
        &header(&plain),
        Reaction::Refused,
        &wanted,
        &CancelToken::new(),
    );
    assert_eq!(then.expect("asked"), Then::Stop(story.to_owned()));
}

/// Sends one request that is refused, which is cancelled while the source is busy with that.
fn cancelled(grants: &Grants, source: &Fake) {
    let wanted = Wanted {
        url: url(HOST),
        user: None,
    };
    let cancel = CancelToken::new();
    *source.pulled.lock().expect("no panic") = Some(cancel.clone());
    let sent = grants.authorization(Auth::Basic, &url(HOST));
    let then = grants.react(&sent.expect("none"), Reaction::Refused, &wanted, &cancel);
    assert!(then.is_err());
}

#[test]
fn who_gives_up_takes_nothing_from_the_others() {
    for hasty in [false, true] {
        let mut source = Fake::new("one", &["good"]);
        Arc::get_mut(&mut source).expect("alone").hasty = hasty;
        let grants = asking(Some(Given::InPlace("HF_TOKEN")), &[&source]);
        cancelled(&grants, &source);
        assert_eq!(session(&grants, "good"), Ok(2));
        assert_eq!(source.calls(), ["get", "get", "approve good"]);
    }
    // A refusal is told all the same.
    let source = Fake::new("one", &["good"]);
    let grants = asking(Some(Given::InPlace("HF_TOKEN")), &[&source]);
    assert_eq!(session(&grants, "good"), Ok(2));
    cancelled(&grants, &source);
    let story = "one (refused)";
    assert_eq!(session(&grants, "better"), Err(story.to_owned()));
    let calls = ["get", "approve good", "reject good", "get"];
    assert_eq!(source.calls(), calls);
}

#[test]
fn of_several_found_secrets_the_next_one_is_sent() {
    let own = |name, token| Grant {
        origin: url(HOST).origin(),
        user: None,
        secret: secret(token),
        given: Given::InPlace(name),
    };
    let both = || vec![own("the URL", "old"), own("HF_TOKEN", "new")];
    let source = Fake::new("one", &[]);
    let sources = || vec![Arc::clone(&source) as Arc<dyn LoginSource>];
    let grants = Grants::new(both(), sources(), PlainHttp::Loopback);
    assert_eq!(session(&grants, "new"), Ok(2));
    assert_eq!(session(&grants, "new"), Ok(1));
    // Both have their turn again, and then the sources.
    assert_eq!(session(&grants, "old"), Ok(2));
    assert!(source.calls().is_empty());
    let grants = Grants::new(both(), sources(), PlainHttp::Loopback);
    let story = "the URL (refused), HF_TOKEN (refused), one (nothing)";
    assert_eq!(session(&grants, "other"), Err(story.to_owned()));
    assert_eq!(source.calls(), ["get"]);
}

#[test]
fn an_answer_does_not_wait_for_a_locked_key_chain() {
    let (key, lock) = mpsc::channel();
    let mut source = Fake::new("one", &["good"]);
    Arc::get_mut(&mut source).expect("alone").locked = Some(Mutex::new(lock));
    let grants = asking(None, &[&source]);
    assert_eq!(session(&grants, "good"), Ok(2));
    assert_eq!(source.calls(), ["get"]);
    key.send(()).expect("somebody waits");
    let began = std::time::Instant::now();
    while source.calls().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(30), "never told");
        thread::sleep(Duration::from_millis(1));
    }
}
