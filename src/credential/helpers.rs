//! Which helpers git's config names for a URL, by the rules of
//! <https://git-scm.com/docs/gitcredentials>.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::protocol::{Record, parse_url};
use crate::config::{self, Config, Setting};
use crate::url::Url;

/// Written with a percent sign in the paths of URLs.
const NOT_IN_PATHS: AsciiSet = NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What the config says of logins for one URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// In the order in which they are asked.
    pub(super) helpers: Vec<String>,
    pub(super) username: Option<String>,
    /// Whether a helper is told the path, for http.
    pub(super) use_http_path: bool,
}

impl Plan {
    /// Reads `credential.*` and `credential.<url>.*`: lists grow in the order of the config, an empty
    /// value starts one anew.
    pub(super) fn read(config: &Config, asked: &Record) -> Self {
        let mut plan = Self::default();
        let Some(url) = url_of(asked) else {
            return plan;
        };
        let partial = |pattern: &str| fits_partly(pattern, asked);
        let settings = config.all_for("credential", &url, asked.username.as_deref(), partial);
        for Setting { name, value } in settings {
            match name {
                "helper" if value.is_empty() => plan.helpers.clear(),
                "helper" => plan.helpers.push(value.to_owned()),
                "username" => plan.username = Some(value.to_owned()),
                "usehttppath" => plan.use_http_path = config::switch(value).unwrap_or_default(),
                _ => {}
            }
        }
        plan
    }

    /// What the helpers are told: no path, unless they are to know it, and the name that is set for
    /// those who named nobody.
    pub(super) fn question(&self, asked: &Record) -> Record {
        let is_http = matches!(asked.protocol.as_deref(), Some("http" | "https"));
        let username = asked.username.clone().or_else(|| self.username.clone());
        let path = asked.path.clone();
        Record {
            username,
            path: path.filter(|_| self.use_http_path || !is_http),
            ..asked.clone()
        }
    }
}

fn url_of(asked: &Record) -> Option<Url> {
    let (protocol, host) = (asked.protocol.as_deref()?, asked.host.as_deref()?);
    let path = asked.path.as_deref().unwrap_or_default();
    let path = utf8_percent_encode(path, &NOT_IN_PATHS);
    Url::parse(&format!("{protocol}://{host}/{path}")).ok()
}

/// A key such as `credential.example.com.helper`: what it names is the same, the rest is open.
fn fits_partly(pattern: &str, asked: &Record) -> bool {
    let whole = match pattern.contains("://") {
        true => parse_url(pattern),
        false => parse_url(&format!("any://{pattern}")),
    };
    let Ok(wanted) = whole else { return false };
    let same = |wanted: Option<String>, asked: &Option<String>| {
        wanted
            .filter(|part| !part.is_empty())
            .is_none_or(|wanted| asked.as_ref() == Some(&wanted))
    };
    let protocol = wanted.protocol.filter(|_| pattern.contains("://"));
    same(protocol, &asked.protocol)
        && same(wanted.host, &asked.host)
        && same(wanted.path, &asked.path)
        && same(wanted.username, &asked.username)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Writer;

    fn plan(url: &str, lines: &[(&str, &str)]) -> (Vec<String>, Record) {
        let mut config = Config::default();
        for (key, value) in lines {
            config.push(key, value, Writer::User);
        }
        let asked = parse_url(url).expect(url);
        let plan = Plan::read(&config, &asked);
        let question = plan.question(&asked);
        (plan.helpers, question)
    }

    #[test]
    fn an_empty_value_starts_the_list_anew() {
        let lines = [
            ("credential.helper", "one"),
            ("credential.https://h.helper", ""),
            ("credential.https://h.helper", "two"),
            ("credential.helper", "three"),
        ];
        assert_eq!(plan("https://h/a", &lines).0, ["two", "three"]);
        assert_eq!(plan("https://other/a", &lines).0, ["one", "three"]);
        // The port that the scheme has anyway is no other port.
        assert_eq!(plan("https://h:443", &lines).0, ["two", "three"]);
        assert_eq!(plan("http://h", &lines).0, ["one", "three"]);
    }

    #[test]
    fn a_path_is_told_only_where_it_should_be() {
        let (_, question) = plan("https://h/a/b", &[]);
        assert_eq!(question.path, None);
        let (_, question) = plan("https://h/a/b", &[("credential.useHttpPath", "true")]);
        assert_eq!(question.path.as_deref(), Some("a/b"));
        let lines = [("credential.https://h/c.useHttpPath", "true")];
        assert_eq!(plan("https://h/a/b", &lines).1.path, None);
        let lines = [("credential.https://h/.username", "joe")];
        let name = |url| plan(url, &lines).1.username;
        assert_eq!(name("https://h/a").as_deref(), Some("joe"));
        assert_eq!(name("https://ann@h/a").as_deref(), Some("ann"));
    }

    #[test]
    fn keys_that_are_no_urls_fit_what_they_name() {
        let fits = |pattern: &str| {
            let key = format!("credential.{pattern}.helper");
            !plan("http://u@h:8080/a/b", &[(&key, "x")]).0.is_empty()
        };
        for good in [
            "h:8080",
            "http://",
            "h:8080/a/b",
            "u@h:8080",
            "http://h:8080/a",
        ] {
            assert!(fits(good), "{good}");
        }
        for bad in [
            "h",
            "h:8080/a",
            "https://",
            "x@h:8080",
            "http://h",
            "http://x@h:8080",
        ] {
            assert!(!fits(bad), "{bad}");
        }
    }
}
