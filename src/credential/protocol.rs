//! The words git and its credential helpers exchange: `key=value` lines, ended by an empty one.
//!
//! Format: <https://git-scm.com/docs/git-credential#IOFMT>. Pure functions on bytes; what a helper
//! says is taken for hostile.

use std::fmt;

use crate::secret::{Token, ends_lines};

/// What is said of one login. Whoever asks leaves out what it wants to know.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) protocol: Option<String>,
    /// With the port, where one is named.
    pub(crate) host: Option<String>,
    /// Without the slash before it.
    pub(crate) path: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Token>,
    /// Seconds since 1970 after which the password is of no use.
    pub(crate) password_expiry_utc: Option<u64>,
    /// What a helper gets a new password with; it forgets it if it is told to keep a login without it.
    pub(crate) oauth_refresh_token: Option<Token>,
    /// The login is not worth keeping.
    pub(crate) ephemeral: bool,
    /// A helper wants nobody else to be asked.
    pub(crate) quit: bool,
}

/// Why something is no [`Record`]. The text itself is never echoed: it may be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("more than {RECORD_BYTES} bytes")]
    TooLong,
    #[error("a line that is no text")]
    NotText,
    #[error("a line without an equals sign")]
    NoEquals,
    #[error("a value that ends lines")]
    EndsLines,
    #[error("an address that cannot be read")]
    BadUrl,
}

/// Bytes of a record; git's own lines end at 64 KiB.
pub(crate) const RECORD_BYTES: usize = 64 << 10;

/// Reads one record: the lines up to an empty one, or the end. Unknown keys are left out, and so is
/// what follows the empty line. Of a key that comes twice the last value counts.
///
/// # Errors
/// If there is a line that no helper may write. Nothing of such a text should be used.
pub(crate) fn parse(bytes: &[u8]) -> Result<Record, RecordError> {
    if bytes.len() > RECORD_BYTES {
        return Err(RecordError::TooLong);
    }
    let mut record = Record::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        let line = std::str::from_utf8(line).map_err(|_| RecordError::NotText)?;
        let (key, value) = line.split_once('=').ok_or(RecordError::NoEquals)?;
        if ends_lines(value) {
            return Err(RecordError::EndsLines);
        }
        record.set(key, value)?;
    }
    Ok(record)
}

impl Record {
    fn set(&mut self, key: &str, value: &str) -> Result<(), RecordError> {
        let own = || Some(value.to_owned());
        match key {
            "protocol" => self.protocol = own(),
            "host" => self.host = own(),
            "path" => self.path = own(),
            "username" => self.username = own(),
            "password" => self.password = Some(Token::from_userinfo(value)),
            // A date that cannot be read says nothing, as in git.
            "password_expiry_utc" => self.password_expiry_utc = value.parse().ok(),
            "oauth_refresh_token" => self.oauth_refresh_token = Some(Token::from_userinfo(value)),
            "ephemeral" => self.ephemeral = is_on(value),
            "quit" => self.quit = is_on(value),
            // What was said before is forgotten, as by git.
            "url" => *self = parse_url(value)?,
            _ => {}
        }
        Ok(())
    }

    /// The record as it goes over a pipe, with the empty line that ends it.
    ///
    /// # Errors
    /// [`RecordError::EndsLines`] for a value that the other side would take for two lines, or for the
    /// end of a text: it could make a login for one server look like one for another.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, RecordError> {
        let Self {
            protocol,
            host,
            path,
            username,
            password,
            password_expiry_utc,
            oauth_refresh_token,
            ephemeral,
            quit,
        } = self;
        let mut out = Vec::new();
        let mut line = |key: &str, value: Option<&str>| {
            let Some(value) = value else { return Ok(()) };
            if ends_lines(value) {
                return Err(RecordError::EndsLines);
            }
            out.extend([key.as_bytes(), b"=", value.as_bytes(), b"\n"].concat());
            Ok(())
        };
        line("protocol", protocol.as_deref())?;
        line("host", host.as_deref())?;
        line("path", path.as_deref())?;
        line("username", username.as_deref())?;
        line("password", password.as_ref().map(Token::expose))?;
        let expiry = password_expiry_utc.map(|seconds| seconds.to_string());
        line("password_expiry_utc", expiry.as_deref())?;
        let refresh = oauth_refresh_token.as_ref().map(Token::expose);
        line("oauth_refresh_token", refresh)?;
        line("ephemeral", ephemeral.then_some("1"))?;
        line("quit", quit.then_some("1"))?;
        out.push(b'\n');
        Ok(out)
    }

    /// Whether the password is of no use any more at a time given in seconds since 1970.
    pub(crate) fn has_expired(&self, now: u64) -> bool {
        self.password_expiry_utc.is_some_and(|expiry| expiry < now)
    }
}

/// Splits `protocol://user:password@host:port/path`, as git splits the key `url`; percent signs are
/// undone in all parts.
///
/// # Errors
/// If it has no protocol, or a part would end a line.
pub(crate) fn parse_url(text: &str) -> Result<Record, RecordError> {
    let (protocol, rest) = text.split_once("://").ok_or(RecordError::BadUrl)?;
    if protocol.is_empty() {
        return Err(RecordError::BadUrl);
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // The first one counts, as for git: no sign of that kind stands in a host's name.
    let (info, host) = match authority.split_once('@') {
        Some((info, host)) => (Some(info), host),
        None => (None, authority),
    };
    let (username, password) = match info.map(|info| info.split_once(':').ok_or(info)) {
        None => (None, None),
        Some(Ok((user, password))) => (Some(user), Some(password)),
        Some(Err(user)) => (Some(user), None),
    };
    let decoded = |part: &str| {
        let bytes = percent_encoding::percent_decode_str(part);
        let text = bytes.decode_utf8().map_err(|_| RecordError::BadUrl)?;
        if ends_lines(&text) {
            return Err(RecordError::EndsLines);
        }
        Ok(text.into_owned())
    };
    // At the end also those that a percent sign hides, as in git.
    let path = decoded(path.trim_start_matches('/'))?;
    let path = path.trim_end_matches('/');
    Ok(Record {
        protocol: Some(decoded(protocol)?),
        host: Some(decoded(host)?),
        path: (!path.is_empty()).then(|| path.to_owned()),
        username: username.map(decoded).transpose()?,
        password: password
            .map(|password| Ok(Token::from_userinfo(&decoded(password)?)))
            .transpose()?,
        ..Record::default()
    })
}

fn is_on(value: &str) -> bool {
    matches!(value, "1" | "true" | "yes" | "on")
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [protocol, host] = [&self.protocol, &self.host].map(|part| part.as_deref());
        let password = self.password.as_ref().map_or("without", |_| "with");
        let (protocol, host) = (protocol.unwrap_or_default(), host.unwrap_or_default());
        write!(f, "Record({protocol}://{host}, {password} a password)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Record, RecordError> {
        parse(text.as_bytes())
    }

    #[test]
    fn records_are_read_as_git_reads_them() {
        let record = read(
            "protocol=https\nhost=h:8443\nunknown[]=x\nusername=a=b\r\npassword=p w\n\
             password_expiry_utc=5\nquit=1\n\npassword=other\n",
        )
        .expect("a record");
        assert_eq!(record.protocol.as_deref(), Some("https"));
        assert_eq!(record.host.as_deref(), Some("h:8443"));
        assert_eq!(record.username.as_deref(), Some("a=b"));
        assert_eq!(record.password.as_ref().map(Token::expose), Some("p w"));
        assert!(record.has_expired(6) && !record.has_expired(5) && record.quit);
        assert_eq!(read(""), Ok(Record::default()));
        assert_eq!(read("password=\n").map(|r| r.password.is_some()), Ok(true));
        let later = read("password_expiry_utc=soon\n").expect("a record");
        assert!(!later.has_expired(u64::MAX));
    }

    #[test]
    fn a_url_is_split() {
        let record = read("username=x\nurl=https://a%40b:p%3Aw@h:1/x%20y/z/?q\n").expect("read");
        let text = String::from_utf8(record.to_bytes().expect("fit")).expect("text");
        assert_eq!(
            text,
            "protocol=https\nhost=h:1\npath=x y/z/?q\nusername=a@b\npassword=p:w\n\n"
        );
        let slashes = parse_url("http://h//a%2f/").expect("read");
        assert_eq!(slashes.path.as_deref(), Some("a"));
        let plain = parse_url("http://[::1]:8080").expect("read");
        assert_eq!(plain.host.as_deref(), Some("[::1]:8080"));
        assert_eq!((plain.path, plain.username), (None, None));
        for bad in [
            "h/x",
            "://h",
            "https://h/a%0ab",
            "https://h%00",
            "https://%ff@h",
        ] {
            assert!(parse_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_breaks_the_protocol_is_refused() {
        for (bytes, why) in [
            (&b"username=x\nbad\n"[..], RecordError::NoEquals),
            (b"username=a\0b\n", RecordError::EndsLines),
            (b"username=a\rb\n", RecordError::EndsLines),
            (b"username=\xff\n", RecordError::NotText),
            (b"url=host\n", RecordError::BadUrl),
            (&vec![b'x'; RECORD_BYTES + 1], RecordError::TooLong),
        ] {
            assert_eq!(parse(bytes), Err(why));
        }
        for value in ["a\nhost=evil", "a\0", "a\r"] {
            let record = Record {
                username: Some(value.to_owned()),
                ..Record::default()
            };
            assert_eq!(record.to_bytes(), Err(RecordError::EndsLines));
        }
    }

    #[test]
    fn what_was_written_is_read_again_and_nothing_is_printed() {
        let text = "protocol=http\nhost=h\nusername=u\npassword=s3cret\npassword_expiry_utc=9\n\
                    oauth_refresh_token=more\nephemeral=1\nquit=1\n\n";
        let record = read(text).expect("read");
        assert_eq!(record.to_bytes().as_deref(), Ok(text.as_bytes()));
        let again = parse(&record.to_bytes().expect("fit")).expect("read");
        assert_eq!(again, record);
        assert_eq!(format!("{record:?}"), "Record(http://h, with a password)");
    }
}
