//! What helpers say and files of logins hold, whoever wrote them.

use super::protocol::{RECORD_BYTES, Record, parse, parse_url};
use super::store::{Password, line, login, without};
use crate::probe::parts;

pub(crate) fn protocol(data: &[u8]) {
    if let Ok(record) = parse(data) {
        assert!(data.len() <= RECORD_BYTES);
        assert_round_trip(&record);
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(record) = parse_url(text) {
        assert!(record.protocol.is_some() && record.host.is_some());
        assert!(record.password_expiry_utc.is_none() && !record.quit);
        assert_round_trip(&record);
    }
    // Whatever is asked about, the helper hears of one server alone: ours.
    let [username, path] = parts(data);
    let asked = Record {
        protocol: Some("https".to_owned()),
        host: Some("hub.example".to_owned()),
        path: Some(path),
        username: Some(username),
        ..Record::default()
    };
    if let Ok(bytes) = asked.to_bytes() {
        let text = String::from_utf8(bytes).expect("made of text");
        let hosts = text.lines().filter(|line| line.starts_with("host="));
        assert_eq!(hosts.collect::<Vec<_>>(), ["host=hub.example"]);
        assert_eq!(text.find("\n\n"), Some(text.len() - 2));
    }
}

fn assert_round_trip(record: &Record) {
    let bytes = record.to_bytes().expect("what is read can be written");
    // Names and values may grow by what `url` leaves out, but not past the limit of what is read.
    if bytes.len() <= RECORD_BYTES {
        assert!(parse(&bytes).as_ref() == Ok(record), "{record:?}");
    }
    // Printed are the protocol, the host, and whether there is a password.
    let [protocol, host] = [&record.protocol, &record.host].map(|it| it.as_deref().unwrap_or(""));
    let password = record.password.as_ref().map_or("without", |_| "with");
    let shown = format!("Record({protocol}://{host}, {password} a password)");
    assert_eq!(format!("{record:?}"), shown);
}

/// The file, and the URL of a login.
pub(crate) fn store(data: &[u8]) {
    let [text, url] = parts(data);
    let Ok(new) = parse_url(&url) else { return };
    // Logins of ours are for servers we talk to.
    let hidden = new
        .path
        .as_deref()
        .is_some_and(|path| path.starts_with('/'));
    if !matches!(new.protocol.as_deref(), Some("http" | "https")) || hidden {
        return;
    }
    if let Some(line) = line(&new) {
        assert!(!line.contains(|c: char| c.is_control() || c == ' '));
        assert!(login(line.as_bytes()) == Some(new.clone()), "{new:?}");
    }
    for password in [Password::Any, Password::Same] {
        let left = without(text.as_bytes(), &new, password);
        assert!(left.len() <= text.len() + 1);
        assert_eq!(without(&left, &new, password), left);
        // Lines that are no logins are nobody's to remove.
        let others = |text: &[u8]| -> Vec<Vec<u8>> {
            let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
            lines
                .filter(|line| !line.is_empty() && login(line).is_none())
                .collect()
        };
        assert_eq!(others(&left), others(text.as_bytes()));
    }
}
