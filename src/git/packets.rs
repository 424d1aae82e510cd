//! The packets of git's protocol, as far as a push of ours has to know them.
//!
//! Each begins with its length in four hexadecimal digits, which count themselves; `0000` ends a list.
//! See <https://git-scm.com/docs/gitprotocol-common>.

use super::ObjectId;

const END: &[u8] = b"0000";
/// Digits of an id.
const ID: usize = 40;

/// What the first packet of `bytes` holds, and what is behind it; the end of a list holds nothing.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = std::str::from_utf8(bytes.get(..4)?).ok()?;
    let length = usize::from_str_radix(length, 16).ok()?.max(END.len());
    Some((bytes.get(4..length)?, bytes.get(length..)?))
}

/// The ids a server lists.
pub(super) fn ids(listing: &[u8]) -> Vec<ObjectId> {
    let (mut found, mut rest) = (Vec::new(), listing);
    while let Some((packet, behind)) = split(rest) {
        rest = behind;
        if packet.get(ID) == Some(&b' ')
            && let Ok(text) = std::str::from_utf8(&packet[..ID])
            && let Ok(id) = ObjectId::from_str(text)
        {
            found.push(id);
        }
    }
    found
}

/// Adds objects to a listing that the server is to be taken to have; servers tell such of repositories
/// they share objects with.
pub(super) fn add_had(listing: &mut Vec<u8>, had: &[ObjectId]) {
    if !listing.ends_with(END) {
        return;
    }
    listing.truncate(listing.len() - END.len());
    for id in had {
        let line = format!("{id} .have\n");
        listing.extend(format!("{:04x}{line}", line.len() + 4).into_bytes());
    }
    listing.extend(END);
}

/// How long the commands of a push are, if a pack is behind them.
pub(super) fn before_pack(body: &[u8]) -> Option<usize> {
    let mut rest = body;
    loop {
        let (packet, behind) = split(rest)?;
        rest = behind;
        if packet.is_empty() {
            return rest.starts_with(b"PACK").then(|| body.len() - rest.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"001f# service=git-receive-pack\n0000";

    fn id(byte: u8) -> ObjectId {
        ObjectId::from_bytes(&[byte; 20]).expect("an id")
    }

    #[test]
    fn what_is_added_to_a_listing_is_found_there() {
        let one = "0101010101010101010101010101010101010101";
        let first = format!("{one} refs/heads/main\0report-status\n");
        let mut listing = HEAD.to_vec();
        listing.extend(format!("{:04x}{first}0000", first.len() + 4).into_bytes());
        assert_eq!(ids(&listing), [id(1)]);
        add_had(&mut listing, &[id(2), id(3)]);
        assert_eq!(ids(&listing), [id(1), id(2), id(3)]);
        assert!(listing.ends_with(b" .have\n0000"));
    }

    #[test]
    fn what_is_no_listing_stays_as_it_is() {
        for odd in [&b""[..], b"00", b"zzzz", b"ffff", b"0003", b"0005"] {
            let mut listing = odd.to_vec();
            add_had(&mut listing, &[id(1)]);
            assert_eq!(
                (ids(odd), &listing[..], before_pack(odd)),
                (vec![], odd, None)
            );
        }
    }

    #[test]
    fn a_pack_is_behind_the_commands_or_there_is_none() {
        assert_eq!(before_pack(b"0006ab0000PACK...."), Some(10));
        assert_eq!(before_pack(b"0006ab0005c0000PACK"), Some(15));
        assert_eq!(before_pack(b"0006ab0000"), None);
    }
}
