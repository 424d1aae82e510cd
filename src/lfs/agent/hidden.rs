//! What an agent was told in confidence and must not be shown when it says it again.

use super::super::api::Action;
use crate::secret::fit_to_show;

/// Shorter texts are no secrets, and would be found everywhere.
const SHORTEST: usize = 8;
/// What is shown in place of a secret.
const HIDDEN: &str = "[hidden]";

/// The URL and the headers of an action, in the forms in which programs print them.
#[derive(Default)]
pub(super) struct Hidden(Vec<String>);

impl Hidden {
    pub(super) fn of(action: &Action) -> Self {
        let url = action.url.to_full();
        // HTTP libraries tend to name what comes behind the host.
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        let path = rest.find('/').map_or("", |at| &rest[at..]);
        let mut texts = vec![url.as_str(), path];
        for value in action.headers.values() {
            texts.push(value);
            // `Bearer …` and `Basic …`: the second word alone is the secret.
            texts.extend(value.split_once(' ').map(|(_, secret)| secret));
        }
        let texts = texts.into_iter().filter(|text| text.len() >= SHORTEST);
        // As they are, and as they stand in JSON or in a quotation.
        let forms = |text: &str| [text.to_owned(), text.escape_debug().to_string()];
        let mut texts: Vec<String> = texts.flat_map(forms).collect();
        texts.dedup();
        // The longest first: a URL before the path in it.
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Self(texts)
    }

    /// `text` as it may be shown.
    pub(super) fn hide(&self, text: &str) -> String {
        let hide = |text: String, secret: &String| text.replace(secret, HIDDEN);
        fit_to_show(&self.0.iter().fold(text.to_owned(), hide))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::Url;
    use std::collections::BTreeMap;

    #[test]
    fn what_was_told_in_confidence_is_not_said_again() {
        let header = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let headers = [
            ("Authorization", "Bearer abcdefgh.ijkl"),
            ("X-Kind", "b"),
            ("X-Token", "0123456789"),
        ];
        let hidden = Hidden::of(&Action {
            url: Url::parse("https://s.example/bucket/signature?sig=1").expect("valid"),
            headers: BTreeMap::from(headers.map(header)),
            expires: None,
        });
        for (said, shown) in [
            (
                "PUT https://s.example/bucket/signature?sig=1: 403",
                "PUT [hidden]: 403",
            ),
            ("no /bucket/signature?sig=1", "no [hidden]"),
            (
                "Authorization: Bearer abcdefgh.ijkl",
                "Authorization: [hidden]",
            ),
            (
                "token abcdefgh.ijkl, 0123456789",
                "token [hidden], [hidden]",
            ),
            (
                "about https://else.example/x?sig=2",
                "about https://else.example/x?…",
            ),
            ("a bad b", "a bad b"),
        ] {
            assert_eq!(hidden.hide(said), shown);
        }
    }
}
