//! What a git server says, read whole and made fit for libgit2's binding.

use std::io::Read;

use crate::error::{Error, ErrorKind, Result};
use crate::http::Response;

/// Bytes of a list of refs, or of what became of a push: a million refs have some 60 MB.
const LIMIT: u64 = 64 << 20;

/// The body of a list of refs or of a push's outcome.
///
/// The binding takes names and reasons in them for UTF-8, and panics where they are not. A byte that is not
/// becomes a `?`: so lengths stay right, and no ref with such a name is one of ours.
///
/// # Errors
/// [`ErrorKind::Protocol`] for one without end.
pub(super) fn whole(response: Response) -> Result<Vec<u8>> {
    let url = response.url().clone();
    let mut bytes = Vec::new();
    response
        .into_reader()
        .take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Response::read_error(error, &url))?;
    if bytes.len() as u64 > LIMIT {
        return Err(Error::new(
            ErrorKind::Protocol,
            format!("{url}: the answer has more than {LIMIT} bytes"),
        )
        .with_hint("the git server is at fault; report this to whoever runs it"));
    }
    Ok(as_utf8(bytes))
}

fn as_utf8(bytes: Vec<u8>) -> Vec<u8> {
    if std::str::from_utf8(&bytes).is_ok() {
        return bytes;
    }
    let mut out = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        out.extend(chunk.invalid().iter().map(|_| b'?'));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_stay_what_they_were() {
        let text = "refs/heads/\u{fc}".as_bytes();
        assert_eq!(as_utf8(text.to_vec()), text);
        let odd = b"0010refs/heads/\xe9\xff\0a\xe2\x82";
        assert_eq!(as_utf8(odd.to_vec()), b"0010refs/heads/??\0a??");
    }
}
