//! Answers of servers, and what lies between them and us.

/// Zeros, packed by gzip a thousand times smaller.
pub(super) fn bomb(bytes: usize) -> Vec<u8> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut gzip = Command::new("gzip")
        .args(["-1", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = gzip.stdin.take().unwrap();
    std::thread::spawn(move || {
        let zeros = vec![b' '; 1 << 20];
        for _ in 0..bytes >> 20 {
            input.write_all(&zeros).unwrap();
        }
    });
    gzip.wait_with_output().unwrap().stdout
}
