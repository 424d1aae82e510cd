//! What the bodies of fuzz targets share: inputs of several parts, and what errors have to look like.
//!
//! Exists for tests and under `--cfg fuzzing` only, as the bodies do.

/// Where inputs with several parts are split: a byte that no UTF-8 has.
pub(crate) const SEPARATOR: u8 = 0xff;

/// The `N` parts of an input, as text; those that are missing are empty.
pub(crate) fn parts<const N: usize>(data: &[u8]) -> [String; N] {
    let mut parts = data.splitn(N, |byte| *byte == SEPARATOR);
    std::array::from_fn(|_| String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned())
}

/// Longest line that an error may be, whatever a peer sent: still one that people read.
const LONGEST_LINE: usize = 4096;

/// An error that quotes a peer is one line, short, and cannot steer a terminal.
pub(crate) fn assert_fit_to_print(text: &str) {
    assert!(
        text.len() <= LONGEST_LINE,
        "an error of {} bytes",
        text.len()
    );
    assert!(
        !text.contains(|c: char| c.is_control()),
        "control characters in {text:?}"
    );
}

/// Whether something is so within seconds.
///
/// For what another test's thread may undo for a moment: it looks at all secrets that are known, or starts a
/// program, which has a copy of each open file, and of its lock, until it runs.
#[cfg(test)]
pub(crate) fn soon(mut so: impl FnMut() -> bool) -> bool {
    (0..5000).any(|_| {
        let is_so = so();
        if !is_so {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        is_so
    })
}
