//! The file of packed refs (`git help pack-refs`), looked into without reading all of it: every opening of a
//! repository asks, and some have a million tags.

use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use crate::error::{Error, Result};
use crate::fs;

/// What is not worth another step of the search.
const FEW_BYTES: u64 = 4 << 10;

/// Whether a ref is packed whose name begins so.
pub(super) fn has_below(common: &Path, prefix: &str) -> Result<bool> {
    let path = common.join("packed-refs");
    let Some(file) = fs::open_if_exists(&path)? else {
        return Ok(false);
    };
    Packed(BufReader::new(file))
        .has_below(prefix.as_bytes())
        .map_err(|error| Error::io("read", &path, error))
}

struct Packed<R>(R);

impl<R: BufRead + Seek> Packed<R> {
    fn has_below(&mut self, prefix: &[u8]) -> io::Result<bool> {
        let mut header = Vec::new();
        let begin = self.0.read_until(b'\n', &mut header)? as u64;
        let is_sorted = header.starts_with(b"# ")
            && header
                .split(u8::is_ascii_whitespace)
                .any(|word| word == b"sorted");
        let from = if is_sorted {
            self.before(prefix, begin)?
        } else {
            0
        };
        self.0.seek(SeekFrom::Start(from))?;
        while let Some((name, _)) = self.next_name()? {
            if name.starts_with(prefix) {
                return Ok(true);
            }
            if is_sorted && name.as_slice() > prefix {
                break;
            }
        }
        Ok(false)
    }

    /// Where a line begins from which it is not far to the first name that is not less.
    fn before(&mut self, name: &[u8], begin: u64) -> io::Result<u64> {
        let (mut low, mut high) = (begin, self.0.seek(SeekFrom::End(0))?);
        // Names before `low` are less; one that begins after `high` is not.
        while high.saturating_sub(low) > FEW_BYTES {
            let middle = low + (high - low) / 2;
            self.0.seek(SeekFrom::Start(middle))?;
            self.0.skip_until(b'\n')?;
            match self.next_name()? {
                Some((found, end)) if found.as_slice() < name => low = end,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// The next name, and where its line ends.
    fn next_name(&mut self) -> io::Result<Option<(Vec<u8>, u64)>> {
        let mut line = Vec::new();
        while self.0.read_until(b'\n', &mut line)? > 0 {
            // Others say what a tag leads to, or are remarks.
            if !line.starts_with(b"^") && !line.starts_with(b"#") {
                let name = line.iter().position(|byte| *byte == b' ');
                let mut name = line.split_off(name.map_or(line.len(), |at| at + 1));
                name.pop_if(|byte| *byte == b'\n');
                return Ok(Some((name, self.0.stream_position()?)));
            }
            line.clear();
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;
    use std::io::Cursor;

    fn list(header: &str, names: &[String]) -> String {
        let mut text = header.to_owned();
        for (number, name) in names.iter().enumerate() {
            writeln!(text, "{number:040x} {name}").expect("written");
            if name.starts_with("refs/tags/") {
                writeln!(text, "^{number:040x}").expect("written");
            }
        }
        text
    }

    #[test]
    fn what_is_there_is_found_wherever_it_is() {
        const SORTED: &str = "# pack-refs with: peeled fully-peeled sorted \n";
        let mut looked_at = 0;
        for (heads, tags) in [(0, 0), (0, 900), (900, 0), (3, 5), (700, 400)] {
            let mut names: Vec<String> = (0..heads)
                .map(|number| format!("refs/heads/b-{number:04}"))
                .chain((0..tags).map(|number| format!("refs/tags/v-{number:04}")))
                .collect();
            for is_there in [false, true] {
                if is_there {
                    names.push(format!("refs/replace/{:040x}", 7));
                }
                let mut sorted = names.clone();
                sorted.sort();
                for text in [
                    list(SORTED, &sorted),
                    list("# pack-refs with: peeled \n", &names),
                ] {
                    let found = Packed(Cursor::new(&text)).has_below(b"refs/replace/");
                    assert_eq!(found.expect("read"), is_there, "{text}");
                    looked_at += 1;
                }
                let text = list(SORTED, &sorted);
                for name in sorted.iter().step_by(7) {
                    let found = Packed(Cursor::new(&text)).has_below(name.as_bytes());
                    assert!(found.expect("read"), "{name}");
                }
            }
        }
        assert_eq!(looked_at, 20);
    }
}
