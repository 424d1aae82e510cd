//! What of this process's environment a child does not get.
//!
//! Most of it passes: programs need `HOME`, `PATH`, `SSH_AUTH_SOCK`, the proxies, and what the user's own
//! helpers and transfer agents read. A secret of ours does not: children are told it where they must
//! know it, and by a pipe.

use crate::env;
use crate::secret::holds_secret;

/// Variables of git that may be passed on: how to reach and to trust a server. What names a
/// repository, an index or an author must not be.
const PASSED_ON: [&str; 8] = [
    "GIT_CONFIG",
    "GIT_SSL",
    "GIT_SSH",
    "GIT_PROXY",
    "GIT_HTTP",
    "GIT_ALLOW_PROTOCOL",
    "GIT_PROTOCOL",
    "GIT_EXEC_PATH",
];

/// Variables that no program runs well without. They are no place for secrets, but what they say may
/// happen to be somebody's bad password.
const NEEDED: [&str; 12] = [
    "HOME",
    "LANG",
    "LD_LIBRARY_PATH",
    "LOGNAME",
    "PATH",
    "PWD",
    "SHELL",
    "SSH_AUTH_SOCK",
    "TERM",
    "TMPDIR",
    "USER",
    "XDG_CONFIG_HOME",
];

/// The names of the variables a child must not see.
pub(super) fn left_out() -> Vec<String> {
    env::names_where(is_left_out)
}

fn is_left_out(name: &str, value: &str) -> bool {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if name.starts_with("GIT_") && !starts(&PASSED_ON) {
        return true;
    }
    // Even an empty value has git believe any server; who means that says so in code.
    if name == "GIT_SSL_NO_VERIFY" {
        return true;
    }
    // The Hub's tokens, by whatever name its tools had for them.
    if starts(&["HF_", "HUGGING"]) && name.ends_with("TOKEN") {
        return true;
    }
    // What the user wrote down for git is meant for git, and programs reach nobody without the proxies.
    let meant_for_it = name.starts_with("GIT_CONFIG") || is_proxy(name) || NEEDED.contains(&name);
    !meant_for_it && holds_secret(value)
}

fn is_proxy(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("_proxy")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Token;

    #[test]
    fn secrets_of_ours_are_left_out_and_little_else() {
        let _token: Token = "sesame-open".parse().expect("valid");
        for (name, value, out) in [
            ("HF_TOKEN", "x", true),
            ("HUGGING_FACE_HUB_TOKEN", "x", true),
            ("HF_HOME", "/x", false),
            ("HF_TOKEN_PATH", "/x", false),
            ("MY_TOKEN", "sesame-open", true),
            ("SETTINGS", "{\"token\": \"sesame-open\"}", true),
            ("MODEL_KEY", "hf_abcdefghijklmnopqrstuvwxyz01234567", true),
            ("https_proxy", "http://u:sesame-open@proxy", false),
            ("HTTP_PROXY", "http://u:sesame-open@proxy", false),
            ("GIT_CONFIG_VALUE_0", "sesame-open", false),
            ("GIT_SSL_CAINFO", "/ca", false),
            ("GIT_SSL_NO_VERIFY", "", true),
            ("GIT_DIR", "/x", true),
            ("GIT_TRACE_CURL", "1", true),
            ("GIT_ASKPASS", "x", true),
            ("PATH", "/bin", false),
            ("PATH", "/opt/sesame-open/bin", false),
            ("HOME", "/home/sesame-open", false),
            ("SSH_AUTH_SOCK", "/run/agent", false),
            ("AWS_SECRET_ACCESS_KEY", "of an agent", false),
        ] {
            assert_eq!(is_left_out(name, value), out, "{name}={value}");
        }
    }
}
