//! `http.extraHeader`: headers the user wants on requests, often with a permission in them.
//!
//! git sends them wherever it goes; here each goes only where its key says: `http.<url>.extraHeader`
//! to such URLs, plain `http.extraHeader` to the remote's own origin. So neither storage hosts nor
//! whoever a server redirects to gets to see them. Over plain http a header for all URLs goes to this
//! machine only, as the token does. An `Authorization` takes the place of the token, so it goes only on
//! requests that would have that: a signed URL has its permission in itself, and storage refuses two.

use http::{HeaderName, HeaderValue};

use super::settings::Settings;
use super::{Auth, Request};

impl Settings {
    /// The headers for a request, but for those it has already.
    pub(super) fn extra_headers(&self, request: &Request) -> Vec<(String, String)> {
        let url = &request.url;
        let is_remote = self
            .remote
            .as_ref()
            .is_some_and(|remote| remote.url.origin() == url.origin());
        let general = is_remote && (url.is_https() || url.is_loopback());
        let mut headers: Vec<(String, String)> = Vec::new();
        for (line, own) in self.values("extraHeader", url) {
            if line.is_empty() {
                headers.clear();
            } else if own || general {
                match read(line) {
                    Some(header) => headers.push(header),
                    None => {
                        tracing::warn!("a value of http.extraHeader is no header; it is left out")
                    }
                }
            }
        }
        headers.retain(|(name, _)| {
            let is = |other: &str| other.eq_ignore_ascii_case(name);
            let has = request.headers.iter().any(|(other, _)| is(other));
            !has && (request.auth != Auth::None || !is("authorization"))
        });
        headers
    }
}

/// `Name: value`. One without a value means nothing: curl takes it for "do not send", and of ours
/// none may be missing.
fn read(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let (name, value) = (name.trim(), value.trim());
    let valid = name.parse::<HeaderName>().is_ok() && HeaderValue::from_str(value).is_ok();
    (valid && !value.is_empty()).then(|| (name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Writer};
    use crate::http::settings::Remote;
    use crate::url::Url;

    fn url(text: &str) -> Url {
        Url::parse(text).expect(text)
    }

    fn settings(remote: &str, lines: &[(&str, &str)]) -> Settings {
        let mut config = Config::default();
        for (key, value) in lines {
            config.push(key, value, Writer::User);
        }
        let remote = Remote {
            url: url(remote),
            user: None,
            proxy: None,
        };
        Settings::default()
            .with_config(config)
            .with_remote(Some(remote))
    }

    fn names(settings: &Settings, to: &str) -> Vec<String> {
        let request = Request::get(url(to)).auth(Auth::Basic);
        let headers = settings.extra_headers(&request);
        headers.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_header_goes_only_where_its_key_says() {
        let lines = [
            ("http.extraHeader", "X-All: 1"),
            ("http.https://cdn.example/a.extraHeader", "X-Cdn: 2"),
        ];
        let some = settings("https://hub.example/x", &lines);
        assert_eq!(
            names(&some, "https://hub.example/ns/name.git/info/lfs"),
            ["X-All"]
        );
        assert_eq!(names(&some, "https://cdn.example/a/b"), ["X-Cdn"]);
        for to in [
            "https://cdn.example/b",
            "http://hub.example/x",
            "https://hub.example:8443/",
        ] {
            assert_eq!(names(&some, to), [""; 0], "{to}");
        }
        // Plain http: to this machine, or where a key names it.
        let lines = [
            ("http.extraHeader", "X-All: 1"),
            ("http.http://h/a.extraHeader", "X-Own: 2"),
        ];
        assert_eq!(
            names(&settings("http://h", &lines), "http://h/a"),
            ["X-Own"]
        );
        assert_eq!(
            names(
                &settings("http://127.0.0.1:1", &lines),
                "http://127.0.0.1:1/"
            ),
            ["X-All"]
        );
    }

    #[test]
    fn an_empty_value_starts_anew_and_nonsense_is_left_out() {
        let key = "http.https://h.extraHeader";
        let lines = [
            (key, "X-A: 1"),
            (key, ""),
            (key, "X-B: 2"),
            (key, "nonsense"),
            (key, "X-C:"),
            (key, "Bad name: 1"),
            (key, "X-D: a\nb"),
        ];
        let some = settings("https://h", &lines);
        assert_eq!(names(&some, "https://h/x"), ["X-B"]);
        let has = Request::get(url("https://h")).header("x-b", "0");
        assert!(some.extra_headers(&has).is_empty());
    }

    #[test]
    fn a_permission_goes_only_where_the_token_would() {
        let some = settings(
            "https://h",
            &[("http.extraHeader", "Authorization: Basic eA==")],
        );
        assert_eq!(names(&some, "https://h/x"), ["Authorization"]);
        let signed = Request::get(url("https://h/signed?x=1"));
        assert!(some.extra_headers(&signed).is_empty());
    }
}
