//! Whom git-lfs is to believe: the same servers as the library does.
//!
//! It reads git's settings itself, so it is told only what the caller said in code. Paths and
//! certificates are no secrets: they may be in its environment.

use std::path::Path;

use super::login::origin;
use crate::error::{Error, Result};
use crate::http::{Client, Verification};
use crate::process::Program;
use crate::url::Url;

/// A program that believes whom the library believes, and the lines of git's config for that; what
/// it needs of files goes into `folder`.
pub(super) fn trusting(
    program: Program,
    client: &Client,
    url: Option<&Url>,
    folder: &Path,
) -> Result<(Program, Vec<(String, String)>)> {
    let program = match client.pem_for_programs(url)? {
        Some(pem) => {
            let file = folder.join("trust.pem");
            std::fs::write(&file, pem).map_err(|error| Error::io("write", &file, error))?;
            program.variable("GIT_SSL_CAINFO", file)
        }
        None => program,
    };
    let (check, program) = match client.verification() {
        Verification::On => ("true", program),
        Verification::Off => ("false", program.variable("GIT_SSL_NO_VERIFY", "1")),
    };
    let keys = url.map(|url| format!("http.{}/.sslVerify", origin(url)));
    // Also for those hosts that the config names: objects may come from any.
    let named = client.config().below("http.").map(|(rest, _)| rest);
    let named = named.filter(|rest| rest.ends_with(".sslverify"));
    let named = named.map(|rest| format!("http.{rest}"));
    let keys = ["http.sslVerify".to_owned()]
        .into_iter()
        .chain(named)
        .chain(keys);
    let lines = keys.map(|key| (key, check.to_owned())).collect();
    Ok((program, lines))
}
