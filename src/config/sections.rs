//! Parts of a config file that get another name, or go: `[branch "main"]` and what follows it.

/// The text with a subsection's heads renamed, or with all of it removed; `None` if there is none.
///
/// Lines are kept as they are, comments too, as by `git config --rename-section`.
pub(crate) fn with_subsection_moved(
    text: &[u8],
    section: &str,
    from: &str,
    to: Option<&str>,
) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let (mut found, mut inside, mut continued) = (false, false, false);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let head = if continued { None } else { Head::read(line) };
        continued = goes_on(line);
        match head {
            Some(head) => {
                inside = head.is(section, from);
                found |= inside;
                match to {
                    _ if !inside => out.extend_from_slice(line),
                    Some(to) => {
                        let to = to.replace('\\', "\\\\").replace('"', "\\\"");
                        out.extend_from_slice(format!("[{section} \"{to}\"]").as_bytes());
                        out.extend_from_slice(&line[head.end..]);
                    }
                    None => {}
                }
            }
            None if inside && to.is_none() => {}
            None => out.extend_from_slice(line),
        }
    }
    found.then_some(out)
}

/// Whether a value goes on in the next line: behind a backslash that no other one takes away.
fn goes_on(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let is_comment =
        line.trim_ascii_start().starts_with(b"#") || line.trim_ascii_start().starts_with(b";");
    let backslashes = line.iter().rev().take_while(|byte| **byte == b'\\').count();
    !is_comment && backslashes % 2 == 1
}

/// The head of a subsection, as it begins a line.
struct Head {
    section: Vec<u8>,
    subsection: Option<Vec<u8>>,
    /// Where in the line it ends.
    end: usize,
}

impl Head {
    fn read(line: &[u8]) -> Option<Self> {
        let start = line.iter().position(|byte| !byte.is_ascii_whitespace())?;
        let mut bytes = line.iter().enumerate().skip(start);
        (*bytes.next()?.1 == b'[').then_some(())?;
        let (mut section, mut subsection) = (Vec::new(), None);
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b']' => {
                    return Some(Self {
                        section,
                        subsection,
                        end: at + 1,
                    });
                }
                b'"' => {
                    let mut name = Vec::new();
                    loop {
                        match bytes.next()?.1 {
                            b'"' => break,
                            b'\\' => name.push(*bytes.next()?.1),
                            other => name.push(*other),
                        }
                    }
                    subsection = Some(name);
                }
                b' ' | b'\t' => {}
                other => section.push(other.to_ascii_lowercase()),
            }
        }
        None
    }

    fn is(&self, section: &str, subsection: &str) -> bool {
        self.section == section.as_bytes()
            && self.subsection.as_deref() == Some(subsection.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[core]\n\tbare = false\n[branch \"a\"]\n\tremote = origin # yes\n; kept \\\n\
        [Branch \"a\"] merge = refs/heads/a\n\tdescription = one \\\n[branch \"a\"]\n[branch \"A\"]\n\tx = 1\n\
        [branch \"b\\\"c\"]\n\ty = 2\n[branch]\n\tautoSetupMerge = always\n";

    fn moved(from: &str, to: Option<&str>) -> Option<String> {
        let text = with_subsection_moved(TEXT.as_bytes(), "branch", from, to)?;
        Some(String::from_utf8(text).expect("UTF-8"))
    }

    #[test]
    fn heads_are_renamed_and_all_else_is_kept() {
        let to_z = TEXT
            .replacen("[branch \"a\"]", "[branch \"z\"]", 1)
            .replace("[Branch \"a\"]", "[branch \"z\"]");
        assert_eq!(moved("a", Some("z")), Some(to_z));
        let quoted = TEXT.replace("[branch \"A\"]", "[branch \"q\\\"\"]");
        assert_eq!(moved("A", Some("q\"")), Some(quoted));
        assert_eq!(moved("c", Some("z")), None);
        assert_eq!(moved("", None), None);
    }

    #[test]
    fn a_subsection_goes_with_all_its_lines() {
        let gone = moved("a", None).expect("found");
        assert!(
            gone.starts_with("[core]\n\tbare = false\n[branch \"A\"]\n\tx = 1\n"),
            "{gone}"
        );
        let gone = moved("b\"c", None).expect("found");
        assert!(
            gone.ends_with("\tx = 1\n[branch]\n\tautoSetupMerge = always\n"),
            "{gone}"
        );
    }
}
