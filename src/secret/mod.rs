//! Values that must not be printed, and text from elsewhere made fit to print.
//!
//! | file | concern |
//! |---|---|
//! | `text` | a secret in memory: wiped when nobody needs it any more, and known while somebody does |
//! | `token` | an access token |
//! | `login` | a name and a password |
//! | `provider` | tokens that may be another one each time they are needed |
//! | `forms` | the spellings in which programs and servers repeat a secret |
//! | `shown` | text from elsewhere, as it may be shown |
//! | `cause` | the same for errors of other crates |

mod cause;
mod forms;
mod login;
mod provider;
mod shown;
mod text;
mod token;

pub(crate) use cause::fit_cause;
pub use login::Login;
pub(crate) use provider::{Provider, Secret};
pub(crate) use shown::{
    CutAt, Shown, ends_lines, fit_to_show, fit_to_show_cut, fit_to_show_end, holds_secret,
    printable,
};
pub(crate) use text::SecretText;
pub use token::Token;
