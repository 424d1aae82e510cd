//! A name and a password, for one server.

use std::fmt;

use super::Token;

/// Who to be to a server: a user name, and a password that cannot be printed.
///
/// ```
/// use hf_repository::Login;
/// let login = Login::new("hf_user", "hf_abc");
/// assert_eq!(format!("{login:?}"), "Login(hf_user, …)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    user: String,
    password: Token,
}

impl Login {
    /// For the Hub the password is a token, and the name may be any.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self::of(user.into(), Token::from_userinfo(password))
    }

    pub(crate) fn of(user: String, password: Token) -> Self {
        Self { user, password }
    }

    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    pub(crate) fn password(&self) -> &Token {
        &self.password
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({}, …)", super::printable(&self.user))
    }
}
