//! Cards of any make, read and changed.

use serde_json::Value;

use super::ModelCard;
use crate::probe::{assert_fit_to_print, parts};

/// The card, a key, and a text for it.
pub(crate) fn card(data: &[u8]) {
    let [text, key, value] = parts(data);
    let card = match ModelCard::parse(&text) {
        Ok(card) => card,
        Err(error) => return assert_fit_to_print(&error.to_string()),
    };
    assert_eq!(card.to_string(), text, "a card that nobody changed");
    let keys = card.keys();
    // What is merged in by `<<` has other names.
    for key in keys.iter().filter(|key| *key != "<<") {
        if let Ok(value) = card.get::<Value>(key) {
            assert!(value.is_some(), "{key:?}");
        }
    }
    let mut changed = card.clone();
    match changed.set(&key, &value) {
        Ok(()) => {
            let again = ModelCard::parse(&changed.to_string()).expect("what is written is read");
            assert_eq!(again, changed);
            assert_eq!(
                again.get::<String>(&key).ok().flatten().as_ref(),
                Some(&value)
            );
            assert_same_but_for(&card, &changed, &key);
            let mut twice = changed.clone();
            twice.set(&key, &value).expect("as before");
            assert_eq!(twice, changed, "setting twice");
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert_eq!(changed, card, "a change that failed");
        }
    }
    let mut fewer = changed.clone();
    if fewer.remove(&key).is_ok() {
        assert!(!fewer.keys().contains(&key));
        assert_same_but_for(&changed, &fewer, &key);
        assert_eq!(ModelCard::parse(&fewer.to_string()).expect("read"), fewer);
    }
    let mut other = card.clone();
    if other.set_body(&value).is_ok() {
        assert_eq!(other.body(), value);
        assert_eq!(ModelCard::parse(&other.to_string()).expect("read"), other);
        assert_eq!(other.keys(), keys);
    }
}

fn assert_same_but_for(before: &ModelCard, after: &ModelCard, key: &str) {
    let others = |card: &ModelCard| -> Vec<(String, Option<Value>)> {
        let keys = card.keys().into_iter().filter(|other| other != key);
        keys.map(|key| (key.clone(), card.get(&key).ok().flatten()))
            .collect()
    };
    assert_eq!(others(after), others(before), "other keys than {key:?}");
    let body = |card: &ModelCard| card.body().trim_start_matches('\u{feff}').to_owned();
    assert_eq!(body(after), body(before));
}
